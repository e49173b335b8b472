//! Runs, driven by hand: a small world of named values, effects performed one at a time, time that
//! jumps to the next wake. Nothing here waits, and everything can be cut off anywhere.

mod crash;
mod gates;
mod ladders;
mod steps;
mod undo;
mod world;
