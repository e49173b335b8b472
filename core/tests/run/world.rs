//! The world of these tests, and the hands that touch it.

use std::collections::BTreeMap;

use runbook_core::{
    Timestamp, Value,
    change::{Change, Landed, Planned, Request, Target, Undo, Validation},
    event::{Actor, Body, Created, Event, Hands, Reading, RunId},
    fault::Fault,
    policy::Policy,
    run::{Decided, Effect, Input, Rejected, Run, Task},
    runbook::Runbook,
    spec::{Effect as Gravity, Grade, Reads},
};
use serde_json::json;
use uuid::Uuid;

/// Named numbers, and how often each was written.
#[derive(Debug, Clone, Default)]
pub struct World {
    pub values: BTreeMap<String, i64>,
    pub writes: BTreeMap<String, u32>,
    /// Faults that the next calls meet, by `action name`.
    pub faults: BTreeMap<String, Vec<Fault>>,
}

impl World {
    pub fn value(&self, name: &str) -> i64 {
        self.values.get(name).copied().unwrap_or(0)
    }
    fn fault(&mut self, call: &str, name: &str) -> Option<Fault> {
        let faults = self.faults.get_mut(&format!("{call} {name}"))?;
        if faults.is_empty() { None } else { Some(faults.remove(0)) }
    }
}

/// A run and its world.
#[derive(Debug, Clone)]
pub struct Sim {
    pub run: Run,
    pub events: Vec<Event>,
    pub world: World,
    pub now: Timestamp,
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub fn runbook(yaml: &str) -> Runbook {
    let head = "apiVersion: runbook/v1\nname: test\n";
    // `y` is a string, as in YAML 1.2.
    let options = serde_yaml::options! { strict_booleans: true };
    serde_json::from_value(
        serde_yaml::from_str_with_options::<Value>(&format!("{head}{yaml}"), options).unwrap(),
    )
    .unwrap()
}

pub fn created(yaml: &str) -> Created {
    Created {
        runbook: runbook(yaml).into(),
        library: BTreeMap::new(),
        inputs: json!({}),
        environment: "test".to_owned(),
        simulated: None,
        speed: 1,
        hands: Hands::Live,
        policy: Policy { allow_self: true, ..Policy::default() },
        reason: None,
        overriding: false,
        incident: None,
        alert: Value::Null,
        trace_parent: None,
        bound_to: None,
        planned_at: None,
    }
}

pub fn alice() -> Actor {
    Actor::cli("alice")
}

impl Sim {
    pub fn live(yaml: &str) -> Self {
        Self::of(created(yaml))
    }

    pub fn dry(yaml: &str) -> Self {
        Self::of(Created { hands: Hands::DryRun, ..created(yaml) })
    }

    pub fn of(created: Created) -> Self {
        let event = Event { seq: 1, at: at(0), actor: alice(), body: Body::RunCreated(Box::new(created)) };
        let run = Run::begin(RunId::new(Uuid::from_u128(1)), &event).unwrap();
        Self { run, events: vec![event], world: World::default(), now: at(0) }
    }

    pub fn with(mut self, values: &[(&str, i64)]) -> Self {
        self.world.values.extend(values.iter().map(|(name, value)| ((*name).to_owned(), *value)));
        self
    }

    pub fn failing(mut self, call: &str, faults: Vec<Fault>) -> Self {
        self.world.faults.insert(call.to_owned(), faults);
        self
    }

    /// Journals what follows from an input.
    pub fn take(&mut self, input: Input, actor: &Actor) -> Result<usize, Rejected> {
        let Decided { events, next } = self.run.decide(input, actor, self.now)?;
        for event in &events {
            // Everything is stored as JSON, so everything must come back from it.
            let stored = serde_json::to_vec(event).unwrap();
            let event: Event = serde_json::from_slice(&stored).unwrap();
            self.run.apply(&event).unwrap();
            self.events.push(event);
        }
        assert_eq!(format!("{:?}", self.run), format!("{next:?}"), "the fold comes to what was decided upon");
        Ok(events.len())
    }

    pub fn say(&mut self, input: Input) -> Result<usize, Rejected> {
        self.take(input, &alice())
    }

    /// One effect, or the next moment; `false` when neither is due.
    pub fn step(&mut self) -> bool {
        if self.run.ended.is_some() {
            return false;
        }
        let before = self.events.len();
        self.take(Input::Tick, &Actor::engine()).unwrap();
        let pending = self.run.pending(self.now);
        if let Some(effect) = pending.effects.into_iter().next() {
            let key = effect.key.clone();
            let input = self.perform(effect);
            let followed = self.take(input, &Actor::engine()).unwrap();
            assert!(followed > 0, "{key} led nowhere");
            return true;
        }
        if self.events.len() > before {
            return true;
        }
        // People take their time; a test that wants a time-out moves the clock itself.
        match pending.wake {
            Some(wake) if !self.run.is_waiting() => {
                assert!(wake > self.now, "woken for nothing at {wake}");
                self.now = wake;
                true
            }
            _ => false,
        }
    }

    /// Until the run ends or waits for people.
    pub fn go(&mut self) -> &mut Self {
        for _ in 0..2_000 {
            if !self.step() {
                return self;
            }
        }
        panic!("the run does not end: {:#?}", self.summaries());
    }

    pub fn approve(&mut self, step: &str) -> Result<usize, Rejected> {
        self.approve_as(&alice(), step)
    }

    pub fn approve_as(&mut self, actor: &Actor, step: &str) -> Result<usize, Rejected> {
        let digest = self.run.node(step).and_then(|node| node.gate.as_ref()).map(|gate| gate.digest.clone());
        let input = Input::Approve {
            step: step.to_owned(),
            digest: digest.unwrap_or_default(),
            comment: None,
            break_glass: false,
        };
        self.take(input, actor)
    }

    pub fn status(&self) -> &'static str {
        self.run.status()
    }

    /// `path status` of every step that is known.
    pub fn steps(&self) -> Vec<String> {
        let rows = runbook_core::report::document(&self.run, 0);
        let word = |step: &Value| {
            let state =
                step.get("status").or(step.get("verdict")).and_then(Value::as_str).unwrap_or("?").to_owned();
            format!("{} {state}", step["id"].as_str().unwrap())
        };
        rows["steps"].as_array().unwrap().iter().map(word).collect()
    }

    pub fn summaries(&self) -> Vec<String> {
        let history: Vec<_> = self.events.iter().map(|event| (event.clone(), String::new())).collect();
        let entries = runbook_core::timeline::entries(&history, self.run.id);
        entries
            .iter()
            .map(|entry| format!("{}: {}", entry.step.as_deref().unwrap_or("run"), entry.summary))
            .collect()
    }

    /// The driver dies and another one takes over, from the journal alone.
    pub fn crash(&mut self) {
        self.run = Run::fold(self.run.id, &self.events).unwrap().unwrap();
        self.take(Input::Resumed { owner: "another".to_owned() }, &Actor::engine()).unwrap();
    }

    pub fn perform(&mut self, effect: Effect) -> Input {
        let step = effect.step;
        let dry = self.run.is_dry();
        match effect.task {
            Task::Check(read) => Input::Checked { step, reading: self.read(&read.input) },
            Task::Steady(checks) => {
                let readings =
                    checks.into_iter().map(|(id, read)| (id, self.read(&read.unwrap().input))).collect();
                Input::SteadyRead { step, readings }
            }
            Task::Plan { reading, .. } => {
                let outcome = self.plan(&reading.action, &reading.input);
                let grade = if dry { Grade::Validated } else { Grade::Predicted };
                Input::Planned {
                    step,
                    outcome: outcome.map(|planned| (planned, Validation::of(grade, vec![]))),
                }
            }
            Task::PlanUndo { change, over_others, .. } => {
                let outcome = self.plan_undo(&change, over_others);
                let validation = Validation::of(Grade::Predicted, vec![]);
                Input::Planned { step, outcome: outcome.map(|planned| (planned, validation)) }
            }
            Task::Confirm { change, undo_of, over_others, .. } => {
                let outcome = match undo_of {
                    Some(of) => self.plan_undo(&of, over_others),
                    None => self.plan(&change.action, &change.input),
                };
                Input::Confirmed { step, outcome }
            }
            Task::Apply { change, .. } => Input::Applied { step, outcome: self.apply(&change) },
            Task::Probe { change, .. } => Input::Probed { step, outcome: self.probe(&change) },
            Task::Verify { change, .. } => {
                let name = name_of(&change.input);
                let outcome = match self.world.fault("verify", &name) {
                    Some(fault) => Err(fault.message),
                    None => Ok(Value::Null),
                };
                Input::Verified { step, outcome }
            }
        }
    }

    fn read(&mut self, input: &Value) -> Result<Reading, Fault> {
        let name = name_of(input);
        if let Some(fault) = self.world.fault("read", &name) {
            return Err(fault);
        }
        let outputs = json!({ "value": self.world.value(&name) });
        Ok(Reading {
            outputs,
            target: None,
            warnings: vec![],
            grade: Grade::Observed,
            reads: Reads::Behaviour,
        })
    }

    fn plan(&mut self, action: &str, input: &Value) -> Result<Planned, Fault> {
        let name = name_of(input);
        if let Some(fault) = self.world.fault("plan", &name) {
            return Err(fault);
        }
        let (old, new) = (self.world.value(&name), input["value"].as_i64().unwrap());
        Ok(change(action, &name, old, new))
    }

    fn plan_undo(&mut self, of: &Change, over_others: bool) -> Result<Planned, Fault> {
        let name = name_of(&of.input);
        if let Some(fault) = self.world.fault("undo", &name) {
            return Err(fault);
        }
        let (now, set, before) =
            (self.world.value(&name), of.after["value"].as_i64(), of.before["value"].as_i64());
        if Some(now) != set && !over_others {
            return Err(Fault::conflict(format!("{name} is {now}, not {}", set.unwrap())));
        }
        Ok(change(&of.action, &name, now, before.unwrap()))
    }

    pub fn apply(&mut self, change: &Change) -> Result<Value, Fault> {
        let name = name_of(&change.input);
        if let Some(fault) = self.world.fault("apply", &name) {
            return Err(fault);
        }
        if Some(self.world.value(&name)) != change.before["value"].as_i64() {
            return Err(Fault::conflict(format!("{name} has changed")));
        }
        self.world.values.insert(name.clone(), change.after["value"].as_i64().unwrap());
        *self.world.writes.entry(name.clone()).or_default() += 1;
        match self.world.fault("answer", &name) {
            Some(fault) => Err(fault),
            None => Ok(json!({ "value": self.world.value(&name) })),
        }
    }

    fn probe(&mut self, change: &Change) -> Result<Landed, Fault> {
        let name = name_of(&change.input);
        if let Some(fault) = self.world.fault("probe", &name) {
            return if fault.kind.is_transient() { Err(fault) } else { Ok(Landed::CannotTell) };
        }
        let now = Some(self.world.value(&name));
        Ok(match now {
            now if now == change.after["value"].as_i64() => Landed::Yes,
            now if now == change.before["value"].as_i64() => Landed::No,
            _ => Landed::CannotTell,
        })
    }
}

fn name_of(input: &Value) -> String {
    input["name"].as_str().unwrap().to_owned()
}

fn change(action: &str, name: &str, old: i64, new: i64) -> Planned {
    let target = Target::new(format!("test:{name}"), None);
    if old == new {
        return Planned::Already {
            target: Some(target),
            summary: format!("{name} is {new}"),
            outputs: json!({ "value": new }),
        };
    }
    let (before, after) = (json!({ "value": old }), json!({ "value": new }));
    Planned::Change(Box::new(Change {
        action: action.to_owned(),
        input: json!({ "name": name, "value": new }),
        target,
        summary: format!("{name} {old} -> {new}"),
        effect: if new == 0 && action == "test.set" { Gravity::Destructive } else { Gravity::Write },
        request: Request {
            method: "PUT".to_owned(),
            url: format!("/{name}"),
            body: after.clone(),
            content_type: None,
        },
        before,
        after,
        precondition: Value::Null,
        image: Value::Null,
        undo: Undo::Auto,
        warnings: vec![],
    }))
}
