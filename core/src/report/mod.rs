//! A run told whole: as one JSON document, and as text.

mod diff;
mod document;
mod open;
mod text;
mod tree;

pub use self::{
    diff::{diff, paint},
    document::document,
    open::{asked, options, options_of, prompt, question, question_kind},
    text::text,
    tree::{Row, rows},
};
