//! Starts a simulated world for kubectl and curl until Ctrl-C:
//! `cargo run -p runbook-world --example simulated -- high-latency [STATE_DIRECTORY]`

#![expect(clippy::print_stdout, reason = "it talks to the person who started it")]

use std::path::PathBuf;

use runbook_world::{Options, World, WorldError};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let scenario = arguments.next().unwrap_or_else(|| Options::default().scenario);
    let state = arguments.next().map(PathBuf::from);
    let world = World::start(Options { scenario, state, ..Options::default() }).await.map_err(told)?;
    let kubeconfig = std::env::temp_dir().join(format!("simulated-{}.kubeconfig", std::process::id()));
    std::fs::write(&kubeconfig, world.kubeconfig())?;
    println!("simulated world at {}, {} times faster than real time", world.base_url(), world.speed());
    println!("export KUBECONFIG={}", kubeconfig.display());
    println!(
        "export PROMETHEUS={} FLAGS={} FLAGS_TOKEN={}",
        world.prometheus_url(),
        world.flags_url(),
        world.flags_token()
    );
    println!("export SERVICES={} SLACK={}", world.services_url(), world.slack_url());
    tokio::signal::ctrl_c().await?;
    println!("{} writing requests arrived", world.writes());
    std::fs::remove_file(&kubeconfig)?;
    world.shutdown().await;
    Ok(())
}

/// The message with its hint, as a person should read it.
fn told(error: WorldError) -> String {
    error.to_string()
}
