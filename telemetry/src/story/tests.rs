use opentelemetry::trace::Status;
use runbook_core::{Value, event::Actor, parse, policy::Policy, runbook::Runbook};
use serde_json::json;
use uuid::Uuid;

use super::*;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

const RUNBOOK: &str = "
apiVersion: runbook/v1
name: calm
steps:
  - { id: look, check: http.get, with: { url: 'http://x' } }
  - { id: ask, approval: { prompt: 'go?', from: [ops] } }
  - id: mitigate
    options:
      - { id: scale, action: kubernetes.scale, with: {} }
  - { id: inner, run: other }
  - { id: drain, for_each: '${{ [1] }}', action: kubernetes.drain, with: {} }
";

const OTHER: &str = "
apiVersion: runbook/v1
name: other
steps: [{ id: pods, check: kubernetes.pods, with: {} }]
";

fn parsed(text: &str) -> Runbook {
    let parsed = parse::parse("a.yaml", text);
    parsed.runbook.unwrap_or_else(|| panic!("{:?}", parsed.findings))
}

pub fn run() -> RunId {
    RunId::new(Uuid::from_u128(0x0192_f0a1_b2c3_7d4e_8f50_6172_8394_a5b6))
}

pub fn created() -> Body {
    Body::RunCreated(Box::new(Created {
        runbook: parsed(RUNBOOK).into(),
        library: [("other".to_owned(), parsed(OTHER).into())].into(),
        inputs: json!({ "password": "planted" }),
        environment: "production".to_owned(),
        simulated: None,
        speed: 1,
        hands: Hands::Live,
        policy: Policy::default(),
        reason: Some("planted".to_owned()),
        overriding: false,
        incident: Some("INC-7".to_owned()),
        alert: Value::Null,
        trace_parent: Some(PARENT.to_owned()),
        bound_to: None,
        planned_at: None,
    }))
}

/// An event from what the journal would have of it, at that many seconds.
pub fn event(seq: u64, second: i64, body: Body) -> Event {
    let at = Timestamp::from_second(1_700_000_000 + second).unwrap();
    Event { seq, at, actor: Actor::engine(), body }
}

pub fn body(kind: &str, data: Value) -> Body {
    serde_json::from_value(json!({ "type": kind, "data": data })).unwrap()
}

pub fn ended(step: &str, status: &str, fault: Value) -> Body {
    body(
        "step_ended",
        json!({ "step": step, "status": status, "passed": null, "outputs": { "out": "planted" }, "reason": null, "fault": fault }),
    )
}

fn started(step: &str) -> Body {
    body("step_started", json!({ "step": step, "attempt": 1, "input": { "token": "planted" } }))
}

fn change() -> Value {
    json!({
        "action": "kubernetes.scale", "input": { "replicas": "planted" },
        "target": { "name": "kubernetes:production/deployment/api" }, "summary": "planted", "effect": "write",
        "before": {}, "after": {}, "request": { "method": "PATCH", "url": "http://x/planted", "body": null },
        "undo": "auto",
    })
}

/// A run's events, one second after the other.
fn story(bodies: Vec<Body>) -> Vec<Finished> {
    let first = event(1, 0, created());
    let mut story = Story::begin(run(), &first).unwrap();
    let events = (2..).zip(bodies);
    events.flat_map(|(seq, body)| story.tell(&event(seq, seq as i64 - 1, body))).collect()
}

fn named<'a>(all: &'a [Finished], name: &str) -> &'a SpanData {
    let found: Vec<_> = all.iter().filter(|one| one.span.name == name).collect();
    assert_eq!(found.len(), 1, "{name} in {:?}", all.iter().map(|one| &one.span.name).collect::<Vec<_>>());
    &found[0].span
}

fn attribute(span: &SpanData, key: &str) -> Option<String> {
    span.attributes.iter().find(|pair| pair.key.as_str() == key).map(|pair| pair.value.to_string())
}

/// When it began and ended, in seconds of the run.
fn times(span: &SpanData) -> (u64, u64) {
    let second = |time: std::time::SystemTime| {
        time.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_secs() - 1_700_000_000
    };
    (second(span.start_time), second(span.end_time))
}

fn parent_of(span: &SpanData, parent: &SpanData) -> bool {
    span.parent_span_id == parent.span_context.span_id()
        && span.span_context.trace_id() == parent.span_context.trace_id()
}

fn run_ended(status: &str) -> Body {
    body("run_ended", json!({ "status": status, "recovered": true, "reason": "because" }))
}

#[test]
fn a_run_is_a_trace_and_a_step_a_span() {
    let all = story(vec![
        started("look"),
        body(
            "check_returned",
            json!({ "step": "look", "holds": true, "reading": { "Ok": { "outputs": { "a": "planted" }, "grade": "observed", "reads": "behaviour" } } }),
        ),
        ended("look", "succeeded", Value::Null),
        started("inner"),
        body("entered", json!({ "step": "inner", "runbook": "other", "inputs": {} })),
        started("inner.pods"),
        ended("inner.pods", "failed", json!({ "kind": "forbidden", "message": "no right" })),
        ended("inner", "failed", Value::Null),
        ended("ask", "skipped", Value::Null),
        run_ended("failed"),
    ]);
    let root = named(&all, "run calm");
    assert_eq!(root.span_context.trace_id(), trace_of(run()));
    assert_eq!(root.parent_span_id, SpanId::INVALID);
    assert_eq!(times(root), (0, 10));
    assert_eq!(root.status, Status::error("because"));
    assert_eq!(root.links.links[0].span_context.span_id().to_string(), "b7ad6b7169203331");
    for (key, value) in [
        ("runbook.run.status", "failed"),
        ("runbook.run.recovered", "true"),
        ("runbook.incident.id", "INC-7"),
        ("runbook.environment", "production"),
        ("error.type", "failed"),
    ] {
        assert_eq!(attribute(root, key).as_deref(), Some(value), "{key}");
    }
    let (look, inner, pods) =
        (named(&all, "step look"), named(&all, "step inner"), named(&all, "step inner.pods"));
    assert!(parent_of(look, root) && parent_of(inner, root) && parent_of(pods, inner));
    assert_eq!((times(look), times(inner), times(pods)), ((1, 3), (4, 8), (6, 7)));
    assert_eq!(attribute(pods, "runbook.step.kind").as_deref(), Some("check"));
    assert_eq!(attribute(pods, "runbook.action").as_deref(), Some("kubernetes.pods"));
    assert_eq!(attribute(pods, "error.type").as_deref(), Some("forbidden"));
    assert_eq!(pods.status, Status::error("no right"));
    let reads: Vec<_> = all.iter().filter(|one| one.span.name == "read").map(|one| &one.span).collect();
    assert!(parent_of(reads[0], look) && times(reads[0]) == (1, 2));
    let skipped = named(&all, "step ask");
    assert_eq!(
        (times(skipped), attribute(skipped, "runbook.step.status").as_deref()),
        ((9, 9), Some("skipped"))
    );
    assert_eq!(
        all.last().unwrap().fact,
        Fact::Run { runbook: "calm".to_owned(), status: "failed", recovered: Some(true) }
    );
    assert!(!format!("{all:?}").contains("planted"), "neither inputs nor outputs are told");
}

#[test]
fn a_gate_lasts_until_enough_people_have_said_yes() {
    let gate = |count| json!({ "prompt": "planted", "digest": "d", "from": ["ops"], "count": count });
    let asked = |count| body("approval_requested", json!({ "step": "ask", "gate": gate(count) }));
    let granted = |break_glass| {
        body(
            "approval_granted",
            json!({ "step": "ask", "digest": "d", "comment": "planted", "own_run": false, "break_glass": break_glass }),
        )
    };
    let expired = || body("approval_expired", json!({ "step": "ask" }));
    for (bodies, outcome, until) in [
        (
            vec![asked(2), granted(false), granted(false), ended("ask", "succeeded", Value::Null)],
            "approved",
            4,
        ),
        (vec![asked(2), granted(true)], "glass broken", 3),
        (vec![asked(1), expired()], "expired", 3),
        (vec![asked(1), ended("ask", "cancelled", Value::Null)], "cancelled", 3),
    ] {
        let mut all = vec![started("ask")];
        all.extend(bodies);
        let all = story(all);
        let gate = named(&all, "approval");
        assert_eq!((times(gate), attribute(gate, "runbook.outcome").as_deref()), ((2, until), Some(outcome)));
        assert_eq!(gate.status, Status::Unset);
        let fact = &all.iter().find(|one| one.span.name == "approval").unwrap().fact;
        assert_eq!(*fact, Fact::Gate { outcome, waited: Duration::from_secs(until - 2) });
        assert!(!format!("{all:?}").contains("planted"));
    }
    let rejected = body("approval_rejected", json!({ "step": "ask", "comment": null }));
    let all = story(vec![started("ask"), asked(1), rejected]);
    assert_eq!(attribute(named(&all, "approval"), "runbook.outcome").as_deref(), Some("rejected"));
}

#[test]
fn a_change_is_planned_applied_and_verified() {
    let step = "mitigate.scale";
    let all = story(vec![
        started("mitigate"),
        body("option_started", json!({ "step": "mitigate", "option": "scale" })),
        started(step),
        body(
            "planned",
            json!({ "step": step, "change": change(), "digest": "d", "grade": "validated", "warnings": [] }),
        ),
        body("apply_started", json!({ "step": step, "change": change(), "key": "planted" })),
        body("apply_returned", json!({ "step": step, "outcome": { "Ok": { "a": "planted" } } })),
        body("verify_returned", json!({ "step": step, "outcome": { "Err": "not complete in time" } })),
        ended(step, "failed", json!({ "kind": "permanent", "message": "not complete in time" })),
    ]);
    let scale = named(&all, "step mitigate.scale");
    for (name, during) in [("plan", (3, 4)), ("apply", (5, 6)), ("verify", (6, 7))] {
        let span = named(&all, name);
        assert!(parent_of(span, scale), "{name}");
        assert_eq!(times(span), during, "{name}");
        assert_eq!(attribute(span, "runbook.action").as_deref(), Some("kubernetes.scale"));
    }
    assert_eq!(attribute(named(&all, "verify"), "error.type").as_deref(), Some("permanent"));
    assert_eq!(attribute(scale, "runbook.target").as_deref(), Some("kubernetes:production/deployment/api"));
    // The ladder is still open; an option is a part of it.
    assert_eq!(scale.parent_span_id, span_of(run(), "step", "mitigate", 0));
    assert!(!format!("{all:?}").contains("planted"));
}

#[test]
fn each_attempt_is_told_where_there_were_several() {
    let fault = json!({ "kind": "unreachable", "message": "nobody there" });
    let retry = body(
        "retry_scheduled",
        json!({ "step": "look", "attempt": 2, "at": "2023-11-14T22:13:25Z", "fault": fault }),
    );
    let all = story(vec![started("look"), retry, run_ended("cancelled")]);
    let attempts: Vec<_> = all.iter().filter(|one| one.span.name == "attempt").map(|one| &one.span).collect();
    let numbers: Vec<_> =
        attempts.iter().filter_map(|span| attribute(span, "runbook.step.attempt")).collect();
    assert_eq!(numbers, ["1", "2"]);
    assert_eq!(attempts[0].status, Status::error("nobody there"));
    assert_ne!(attempts[0].span_context.span_id(), attempts[1].span_context.span_id());
    assert_eq!(times(attempts[0]), (1, 2));
    assert_eq!(attribute(named(&all, "step look"), "runbook.step.attempts").as_deref(), Some("2"));
}

#[test]
fn what_was_being_applied_at_a_crash_is_in_doubt_until_somebody_has_looked() {
    let step = "drain[0]";
    let all = story(vec![
        body("items_listed", json!({ "step": "drain", "items": [1] })),
        started(step),
        body("apply_started", json!({ "step": step, "change": change(), "key": "k" })),
        body("run_resumed", json!({ "owner": "host/2" })),
        body("doubt_settled", json!({ "step": step, "landed": true })),
        body("verify_returned", json!({ "step": step, "outcome": { "Ok": null } })),
        ended(step, "succeeded", Value::Null),
        ended("drain", "succeeded", Value::Null),
        run_ended("succeeded"),
    ]);
    let apply = named(&all, "apply");
    assert_eq!((times(apply), attribute(apply, "error.type").as_deref()), ((3, 4), Some("unknown")));
    let look = named(&all, "look");
    assert_eq!((times(look), attribute(look, "runbook.outcome").as_deref()), ((4, 5), Some("happened")));
    assert_eq!(times(named(&all, "verify")), (5, 6));
    let items: Vec<_> = all.iter().filter(|one| one.span.name == "step drain").collect();
    assert_eq!(items.len(), 2, "the name of an item's span has no number");
    assert!(parent_of(&items[0].span, &items[1].span));
    let root = named(&all, "run calm");
    assert_eq!(root.events.events[0].name, "resumed");
    assert_eq!(root.status, Status::Unset);
}

#[test]
fn an_undo_after_the_end_is_a_part_of_the_same_trace() {
    let all = story(vec![
        started("look"),
        ended("look", "succeeded", Value::Null),
        run_ended("succeeded"),
        body("undo_requested", json!({ "reason": null })),
        ended("look~undo", "succeeded", Value::Null),
        run_ended("undone"),
    ]);
    let (root, undo) = (named(&all, "run calm"), named(&all, "undo calm"));
    assert_eq!((times(root), times(undo)), ((0, 3), (4, 6)));
    assert!(parent_of(undo, root) && parent_of(named(&all, "step look~undo"), undo));
    assert_eq!(undo.status, Status::Unset);
    let runs = all.iter().filter(|one| matches!(one.fact, Fact::Run { .. })).count();
    assert_eq!(runs, 1, "an undo is no second run");
    let link = &named(&all, "step look~undo").links.links[0].span_context;
    assert_eq!(link.span_id(), named(&all, "step look").span_context.span_id());
}

#[test]
fn long_texts_and_many_moments_are_bounded() {
    let mut bodies = vec![started("look")];
    let checked = || body("steady_checked", json!({ "step": "look", "holds": false, "checks": [] }));
    bodies.extend((0..200).map(|_| checked()));
    bodies.push(ended("look", "failed", json!({ "kind": "permanent", "message": "ä".repeat(10_000) })));
    let all = story(bodies);
    let look = named(&all, "step look");
    assert_eq!((look.events.events.len(), look.events.dropped_count), (64, 136));
    let Status::Error { description } = &look.status else { panic!("{:?}", look.status) };
    assert_eq!(description.chars().count(), 513);
}
