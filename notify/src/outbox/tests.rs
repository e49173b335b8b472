//! The outbox against stand-ins of the receivers.

mod bench;
mod crash;
mod faults;
mod mail;
mod order;
mod postbox;
mod stand_in;
mod wire;
