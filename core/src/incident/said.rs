//! Texts from outside, made fit to be kept and shown: bounded, without control characters, and
//! without the characters that mark secrets.

use super::{Rejected, RejectedKind};
use crate::secret;

/// Keys and addresses are taken whole or not at all.
const LONGEST_KEY: usize = 2_000;

/// What a person said: too much of it is theirs to shorten.
pub(super) fn said(text: &str, what: &str, most: usize) -> Result<String, Rejected> {
    let text = clean(text, true).trim().to_owned();
    let length = text.chars().count();
    let invalid = |message: String| Err(Rejected::new(RejectedKind::Invalid, message));
    match length {
        0 => invalid(format!("the {what} is empty")),
        _ if length > most => {
            invalid(format!("the {what} has {length} characters; at most {most} are taken"))
        }
        _ => Ok(text),
    }
}

/// The same on one line.
pub(super) fn said_on_a_line(text: &str, what: &str, most: usize) -> Result<String, Rejected> {
    said(&clean(text, false), what, most)
}

/// Where nothing need be said.
pub(super) fn said_or_not(text: Option<&str>, what: &str, most: usize) -> Result<Option<String>, Rejected> {
    match text.map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) => said(text, what, most).map(Some),
    }
}

/// What a program sent, on one line: it cannot be asked to shorten it.
pub(super) fn cut(text: &str, most: usize) -> String {
    shortened(&clean(text, false), most)
}

/// What a detector sends for nothing is nothing.
pub(super) fn filled(text: Option<&str>, most: usize) -> Option<String> {
    text.map(|text| cut(text, most)).filter(|text| !text.is_empty())
}

/// The same on as many lines as it has.
pub(super) fn filled_in_lines(text: Option<&str>, most: usize) -> Option<String> {
    text.map(|text| shortened(&clean(text, true), most)).filter(|text| !text.is_empty())
}

/// A text that means nothing when it is cut.
pub(super) fn whole(text: &str, what: &str) -> Result<String, Rejected> {
    match text.chars().count() {
        length if length > LONGEST_KEY => Err(Rejected::new(
            RejectedKind::Invalid,
            format!("the {what} has {length} characters; at most {LONGEST_KEY} are taken"),
        )),
        _ => Ok(secret::sanitize_text(text)),
    }
}

fn shortened(text: &str, most: usize) -> String {
    let text = text.trim();
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

fn clean(text: &str, lines: bool) -> String {
    let kept = |c: char| if c.is_control() && !(lines && matches!(c, '\n' | '\t')) { ' ' } else { c };
    secret::sanitize_text(text).replace("\r\n", "\n").chars().map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bounded_and_plain() {
        assert_eq!(said(" a\r\nb\u{1b}[31m ", "note", 20).unwrap(), "a\nb [31m");
        assert_eq!(said_on_a_line("a\nb", "title", 20).unwrap(), "a b");
        assert_eq!(said(" \n ", "note", 5).unwrap_err().message, "the note is empty");
        let error = said("abcdef", "note", 5).unwrap_err();
        assert_eq!(error.message, "the note has 6 characters; at most 5 are taken");
        assert_eq!(said_or_not(Some("  "), "reason", 5).unwrap(), None);
        assert_eq!(cut("äbcdef", 6), "äbcdef");
        assert_eq!(cut("äbcdefg", 6), "äbcde…");
        assert_eq!(filled(Some("a\nb"), 6).as_deref(), Some("a b"));
        assert_eq!(filled_in_lines(Some("a\nb\n"), 6).as_deref(), Some("a\nb"));
        assert_eq!(filled(Some(" \n"), 6), None);
        assert!(!secret::is_marked(&cut(&secret::mark("token"), 50)));
    }
}
