//! `runbook`: parse the arguments, call one command, exit with its code.

mod cli;
mod config;
mod exit;
mod library;
mod person;
mod plan_file;
mod wire;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
