//! Text from outside, made harmless and short.

use runbook_core::{Value, secret};

/// No marks of secrets, and no control characters that would move a terminal's cursor.
pub fn clean(text: &str) -> String {
    let harmless =
        |letter: char| if letter.is_control() && !"\n\r\t".contains(letter) { '\u{FFFD}' } else { letter };
    match secret::sanitize(Value::String(text.chars().map(harmless).collect())) {
        Value::String(text) => text,
        _ => String::new(),
    }
}

/// All of a text on one clean line, for messages; `…` stands for what is beyond `most` bytes.
pub fn line(text: &str, most: usize) -> String {
    let line = clean(text).split_whitespace().collect::<Vec<_>>().join(" ");
    shortened(&line, most)
}

/// A text of `most` bytes at most, with `…` for the rest.
pub fn shortened(text: &str, most: usize) -> String {
    bounded(text, most).map_or_else(|| text.to_owned(), |kept| format!("{kept}…"))
}

/// The first `most` bytes of a text that is longer, cut at the end of a character.
pub fn bounded(text: &str, most: usize) -> Option<&str> {
    (text.len() > most).then(|| &text[..text.floor_char_boundary(most)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_harmless_and_short() {
        assert_eq!(clean("a\u{1b}[2J\tb\n\u{E0FE}token\u{E0FF}"), "a\u{FFFD}[2J\tb\n\u{FFFD}token\u{FFFD}");
        assert_eq!(line(" two\n  lines\u{7}", 100), "two lines\u{FFFD}");
        for (text, most, expected) in [("éé", 4, "éé"), ("éé", 3, "é…"), ("éé", 1, "…"), ("", 0, "")]
        {
            assert_eq!(shortened(text, most), expected);
        }
    }
}
