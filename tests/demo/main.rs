//! The demo world through the built program, as somebody meets it who tries it out: runs that wait
//! for people, what people say to them from elsewhere, and the screen on a terminal.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]

mod answers;
mod document;
mod elsewhere;
mod gate;
mod life;
mod project;
mod speech;
mod terminal;
