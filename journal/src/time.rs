//! Times as texts.

use runbook_core::Timestamp;

/// In a width that never varies, so that the order of texts is the order of times, to the nanosecond.
pub(crate) fn text(at: Timestamp) -> String {
    format!("{at:.9}")
}
