//! When nothing is to be changed: once, or every week.

use jiff::{
    ToSpan as _, Zoned,
    civil::{Time, Weekday},
    tz::TimeZone,
};
use runbook_core::{Timestamp, duration::Duration, policy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A time in which nothing is to be changed: `from` one moment `until` another, or `weekly` and
/// `for` how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// Why; whoever is refused reads it.
    #[schemars(length(min = 1, max = 200))]
    pub reason: String,
    /// Where a single freeze begins: `2026-12-23T18:00:00Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Where it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The day and time at which one begins every week: `fri 16:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekly: Option<String>,
    /// How long that lasts, at most a week.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub length: Option<Duration>,
    /// Where that time is told: `Europe/Berlin`. UTC where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

/// How far ahead weekly freezes are worked out: further than any run lasts.
const WEEKS_AHEAD: i32 = 8;
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

impl Freeze {
    /// The times of it that may matter to a run that begins now.
    pub fn times(&self, now: Timestamp) -> Result<Vec<policy::Freeze>, String> {
        match (&self.from, &self.until, &self.weekly, self.length) {
            (Some(from), Some(until), None, None) if self.timezone.is_none() => {
                let (from, until) = (moment(from)?, moment(until)?);
                if from >= until {
                    return Err("`until` has to come after `from`".to_owned());
                }
                Ok(vec![self.lasting(from, until)])
            }
            (None, None, Some(weekly), Some(length)) => self.weekly(weekly, length, now),
            _ => Err("a freeze has `from` and `until`, or `weekly` and `for` (and a `timezone`)".to_owned()),
        }
    }

    fn weekly(&self, weekly: &str, length: Duration, now: Timestamp) -> Result<Vec<policy::Freeze>, String> {
        if length > WEEK {
            return Err("`for` is longer than the week that lies between two of them".to_owned());
        }
        let zone = match &self.timezone {
            Some(name) => {
                TimeZone::get(name).map_err(|error| format!("unknown timezone `{name}`: {error}"))?
            }
            None => TimeZone::UTC,
        };
        let (day, time) = day_and_time(weekly)?;
        let here = now.to_zoned(zone.clone());
        let begins = |week: i32| -> Option<Zoned> {
            let since = i32::from(here.weekday().since(day));
            let date = here.date().checked_add((week * 7 - since).days()).ok()?;
            date.to_datetime(time).to_zoned(zone.clone()).ok()
        };
        let times = (-1..=WEEKS_AHEAD).filter_map(begins).map(|begin| {
            let from = begin.timestamp();
            self.lasting(from, length.after(from))
        });
        Ok(times.filter(|freeze| freeze.until > now).collect())
    }

    fn lasting(&self, from: Timestamp, until: Timestamp) -> policy::Freeze {
        policy::Freeze { from, until, reason: self.reason.clone() }
    }
}

fn moment(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| format!("`{text}` is no moment; write it like 2026-12-23T18:00:00Z"))
}

fn day_and_time(text: &str) -> Result<(Weekday, Time), String> {
    const DAYS: [(&str, Weekday); 7] = [
        ("monday", Weekday::Monday),
        ("tuesday", Weekday::Tuesday),
        ("wednesday", Weekday::Wednesday),
        ("thursday", Weekday::Thursday),
        ("friday", Weekday::Friday),
        ("saturday", Weekday::Saturday),
        ("sunday", Weekday::Sunday),
    ];
    let wrong = || format!("`{text}` is no time of a week; write it like `fri 16:00`");
    let (day, time) = text.trim().split_once(' ').ok_or_else(wrong)?;
    let day = day.to_lowercase();
    let named = DAYS.iter().find(|(name, _)| day.len() >= 3 && name.starts_with(&day));
    let time = Time::strptime("%H:%M", time.trim()).map_err(|_| wrong())?;
    Ok((named.ok_or_else(wrong)?.1, time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn freeze(yaml: serde_json::Value) -> Freeze {
        serde_json::from_value(yaml).unwrap()
    }

    fn told(freeze: &Freeze, now: &str) -> Vec<String> {
        let times = freeze.times(now.parse().unwrap()).unwrap();
        times.iter().map(|time| format!("{} {}", time.from, time.until)).collect()
    }

    #[test]
    fn a_single_freeze_is_what_it_says() {
        let winter = freeze(serde_json::json!({
            "reason": "end of the year", "from": "2026-12-23T18:00:00+01:00", "until": "2027-01-04T06:00:00Z"
        }));
        assert_eq!(told(&winter, "2026-11-21T00:00:00Z"), ["2026-12-23T17:00:00Z 2027-01-04T06:00:00Z"]);
    }

    #[test]
    fn a_weekly_freeze_comes_every_week_by_the_clock_of_its_place() {
        let weekend = freeze(serde_json::json!({
            "reason": "weekend", "weekly": "Fri 16:00", "for": "62h", "timezone": "Europe/Berlin"
        }));
        // A Saturday: the weekend that has begun is among them.
        let times = told(&weekend, "2026-03-21T12:00:00Z");
        assert_eq!(times[0], "2026-03-20T15:00:00Z 2026-03-23T05:00:00Z");
        // Summer time begins on the 29th.
        assert_eq!(times[2], "2026-04-03T14:00:00Z 2026-04-06T04:00:00Z");
        assert!(times.len() >= 8);
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for (yaml, why) in [
            (serde_json::json!({"reason": "x"}), "`from` and `until`, or `weekly`"),
            (
                serde_json::json!({"reason": "x", "from": "tomorrow", "until": "2026-01-01T00:00:00Z"}),
                "no moment",
            ),
            (
                serde_json::json!({"reason": "x", "from": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}),
                "come after",
            ),
            (serde_json::json!({"reason": "x", "weekly": "f 16:00", "for": "1h"}), "time of a week"),
            (serde_json::json!({"reason": "x", "weekly": "fri 25:00", "for": "1h"}), "time of a week"),
            (serde_json::json!({"reason": "x", "weekly": "fri 16:00", "for": "8d"}), "longer than the week"),
            (
                serde_json::json!({"reason": "x", "weekly": "fri 16:00", "for": "1h", "timezone": "Mars/Base"}),
                "unknown timezone",
            ),
        ] {
            let error = freeze(yaml.clone()).times(Timestamp::UNIX_EPOCH).unwrap_err();
            assert!(error.contains(why), "{yaml}: {error}");
        }
    }
}
