//! Moments as people speak of them: how long ago, how soon.

use runbook_core::{Timestamp, duration::Duration};

/// `just now`, `40s ago`, `5m ago`, `3h ago`, `2d ago`.
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    let passed = Duration::between(then, now);
    if passed < Duration::from_secs(2) { "just now".to_owned() } else { format!("{} ago", coarse(passed)) }
}

/// `in 5m`, or `over` where the moment has passed.
pub fn ahead(then: Timestamp, now: Timestamp) -> String {
    if then <= now { "over".to_owned() } else { format!("in {}", coarse(Duration::between(now, then))) }
}

/// The length in its largest unit; the first hours and days with the next smaller one beside it.
pub fn coarse(length: Duration) -> String {
    let seconds = length.as_std().as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..36_000 => two(seconds / 3600, "h", seconds / 60 % 60, "m"),
        36_000..86_400 => format!("{}h", seconds / 3600),
        86_400..259_200 => two(seconds / 86_400, "d", seconds / 3600 % 24, "h"),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn two(large: u64, unit: &str, small: u64, small_unit: &str) -> String {
    if small == 0 { format!("{large}{unit}") } else { format!("{large}{unit}{small}{small_unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_coarsely() {
        let start = Timestamp::UNIX_EPOCH;
        for (seconds, past, future) in [
            (0, "just now", "over"),
            (1, "just now", "in 1s"),
            (59, "59s ago", "in 59s"),
            (61, "1m ago", "in 1m"),
            (3_600, "1h ago", "in 1h"),
            (5_400, "1h30m ago", "in 1h30m"),
            (40_000, "11h ago", "in 11h"),
            (90_000, "1d1h ago", "in 1d1h"),
            (864_000, "10d ago", "in 10d"),
        ] {
            let then = Duration::from_secs(seconds).after(start);
            assert_eq!((ago(start, then).as_str(), ahead(then, start).as_str()), (past, future));
        }
        assert_eq!(ago(Duration::from_secs(9).after(start), start), "just now");
    }
}
