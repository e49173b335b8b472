//! What detectors send: verified over the raw bytes, then parsed into alerts.
//!
//! A [`Door`] is one way in: a source and the proof that it demands. [`Door::receive`] takes the
//! bytes of a request and gives what was delivered, or a [`Refusal`] that says what to answer.
//! Detectors differ in two things, and each has its folder: how a delivery is proven (`proof`) and
//! what it says (`source`).
//!
//! Invariants: nothing here reads a clock, a random source, a file or the network; `now` comes in
//! with the request, and the certificate that an SNS message names is fetched by the caller (see
//! [`Door::need`]). Nothing of a body is believed before its proof holds. No input panics. Whatever
//! comes out is bounded (see [`Limits`]).

mod client;
mod door;
mod limits;
mod proof;
mod read;
mod refusal;
mod request;
mod sign;
mod source;

pub use client::ClientName;
pub use door::{Content, Door, Misconfigured, Need, Received};
pub use limits::Limits;
pub use proof::{GRAFANA_SIGNATURE, Proof};
pub use refusal::Refusal;
pub use request::{Headers, Request};
pub use sign::CannotSign;
pub use source::DATADOG_TEMPLATE;
