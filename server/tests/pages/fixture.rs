//! A server with a small project, in memory: for the tests of its pages, and to look at them.

#![expect(clippy::expect_used, reason = "a fixture that does not stand says enough by panicking")]

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use async_trait::async_trait;
use runbook_contract::{Access, Mode, Registry};
use runbook_core::{
    Timestamp, Value,
    alert::{Alert, AlertStatus},
    duration::Duration,
    event::{Actor, Channel, Created, Hands, RunId},
    incident::Closing,
    parse,
    policy::Policy,
    run::Run,
    runbook::{Runbook, Source},
    severity::{Matrix, Preset},
};
use runbook_desk::{Desk, House, Parcel, Start, Supervised, kept};
use runbook_engine::{Clock, Engine, NoSecrets, Setup, Until};
use runbook_identity::{Auth, Directory, config::RoleGrant, cookies::Transport};
use runbook_journal::{Expect, Memory, Shelf};
use runbook_notify::Outbox;
use runbook_server::{
    EnvironmentFacts, Finding, Limits, Project, Readiness, Reloaded, RunbookFacts, Settings, Site, Ticket,
    Waiting, ticket_id,
};
use serde_json::json;
use tokio::{sync::watch, task::JoinHandle};

use super::shop::Shop;

static PARSED: LazyLock<Vec<parse::Parsed>> = LazyLock::new(|| {
    include_str!("runbooks.yaml").split("---\n").map(|text| parse::parse("runbooks.yaml", text)).collect()
});

/// A project of two environments, of which one is simulated.
#[derive(Debug)]
pub struct Small {
    engine: Engine,
    shop: Arc<Shop>,
    clock: Arc<dyn Clock>,
    directory: Arc<Directory>,
}

/// The people, and what they are: `ada` and `max` are in the group that is asked.
pub const PEOPLE: [(&str, &str); 4] =
    [("vic", "viewer"), ("rob", "responder"), ("ada", "approver"), ("max", "admin")];

fn directory() -> Directory {
    let roles = PEOPLE.into_iter().map(|(name, role)| -> RoleGrant {
        serde_json::from_value(json!({ "role": role, "to": [name] })).expect("a role is a role")
    });
    let auth = Auth { roles: roles.collect(), ..Auth::default() };
    let groups = [("sre".to_owned(), vec!["ada".to_owned(), "max".to_owned()])];
    Directory::new(&auth, &groups.into_iter().collect())
}

fn runbooks() -> impl Iterator<Item = &'static Arc<Runbook>> {
    static ALL: LazyLock<Vec<Arc<Runbook>>> = LazyLock::new(|| {
        PARSED
            .iter()
            .map(|parsed| Arc::new(parsed.runbook.clone().expect("the runbooks are sound")))
            .collect()
    });
    ALL.iter()
}

fn engine(shelf: Arc<dyn Shelf>, shop: &Arc<Shop>, mode: Mode, clock: Arc<dyn Clock>) -> Engine {
    Engine::new(Setup {
        journal: shelf,
        registry: Registry::default().with(shop.actions(&Access::new(mode))),
        secrets: Arc::new(NoSecrets),
        limits: BTreeMap::new(),
        clock,
        owner: "fixture".to_owned(),
    })
}

impl Small {
    fn first(&self, start: &Start, hands: Hands) -> Result<Created, String> {
        let runbook = runbooks().find(|runbook| runbook.name == start.runbook);
        let sre = vec!["ada".to_owned(), "max".to_owned()];
        Ok(Created {
            runbook: runbook.ok_or("there is no such runbook")?.clone(),
            library: BTreeMap::new(),
            inputs: start.inputs.clone(),
            environment: start.environment.clone(),
            simulated: (start.environment == "demo").then(|| "bad-deploy".to_owned()),
            speed: 1,
            hands,
            policy: Policy {
                groups: [("sre".to_owned(), sre)].into(),
                break_glass: vec!["max".to_owned()],
                ..Policy::default()
            },
            reason: start.reason.clone(),
            overriding: false,
            incident: start.incident.clone(),
            alert: start.alert.clone(),
            trace_parent: None,
            bound_to: None,
            planned_at: None,
        })
    }
}

#[async_trait]
impl House for Small {
    fn runbooks(&self) -> Vec<Arc<Runbook>> {
        runbooks().cloned().collect()
    }
    async fn engine(&self, _: &str) -> Result<Engine, String> {
        Ok(self.engine.clone())
    }
    async fn reader(&self, environment: &str) -> Result<Engine, String> {
        self.engine(environment).await
    }
    fn severity(&self) -> Arc<Matrix> {
        Arc::new(Preset::S1.matrix())
    }
    fn closing(&self) -> Closing {
        Closing::Manual
    }
    async fn created(&self, start: &Start) -> Result<Created, String> {
        self.first(start, Hands::Live)
    }
}

#[async_trait]
impl Project for Small {
    fn environments(&self) -> Vec<EnvironmentFacts> {
        let one = |name: &str, simulated: Option<&str>| EnvironmentFacts {
            name: name.to_owned(),
            simulated: simulated.map(str::to_owned),
            default: simulated.is_none(),
        };
        vec![one("demo", Some("bad-deploy")), one("production", None)]
    }
    fn catalog(&self) -> BTreeMap<String, RunbookFacts> {
        let facts = |runbook: &Arc<Runbook>| RunbookFacts { runbook: runbook.clone(), findings: Vec::new() };
        runbooks().map(|runbook| (runbook.name.clone(), facts(runbook))).collect()
    }
    fn directory(&self) -> Arc<Directory> {
        self.directory.clone()
    }
    async fn dry_run(&self, start: &Start, by: &str) -> Result<(Run, u64), String> {
        if start.reason.as_deref() == Some("unreachable") {
            return Err("the cluster does not answer".to_owned());
        }
        let engine = engine(Arc::new(Memory::new()), &self.shop, Mode::ReadOnly, self.clock.clone());
        let actor = Actor { name: by.to_owned(), how: Channel::Web };
        let created = self.first(start, Hands::DryRun)?;
        let mut drive =
            engine.launch(created, actor, Until::Waiting).await.map_err(|error| error.to_string())?;
        Ok((drive.finished().await.map_err(|error| error.to_string())?, 0))
    }
    async fn readiness(&self, _: &str, runbook: Option<&str>) -> Result<Vec<Readiness>, String> {
        let found = |state: &str, message: &str| Finding {
            step: Some("mitigate.scale".to_owned()),
            action: Some("shop.scale".to_owned()),
            state: state.to_owned(),
            code: "permission".to_owned(),
            message: message.to_owned(),
            hint: Some("grant it in the cluster's roles".to_owned()),
        };
        let findings = vec![
            found("ready", "deployments can be patched"),
            found("blocked", "pods cannot be listed"),
            found("unknown", "nobody can tell whether the quota is enough"),
        ];
        Ok(vec![Readiness { runbook: runbook.unwrap_or_default().to_owned(), ready: false, findings }])
    }
    fn reload(&self) -> Result<Reloaded, String> {
        Ok(Reloaded::default())
    }
}

/// A server of the small project, with what stands behind it.
pub struct Fixture {
    pub site: Arc<Site>,
    pub engine: Engine,
    pub shop: Arc<Shop>,
    counts: watch::Sender<Supervised>,
    stop: watch::Sender<bool>,
}

impl Fixture {
    pub fn new(clock: Arc<dyn Clock>, open_as: Option<&str>, url: &str) -> Self {
        Self::telling(clock, open_as, url, Vec::new())
    }

    /// A server that tells people through these channels.
    pub fn telling(
        clock: Arc<dyn Clock>,
        open_as: Option<&str>,
        url: &str,
        channels: Vec<runbook_notify::Channel>,
    ) -> Self {
        let shelf: Arc<dyn Shelf> = Arc::new(Memory::new());
        let shop = Arc::new(Shop::default());
        let engine = engine(shelf.clone(), &shop, Mode::ReadWrite, clock.clone());
        let project = Arc::new(Small {
            engine: engine.clone(),
            shop: shop.clone(),
            clock: clock.clone(),
            directory: Arc::new(directory()),
        });
        let counts = watch::Sender::new(Supervised::default());
        let stop = watch::Sender::new(false);
        let site = Site {
            settings: Settings {
                transport: Transport::Loopback,
                open_as: open_as.map(str::to_owned),
                public_url: url.parse().expect("the address is one"),
                proxies: Vec::new(),
                version: "0.1.0",
            },
            project: project.clone(),
            desk: Desk::new(shelf.clone(), project, clock.clone()),
            records: engine.clone(),
            ways: Arc::default(),
            clock: clock.clone(),
            outbox: Outbox::new(shelf, clock.clone(), channels, None).expect("no channel is misconfigured"),
            counters: Arc::default(),
            traces: None,
            limits: Limits::default(),
            devices: Waiting::default(),
            supervised: counts.subscribe(),
            stopping: stop.subscribe(),
        };
        Self { site: Arc::new(site), engine, shop, counts, stop }
    }

    /// Drives all runs from now on.
    pub fn supervise(&self) -> JoinHandle<()> {
        let (desk, stop, counts) = (self.site.desk.clone(), self.stop.subscribe(), self.counts.clone());
        tokio::spawn(async move { desk.supervise(stop, &counts).await })
    }

    /// Starts a run as somebody, and drives it as far as it goes without people.
    pub async fn run(&self, runbook: &str, environment: &str, inputs: Value, by: &str) -> RunId {
        let facts = runbooks().find(|one| one.name == runbook).expect("the runbook is there");
        let start = Start {
            runbook: runbook.to_owned(),
            inputs: runbook_core::inputs::resolve(&facts.inputs, &inputs).expect("the inputs are sound"),
            environment: environment.to_owned(),
            alert: Value::Null,
            incident: None,
            reason: Some("p95 is at 2.4 s & rising".to_owned()),
            trace_parent: None,
        };
        let actor = Actor { name: by.to_owned(), how: Channel::Web };
        let run = self.site.desk.start(&start, &actor).await.expect("it starts");
        self.drive(run).await;
        run
    }

    /// Drives a run until it waits for people, or is over.
    pub async fn drive(&self, run: RunId) -> Run {
        let mut drive = self.engine.drive(run, Until::Waiting).await.expect("nobody else drives it");
        drive.finished().await.expect("it is driven")
    }

    /// An alert comes in through a door, and is worked on.
    pub async fn alert(&self, name: &str, service: &str, status: AlertStatus) -> String {
        let now = self.site.now();
        let labels = [("alertname", name), ("service", service), ("team", "<b>platform</b>")];
        let alert = Alert {
            source: Source::Alertmanager,
            status,
            fingerprint: format!("{name}-{service}"),
            key: format!("{name}-{service}/1"),
            name: name.to_owned(),
            title: format!("{name} on {service}"),
            description: Some("p95 is above 2 s for five minutes".to_owned()),
            severity: Some("critical".to_owned()),
            service: Some(service.to_owned()),
            labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            annotations: BTreeMap::new(),
            metrics: json!({ "p95": 2.43 }),
            starts_at: now,
            ends_at: None,
            url: Some("https://prometheus.example.com/graph".to_owned()),
        };
        let parcel = Parcel {
            hook: "am".to_owned(),
            source: Source::Alertmanager,
            environment: "production".to_owned(),
            number: None,
            body: "{}".to_owned(),
            alerts: vec![alert],
            trace_parent: None,
        };
        let receipt = self.site.desk.receive(parcel).await.expect("it is stored");
        self.site.desk.work_once().await.expect("it is worked on");
        receipt.alerts[0].clone()
    }

    /// Makes a link that signs somebody in.
    pub async fn ticket(&self, name: &str) -> String {
        let secret = format!("ticket-of-{name}");
        let expires_at: Timestamp = Duration::from_secs(3600).after(self.site.now());
        let ticket = Ticket { name: name.to_owned(), expires_at, taken: false };
        let write =
            kept::put(&ticket_id(&secret), &ticket, Expect::Anything).expect("a ticket is plain data");
        self.site.shelf().write(vec![write]).await.expect("it is written");
        format!("/login/ticket?ticket={secret}")
    }
}
