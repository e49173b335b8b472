//! The world through its doors: every test starts one on loopback and talks to it as clients do.
//! Time is a manual clock; nothing here waits for simulated time to pass.

#![expect(clippy::unwrap_used, reason = "a test ends where an assumption does not hold")]

mod aws;
mod kube_client;
mod kubectl;
mod kubernetes;
mod persistence;
mod prometheus;
mod scenarios;
mod services;
mod support;
