//! An incident as these tests tell it.

use std::collections::BTreeMap;

use runbook_core::{
    Timestamp, Value,
    alert::{Alert, AlertStatus},
    event::{Actor, Channel, EndStatus, Record, RunId},
    incident::{
        self, Closing, Correlation, Decided, Event, Incident, IncidentId, Input, Opening, Origin, Rejected,
        Steadiness,
    },
    runbook::Source,
};
use uuid::Uuid;

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub fn alice() -> Actor {
    Actor { name: "alice".into(), how: Channel::Web }
}

pub fn door() -> Actor {
    Actor { name: "prod".into(), how: Channel::Alert }
}

pub fn run(number: u128) -> RunId {
    RunId::new(Uuid::from_u128(number))
}

pub fn alert(key: &str) -> Alert {
    Alert {
        source: Source::Alertmanager,
        status: AlertStatus::Firing,
        fingerprint: format!("print-{key}"),
        key: key.to_owned(),
        name: "HighLatency".to_owned(),
        title: "p99 above 5 s".to_owned(),
        description: None,
        severity: Some("critical".to_owned()),
        service: Some("checkout".to_owned()),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        metrics: Value::Null,
        starts_at: at(-60),
        ends_at: None,
        url: None,
    }
}

pub fn declared(title: &str) -> Opening {
    Opening {
        title: title.to_owned(),
        severity: "SEV-2".to_owned(),
        service: None,
        environment: None,
        key: String::new(),
        description: None,
        origin: Origin::Person,
    }
}

/// An incident, all that it was made of, and a clock.
#[derive(Debug, Clone)]
pub struct Story {
    pub incident: Incident,
    pub events: Vec<Event>,
    pub records: Vec<Record>,
    pub now: i64,
}

impl Story {
    pub fn of_alert(id: u64, key: &str) -> Self {
        let correlation = Correlation {
            key: "checkout/HighLatency".to_owned(),
            severity: "SEV-1".to_owned(),
            environment: Some("prod".to_owned()),
        };
        let id = IncidentId::new(id);
        Self::begun(Incident::open_for(id, &alert(key), correlation, &door(), at(0)).unwrap())
    }

    pub fn declared(id: u64) -> Self {
        let id = IncidentId::new(id);
        Self::begun(Incident::open(id, declared("checkout is slow"), &alice(), at(0)).unwrap())
    }

    fn begun(Decided { events, next }: Decided) -> Self {
        let records = Record::seal_all(&events, &incident::genesis(next.id)).unwrap();
        let story = Self { incident: next, events, records, now: 0 };
        story.check();
        story
    }

    /// Says something as alice; gives the types of the events that followed.
    pub fn say(&mut self, input: Input<'_>) -> Result<Vec<String>, Rejected> {
        self.say_as(&alice(), input)
    }

    pub fn say_as(&mut self, actor: &Actor, input: Input<'_>) -> Result<Vec<String>, Rejected> {
        self.now += 1;
        let Decided { events, next } = self.incident.decide(input, actor, at(self.now))?;
        let previous = self.records.last().unwrap().hash.clone();
        self.records.extend(Record::seal_all(&events, &previous).unwrap());
        for event in &events {
            self.incident.apply(event).unwrap();
        }
        assert_eq!(self.incident, next, "the fold comes to what was decided upon");
        let kinds = events.iter().map(kind).collect();
        self.events.extend(events);
        Ok(kinds)
    }

    pub fn resolve_alert(&mut self, key: &str, closing: Closing) -> Vec<String> {
        self.say_as(&door(), Input::AlertResolved { key: key.to_owned(), closing }).unwrap()
    }

    pub fn start(&mut self, number: u128) -> Vec<String> {
        self.say(Input::RunStarted {
            run: run(number),
            runbook: "high-latency".to_owned(),
            environment: "prod".to_owned(),
            alert: None,
        })
        .unwrap()
    }

    pub fn end(&mut self, number: u128, recovered: Option<bool>, closing: Closing) -> Vec<String> {
        let status = if recovered == Some(false) { EndStatus::Failed } else { EndStatus::Succeeded };
        self.say(Input::RunEnded { run: run(number), status, recovered, closing }).unwrap()
    }

    pub fn resolve(&mut self, steady: Option<bool>, force: Option<&str>) -> Result<Vec<String>, Rejected> {
        self.say(Input::Resolve { steady: known(steady), force: force.map(str::to_owned), reason: None })
    }

    /// What must hold of every incident at every time.
    pub fn check(&self) {
        let id = self.incident.id;
        assert_eq!(Incident::fold(id, &self.events).unwrap().as_ref(), Some(&self.incident));
        assert_eq!(incident::verify(id, &self.records, self.incident.seq), Ok(()));
        let history = incident::history(&self.records).unwrap();
        assert!(history.iter().map(|(event, _)| event).eq(&self.events), "what was kept reads back");
    }
}

pub fn known(steady: Option<bool>) -> Steadiness {
    match steady {
        None => Steadiness::Undeclared,
        Some(false) => Steadiness::Broken,
        Some(true) => Steadiness::Holds,
    }
}

pub fn kind(event: &Event) -> String {
    serde_json::to_value(event).unwrap()["body"]["type"].as_str().unwrap().to_owned()
}
