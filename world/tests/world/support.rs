//! A world with a clock in hand, and a client.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::SignedDuration;
use reqwest::{Client, Method};
use runbook_world::{ManualClock, Options, World};
use serde_json::{Value, json};

pub const START: &str = "2026-11-21T10:00:00Z";
pub const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub const API: &str = "/apis/apps/v1/namespaces/production/deployments/api";

pub struct Fixture {
    pub world: World,
    pub clock: Arc<ManualClock>,
    pub client: Client,
}

pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(START.parse().unwrap()))
}

pub async fn start(scenario: &str) -> Fixture {
    start_with(scenario, None, clock()).await
}

pub async fn start_with(scenario: &str, state: Option<PathBuf>, clock: Arc<ManualClock>) -> Fixture {
    let options = Options { scenario: scenario.to_owned(), state, ..Options::default() };
    let world = World::start_with_clock(options, clock.clone()).await.unwrap();
    Fixture { world, clock, client: Client::new() }
}

/// The image of a revision of `api`, as the scenarios name them.
pub fn image(minor: u32) -> String {
    let patch = if minor == 40 { 3 } else { 0 };
    format!("registry.simulated/api:1.{minor}.{patch}")
}

/// A patch of the one container of `api`.
pub fn container(mut change: Value) -> Value {
    change["name"] = json!("api");
    json!({ "spec": { "template": { "spec": { "containers": [change] } } } })
}

/// One change of a CNAME.
pub fn change(action: &str, name: &str, value: &str) -> String {
    format!(
        "<Change><Action>{action}</Action><ResourceRecordSet><Name>{name}</Name><Type>CNAME</Type><TTL>60</TTL>\
         <ResourceRecords><ResourceRecord><Value>{value}</Value></ResourceRecord></ResourceRecords>\
         </ResourceRecordSet></Change>"
    )
}

impl Fixture {
    /// Moves the clock by simulated seconds.
    pub fn pass(&self, seconds: i64) {
        let millis = seconds * 1000 / i64::from(self.world.speed());
        self.clock.advance(SignedDuration::from_millis(millis));
    }

    pub async fn send(&self, method: Method, path: &str, media_type: &str, body: &Value) -> (u16, Value) {
        let request = self.client.request(method, format!("{}{path}", self.world.base_url()));
        let request = request.bearer_auth("simulated-oncall").header("content-type", media_type);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let response = request.body(body).send().await.unwrap();
        assert_eq!(response.headers()["x-simulated"], "true", "{path}");
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send(Method::GET, path, "application/json", &Value::Null).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send(Method::POST, path, "application/json", body).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send(Method::PATCH, path, STRATEGIC, body).await
    }

    /// Changes the one container of `api`, and expects that it is taken.
    pub async fn change_api(&self, change: Value) {
        let (status, body) = self.patch(API, &container(change)).await;
        assert_eq!(status, 200, "{body}");
    }

    pub async fn scale_api(&self, replicas: u32) {
        let (status, body) = self.patch(API, &json!({ "spec": { "replicas": replicas } })).await;
        assert_eq!(status, 200, "{body}");
    }

    pub async fn restart_api(&self) {
        let restarted = json!({ "kubectl.kubernetes.io/restartedAt": START });
        let patch = json!({ "spec": { "template": { "metadata": { "annotations": restarted } } } });
        assert_eq!(self.patch(API, &patch).await.0, 200);
    }

    pub async fn flag(&self, name: &str, on: bool) {
        let state = if on { "enable" } else { "disable" };
        let url = format!("{}/api/flags/{name}/{state}", self.world.flags_url());
        let response = self.client.post(url).bearer_auth(self.world.flags_token()).send().await.unwrap();
        assert_eq!(response.status(), 200);
    }

    /// A request to AWS, signed as far as the world looks; gives the status and the body.
    pub async fn aws(&self, method: Method, path: &str, body: String) -> (u16, String) {
        let (id, _) = self.world.aws_keys();
        let signed = format!("AWS4-HMAC-SHA256 Credential={id}/20261121/eu-west-1/x/aws4_request");
        let request = self.client.request(method, format!("{}{path}", self.world.aws_url()));
        let response = request.header("authorization", signed).body(body).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// An action of STS, IAM or RDS.
    pub async fn aws_form(&self, pairs: &[(&str, &str)]) -> (u16, String) {
        let form: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.aws(Method::POST, "/", form.join("&")).await
    }

    /// A batch for the zone that every scenario has.
    pub async fn change_records(&self, changes: &str) -> (u16, String) {
        let body = format!(
            "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ChangeBatch>\
             <Comment>test</Comment><Changes>{changes}</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
        );
        self.aws(Method::POST, "/2013-04-01/hostedzone/Z0SIMULATED/rrset/", body).await
    }

    pub async fn upsert(&self, name: &str, value: &str) -> (u16, String) {
        self.change_records(&change("UPSERT", name, value)).await
    }

    /// Evaluates a query; the answer, whatever it is.
    pub async fn query(&self, query: &str) -> (u16, Value) {
        let url = format!("{}/api/v1/query", self.world.prometheus_url());
        let response = self.client.get(url).query(&[("query", query)]).send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap())
    }

    /// The one value of a query.
    pub async fn value(&self, query: &str) -> f64 {
        let (status, body) = self.query(query).await;
        assert_eq!(status, 200, "{query}: {body}");
        let result = &body["data"]["result"];
        let point = if body["data"]["resultType"] == "scalar" { result } else { &result[0]["value"] };
        point[1].as_str().unwrap_or_else(|| panic!("{query}: {body}")).parse().unwrap()
    }

    pub async fn pods(&self, selector: &str) -> Vec<Value> {
        let path = format!("/api/v1/namespaces/production/pods?labelSelector={selector}");
        self.get(&path).await["items"].as_array().unwrap().clone()
    }
}
