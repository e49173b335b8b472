//! Slack: messages with the diff and buttons, edited once it is decided.

pub mod buttons;
pub(crate) mod message;
pub(crate) mod mrkdwn;
pub(crate) mod send;

pub use self::message::{Look, Message, message};
