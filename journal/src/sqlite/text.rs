//! How values lie in columns.

use runbook_core::Timestamp;

/// In a width that never varies, so that the order of texts is the order of times, to the nanosecond.
pub(super) fn from_time(at: Timestamp) -> String {
    format!("{at:.9}")
}
