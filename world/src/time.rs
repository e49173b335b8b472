//! Real and simulated time, and the line between them.

use std::fmt::Debug;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Where a world reads the real time, so that tests can move it.
pub trait Clock: Debug + Send + Sync {
    fn now(&self) -> Timestamp;
}

/// The clock of this machine.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.as_microsecond()))
    }

    /// Moves the clock forward by this much real time.
    pub fn advance(&self, by: SignedDuration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
    }
}

/// Simulated seconds since the world was created. What lies before the creation is negative and
/// passes at the pace of real time: "deployed 18 minutes ago" is the same in both.
pub(crate) type Seconds = f64;

/// Maps real timestamps to simulated seconds and back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Timeline {
    pub created: Timestamp,
    /// Simulated seconds per real second.
    pub speed: u32,
}

impl Timeline {
    pub fn simulated(&self, real: Timestamp) -> Seconds {
        let elapsed = real.duration_since(self.created).as_secs_f64();
        if elapsed < 0.0 { elapsed } else { elapsed * f64::from(self.speed.max(1)) }
    }

    pub fn real(&self, simulated: Seconds) -> Timestamp {
        let elapsed = if simulated < 0.0 { simulated } else { simulated / f64::from(self.speed.max(1)) };
        // A span beyond what the calendar holds cannot come from a clock; it is cut, not a panic.
        let elapsed = SignedDuration::try_from_secs_f64(elapsed).unwrap_or(SignedDuration::ZERO);
        self.created.checked_add(elapsed).unwrap_or(self.created)
    }

    /// The timestamp that Kubernetes clients see: whole seconds, UTC.
    pub fn stamp(&self, simulated: Seconds) -> String {
        stamp(self.real(simulated))
    }
}

/// RFC 3339 in whole seconds, as Kubernetes writes timestamps.
pub(crate) fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline() -> Timeline {
        Timeline { created: "2026-11-21T10:00:00Z".parse().unwrap(), speed: 60 }
    }

    #[test]
    fn time_runs_faster_only_after_the_creation() {
        let line = timeline();
        for (real, simulated) in [
            ("2026-11-21T09:42:00Z", -1080.0),
            ("2026-11-21T10:00:00Z", 0.0),
            ("2026-11-21T10:00:15Z", 900.0),
        ] {
            let real: Timestamp = real.parse().unwrap();
            assert_eq!(line.simulated(real), simulated);
            assert_eq!(line.real(simulated), real);
        }
    }

    #[test]
    fn stamps_have_whole_seconds() {
        assert_eq!(timeline().stamp(90.0), "2026-11-21T10:00:01Z");
    }

    #[test]
    fn a_manual_clock_stands_until_moved() {
        let clock = ManualClock::new("2026-11-21T10:00:00Z".parse().unwrap());
        assert_eq!(clock.now(), clock.now());
        clock.advance(SignedDuration::from_secs(2));
        assert_eq!(stamp(clock.now()), "2026-11-21T10:00:02Z");
    }
}
