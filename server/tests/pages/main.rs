//! The pages, through the router: what they show to whom, and what their forms do.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]

mod acting;
mod browser;
mod escaping;
mod fixture;
mod html;
mod limits;
mod shop;
mod showing;
mod sweeping;
mod telling;
