//! States, times and severities for people: always a word, with an icon and a colour that only repeat it.

use maud::{Markup, html};
use runbook_core::{Timestamp, duration::Duration, spec::Effect};

/// What a state means, which is what colours follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Bad,
    /// Something is at work.
    Busy,
    /// People are asked.
    Asks,
    /// Nothing to do.
    Calm,
}

impl Tone {
    pub fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Busy => "busy",
            Self::Asks => "asks",
            Self::Calm => "calm",
        }
    }
}

/// The tone and the icon of a word that says where a run or a step stands.
pub fn state(word: &str) -> (Tone, &'static str) {
    match word {
        "succeeded" | "complete" | "ready" => (Tone::Good, "✓"),
        "failed" | "stuck" | "blocked" | "would_fail" => (Tone::Bad, "✕"),
        "firing" | "investigating" => (Tone::Bad, "!"),
        "running" | "identified" | "would_change" => (Tone::Busy, "►"),
        "monitoring" => (Tone::Busy, "◎"),
        "waiting" | "would_wait" => (Tone::Asks, "?"),
        "warning" | "unknown" | "may_run" | "not_as_expected" => (Tone::Asks, "~"),
        "undone" => (Tone::Calm, "↶"),
        "resolved" => (Tone::Good, "✓"),
        "skipped" | "would_skip" | "superseded" | "merged" => (Tone::Calm, "–"),
        "cancelled" => (Tone::Calm, "■"),
        _ => (Tone::Calm, "○"),
    }
}

/// A state as a pill.
pub fn pill(word: &str) -> Markup {
    let (tone, icon) = state(word);
    html! {
        span class={ "pill " (tone.class()) } { span aria-hidden="true" { (icon) } " " (word.replace('_', " ")) }
    }
}

/// A pill in a tone of one's own.
pub fn mark(tone: Tone, text: &str) -> Markup {
    html! { span class={ "pill " (tone.class()) } { (text) } }
}

/// A severity, in the detector's or the matrix' own words.
pub fn severity(word: &str) -> Markup {
    let lower = word.to_lowercase();
    let tone = match lower.trim_start_matches(|c: char| !c.is_ascii_digit()) {
        "0" | "1" => Tone::Bad,
        "2" => Tone::Asks,
        _ if matches!(lower.as_str(), "critical" | "error" | "page" | "high") => Tone::Bad,
        _ if lower == "warning" => Tone::Asks,
        _ => Tone::Calm,
    };
    html! { span class={ "pill severity " (tone.class()) } { (word) } }
}

/// What an effect means for the world.
pub fn effect(effect: Effect) -> Markup {
    match effect {
        Effect::Read => mark(Tone::Calm, "reads only"),
        Effect::Write => mark(Tone::Busy, "changes something"),
        Effect::Destructive => mark(Tone::Bad, "! destructive"),
    }
}

/// A moment: how long ago, and exactly.
pub fn moment(at: Timestamp, now: Timestamp) -> Markup {
    let exact = at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    html! { time datetime=(at) title=(exact) data-relative { (relative(at, now)) } }
}

/// A moment in a list of what happened: the time of day, and the day where it is another one.
pub fn clock(at: Timestamp, now: Timestamp) -> Markup {
    let day = at.strftime("%Y-%m-%d").to_string();
    let exact = at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    html! {
        time datetime=(at) title=(exact) {
            @if now.strftime("%Y-%m-%d").to_string() != day { span.day { (day) } " " }
            (at.strftime("%H:%M:%S"))
        }
    }
}

/// `3 min ago`, `in 2 h`.
fn relative(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - at.as_second();
    let size = match seconds.unsigned_abs() {
        0..5 => return "now".to_owned(),
        size @ 5..60 => format!("{size} s"),
        size @ 60..3_600 => format!("{} min", size / 60),
        size @ 3_600..172_800 => format!("{} h", size / 3_600),
        size => format!("{} days", size / 86_400),
    };
    if seconds > 0 { format!("{size} ago") } else { format!("in {size}") }
}

/// How long something took or takes, to the second.
pub fn took(from: Timestamp, to: Timestamp) -> String {
    let seconds = Duration::between(from, to).as_std().as_secs();
    match seconds {
        0 => "under 1 s".to_owned(),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

/// A text of ours: what stands between backticks is code.
pub fn prose(text: &str) -> Markup {
    html! {
        @for (part, place) in text.split('`').zip(0..) {
            @if place % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// `ops or dba`; anybody where nobody is named.
pub fn people(names: &[String]) -> String {
    if names.is_empty() { "anybody who may".to_owned() } else { names.join(" or ") }
}

/// `1 run`, `2 runs`.
pub fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_as_people_tell_them() {
        let now: Timestamp = "2026-11-21T03:00:00Z".parse().unwrap();
        for (at, text) in [
            ("2026-11-21T03:00:00Z", "now"),
            ("2026-11-21T02:59:30Z", "30 s ago"),
            ("2026-11-21T02:57:00Z", "3 min ago"),
            ("2026-11-20T03:00:00Z", "24 h ago"),
            ("2026-11-14T03:00:00Z", "7 days ago"),
            ("2026-11-21T05:00:00Z", "in 2 h"),
        ] {
            assert_eq!(relative(at.parse().unwrap(), now), text);
        }
        let earlier = "2026-11-21T01:55:57Z".parse().unwrap();
        assert_eq!((took(earlier, now), took(now, now)), ("1 h 4 min".to_owned(), "under 1 s".to_owned()));
    }

    #[test]
    fn every_level_has_a_tone() {
        for (word, class) in
            [("SEV1", "bad"), ("P2", "asks"), ("sev-3", "calm"), ("critical", "bad"), ("<b>", "calm")]
        {
            assert!(severity(word).into_string().contains(&format!("severity {class}")), "{word}");
        }
    }
}
