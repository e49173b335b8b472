//! A project with a past: incidents that alerts and people opened, notes, runs of a real playbook, and
//! runs that wait for people.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use runbook_contract::Registry;
use runbook_core::{
    Timestamp, Value,
    alert::{Alert, AlertStatus},
    event::{Actor, Channel, Created, RunId},
    incident::{Closing, IncidentId, Input, Opening, Origin, Steadiness},
    runbook::{Runbook, Source},
    severity::Matrix,
};
use runbook_desk::{Desk, House, Parcel, Start, Supervised};
use runbook_engine::{Clock, Engine, NoSecrets, Setup};
use runbook_journal::{Shelf, Sqlite};
use tokio::sync::watch;

use super::template::{self, Template, Templates};
use crate::{
    cli::{
        bench::{
            Args,
            scratch::{Scratch, unusable},
        },
        init::PLAYBOOK,
    },
    config::{Config, FILE},
    exit::CliError,
};

/// The variable that holds the secret of the hook.
pub const TOKEN: &str = "RUNBOOK_BENCH_TOKEN";

const CONFIG: &str = "
version: 1
playbooks: playbooks
store: sqlite:.runbook/runbook.db
default_environment: demo
environments: { demo: { simulated: high-latency, speed: 3600 } }
people: { groups: { oncall: [alice, bob], incident-commander: [carol] } }
hooks:
  am: { source: alertmanager, bearer: { env: RUNBOOK_BENCH_TOKEN }, rate: 1000000 }
";

/// What the storm's alerts start: a run that waits.
const GATE: &str = r#"
apiVersion: runbook/v1
name: gate
inputs: { service: { type: string } }
triggers:
  - source: alertmanager
    when: alert.labels.alertname == "Slow"
    inputs: { service: "${{ alert.labels.service }}" }
    group_by: [service]
steps:
  - { id: go, approval: { prompt: "go?", from: [oncall] } }
"#;

/// The days over which the past is spread.
const DAYS: i64 = 90;
/// How many incidents are open.
const OPEN: u32 = 50;
/// The runs of the incident that has the most.
const MANY_RUNS: usize = 100;
/// The notes of the incident that has the most, and of each other.
const MANY_NOTES: usize = 400;
const NOTES: usize = 4;
/// The entries of the run that has the most.
const LONG: usize = 5_000;
/// So many that what follows from their end is done in one go.
const SETTLED: usize = 500;
/// The longest that it may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where the interesting ones are.
#[derive(Debug)]
pub struct Seeded {
    pub config: Config,
    /// The incident with many runs and thousands of entries.
    pub incident: IncidentId,
    /// The run with thousands of entries, one that ended, and one that waits.
    pub long: RunId,
    pub ended: RunId,
    pub waiting: RunId,
    pub incidents: u32,
    pub runs: usize,
    pub entries: u64,
    pub durability: String,
    pub template: Template,
}

/// Writes the project below a folder, and its past into its store.
pub async fn seed(folder: &Scratch, args: &Args) -> Result<Seeded, CliError> {
    let config = project(&folder.0.join("project"))?;
    // The world of the templates is not the one that is served.
    let played = Templates::play(&project(&folder.0.join("template"))?).await?;
    let path = config.root.join(".runbook/runbook.db");
    let shelf = Arc::new(Sqlite::open(&path).await?);
    let durability = runbook_journal::Journal::durability(shelf.as_ref());
    let past = Past::new(shelf.clone(), played);
    let mut seeded = past.fill(config, args, durability).await?;
    seeded.entries += past.incident_entries(args).await?;
    shelf.close().await;
    Ok(seeded)
}

/// A desk over a store, whose runs were played before.
pub fn desk(shelf: Arc<Sqlite>, clock: Arc<dyn Clock>, template: Template) -> Desk {
    let house = Rewritten { shelf: shelf.clone(), clock: clock.clone(), template };
    Desk::new(shelf, Arc::new(house), clock)
}

fn project(root: &Path) -> Result<Config, CliError> {
    let playbooks = root.join("playbooks");
    fs::create_dir_all(&playbooks).map_err(|error| unusable(&error))?;
    for (path, text) in [
        (root.join(FILE), CONFIG),
        (playbooks.join("high-latency.yaml"), PLAYBOOK),
        (playbooks.join("gate.yaml"), GATE),
    ] {
        fs::write(path, text).map_err(|error| unusable(&error))?;
    }
    let root = root.canonicalize().map_err(|error| unusable(&error))?;
    Config::read(&root.join(FILE))
}

/// A past that is being written.
#[derive(Debug)]
struct Past {
    shelf: Arc<Sqlite>,
    desk: Desk,
    clock: Arc<Then>,
    played: Templates,
}

impl Past {
    fn new(shelf: Arc<Sqlite>, played: Templates) -> Self {
        let clock = Arc::new(Then(AtomicI64::new(Timestamp::now().as_second())));
        let desk = desk(shelf.clone(), clock.clone(), played.ended.clone());
        Self { shelf, desk, clock, played }
    }

    async fn fill(&self, config: Config, args: &Args, durability: String) -> Result<Seeded, CliError> {
        let each = self.played.ended.len();
        let own = args.incidents as usize * (NOTES + 4) + MANY_NOTES + MANY_RUNS * 2;
        let of_runs = (args.entries as usize).saturating_sub(own + LONG);
        let waiting = args.waiting as usize;
        let of_ended = of_runs.saturating_sub(waiting * self.played.waiting.len());
        let others = (of_ended / each).saturating_sub(MANY_RUNS);
        let step = DAYS * 86_400 / i64::from(args.incidents);
        let (mut runs, mut unsettled) = (Vec::new(), 0);
        for number in 0..args.incidents {
            self.clock.go_to(Timestamp::now().as_second() - i64::from(args.incidents - number) * step);
            let incident = self.incident(number, NOTES).await?;
            let share = others * (number as usize + 1) / args.incidents as usize
                - others * number as usize / args.incidents as usize;
            for _ in 0..share {
                runs.push(self.run(incident, &self.played.ended).await?);
            }
            unsettled += share;
            if unsettled > SETTLED {
                self.settle().await?;
                unsettled = 0;
            }
            // All but the latest are over.
            if number + OPEN < args.incidents {
                self.say(incident, || Input::Resolve {
                    steady: Steadiness::Undeclared,
                    force: Some("over".to_owned()),
                    reason: None,
                })
                .await?;
            }
        }
        self.clock.go_to(Timestamp::now().as_second() - 3600);
        let many = self.incident(args.incidents, MANY_NOTES).await?;
        for _ in 0..MANY_RUNS {
            runs.push(self.run(many, &self.played.ended).await?);
        }
        let long = self.run(many, &self.played.ended.longer(LONG)?).await?;
        self.settle().await?;
        self.clock.go_to(Timestamp::now().as_second());
        let mut waits = Vec::new();
        for number in 0..waiting {
            let open = args.incidents - (number as u32 % OPEN.min(args.incidents));
            waits.push(self.run(IncidentId::new(u64::from(open)), &self.played.waiting).await?);
        }
        let entries = runs.len() * each + waits.len() * self.played.waiting.len() + LONG;
        let (Some(ended), Some(waiting)) = (runs.last(), waits.last()) else {
            return Err(unusable(&"so few entries leave no room for runs; ask for more with --entries"));
        };
        let (ended, waiting) = (*ended, *waiting);
        Ok(Seeded {
            config,
            incident: many,
            long,
            ended,
            waiting,
            incidents: args.incidents + 1,
            runs: runs.len() + waits.len() + 1,
            entries: entries as u64,
            durability,
            template: self.played.ended.clone(),
        })
    }

    /// Every other one opened by an alert, the rest by people; with notes.
    async fn incident(&self, number: u32, notes: usize) -> Result<IncidentId, CliError> {
        let id = if number.is_multiple_of(2) {
            self.desk.receive(parcel(number, self.clock.now())).await?;
            self.desk.work_once().await?;
            IncidentId::new(u64::from(number) + 1)
        } else {
            let opening = Opening {
                title: format!("checkout is slow for some customers ({number})"),
                severity: "SEV3".to_owned(),
                service: None,
                environment: Some("demo".to_owned()),
                key: String::new(),
                description: None,
                origin: Origin::Person,
            };
            self.desk.declare(opening, &person()).await?.id
        };
        self.say(id, || Input::Acknowledge).await?;
        for note in 0..notes {
            self.clock.pass();
            let text = format!("looked at shard {note}: the queue is longer than an hour ago, and grows");
            self.say(id, || Input::Note { text: text.clone() }).await?;
        }
        Ok(id)
    }

    async fn say(
        &self,
        id: IncidentId,
        input: impl Fn() -> Input<'static> + Send + Sync,
    ) -> Result<(), CliError> {
        self.desk.say(id, &person(), input).await?;
        Ok(())
    }

    async fn run(&self, incident: IncidentId, template: &Template) -> Result<RunId, CliError> {
        self.clock.pass();
        let start = Start {
            runbook: template::PLAYBOOK.to_owned(),
            inputs: Value::Null,
            environment: "demo".to_owned(),
            alert: Value::Null,
            incident: Some(incident.to_string()),
            reason: None,
            trace_parent: None,
        };
        let run = self.desk.start(&start, &person()).await?;
        let journal: &dyn Shelf = self.shelf.as_ref();
        let records = journal.read(run, 0).await?;
        let first = records.first().ok_or_else(|| unusable(&"a run that was started is not there"))?;
        journal.append(template.rest(run, first)?).await?;
        Ok(run)
    }

    /// Does what follows from the end of runs.
    async fn settle(&self) -> Result<(), CliError> {
        let (stop, stopping) = watch::channel(false);
        let counts = watch::Sender::new(Supervised::default());
        let mut looked = counts.subscribe();
        let supervising = self.desk.supervise(stopping, &counts);
        let looking = async {
            let looked = tokio::time::timeout(PATIENCE, looked.changed()).await;
            stop.send_replace(true);
            looked
        };
        let ((), looked) = tokio::join!(supervising, looking);
        looked
            .map_err(|_| unusable(&"the runs that ended are not settled"))?
            .map_err(|error| unusable(&error))
    }

    /// How many entries the incidents themselves have.
    async fn incident_entries(&self, args: &Args) -> Result<u64, CliError> {
        let mut entries = 0;
        for number in 1..=u64::from(args.incidents) + 1 {
            entries += self.desk.incident(IncidentId::new(number)).await?.seq;
        }
        Ok(entries)
    }
}

fn person() -> Actor {
    Actor { name: "alice".to_owned(), how: Channel::Web }
}

fn parcel(number: u32, now: Timestamp) -> Parcel {
    let service = format!("service-{number}");
    let labels = [("alertname", "ErrorRate"), ("service", &service), ("team", "platform")];
    let alert = Alert {
        source: Source::Alertmanager,
        status: AlertStatus::Firing,
        fingerprint: format!("errors-{number}"),
        key: format!("errors-{number}/1"),
        name: "ErrorRate".to_owned(),
        title: format!("{service} answers with errors"),
        description: Some("More than 5 % of the requests of the last five minutes failed.".to_owned()),
        severity: Some("warning".to_owned()),
        service: Some(service.clone()),
        labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        annotations: BTreeMap::new(),
        metrics: Value::Null,
        starts_at: now,
        ends_at: None,
        url: Some("https://prometheus.example.com/graph".to_owned()),
    };
    Parcel {
        hook: "am".to_owned(),
        source: Source::Alertmanager,
        environment: "demo".to_owned(),
        number: None,
        body: "{}".to_owned(),
        alerts: vec![alert],
        trace_parent: None,
    }
}

/// The moment that is being written of, in seconds.
#[derive(Debug)]
struct Then(AtomicI64);

impl Then {
    fn go_to(&self, second: i64) {
        self.0.store(second, Ordering::Relaxed);
    }

    fn pass(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl Clock for Then {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::Relaxed)).unwrap_or_default()
    }

    /// Nothing waits in the past.
    async fn sleep_until(&self, _: Timestamp) {
        std::future::pending().await
    }
}

/// A house whose runs were played before.
#[derive(Debug)]
struct Rewritten {
    shelf: Arc<Sqlite>,
    clock: Arc<dyn Clock>,
    template: Template,
}

#[async_trait]
impl House for Rewritten {
    fn runbooks(&self) -> Vec<Arc<Runbook>> {
        Vec::new()
    }

    async fn reader(&self, environment: &str) -> Result<Engine, String> {
        self.engine(environment).await
    }

    async fn engine(&self, _: &str) -> Result<Engine, String> {
        Ok(Engine::new(Setup {
            journal: self.shelf.clone(),
            registry: Registry::default(),
            secrets: Arc::new(NoSecrets),
            limits: BTreeMap::new(),
            clock: self.clock.clone(),
            owner: "bench".to_owned(),
        }))
    }

    fn severity(&self) -> Arc<Matrix> {
        Arc::new(Matrix::default())
    }

    fn closing(&self) -> Closing {
        Closing::Manual
    }

    async fn created(&self, start: &Start) -> Result<Created, String> {
        self.template.created(start.incident.clone())
    }
}
