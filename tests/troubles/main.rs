//! What people meet when something is wrong, through the built program: an error that names the place
//! and what to do next, the exit code that scripts rely on, and nothing lost that was acknowledged.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]
#![expect(clippy::print_stderr, reason = "a skipped test says that it is")]

mod disk;
mod journal;
mod project;
mod request;
mod unreachable;
