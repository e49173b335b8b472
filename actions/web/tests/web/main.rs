//! The actions against servers that answer as told, and against the real ones where a variable
//! names them.

#![cfg(test)]

mod client;
mod flags;
mod http;
mod laws;
mod prometheus;
mod scenario;
mod slack;
