//! The actions with real programs: small shell scripts in a folder of their own.

#![cfg(test)]

mod check;
mod laws;
mod run;
mod scenario;
