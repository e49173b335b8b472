//! Databases as RDS describes them, as far as is looked at.

pub(crate) mod cluster;
pub(crate) mod instance;

use runbook_core::{Timestamp, fault::Fault};

/// The state in which RDS takes requests.
pub(crate) const AVAILABLE: &str = "available";

/// Whether something in this state works and is not in the middle of a change. RDS has the last
/// word; at night a request that it refuses is better than one that was never sent.
pub(crate) fn is_ready(status: &str) -> bool {
    matches!(status, AVAILABLE | "backing-up" | "storage-optimization") || status.starts_with("configuring-")
}

/// An identifier as RDS keeps it: what is given in capitals is stored in small letters.
pub(crate) fn identifier(kind: &str, given: &str) -> Result<String, Fault> {
    let wrong = |why: &str| {
        let shown: String = given.chars().take(80).collect();
        Err(Fault::permanent(format!("`{shown}` cannot be the identifier of {kind}: {why}")))
    };
    if given.is_empty() || given.len() > 255 {
        return wrong("it has between 1 and 255 characters");
    }
    if !given.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return wrong("it begins with a letter");
    }
    if !given.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-') {
        return wrong("it has letters, digits and hyphens only");
    }
    if given.ends_with('-') || given.contains("--") {
        return wrong("it neither ends with a hyphen nor has two together");
    }
    Ok(given.to_ascii_lowercase())
}

/// A time of the SDK; what is out of the calendar is left out.
pub(crate) fn moment(at: Option<&aws_smithy_types::DateTime>) -> Option<Timestamp> {
    Timestamp::new(at?.secs(), i32::try_from(at?.subsec_nanos()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_works_is_told_from_what_changes() {
        for (status, ready) in [
            ("available", true),
            ("backing-up", true),
            ("storage-optimization", true),
            ("configuring-log-exports", true),
            ("failing-over", false),
            ("modifying", false),
            ("rebooting", false),
            ("stopped", false),
            ("", false),
        ] {
            assert_eq!(is_ready(status), ready, "{status}");
        }
    }

    #[test]
    fn identifiers_are_those_that_rds_takes() {
        for (given, kept) in [("orders", "orders"), ("Orders-2", "orders-2"), ("a", "a")] {
            assert_eq!(identifier("a cluster", given).unwrap(), kept);
        }
        for wrong in ["", "2orders", "-a", "a-", "a--b", "a_b", "a/b", "a b", "arn:aws:rds", &"a".repeat(256)]
        {
            assert!(identifier("a cluster", wrong).is_err(), "{wrong:?} was taken");
        }
    }
}
