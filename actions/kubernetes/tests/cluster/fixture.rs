//! A namespace of its own for each test, and short ways to look and to act.

use std::{future::Future, panic::AssertUnwindSafe, path::PathBuf, sync::Arc, time::Duration as StdDuration};

use futures::FutureExt as _;
use kube::{
    Client, Config as KubeConfig,
    config::{KubeConfigOptions, Kubeconfig},
};
use runbook_contract::{Access, Action, Cx, Mode, PlanCx};
use runbook_core::{
    Timestamp, Value,
    change::{Change, Planned, Progress},
    duration::Duration,
    fault::Fault,
};
use runbook_kubernetes::Config;
use serde_json::json;

pub const ADMIN: &str = "RUNBOOK_TEST_KUBECONFIG";
pub const NOBODY: &str = "RUNBOOK_TEST_KUBECONFIG_NOBODY";

/// The path in a variable, or a word that the test was skipped.
#[expect(clippy::print_stderr, reason = "a skipped test says so where people look")]
pub fn kubeconfig(variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).map(PathBuf::from);
    if path.is_none() {
        eprintln!("skipped: {variable} is not set");
    }
    path
}

pub struct World {
    pub namespace: String,
    pub access: Arc<Access>,
    pub config: Config,
    client: Client,
}

/// Runs a test in a namespace of its own, which is deleted however the test ends.
pub async fn in_namespace<F: Future<Output = ()>>(test: impl FnOnce(Arc<World>) -> F) {
    let Some(path) = kubeconfig(ADMIN) else { return };
    let kubeconfig = Kubeconfig::read_from(&path).unwrap();
    let settings =
        KubeConfig::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let config = Config { kubeconfig: Some(path), ..Config::default() };
    let world = Arc::new(World {
        namespace: format!("runbook-{}", uuid::Uuid::now_v7().simple()),
        access: Access::new(Mode::ReadWrite),
        config,
        client: Client::try_from(settings).unwrap(),
    });
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": world.namespace}});
    world.create("/api/v1/namespaces", &namespace).await;
    world
        .until("the service account", async |world| {
            world
                .get(&format!("/api/v1/namespaces/{}/serviceaccounts/default", world.namespace))
                .await
                .is_some()
        })
        .await;
    let outcome = AssertUnwindSafe(test(world.clone())).catch_unwind().await;
    world.send("DELETE", &format!("/api/v1/namespaces/{}", world.namespace), "application/json", None).await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

impl World {
    pub async fn send(&self, method: &str, path: &str, kind: &str, body: Option<&Value>) -> Option<Value> {
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", kind)
            .header("accept", "application/json")
            .body(body)
            .unwrap();
        match self.client.request::<Value>(request).await {
            Ok(value) => Some(value),
            Err(kube::Error::Api(status)) if status.code == 404 => None,
            Err(error) => panic!("{method} {path}: {error}"),
        }
    }
    pub async fn get(&self, path: &str) -> Option<Value> {
        self.send("GET", path, "application/json", None).await
    }
    /// Creates an object. By server-side apply, which every API server decodes alike.
    pub async fn create(&self, collection: &str, object: &Value) -> Value {
        let name = object["metadata"]["name"].as_str().unwrap();
        let path = format!("{collection}/{name}?fieldManager=fixture&force=true");
        self.send("PATCH", &path, "application/apply-patch+yaml", Some(object)).await.unwrap()
    }
    pub async fn merge(&self, path: &str, body: &Value) -> Value {
        self.send("PATCH", path, "application/merge-patch+json", Some(body)).await.unwrap()
    }
    pub fn deployments(&self) -> String {
        format!("/apis/apps/v1/namespaces/{}/deployments", self.namespace)
    }
    pub fn deployment_path(&self, name: &str) -> String {
        format!("{}/{name}", self.deployments())
    }
    pub async fn deployment(&self, name: &str) -> Value {
        self.get(&self.deployment_path(name)).await.unwrap()
    }

    /// Whether the server may be given objects of custom kinds. A 1.20 that was built with a Go newer
    /// than itself ends when it decodes one, and takes every other test with it.
    #[expect(clippy::print_stderr, reason = "a skipped test says so where people look")]
    pub async fn takes_custom_kinds(&self) -> bool {
        let version = self.get("/version").await.unwrap();
        let number = version["gitVersion"].as_str().unwrap_or_default().to_owned();
        let go = version["goVersion"].as_str().unwrap_or_default().to_owned();
        let of_its_time = go.starts_with("go1.15") || go.starts_with("go1.16");
        let sound = of_its_time || !number.starts_with("v1.20.");
        if !sound {
            eprintln!("skipped: Kubernetes {number} built with {go} ends over objects of custom kinds");
        }
        sound
    }

    /// Waits until something holds of the cluster, whose controllers take their time: seconds, and much
    /// longer where the machine is busy with something else. Nothing is measured by this.
    pub async fn until(&self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        for _ in 0..2_400 {
            if holds(self).await {
                return;
            }
            tokio::time::sleep(StdDuration::from_millis(50)).await;
        }
        panic!("{what} did not come");
    }

    /// A deployment, rolled out.
    pub async fn deploy(&self, name: &str, image: &str, replicas: i64) -> Value {
        self.create(&self.deployments(), &deployment(name, image, replicas)).await;
        self.rolled_out(name).await
    }
    pub async fn rolled_out(&self, name: &str) -> Value {
        self.until(&format!("the rollout of {name}"), async |world| {
            let it = world.deployment(name).await;
            let status = |field: &str| it["status"][field].as_i64().unwrap_or_default();
            let wanted = it["spec"]["replicas"].as_i64().unwrap();
            status("observedGeneration") >= it["metadata"]["generation"].as_i64().unwrap()
                && status("updatedReplicas") == wanted
                && status("availableReplicas") == wanted
                && status("replicas") == wanted
        })
        .await;
        self.deployment(name).await
    }
    /// Another image, seen by the controller but not waited for.
    pub async fn release(&self, name: &str, image: &str, cause: &str) {
        let before = self.deployment(name).await["metadata"]["annotations"][REVISION].clone();
        let body = json!({
            "metadata": {"annotations": {"kubernetes.io/change-cause": cause}},
            "spec": {"template": {"spec": {"containers": [{"name": "app", "image": image, "env": env(), "resources": resources()}]}}},
        });
        self.merge(&self.deployment_path(name), &body).await;
        self.until("the next revision", async |world| {
            world.deployment(name).await["metadata"]["annotations"][REVISION] != before
        })
        .await;
    }

    pub fn action(&self, name: &str) -> Arc<dyn Action> {
        action_of(&self.config, &self.access, name)
    }
    pub async fn read(&self, name: &str, input: Value) -> Value {
        self.action(name).observe(&cx(), &self.with_namespace(input)).await.unwrap().outputs
    }
    pub fn with_namespace(&self, mut input: Value) -> Value {
        input["namespace"] = json!(self.namespace);
        input
    }
    pub async fn plan(&self, name: &str, input: &Value) -> Change {
        let action = self.action(name);
        let seen = action.observe(&cx(), input).await.unwrap();
        match action.plan(&plan_cx(), input, &seen).unwrap() {
            Planned::Change(change) => *change,
            already @ Planned::Already { .. } => panic!("nothing to do: {already:?}"),
        }
    }
    pub async fn plan_undo(&self, change: &Change) -> Result<Planned, Fault> {
        let action = self.action(&change.action);
        let seen = action.observe(&cx(), &change.input).await?;
        action.plan_undo(&plan_cx(), change, &seen)
    }
    /// Applies a change and waits until it is verified.
    pub async fn make(&self, change: &Change) -> Value {
        let action = self.action(&change.action);
        action.apply(&cx(), change).await.unwrap();
        self.verified(change).await
    }
    pub async fn verified(&self, change: &Change) -> Value {
        match self.ended(change).await {
            Progress::Done(outputs) => outputs,
            other => panic!("{}: {other:?}", change.summary),
        }
    }
    pub async fn ended(&self, change: &Change) -> Progress {
        let action = self.action(&change.action);
        for _ in 0..400 {
            match action.verify(&cx(), change).await.unwrap() {
                Progress::Pending(_) => tokio::time::sleep(StdDuration::from_millis(50)).await,
                ended => return ended,
            }
        }
        panic!("{} did not end", change.summary);
    }
    /// The versions of all that a change could touch.
    pub async fn versions(&self) -> Vec<(String, Value)> {
        let mut versions = Vec::new();
        for (group, kind) in [
            ("/apis/apps/v1", "deployments"),
            ("/apis/apps/v1", "statefulsets"),
            ("/apis/apps/v1", "replicasets"),
            ("/api/v1", "pods"),
            ("/api/v1", "configmaps"),
        ] {
            let list = self.get(&format!("{group}/namespaces/{}/{kind}", self.namespace)).await.unwrap();
            for item in list["items"].as_array().unwrap() {
                let metadata = &item["metadata"];
                versions.push((format!("{kind}/{}", metadata["name"]), metadata["resourceVersion"].clone()));
            }
        }
        versions
    }
}

pub const REVISION: &str = "deployment.kubernetes.io/revision";

pub fn action_of(config: &Config, access: &Arc<Access>, name: &str) -> Arc<dyn Action> {
    let name = format!("kubernetes.{name}").replace("kubernetes.kubernetes.", "kubernetes.");
    let all = runbook_kubernetes::actions(config, access);
    all.into_iter().find(|action| action.spec().name == name).unwrap()
}

pub fn cx() -> Cx {
    Cx {
        timeout: Duration::from_secs(20),
        idempotency_key: "key".to_owned(),
        now: Timestamp::now(),
        speed: 1,
    }
}

pub fn plan_cx() -> PlanCx {
    PlanCx {
        started_at: "2026-01-01T12:00:00.5Z".parse().unwrap(),
        idempotency_key: "key".to_owned(),
        over_others: false,
    }
}

pub fn env() -> Value {
    json!([{"name": "LOG_LEVEL", "value": "INFO"}, {"name": "MODE", "value": "fast"}])
}

pub fn resources() -> Value {
    json!({"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}})
}

pub fn deployment(name: &str, image: &str, replicas: i64) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "progressDeadlineSeconds": 30,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "app", "image": image, "env": env(), "resources": resources()}]},
            },
        },
    })
}
