//! A change as people look at it: before and after, line by line.

use maud::{Markup, html};
use runbook_core::{
    change::{Change, Undo},
    report, secret,
};

/// How many lines of a change stand on a screen, beside all else.
const SCREEN: usize = 24;

/// The lines that go and come. The sign says it, the colour repeats it.
pub fn diff(change: &Change) -> Markup {
    let text = report::diff(change);
    html! {
        @if text.is_empty() {
            p.quiet { "No field that can be shown changes; the request is below." }
        } @else {
            div.diff tabindex="0" role="region" aria-label="What changes: lines with - go, lines with + come" {
                @for line in text.lines() {
                    @match line.chars().next() {
                        Some('-') => del { (line) "\n" },
                        Some('+') => ins { (line) "\n" },
                        _ => span { (line) "\n" },
                    }
                }
            }
        }
    }
}

/// Whether it takes more than a screen to look through it.
pub fn is_long(change: &Change) -> bool {
    report::diff(change).lines().count() > SCREEN
}

/// The request that would be sent, for those who want to know exactly, and whether it can be undone.
pub fn request(change: &Change) -> Markup {
    let body = secret::mask(&change.request.body);
    html! {
        details.more {
            summary { "The exact request" }
            pre tabindex="0" {
                (change.request.method) " " (secret::mask_text(&change.request.url)) "\n"
                @if !body.is_null() { (format!("{body:#}")) }
            }
        }
    }
}

/// In words, whether this very change can be taken back.
pub fn undo(change: &Change) -> String {
    match &change.undo {
        Undo::Auto => "can be undone".to_owned(),
        Undo::None(why) => format!("cannot be undone: {}", secret::mask_text(why)),
    }
}
