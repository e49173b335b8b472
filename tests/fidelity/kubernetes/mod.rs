//! Kubernetes: scenarios against a real API server with its real controllers.

pub mod scenario;
pub mod shape;
pub mod stage;

use std::{cell::RefCell, panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures::{FutureExt as _, StreamExt as _, future::join_all, stream};
use runbook_core::Value;
use tokio::sync::Semaphore;

use self::{
    scenario::{Around, ROLES, Scenario},
    stage::{Scene, furnish, kubeconfig_for},
};
use crate::{
    bench::Stage as _,
    binary,
    doubt::{self, Settled},
    fixture::{World, in_namespace},
    play,
    proxy::Mishap,
    report::Report,
};

/// How many namespaces are played in at once, and how many scenarios in all of them.
const NAMESPACES: usize = 14;
const SCENARIOS: usize = 36;

/// Plays every scenario, or those whose name contains `RUNBOOK_TEST_SCENARIO`.
pub async fn play() -> Report {
    let began = Instant::now();
    let only = std::env::var("RUNBOOK_TEST_SCENARIO").unwrap_or_default();
    let mut all: Vec<Scenario> = scenario::all();
    all.retain(|scenario| scenario.name.contains(&only));
    let report = RefCell::new(Report::default());
    let room = Semaphore::new(SCENARIOS);
    stream::iter(by_namespace(all))
        .map(|(around, scenarios)| play_in_one_namespace(around, scenarios, &room, &report))
        .buffer_unordered(NAMESPACES)
        .collect::<()>()
        .await;
    eprintln!("played in {:.0} s", began.elapsed().as_secs_f64());
    report.into_inner()
}

/// In the order of the tables, so many to a namespace as its surroundings have room for.
fn by_namespace(mut all: Vec<Scenario>) -> Vec<(Around, Vec<Scenario>)> {
    all.sort_by_key(|scenario| scenario.around);
    let mut groups: Vec<(Around, Vec<Scenario>)> = Vec::new();
    for scenario in all {
        match groups.last_mut() {
            Some((around, group)) if *around == scenario.around && group.len() < around.room() => {
                group.push(scenario);
            }
            _ => groups.push((scenario.around, vec![scenario])),
        }
    }
    groups
}

async fn play_in_one_namespace(
    around: Around,
    scenarios: Vec<Scenario>,
    room: &Semaphore,
    report: &RefCell<Report>,
) {
    in_namespace(async |world: Arc<World>| {
        furnish(&world, around, if around == Around::Roles { ROLES } else { &[] }).await;
        let all = scenarios.iter().enumerate().map(async |(at, scenario)| {
            let _room = room.acquire().await.unwrap();
            play_one(&world, scenario, format!("api-{at}"), report).await;
        });
        join_all(all).await;
    })
    .await;
}

/// A scenario that cannot be played is reported as such, and spoils no other.
async fn play_one(world: &World, scenario: &Scenario, name: String, report: &RefCell<Report>) {
    let playing = async {
        let scene = Scene::set(world, scenario, &name).await;
        play::play(&scenario.name, &scene.steps(scenario, &name), &scene).await
    };
    let played = AssertUnwindSafe(playing).catch_unwind().await;
    report.borrow_mut().take(played.unwrap_or_else(|panic| Report::broken(&scenario.name, panic)));
}

/// What the built binary says of a handful of scenarios, dry and live, with the writes that arrived.
pub async fn play_with_the_binary() -> Vec<(String, [(Value, usize); 2])> {
    let told = RefCell::new(Vec::new());
    in_namespace(async |world: Arc<World>| {
        let scenarios = scenario::for_the_binary();
        let all = scenarios.iter().map(async |scenario| {
            let scene = Scene::set(&world, scenario, &scenario.name).await;
            let folder = tempfile::tempdir().unwrap();
            let kubeconfig = kubeconfig_for(&scene.proxy().address);
            binary::project(folder.path(), &kubeconfig, &scene.steps(scenario, &scenario.name));
            let both = binary::both(folder.path(), &scene).await;
            told.borrow_mut().push((scenario.name.clone(), both));
        });
        join_all(all).await;
    })
    .await;
    told.into_inner()
}

/// The in-doubt suite: what came of every write with every mishap, and of those that someone else
/// meddled with.
pub async fn settle() -> (Vec<Settled>, Vec<Settled>) {
    let (settled, meddled) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
    let namespaces = Mishap::ALL.map(|mishap| settle_in_one_namespace(mishap, &settled, &meddled));
    join_all(namespaces).await;
    (settled.into_inner(), meddled.into_inner())
}

async fn settle_in_one_namespace(
    mishap: Mishap,
    settled: &RefCell<Vec<Settled>>,
    meddled: &RefCell<Vec<Settled>>,
) {
    in_namespace(async |world: Arc<World>| {
        let cases = scenario::doubtful();
        let all = cases.iter().enumerate().map(async |(at, (scenario, undo))| {
            let name = format!("api-{at}");
            let scene = Scene::set(&world, scenario, &name).await;
            let what = format!("{}{}", scenario.name, if *undo { "~undo" } else { "" });
            let steps = scene.steps(scenario, &name);
            let one = doubt::settle(&what, &steps, *undo, &scene, mishap).await;
            settled.borrow_mut().push(one);
        });
        join_all(all).await;
        if matches!(mishap, Mishap::AnswerLost | Mishap::RequestLost) {
            let scenario = &cases[0].0;
            let scene = Scene::set(&world, scenario, "meddled").await;
            let steps = scene.steps(scenario, "meddled");
            let one = doubt::meddle("scale", &steps, &scene, mishap, scene.someone_else("meddled")).await;
            meddled.borrow_mut().push(one);
        }
    })
    .await;
}
