//! AWS: scenarios against emulators of RDS and Route 53.

mod scenario;
mod stage;

use std::{cell::RefCell, panic::AssertUnwindSafe};

use futures::{FutureExt as _, StreamExt as _, stream};

use self::{
    scenario::{Ground, Scenario},
    stage::Scene,
};
use crate::{
    doubt::{self, Settled},
    play,
    proxy::Mishap,
    report::Report,
};

/// An emulator: each has weak spots of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emulator {
    Moto,
    Ministack,
}

/// The emulators that are there, each with a word where it is not.
pub fn emulators() -> Vec<(Emulator, String)> {
    let variables =
        [(Emulator::Moto, "RUNBOOK_TEST_AWS_ENDPOINT"), (Emulator::Ministack, "RUNBOOK_TEST_AWS2_ENDPOINT")];
    let found = variables.into_iter().filter_map(|(which, variable)| match std::env::var(variable) {
        Ok(endpoint) => Some((which, endpoint)),
        Err(_) => {
            eprintln!("skipped: {variable} is not set");
            None
        }
    });
    found.collect()
}

/// How many scenarios are played at once.
const SCENARIOS: usize = 4;

/// Plays every scenario on one emulator.
pub async fn play(which: Emulator, endpoint: &str) -> Report {
    let report = RefCell::new(Report::default());
    stream::iter(scenario::all(which))
        .map(|scenario| play_one(which, endpoint, scenario, &report))
        .buffer_unordered(SCENARIOS)
        .collect::<()>()
        .await;
    report.into_inner()
}

/// A scenario that cannot be played is reported as such, and spoils no other.
async fn play_one(which: Emulator, endpoint: &str, scenario: Scenario, report: &RefCell<Report>) {
    let name = format!("{which:?}/{}", scenario.name);
    let playing = async {
        let scene = Scene::set(endpoint, &scenario).await;
        play::play(&name, &scene.steps(&scenario), &scene).await
    };
    let played = AssertUnwindSafe(playing).catch_unwind().await;
    report.borrow_mut().take(played.unwrap_or_else(|panic| Report::broken(&name, panic)));
}

/// Every writing action with every mishap.
pub async fn settle(which: Emulator, endpoint: &str) -> Vec<Settled> {
    let cases = Mishap::ALL
        .into_iter()
        .flat_map(|mishap| scenario::doubtful(which).into_iter().map(move |scenario| (mishap, scenario)));
    let mut set = Vec::new();
    for (mishap, scenario) in cases {
        // It takes a failover to the instance that writes already, which AWS refuses.
        let unlike_aws = which == Emulator::Moto && scenario.name.contains("failover");
        if unlike_aws && mishap == Mishap::RequestLate {
            continue;
        }
        set.push((mishap, Scene::set(endpoint, &scenario).await, scenario));
    }
    let all = set.iter().map(async |(mishap, scene, scenario)| {
        let name = format!("{which:?}/{}", scenario.name);
        let settled = doubt::settle(&name, &scene.steps(scenario), false, scene, *mishap).await;
        // A reboot is over before anyone looks.
        Settled { leaves_no_trace: scenario.name.contains("reboot"), ..settled }
    });
    futures::future::join_all(all).await
}
