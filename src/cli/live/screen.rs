//! A few lines at the bottom of the terminal that are drawn anew in place, and text that goes into
//! the scrollback above them. Each redraw is one write, and nothing is written where nothing changed.

use std::io::{Stderr, Write};

use crossterm::terminal;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::cli::paint::{Paint, Tone};

/// A terminal that does not say how large it is.
const FALLBACK: (u16, u16) = (80, 24);
/// Both ends of a redraw, for terminals that can hold it back until it is whole.
const BEGIN: &str = "\u{1b}[?2026h\u{1b}[?25l";
const END: &str = "\u{1b}[?2026l";
const SHOW_CURSOR: &str = "\u{1b}[?25h";
const CLEAR_BELOW: &str = "\u{1b}[J";
const CLEAR_LINE: &str = "\u{1b}[K";

/// One line, in pieces that each have a tone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    pieces: Vec<(Tone, String)>,
}

impl Line {
    pub fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self::default().and(tone, text)
    }
    #[must_use]
    pub fn and(mut self, tone: Tone, text: impl Into<String>) -> Self {
        self.pieces.push((tone, text.into()));
        self
    }
    #[must_use]
    pub fn append(mut self, other: Self) -> Self {
        self.pieces.extend(other.pieces);
        self
    }
    pub fn width(&self) -> usize {
        self.pieces.iter().map(|(_, text)| text.width()).sum()
    }
    /// Adds spaces until the line is so wide.
    #[must_use]
    pub fn pad(self, width: usize) -> Self {
        let missing = width.saturating_sub(self.width());
        if missing > 0 { self.and(Tone::Plain, " ".repeat(missing)) } else { self }
    }
    /// Cut to a width, with a mark where something is missing.
    #[must_use]
    pub fn cut(self, width: usize) -> Self {
        if self.width() <= width {
            return self;
        }
        let mut room = width.saturating_sub(1);
        let mut cut = Self::default();
        for (tone, text) in self.pieces {
            let kept = fitting(&text, room);
            room -= kept.width();
            let whole = kept.len() == text.len();
            cut = cut.and(tone, kept);
            if !whole {
                break;
            }
        }
        if width > 0 { cut.and(Tone::Faint, "…") } else { cut }
    }
    pub fn paint(&self, paint: Paint) -> String {
        self.pieces.iter().map(|(tone, text)| paint.tone(*tone, text)).collect()
    }
}

/// The beginning of a text that is at most so wide.
fn fitting(text: &str, width: usize) -> &str {
    let mut used = 0;
    for (at, character) in text.char_indices() {
        used += character.width().unwrap_or(0);
        if used > width {
            return &text[..at];
        }
    }
    text
}

/// The lines at the bottom of a terminal.
#[derive(Debug)]
pub struct Screen {
    out: Stderr,
    paint: Paint,
    drawn: Vec<Line>,
    /// Where a person types, the cursor is shown.
    typing: bool,
}

impl Screen {
    pub fn new(paint: Paint) -> Self {
        Self { out: std::io::stderr(), paint, drawn: Vec::new(), typing: false }
    }

    /// Columns and rows.
    pub fn size(&self) -> (usize, usize) {
        let (columns, rows) = terminal::size().unwrap_or(FALLBACK);
        let known = |length: u16, fallback: u16| usize::from(if length == 0 { fallback } else { length });
        (known(columns, FALLBACK.0), known(rows, FALLBACK.1))
    }

    /// Draws the lines in place of those that were drawn before. The cursor stays behind the last
    /// one; it is shown where somebody is to type there.
    pub fn draw(&mut self, lines: Vec<Line>, typing: bool) {
        let (columns, _) = self.size();
        let lines: Vec<Line> = lines.into_iter().map(|line| line.cut(columns.saturating_sub(1))).collect();
        if lines == self.drawn && typing == self.typing {
            return;
        }
        let mut text = format!("{BEGIN}{}", self.back_to_start());
        for (number, line) in lines.iter().enumerate() {
            if number > 0 {
                text.push_str("\r\n");
            }
            text.push_str(&line.paint(self.paint));
            text.push_str(CLEAR_LINE);
        }
        text.push_str(CLEAR_BELOW);
        if typing {
            text.push_str(SHOW_CURSOR);
        }
        text.push_str(END);
        self.write(&text);
        self.drawn = lines;
        self.typing = typing;
    }

    /// Text that stays, above the lines, which have to be drawn again.
    pub fn above(&mut self, text: &str) {
        let text = text.replace('\n', &format!("{CLEAR_LINE}\r\n"));
        let whole = format!("{BEGIN}{}{text}{CLEAR_LINE}\r\n{CLEAR_BELOW}{END}", self.back_to_start());
        self.write(&whole);
        self.drawn.clear();
    }

    /// Takes the lines away, one by one: some terminals keep a screen that is cleared from its very
    /// top in their scrollback.
    pub fn clear(&mut self) {
        let back = self.back_to_start();
        let lines = format!("{CLEAR_LINE}\r\n").repeat(self.rows().saturating_sub(1));
        self.write(&format!("{back}{lines}{CLEAR_LINE}{back}{SHOW_CURSOR}"));
        self.drawn.clear();
    }

    /// To the first column of the first line that was drawn, however the terminal has wrapped them
    /// since it was resized.
    fn back_to_start(&self) -> String {
        match self.rows().saturating_sub(1) {
            0 => "\r".to_owned(),
            up => format!("\r\u{1b}[{up}A"),
        }
    }

    /// How many rows of the terminal the drawn lines take.
    fn rows(&self) -> usize {
        let (columns, _) = self.size();
        self.drawn.iter().map(|line| line.width().max(1).div_ceil(columns.max(1))).sum()
    }

    fn write(&mut self, text: &str) {
        // A terminal that has gone away ends nothing: the run goes on.
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if !self.drawn.is_empty() {
            self.write("\r\n");
        }
        self.write(SHOW_CURSOR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_by_what_is_seen_of_them() {
        for (text, width, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("日本語", 5, "日本…"),
            ("日本語", 6, "日本語"),
            ("abc", 0, ""),
            ("é…x", 2, "é…"),
        ] {
            let cut = Line::new(Tone::Plain, text).cut(width);
            assert_eq!(cut.paint(Paint::new(false)), expected, "{text} to {width}");
            assert!(cut.width() <= width, "{text} to {width}");
        }
        let toned = Line::new(Tone::Good, "ab").and(Tone::Bad, "cdef").cut(4);
        assert_eq!(
            toned.paint(Paint::new(true)),
            "\u{1b}[32mab\u{1b}[0m\u{1b}[31mc\u{1b}[0m\u{1b}[2m…\u{1b}[0m"
        );
    }
}
