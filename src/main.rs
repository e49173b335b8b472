//! `runbook`: parse the arguments, call one command, exit with its code.

mod cli;
mod config;
mod exit;
mod library;
mod log;
mod person;
mod plan_file;
mod remote;
mod serve;
mod wire;

use std::process::ExitCode;

/// Many short-lived runs allocate and free on several threads at once; `runbook bench` gains a tenth
/// over the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
