//! Traces over OTLP: a run is a trace, a step a span.
//!
//! A run may wait for days, survive a crash and be handed from one process to another. So its spans are
//! not made by the code that runs, but from the events that the journal has (`story`), by whoever
//! journals them (`follow`); and their ids follow from the run and the step alone (`ids`), so that the
//! same span has the same id whichever process tells it. What is sent waits in a bounded queue
//! (`export`): where the collector is away, spans are dropped and counted, and no run waits.

mod context;
mod export;
mod fact;
mod follow;
mod ids;
mod kinds;
mod request;
mod settings;
mod span;
mod story;

pub use crate::{
    context::TraceContext,
    export::{Exporter, Sent},
    fact::{Fact, Ledger},
    follow::Follower,
    request::{Answered, Asked},
    settings::{Sampler, Settings, SettingsError},
    story::{Finished, Story},
};
