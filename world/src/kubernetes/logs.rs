//! Logs of pods: plausible lines, the same ones every time, with what the scenario says goes wrong.

use jiff::{SignedDuration, Timestamp};

use crate::cluster::pods;
use crate::exchange::{Answer, Request};
use crate::kubernetes::failure::Failure;
use crate::kubernetes::reading::get;
use crate::kubernetes::views::pods::{Phase, phase, started};
use crate::kubernetes::{Target, views::View};
use crate::names;
use crate::state::{Pod, text};
use crate::time::Seconds;

/// A line every two real seconds, and no more of them than this.
const EVERY: i64 = 2;
const MAX_LINES: i64 = 2_000;
const PATHS: [&str; 5] = ["/v1/items", "/v1/prices", "/v1/cart", "/v1/search", "/health"];

pub(crate) fn answer(view: &View<'_>, request: &Request, target: &Target) -> Result<Answer, Failure> {
    get(view, target)?;
    let pod = view.pods().find(|pod| pod.namespace == target.space() && pod.name == target.named());
    let pod = pod.ok_or_else(|| Failure::not_found(target.resource, target.named()))?;
    let query = &request.query;
    let container = container(view, pod, query.get("container"))?;
    let previous = query.is_true("previous") && query.get("previous").is_some();
    let mut lines = match phase(view, pod) {
        Phase::Unscheduled | Phase::Creating | Phase::ImagePull => {
            let why = match phase(view, pod) {
                Phase::ImagePull => "trying and failing to pull image",
                _ => "ContainerCreating",
            };
            let message =
                format!("container \"{container}\" in pod \"{}\" is waiting to start: {why}", pod.name);
            return Err(Failure::bad_request(message));
        }
        Phase::BackOff { killed } => crashed(view, pod, killed),
        Phase::Running { .. } if previous && pod.restarts == 0 => {
            let message =
                format!("previous terminated container \"{container}\" in pod \"{}\" not found", pod.name);
            return Err(Failure::bad_request(message));
        }
        Phase::Running { .. } => running(view, pod),
    };
    let now = view.state.timeline.real(view.now);
    if let Some(seconds) = query.number::<i64>("sinceSeconds") {
        let from = now.checked_sub(SignedDuration::from_secs(seconds.max(0))).unwrap_or(Timestamp::MIN);
        lines.retain(|(at, _)| *at >= from);
    }
    if let Some(from) = query.get("sinceTime").and_then(|time| time.parse::<Timestamp>().ok()) {
        lines.retain(|(at, _)| *at >= from);
    }
    let tail = query.number::<usize>("tailLines").unwrap_or(usize::MAX);
    let skipped = lines.len().saturating_sub(tail);
    let stamped = query.is_true("timestamps") && query.get("timestamps").is_some();
    let mut body: String = lines[skipped..]
        .iter()
        .map(|(at, line)| if stamped { format!("{at} {line}\n") } else { format!("{line}\n") })
        .collect();
    if let Some(limit) = query.number::<usize>("limitBytes") {
        body.truncate(body.floor_char_boundary(limit));
    }
    Ok(Answer::text(200, body))
}

fn container(view: &View<'_>, pod: &Pod, wanted: Option<&str>) -> Result<String, Failure> {
    let set = view.state.object("replicasets.apps", &pod.namespace, &pod.replica_set);
    let containers =
        set.and_then(|set| set.pointer("/spec/template/spec/containers")).and_then(|c| c.as_array());
    let names: Vec<&str> =
        containers.into_iter().flatten().map(|container| text(container, "/name")).collect();
    match wanted {
        Some(wanted) if names.contains(&wanted) => Ok(wanted.to_owned()),
        Some(wanted) => {
            Err(Failure::bad_request(format!("container {wanted} is not valid for pod {}", pod.name)))
        }
        None if names.len() > 1 => Err(Failure::bad_request(format!(
            "a container name must be specified for pod {}, choose one of: [{}]",
            pod.name,
            names.join(" ")
        ))),
        None => Ok(names.first().copied().unwrap_or_default().to_owned()),
    }
}

type Line = (Timestamp, String);

/// The life of a container that crashes: it starts, says why, and ends.
fn crashed(view: &View<'_>, pod: &Pod, killed: bool) -> Vec<Line> {
    let ended = pods::last_crash(pod, view.now);
    let at = view.state.timeline.real(ended - pods::CRASH_AFTER);
    let mut lines = vec![(at, first_line(view, pod))];
    lines.extend(trouble(view, pod, ended, ready(view, pod)).into_iter().map(|line| (at, line)));
    let last = if killed {
        "level=warn msg=\"memory is nearly used up\""
    } else {
        "level=error msg=\"exiting\" code=1"
    };
    lines.push((view.state.timeline.real(ended), last.to_owned()));
    lines
}

fn running(view: &View<'_>, pod: &Pod) -> Vec<Line> {
    let now = view.state.timeline.real(view.now).as_second();
    let begin = view.state.timeline.real(started(view, pod)).as_second();
    let ready = ready(view, pod);
    let mut lines = Vec::new();
    if now - begin < MAX_LINES * EVERY {
        lines.push((at(begin), first_line(view, pod)));
    }
    // Lines stand on a grid of real time, so that a later look sees the same ones.
    let first = (begin + EVERY).max(now - MAX_LINES * EVERY).div_euclid(EVERY);
    for tick in first + 1..=now.div_euclid(EVERY) {
        let second = tick * EVERY;
        let trouble = trouble(view, pod, view.state.timeline.simulated(at(second)), ready);
        let turn = names::fnv(&format!("{}{tick}", pod.name));
        let line = match usize::try_from(turn % 3) {
            Ok(0) if !trouble.is_empty() => {
                let index = usize::try_from(turn / 3).unwrap_or(0) % trouble.len();
                trouble[index].clone()
            }
            _ => {
                let path = PATHS[usize::try_from(turn / 7).unwrap_or(0) % PATHS.len()];
                let took = 30 + turn / 11 % 90;
                format!(
                    "level=info msg=\"request completed\" method=GET path={path} status=200 duration_ms={took}"
                )
            }
        };
        lines.push((at(second), line));
    }
    lines
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
}

fn first_line(view: &View<'_>, pod: &Pod) -> String {
    let image = view.model.facts(pod).map_or("", |facts| facts.image.as_str());
    format!("level=info msg=\"starting (simulated)\" image={image} pod={}", pod.name)
}

/// How many pods of the same workload are ready.
fn ready(view: &View<'_>, pod: &Pod) -> usize {
    view.model.pods(&pod.namespace, &pod.deployment).filter(|other| other.is_ready(view.now)).count()
}

/// What a pod complains about at a moment.
fn trouble(view: &View<'_>, pod: &Pod, when: Seconds, ready: usize) -> Vec<String> {
    let Some(workload) = view.model.scenario.workload(&pod.namespace, &pod.deployment) else {
        return Vec::new();
    };
    view.model.acting(workload, pod, when, ready).flat_map(|(cause, _)| cause.logs.clone()).collect()
}
