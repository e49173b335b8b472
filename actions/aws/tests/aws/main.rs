//! The AWS actions against two emulators, and against a proxy or a stub where neither of them can
//! show what has to be seen.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]

mod doubt;
mod dry;
mod laws;
mod metrics;
mod place;
mod proxy;
mod rds;
mod records;
mod rights;
mod stub;
mod unseen;
