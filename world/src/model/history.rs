//! What held when: piecewise constant, so that a window over the past is exact.

use std::collections::BTreeMap;

use crate::model::Model;
use crate::state::{MAX_SEGMENTS, Segment};
use crate::time::Seconds;

/// How far back a new world remembers.
pub(crate) const MEMORY: Seconds = 7.0 * 86_400.0;

/// Traffic breathes by this share around what is expected, in this period.
const WAVE: f64 = 0.02;
const WAVE_PERIOD: Seconds = 1500.0;

/// The stored history of every workload, continued up to `now`.
pub(crate) fn until(model: &Model<'_>, now: Seconds) -> BTreeMap<String, Vec<Segment>> {
    let mut all = BTreeMap::new();
    for deployment in model.state.objects_of("deployments.apps") {
        let namespace = crate::state::text(deployment, "/metadata/namespace");
        let name = crate::state::text(deployment, "/metadata/name");
        let key = format!("{namespace}/{name}");
        let mut segments = model.state.history.get(&key).cloned().unwrap_or_default();
        extend(model, namespace, name, &mut segments, now);
        all.insert(key, segments);
    }
    all
}

/// The history of one workload that a new world begins with.
pub(crate) fn before_creation(model: &Model<'_>, namespace: &str, name: &str) -> Vec<Segment> {
    let mut moments = vec![-MEMORY];
    for cause in model.scenario.causes_of(name) {
        moments.push(model.scenario.beginning(cause));
        moments.extend(cause.until.map(|until| -until));
    }
    moments.extend(model.pods(namespace, name).map(|pod| pod.since));
    moments.retain(|at| (-MEMORY..0.0).contains(at));
    moments.sort_by(f64::total_cmp);
    let mut segments = Vec::new();
    for at in moments {
        push(&mut segments, model.conditions(namespace, name, at));
    }
    segments
}

fn extend(model: &Model<'_>, namespace: &str, name: &str, segments: &mut Vec<Segment>, now: Seconds) {
    let from = model.state.as_of;
    let mut moments: Vec<Seconds> = model
        .pods(namespace, name)
        .flat_map(crate::state::Pod::moments)
        .chain(model.fades(name))
        .filter(|at| *at > from && *at <= now)
        .collect();
    moments.push(from);
    moments.sort_by(f64::total_cmp);
    moments.dedup();
    for at in moments {
        push(segments, model.conditions(namespace, name, at));
    }
    // The far past is the cheapest to lose; the first segment stays, it says since when we know.
    let surplus = segments.len().saturating_sub(MAX_SEGMENTS);
    segments.drain(1..=surplus.min(segments.len().saturating_sub(1)));
}

fn push(segments: &mut Vec<Segment>, next: Segment) {
    match segments.last_mut() {
        Some(last) if last.from == next.from => *last = next,
        Some(last) if (Segment { from: next.from, ..last.clone() }) == next => {}
        _ => segments.push(next),
    }
}

/// The segment that holds at a moment; none before the first.
pub(crate) fn at(segments: &[Segment], at: Seconds) -> Option<&Segment> {
    let after = segments.partition_point(|segment| segment.from <= at);
    segments.get(after.checked_sub(1)?)
}

/// What the breathing of the traffic makes of a constant rate between two moments, in seconds.
pub(crate) fn waves(from: Seconds, to: Seconds) -> f64 {
    let turn = std::f64::consts::TAU / WAVE_PERIOD;
    (to - from) + WAVE / turn * ((turn * from).cos() - (turn * to).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_traffic_breathes_around_its_mean() {
        assert!((waves(0.0, WAVE_PERIOD) - WAVE_PERIOD).abs() < 1e-9);
        for minute in -20..20 {
            let from = f64::from(minute) * 60.0;
            let share = waves(from, from + 60.0) / 60.0;
            assert!((0.97..=1.03).contains(&share), "{share}");
            let halves = waves(from, from + 30.0) + waves(from + 30.0, from + 60.0);
            assert!((halves - waves(from, from + 60.0)).abs() < 1e-9);
        }
    }
}
