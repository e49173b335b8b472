//! One scenario on an emulator, whose requests go through a proxy of its own.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Bytes;
use runbook_aws::{Config, Keys};
use runbook_contract::{Access, Action, Cx, Mode};
use runbook_core::{Timestamp, Value, change::Change, duration::Duration};
use serde_json::{Map, json};

use super::{Ground, Scenario};
use crate::{
    bench::Stage,
    proxy::{Proxy, Upstream, Write},
};

pub struct Scene {
    endpoint: String,
    proxy: Proxy,
    ground: Ground,
    name: String,
    /// Of a zone.
    id: String,
}

const REGION: &str = "eu-west-1";
const KEY: &str = "testing";

struct Server {
    endpoint: String,
    client: reqwest::Client,
}

impl Scene {
    pub async fn set(endpoint: &str, scenario: &Scenario) -> Self {
        let server = Server { endpoint: endpoint.to_owned(), client: reqwest::Client::new() };
        let unique = uuid::Uuid::now_v7().simple().to_string();
        let name = format!("x{}", &unique[unique.len() - 12..]);
        let (name, id) = server.prepare(scenario.ground, name).await;
        let proxy = Proxy::to(Box::new(server)).await;
        Self { endpoint: endpoint.to_owned(), proxy, ground: scenario.ground, name, id }
    }

    pub fn steps(&self, scenario: &Scenario) -> Value {
        let text = scenario.steps.to_string().replace("SELF", &self.name).replace("ZONE", &self.id);
        serde_json::from_str(&text).unwrap()
    }

    /// What a read answers, past the proxy.
    async fn read(&self, name: &str, input: &Value) -> Value {
        let all = runbook_aws::actions(&config(&self.endpoint), &Access::new(Mode::ReadOnly));
        let read = all.into_iter().find(|action| action.spec().name == name).unwrap();
        let cx = Cx {
            timeout: Duration::from_secs(20),
            idempotency_key: String::new(),
            now: Timestamp::now(),
            speed: 1,
        };
        read.observe(&cx, input).await.unwrap().outputs
    }

    /// The snapshots of the cluster or instance, as the service itself lists them.
    async fn snapshots(&self) -> Vec<Value> {
        let server = Server { endpoint: self.endpoint.clone(), client: reqwest::Client::new() };
        let (action, of, tag) = match self.ground {
            Ground::Aurora(_) => {
                ("DescribeDBClusterSnapshots", "DBClusterIdentifier", "DBClusterSnapshotIdentifier")
            }
            _ => ("DescribeDBSnapshots", "DBInstanceIdentifier", "DBSnapshotIdentifier"),
        };
        let listed = server.rds(&[("Action", action), (of, &self.name)]).await;
        let tag = format!("<{tag}>");
        let names = listed.split(&tag).skip(1).filter_map(|rest| rest.split('<').next());
        names.filter(|name| !name.starts_with("rds:")).map(|name| json!(name)).collect()
    }
}

fn config(endpoint: &str) -> Config {
    let keys = Keys { access_key_id: KEY.to_owned(), secret_access_key: "secret".to_owned() };
    Config {
        region: Some(REGION.to_owned()),
        endpoint_url: Some(endpoint.to_owned()),
        keys: Some(keys),
        ..Config::default()
    }
}

#[async_trait]
impl Stage for Scene {
    fn actions(&self, access: &Arc<Access>) -> Vec<Arc<dyn Action>> {
        runbook_aws::actions(&config(&self.proxy.address), access)
    }

    fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    async fn image(&self) -> Value {
        let picked = |outputs: &Value, names: &[&str]| -> Map<String, Value> {
            names.iter().map(|name| ((*name).to_owned(), outputs[*name].clone())).collect()
        };
        let mut image = match self.ground {
            Ground::Aurora(_) => {
                let outputs = self.read("aws.rds_cluster", &json!({"cluster": self.name})).await;
                picked(&outputs, &["cluster", "type", "engine", "engine_version", "writer"])
            }
            Ground::Instance { .. } => {
                let outputs = self.read("aws.rds_instance", &json!({"instance": self.name})).await;
                picked(&outputs, &["instance", "engine", "class", "multi_az", "storage_gb"])
            }
            Ground::Zone => {
                let outputs = self.read("aws.route53_records", &json!({"zone": self.id})).await;
                let records = outputs["records"].as_array().unwrap();
                return records
                    .iter()
                    .map(|record| (key_of(record), record.clone()))
                    .collect::<Map<_, _>>()
                    .into();
            }
        };
        for snapshot in self.snapshots().await {
            image.insert("snapshot".to_owned(), snapshot);
        }
        image.into()
    }

    fn foreseen(&self, image: &Value, change: &Change) -> Value {
        let mut image = image.clone();
        let names: &[&str] = match self.ground {
            Ground::Zone => {
                json_patch::merge(&mut image, &change.after);
                return replaced(image, &change.after);
            }
            Ground::Aurora(_) | Ground::Instance { .. } => &["writer", "snapshot"],
        };
        for name in names {
            if let Some(value) = change.after.get(*name) {
                image[*name] = value.clone();
            }
        }
        image
    }

    /// A batch says what the records are to be: arriving twice, it leaves them as once. Whatever RDS
    /// takes, it does.
    fn effects(&self, writes: &[Write]) -> usize {
        let taken = writes.iter().filter(|write| write.took_effect()).count();
        if self.ground == Ground::Zone { taken.min(1) } else { taken }
    }

    fn clocks(&self) -> &'static [&'static str] {
        &["latest_restorable_time"]
    }

    fn limits(&self) -> BTreeMap<String, Value> {
        BTreeMap::new()
    }
}

/// Record sets are replaced whole.
fn replaced(mut image: Value, after: &Value) -> Value {
    for (key, record) in after.as_object().into_iter().flatten() {
        match record {
            Value::Null => drop(image.as_object_mut().unwrap().remove(key)),
            record => image[key] = record.clone(),
        }
    }
    image
}

fn key_of(record: &Value) -> String {
    let key = format!("{} {}", record["name"].as_str().unwrap(), record["type"].as_str().unwrap());
    match record["routing"]["set_identifier"].as_str() {
        Some(identifier) => format!("{key} ({identifier})"),
        None => key,
    }
}

impl Server {
    /// Makes what a scenario starts from: its name, and the id of a zone.
    async fn prepare(&self, ground: Ground, name: String) -> (String, String) {
        match ground {
            Ground::Aurora(tiers) => {
                let user = [("MasterUsername", "u"), ("MasterUserPassword", "password1")];
                let made = [
                    ("Action", "CreateDBCluster"),
                    ("DBClusterIdentifier", &name),
                    ("Engine", "aurora-postgresql"),
                ];
                self.rds(&[&made[..], &user].concat()).await;
                for (at, tier) in tiers.iter().enumerate() {
                    self.rds(&[
                        ("Action", "CreateDBInstance"),
                        ("DBInstanceIdentifier", &format!("{name}-{}", at + 1)),
                        ("DBClusterIdentifier", &name),
                        ("Engine", "aurora-postgresql"),
                        ("DBInstanceClass", "db.r6g.large"),
                        ("PromotionTier", &tier.to_string()),
                    ])
                    .await;
                }
                // One of the emulators ends a transition with the next call.
                self.rds(&[("Action", "DescribeDBClusters"), ("DBClusterIdentifier", &name)]).await;
            }
            Ground::Instance { multi_az } => {
                self.rds(&[
                    ("Action", "CreateDBInstance"),
                    ("DBInstanceIdentifier", &name),
                    ("Engine", "postgres"),
                    ("DBInstanceClass", "db.m6g.large"),
                    ("AllocatedStorage", "20"),
                    ("MultiAZ", if multi_az { "true" } else { "false" }),
                    ("MasterUsername", "u"),
                    ("MasterUserPassword", "password1"),
                ])
                .await;
            }
            Ground::Zone => return self.zone(format!("{name}.example")).await,
        }
        (name, String::new())
    }

    async fn zone(&self, name: String) -> (String, String) {
        const XMLNS: &str = "xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"";
        let body = format!(
            "<CreateHostedZoneRequest {XMLNS}><Name>{name}</Name><CallerReference>{name}</CallerReference></CreateHostedZoneRequest>"
        );
        let made = self.asked("route53", "/2013-04-01/hostedzone", body).await;
        let id =
            made.split("<Id>/hostedzone/").nth(1).and_then(|rest| rest.split('<').next()).unwrap().to_owned();
        let record = |host: &str, set: &str, value: &str| {
            format!(
                "<Change><Action>CREATE</Action><ResourceRecordSet><Name>{host}.{name}</Name><Type>A</Type>{set}<TTL>60</TTL><ResourceRecords><ResourceRecord><Value>{value}</Value></ResourceRecord></ResourceRecords></ResourceRecordSet></Change>"
            )
        };
        let weighted =
            |set: &str, weight: i64| format!("<SetIdentifier>{set}</SetIdentifier><Weight>{weight}</Weight>");
        let changes = record("api", "", "192.0.2.1")
            + &record("eu", &weighted("one", 10), "192.0.2.3")
            + &record("eu", &weighted("two", 20), "192.0.2.4");
        let body = format!(
            "<ChangeResourceRecordSetsRequest {XMLNS}><ChangeBatch><Changes>{changes}</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
        );
        self.asked("route53", &format!("/2013-04-01/hostedzone/{id}/rrset"), body).await;
        (name, id)
    }

    /// One emulator stumbles where two requests come at once: what it was doing is asked for again,
    /// and found done.
    async fn rds(&self, fields: &[(&str, &str)]) -> String {
        let pairs = fields.iter().map(|(name, value)| format!("{name}={value}"));
        let form = pairs.chain(["Version=2014-10-31".to_owned()]).collect::<Vec<_>>().join("&");
        let (status, text) = self.tried("rds", "/", form.clone()).await;
        if status.is_success() {
            return text;
        }
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{text}");
        let (status, text) = self.tried("rds", "/", form).await;
        assert!(status.is_success() || text.contains("AlreadyExists"), "{status} {text}");
        text
    }

    async fn asked(&self, service: &str, path: &str, body: String) -> String {
        let (status, text) = self.tried(service, path, body).await;
        assert!(status.is_success(), "{service} {path}: {status} {text}");
        text
    }

    /// A request as one of the services takes it. The emulators look at the scope of a signature
    /// and not at the signature.
    async fn tried(&self, service: &str, path: &str, body: String) -> (StatusCode, String) {
        let kind = if service == "rds" { "application/x-www-form-urlencoded" } else { "text/xml" };
        let scope = format!("{KEY}/20260101/{REGION}/{service}/aws4_request");
        let answer = self
            .client
            .post(format!("{}{path}", self.endpoint))
            .header("content-type", kind)
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
            )
            .body(body)
            .send()
            .await
            .unwrap();
        (answer.status(), answer.text().await.unwrap())
    }
}

#[async_trait]
impl Upstream for Server {
    async fn send(&self, request: Request<Bytes>) -> Option<Response<Bytes>> {
        let (head, body) = request.into_parts();
        let url = format!("{}{}", self.endpoint, head.uri);
        let answer =
            self.client.request(head.method, url).headers(head.headers).body(body).send().await.ok()?;
        let mut response = Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            response = response.header(name, value);
        }
        response.body(answer.bytes().await.ok()?).ok()
    }

    /// By the protocol that each service speaks.
    fn operation(&self, request: &Request<Bytes>) -> String {
        let path = request.uri().path();
        if let Some((_, operation)) = path.split_once("/operation/") {
            return operation.to_owned();
        }
        if path.starts_with("/2013-04-01/") {
            return format!("{} {path}", request.method());
        }
        let form = String::from_utf8_lossy(request.body());
        form.split('&').find_map(|pair| pair.strip_prefix("Action=")).unwrap_or("unknown").to_owned()
    }

    fn would_change(&self, request: &Request<Bytes>) -> bool {
        let operation = self.operation(request);
        let reads = ["Describe", "Get", "List", "Simulate"].iter().any(|verb| operation.starts_with(verb));
        let is_rest = request.uri().path().starts_with("/2013-04-01/");
        if is_rest { *request.method() != Method::GET } else { !reads }
    }
}
