//! A run told whole: as one JSON document, and as text.

mod diff;
mod document;
mod text;
mod tree;

pub use self::{
    diff::{diff, paint},
    document::document,
    text::text,
    tree::{Row, rows},
};
