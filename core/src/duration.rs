//! Lengths of time as people write them in a runbook: `90s`, `1h30m`, `2d`. A day is 24 hours.

use std::{fmt, str::FromStr};

use jiff::{SignedDuration, Span, SpanRelativeTo};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time, never negative, at most [`Duration::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(std::time::Duration);

impl Duration {
    /// How people write one, for schemas.
    pub const PATTERN: &'static str = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)( ?[0-9]+(\.[0-9]+)?(ms|s|m|h|d))*$";
    pub const ZERO: Self = Self(std::time::Duration::ZERO);
    /// A year: longer than anything an incident waits for, short enough that adding it to a
    /// timestamp never overflows.
    pub const MAX: Self = Self::from_secs(366 * 24 * 3600);

    pub const fn from_secs(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(std::time::Duration::from_millis(milliseconds))
    }
    pub fn as_secs_f64(self) -> f64 {
        self.0.as_secs_f64()
    }
    pub fn as_std(self) -> std::time::Duration {
        self.0
    }
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }
    /// This duration made `speed` times shorter, as simulated environments run faster.
    #[must_use]
    pub fn scaled(self, speed: u32) -> Self {
        Self(self.0 / speed.max(1))
    }
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        let seconds = (self.0.as_secs_f64() * factor).clamp(0.0, Self::MAX.as_secs_f64());
        Self(std::time::Duration::from_secs_f64(seconds))
    }
    /// The moment this long after `from`.
    pub fn after(self, from: jiff::Timestamp) -> jiff::Timestamp {
        let length = SignedDuration::try_from(self.0.min(Self::MAX.0)).unwrap_or(SignedDuration::ZERO);
        from.checked_add(length).unwrap_or(jiff::Timestamp::MAX)
    }
    /// How long it was from `start` to `end`; zero where `end` is earlier.
    pub fn between(start: jiff::Timestamp, end: jiff::Timestamp) -> Self {
        Self(std::time::Duration::try_from(end.duration_since(start)).unwrap_or_default())
    }
}

impl From<std::time::Duration> for Duration {
    fn from(length: std::time::Duration) -> Self {
        Self(length.min(Self::MAX.0))
    }
}

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a duration; write it like `30s`, `5m`, `1h30m` or `2d`")]
pub struct NotADuration {
    text: String,
}

impl FromStr for Duration {
    type Err = NotADuration;

    fn from_str(text: &str) -> Result<Self, NotADuration> {
        let refuse = || NotADuration { text: text.chars().take(40).collect() };
        if text.len() > 40 || !is_plain(text) {
            return Err(refuse());
        }
        let span: Span = text.parse().map_err(|_| refuse())?;
        let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| refuse())?;
        let length = std::time::Duration::try_from(length).map_err(|_| refuse())?;
        if length > Self::MAX.0 { Err(refuse()) } else { Ok(Self(length)) }
    }
}

/// Whether a text is written as [`Duration::PATTERN`] says. jiff reads much more (`5 minutes`,
/// `PT5M`), and a runbook is to be written in one way.
fn is_plain(text: &str) -> bool {
    let mut rest = text;
    loop {
        let digits = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let after = digits
            .strip_prefix('.')
            .map_or(digits, |fraction| fraction.trim_start_matches(|c: char| c.is_ascii_digit()));
        let unit = after.find(|c: char| !c.is_ascii_lowercase()).map_or(after, |end| &after[..end]);
        if digits.len() == rest.len() || after.starts_with('.') || !UNITS.contains(&unit) {
            return false;
        }
        rest = &after[unit.len()..];
        if rest.is_empty() {
            return true;
        }
        rest = rest.strip_prefix(' ').unwrap_or(rest);
    }
}

const UNITS: [&str; 5] = ["ms", "s", "m", "h", "d"];

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, milliseconds) = (self.0.as_secs(), self.0.subsec_millis());
        let parts = [(seconds / 86400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m")];
        let mut wrote = false;
        for (count, unit) in parts {
            if count > 0 {
                write!(f, "{count}{unit}")?;
                wrote = true;
            }
        }
        match (seconds % 60, milliseconds, wrote) {
            (0, 0, true) => Ok(()),
            (s, 0, _) => write!(f, "{s}s"),
            (0, ms, false) => write!(f, "{ms}ms"),
            (s, ms, false) if s < 10 => write!(f, "{s}.{}s", ms / 100),
            (s, _, _) => write!(f, "{s}s"),
        }
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Unlike `Display`, which rounds for people, this keeps every millisecond.
        let (seconds, milliseconds) = (self.0.as_secs(), self.0.subsec_millis());
        let text = match (seconds, milliseconds) {
            (_, 0) => self.to_string(),
            (0, ms) => format!("{ms}ms"),
            (s, ms) => format!("{s}s{ms}ms"),
        };
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": Self::PATTERN,
            "description": "A length of time: 30s, 5m, 1h30m, 2d.",
            "examples": ["30s", "5m", "1h30m"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_what_people_write() {
        for (text, seconds, shown) in [
            ("30s", 30.0, "30s"),
            ("90s", 90.0, "1m30s"),
            ("1h30m", 5400.0, "1h30m"),
            ("2d", 172_800.0, "2d"),
            ("250ms", 0.25, "250ms"),
            ("0s", 0.0, "0s"),
            ("1.5s", 1.5, "1.5s"),
            ("1h 30m", 5400.0, "1h30m"),
        ] {
            let parsed: Duration = text.parse().unwrap();
            assert_eq!(parsed.as_secs_f64(), seconds, "{text}");
            assert_eq!(parsed.to_string(), shown, "{text}");
            let json = serde_json::to_string(&parsed).unwrap();
            assert_eq!(serde_json::from_str::<Duration>(&json).unwrap(), parsed, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_a_duration() {
        for text in [
            "",
            "5",
            "-5m",
            "five",
            "5 parsecs",
            "99999999999999999999s",
            "400d",
            " 5m",
            "P1D",
            "5m ",
            "5min",
            "5 m",
            "1.5.5s",
            "1h  30m",
            ".5s",
        ] {
            assert!(text.parse::<Duration>().is_err(), "{text:?} was taken");
        }
    }
}
