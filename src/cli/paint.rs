//! Colour for people, never the only carrier of meaning.

use std::fmt::Display;

use crate::cli::App;

/// Paints texts, or leaves them as they are.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    colour: bool,
}

/// What a text means, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Heading,
    Faint,
    Good,
    Attention,
    Bad,
}

impl Paint {
    /// For what is printed on stdout.
    pub fn stdout(app: &App) -> Self {
        Self { colour: app.terminal.colour && app.terminal.stdout }
    }
    pub fn new(colour: bool) -> Self {
        Self { colour }
    }
    pub fn is_on(self) -> bool {
        self.colour
    }
    pub fn tone(self, tone: Tone, text: impl Display) -> String {
        let code = match tone {
            _ if !self.colour => return text.to_string(),
            Tone::Plain => return text.to_string(),
            Tone::Heading => "1",
            Tone::Faint => "2",
            Tone::Good => "32",
            Tone::Attention => "33",
            Tone::Bad => "31",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
    pub fn heading(self, text: impl Display) -> String {
        self.tone(Tone::Heading, text)
    }
    pub fn faint(self, text: impl Display) -> String {
        self.tone(Tone::Faint, text)
    }
}

/// The tone of a run's or step's status.
pub fn of_status(status: &str) -> Tone {
    match status {
        "succeeded" | "complete" => Tone::Good,
        "waiting" | "running" | "undone" | "cancelled" | "superseded" => Tone::Attention,
        "failed" | "stuck" => Tone::Bad,
        _ => Tone::Plain,
    }
}

/// The tone of an effect's word.
pub fn of_effect(effect: &str) -> Tone {
    match effect {
        "destructive" => Tone::Bad,
        "write" => Tone::Attention,
        _ => Tone::Plain,
    }
}

/// A text on one line with nothing in it that a terminal would obey: texts come from files and
/// servers that are not ours.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_added_only_where_it_is_wanted() {
        assert_eq!(Paint::new(false).tone(Tone::Bad, "failed"), "failed");
        assert_eq!(Paint::new(true).tone(Tone::Bad, "failed"), "\u{1b}[31mfailed\u{1b}[0m");
        assert_eq!(Paint::new(true).tone(Tone::Plain, "read"), "read");
    }

    #[test]
    fn one_line_obeys_nobody() {
        assert_eq!(one_line("a\n  b\u{1b}[31m\tc"), "a b [31m c");
        assert_eq!(one_line(" \n"), "");
    }
}
