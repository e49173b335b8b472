//! Runs, driven by hand: a small world of named values, effects performed one at a time, time that
//! jumps to the next wake. Nothing here waits, and everything can be cut off anywhere.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]

mod crash;
mod gates;
mod ladders;
mod properties;
mod steps;
mod undo;
mod world;
