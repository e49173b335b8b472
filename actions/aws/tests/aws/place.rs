//! An emulator to test against, short ways to prepare it, and short ways to act.

use std::sync::Arc;

use aws_sdk_rds::config::Credentials;
use runbook_aws::{Config, Keys};
use runbook_contract::{Access, Action, Cx, Mode, PlanCx};
use runbook_core::{
    Timestamp, Value,
    change::{Change, Observed, Planned, Progress},
    fault::Fault,
};

pub const REGION: &str = "eu-west-1";

/// Which of the emulators it is: each has weak spots of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Moto,
    Ministack,
}

#[derive(Debug, Clone)]
pub struct Place {
    pub which: Which,
    pub endpoint: String,
    pub access: Arc<Access>,
    pub config: Config,
    settings: aws_config::SdkConfig,
}

/// The emulators that are there, each with a word where it is not.
#[expect(clippy::print_stderr, reason = "a skipped test says so where people look")]
pub fn endpoints() -> Vec<(Which, String)> {
    let variables =
        [(Which::Moto, "RUNBOOK_TEST_AWS_ENDPOINT"), (Which::Ministack, "RUNBOOK_TEST_AWS2_ENDPOINT")];
    let mut found = Vec::new();
    for (which, variable) in variables {
        match std::env::var(variable) {
            Ok(endpoint) => found.push((which, endpoint)),
            Err(_) => eprintln!("skipped: {variable} is not set"),
        }
    }
    found
}

/// Runs a test against every emulator that is there.
pub async fn on_each(test: impl AsyncFn(Place)) {
    for (which, endpoint) in endpoints() {
        test(Place::at(which, endpoint).await).await;
    }
}

/// Runs a test against one of them, where the other cannot show what is tested.
pub async fn on(only: Which, test: impl AsyncFn(Place)) {
    for (which, endpoint) in endpoints() {
        if which == only {
            test(Place::at(which, endpoint).await).await;
        }
    }
}

pub fn cx() -> Cx {
    cx_within("20s")
}

pub fn cx_within(timeout: &str) -> Cx {
    let timeout = timeout.parse().unwrap();
    Cx { timeout, idempotency_key: "key-1".to_owned(), now: Timestamp::now(), speed: 1 }
}

pub fn plan_cx() -> PlanCx {
    PlanCx { started_at: Timestamp::UNIX_EPOCH, idempotency_key: "key-1".to_owned(), over_others: false }
}

pub fn keys() -> Keys {
    Keys { access_key_id: "testing".to_owned(), secret_access_key: "hunter2".to_owned() }
}

/// A name that no other test has.
pub fn unique(word: &str) -> String {
    let id = uuid::Uuid::now_v7().simple().to_string();
    format!("{word}-x{}", &id[id.len() - 12..])
}

pub fn config(endpoint: &str) -> Config {
    Config {
        region: Some(REGION.to_owned()),
        endpoint_url: Some(endpoint.to_owned()),
        keys: Some(keys()),
        ..Config::default()
    }
}

pub fn named(config: &Config, access: &Arc<Access>, name: &str) -> Arc<dyn Action> {
    let actions = runbook_aws::actions(config, access);
    actions.into_iter().find(|action| action.spec().name == format!("aws.{name}")).unwrap()
}

impl Place {
    pub async fn at(which: Which, endpoint: String) -> Self {
        Self::with(which, endpoint, keys()).await
    }

    pub async fn with(which: Which, endpoint: String, keys: Keys) -> Self {
        let settings = aws_config::defaults(aws_config::BehaviorVersion::latest())
            .region(aws_config::Region::new(REGION))
            .endpoint_url(&endpoint)
            .credentials_provider(Credentials::new(
                keys.access_key_id.clone(),
                keys.secret_access_key.clone(),
                None,
                None,
                "test",
            ))
            .load()
            .await;
        let config = Config { keys: Some(keys), ..config(&endpoint) };
        Self { which, endpoint, access: Access::new(Mode::ReadWrite), config, settings }
    }

    pub fn account(&self) -> &'static str {
        match self.which {
            Which::Moto => "123456789012",
            Which::Ministack => "000000000000",
        }
    }
    pub fn rds(&self) -> aws_sdk_rds::Client {
        aws_sdk_rds::Client::new(&self.settings)
    }
    pub fn route53(&self) -> aws_sdk_route53::Client {
        aws_sdk_route53::Client::new(&self.settings)
    }
    pub fn cloudwatch(&self) -> aws_sdk_cloudwatch::Client {
        aws_sdk_cloudwatch::Client::new(&self.settings)
    }
    pub fn iam(&self) -> aws_sdk_iam::Client {
        aws_sdk_iam::Client::new(&self.settings)
    }

    pub fn action(&self, name: &str) -> Arc<dyn Action> {
        named(&self.config, &self.access, name)
    }
    pub async fn observe(&self, name: &str, input: &Value) -> Result<Observed, Fault> {
        self.action(name).observe(&cx(), input).await
    }
    pub async fn read(&self, name: &str, input: Value) -> Value {
        self.observe(name, &input).await.unwrap().outputs
    }
    pub async fn try_plan(&self, name: &str, input: &Value) -> Result<Planned, Fault> {
        let action = self.action(name);
        let seen = action.observe(&cx(), input).await?;
        action.plan(&plan_cx(), input, &seen)
    }
    /// Looks and plans, and expects a change.
    pub async fn plan(&self, name: &str, input: &Value) -> Change {
        match self.try_plan(name, input).await.unwrap() {
            Planned::Change(change) => *change,
            already => panic!("{already:?}"),
        }
    }
    /// Applies a change and waits until it is complete.
    pub async fn make(&self, change: &Change) -> Value {
        let action = named(&self.config, &self.access, change.action.trim_start_matches("aws."));
        let answer = action.apply(&cx(), change).await.unwrap();
        self.follow(action.as_ref(), change, &answer).await
    }
    pub async fn follow(&self, action: &dyn Action, change: &Change, answer: &Value) -> Value {
        for _ in 0..50 {
            match action.verify_answered(&cx(), change, answer).await.unwrap() {
                Progress::Done(outputs) => return outputs,
                Progress::Pending(_) => {}
                Progress::Failed(why) => panic!("{why}"),
            }
        }
        panic!("{} was never complete", change.summary)
    }
    pub async fn plan_undo(&self, change: &Change) -> Result<Planned, Fault> {
        let action = self.action(change.action.trim_start_matches("aws."));
        let seen = action.observe(&cx(), &change.input).await?;
        action.plan_undo(&plan_cx(), change, &seen)
    }

    /// An Aurora cluster whose instances have these promotion tiers, the first of them the writer.
    pub async fn aurora(&self, tiers: &[i32]) -> String {
        let cluster = unique("orders");
        let rds = self.rds();
        rds.create_db_cluster()
            .db_cluster_identifier(&cluster)
            .engine("aurora-postgresql")
            .master_username("u")
            .master_user_password("password1")
            .send()
            .await
            .unwrap();
        for (i, tier) in tiers.iter().enumerate() {
            rds.create_db_instance()
                .db_instance_identifier(format!("{cluster}-{}", i + 1))
                .db_cluster_identifier(&cluster)
                .engine("aurora-postgresql")
                .db_instance_class("db.r6g.large")
                .promotion_tier(*tier)
                .send()
                .await
                .unwrap();
        }
        // moto ends a transition with the next call.
        let _ = rds.describe_db_clusters().db_cluster_identifier(&cluster).send().await.unwrap();
        cluster
    }

    pub async fn instance(&self, multi_az: bool) -> String {
        let name = unique("billing");
        let made = self
            .rds()
            .create_db_instance()
            .db_instance_identifier(&name)
            .engine("postgres")
            .db_instance_class("db.m6g.large")
            .allocated_storage(20)
            .multi_az(multi_az)
            .master_username("u")
            .master_user_password("password1")
            .send();
        made.await.unwrap();
        name
    }

    /// A zone with one record, `api`, of the given TTL. Gives id and name.
    pub async fn zone(&self, ttl: i64) -> (String, String) {
        let name = format!("{}.example", unique("shop"));
        let made =
            self.route53().create_hosted_zone().name(&name).caller_reference(&name).send().await.unwrap();
        let id = made.hosted_zone.unwrap().id.trim_start_matches("/hostedzone/").to_owned();
        let input = serde_json::json!({"zone": id, "changes": [
            {"action": "CREATE", "name": format!("api.{name}"), "type": "A", "ttl": ttl, "values": ["192.0.2.1"]}]});
        let change = self.plan("route53_change", &input).await;
        self.make(&change).await;
        (id, name)
    }
}
