//! Incidents: what may be said to one, what follows, and how it is told.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]

mod lifecycle;
mod limits;
mod merging;
mod people;
mod properties;
mod story;
mod told;
