//! A namespace of a real cluster with what surrounds its workloads, and one scenario in it, whose
//! requests go through a proxy of its own.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use http::{Method, Request, Response};
use hyper::body::Bytes;
use kube::{
    Client, Config as KubeConfig,
    client::Body,
    config::{KubeConfigOptions, Kubeconfig},
};
use runbook_contract::{Access, Action};
use runbook_core::{Value, change::Change};
use serde_json::{Map, json};

use super::{
    scenario::{Around, Hands, Scenario},
    shape::Shape,
};
use crate::{
    bench::Stage,
    fixture::{ADMIN, NOBODY, World, kubeconfig},
    proxy::{Proxy, Upstream, Write, whole},
};

/// One scenario on its stage.
pub struct Scene<'w> {
    world: &'w World,
    proxy: Proxy,
    /// The paths of the objects that it may change.
    watched: Vec<String>,
}

/// A real API server, reached with the credentials of one kind of user; whoever connects to the
/// proxy needs none.
struct ApiServer(Client);

#[async_trait]
impl Upstream for ApiServer {
    async fn send(&self, request: Request<Bytes>) -> Option<Response<Bytes>> {
        let answer = self.0.send(request.map(|body| Body::from(body.to_vec()))).await.ok()?;
        whole(answer).await
    }

    fn operation(&self, request: &Request<Bytes>) -> String {
        format!("{} {}", request.method(), request.uri())
    }

    /// Whatever is not a read, a question about one's own rights, or promised not to be persisted.
    /// A DELETE with a body is dry by that body alone, so it always counts.
    fn would_change(&self, request: &Request<Bytes>) -> bool {
        let uri = request.uri();
        let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        let asks = uri.path().ends_with("/selfsubjectaccessreviews");
        let dry = uri.query().unwrap_or_default().split('&').any(|pair| pair == "dryRun=All");
        let by_body = request.method() == Method::DELETE && !request.body().is_empty();
        !(reads || asks || (dry && !by_body))
    }
}

async fn upstream(hands: Hands, namespace: &str) -> Client {
    let path = kubeconfig(if hands == Hands::Nobody { NOBODY } else { ADMIN }).unwrap();
    let mut settings = Kubeconfig::read_from(path).unwrap();
    if let Hands::Role(role) = hands {
        for user in &mut settings.auth_infos {
            user.auth_info.get_or_insert_default().impersonate = Some(user_of(namespace, role.name));
        }
    }
    let mut config =
        KubeConfig::from_custom_kubeconfig(settings, &KubeConfigOptions::default()).await.unwrap();
    // What is lost stays lost: whether to send it again is the engine's to decide.
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

fn user_of(namespace: &str, role: &str) -> String {
    format!("{role}-of-{namespace}")
}

/// A kubeconfig for the proxy, which knows the credentials itself.
pub fn kubeconfig_for(address: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
        "clusters": [{"name": "proxy", "cluster": {"server": address}}],
        "users": [{"name": "proxy", "user": {}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
    })
    .to_string()
}

/// Fills a namespace with what surrounds the workloads in it.
pub async fn furnish(world: &World, around: Around, roles: &[super::scenario::Role]) {
    let namespace = &world.namespace;
    for (collection, object) in around.objects() {
        world.create(&format!("/api/v1/namespaces/{namespace}/{collection}"), &object).await;
    }
    let rights = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}");
    for role in roles {
        let rules: Value = serde_json::from_str(role.rules).unwrap();
        let group = "rbac.authorization.k8s.io";
        let metadata = json!({"name": role.name});
        let object = json!({"apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": metadata, "rules": rules});
        world.create(&format!("{rights}/roles"), &object).await;
        let object = json!({
            "apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": role.name},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user_of(namespace, role.name)}],
        });
        world.create(&format!("{rights}/rolebindings"), &object).await;
    }
}

impl<'w> Scene<'w> {
    /// The workload of a scenario in its shape, and the proxy before it.
    pub async fn set(world: &'w World, scenario: &Scenario, name: &str) -> Self {
        if let Some(shape) = &scenario.shape {
            shape.make(world, name).await;
        }
        if scenario.around == Around::PodQuota {
            // Pods come some time after they were asked for, and are counted some time after that.
            let settled = async |world: &World| {
                let it = world.deployment(name).await;
                it["status"]["replicas"] == it["spec"]["replicas"] && is_counted(world).await
            };
            world.until("all pods to be there and counted", settled).await;
        }
        let proxy = Proxy::to(Box::new(ApiServer(upstream(scenario.hands, &world.namespace).await))).await;
        let mut watched = vec![world.deployment_path(name)];
        watched.extend(scenario.watched.iter().map(|path| filled(path, &world.namespace, name)));
        Self { world, proxy, watched }
    }

    /// A request by which someone else sets another number of replicas.
    pub fn someone_else(&self, name: &str) -> Request<Bytes> {
        let body = json!({"spec": {"replicas": 7}}).to_string();
        Request::patch(self.world.deployment_path(name))
            .header("content-type", "application/merge-patch+json")
            .body(body.into())
            .unwrap()
    }

    /// The steps of a scenario with its own names in them.
    pub fn steps(&self, scenario: &Scenario, name: &str) -> Value {
        let steps: Value =
            serde_json::from_str(&filled(&scenario.steps.to_string(), &self.world.namespace, name)).unwrap();
        steps
    }
}

fn filled(text: &str, namespace: &str, name: &str) -> String {
    text.replace("NAMESPACE", namespace).replace("NAME", name)
}

/// Whether the quota counts the pods that there are, and none of them is about to go.
async fn is_counted(world: &World) -> bool {
    let pods = world.get(&format!("/api/v1/namespaces/{}/pods", world.namespace)).await.unwrap();
    let pods = pods["items"].as_array().cloned().unwrap_or_default();
    if pods.iter().any(|pod| !pod["metadata"]["deletionTimestamp"].is_null()) {
        return false;
    }
    let count = pods.len().to_string();
    let quotas = world.get(&format!("/api/v1/namespaces/{}/resourcequotas", world.namespace)).await.unwrap();
    quotas["items"].as_array().unwrap().iter().all(|quota| {
        let used = &quota["status"]["used"];
        used.is_object() && (used["pods"].is_null() || used["pods"] == json!(count))
    })
}

#[async_trait]
impl Stage for Scene<'_> {
    fn actions(&self, access: &Arc<Access>) -> Vec<Arc<dyn Action>> {
        let config = runbook_kubernetes::Config {
            inline: Some(kubeconfig_for(&self.proxy.address)),
            ..runbook_kubernetes::Config::default()
        };
        runbook_kubernetes::actions(&config, access)
    }

    fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    async fn image(&self) -> Value {
        let mut image = Map::new();
        for path in &self.watched {
            let object = self.world.get(path).await;
            image.insert(path.clone(), object.map_or(Value::Null, without_books));
        }
        image.into()
    }

    fn foreseen(&self, image: &Value, change: &Change) -> Value {
        let mut image = image.clone();
        let path = object_path(&change.request, &self.proxy.address);
        let object = image.as_object_mut().unwrap().entry(path).or_insert(Value::Null);
        match change.request.content_type.as_deref() {
            // What the action itself worked out: its own request, carried out by another hand.
            Some("application/json-patch+json") if !is_of_any_object(change) => {
                let patch: json_patch::Patch = serde_json::from_value(change.request.body.clone()).unwrap();
                json_patch::patch(object, &patch).unwrap();
            }
            Some("application/merge-patch+json") if !is_of_any_object(change) => {
                json_patch::merge(object, &change.request.body);
            }
            // What only the server can work out, as it was told beforehand.
            _ => json_patch::merge(object, &change.after),
        }
        *object = without_books(object.take());
        image
    }

    /// Writes that the server took, and that left the object otherwise than the one before.
    fn effects(&self, writes: &[Write]) -> usize {
        let mut last = Value::Null;
        let mut effects = 0;
        for write in writes.iter().filter(|write| write.took_effect()) {
            let mut now = json!({"spec": write.answer["spec"], "data": write.answer["data"]});
            now["labels"] = write.answer["metadata"]["labels"].clone();
            now["annotations"] = write.answer["metadata"]["annotations"].clone();
            if now["annotations"].is_object() {
                // A controller's book, written some time after the change.
                now["annotations"]["deployment.kubernetes.io/revision"] = Value::Null;
            }
            if now != last {
                effects += 1;
            }
            last = now;
        }
        effects
    }

    fn limits(&self) -> BTreeMap<String, Value> {
        BTreeMap::from([("kubernetes.scale".to_owned(), json!({"max_replicas": 20}))])
    }
}

fn is_of_any_object(change: &Change) -> bool {
    matches!(change.action.as_str(), "kubernetes.patch" | "kubernetes.apply")
}

/// The path of the object that a request is about.
fn object_path(request: &runbook_core::change::Request, address: &str) -> String {
    let path = request.url.strip_prefix(address).unwrap();
    let path = path.split('?').next().unwrap();
    path.strip_suffix("/scale").unwrap_or(path).to_owned()
}

/// An object without what the server and the controllers keep their books with.
fn without_books(mut object: Value) -> Value {
    let Some(fields) = object.as_object_mut() else { return object };
    fields.remove("status");
    let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) else { return object };
    for name in ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"] {
        metadata.remove(name);
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove("deployment.kubernetes.io/revision");
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    object
}

impl Shape {
    /// Makes the deployment, in its whole history.
    async fn make(&self, world: &World, name: &str) {
        for (collection, object) in &self.beside {
            let text = filled(&object.to_string(), &world.namespace, name);
            let object: Value = serde_json::from_str(&text).unwrap();
            world.create(&filled(collection, &world.namespace, name), &object).await;
        }
        let text = filled(&self.object.to_string(), &world.namespace, name);
        world.create(&world.deployments(), &serde_json::from_str(&text).unwrap()).await;
        if !(self.releases.is_empty() && self.unsettled) {
            world.rolled_out(name).await;
        }
        let path = world.deployment_path(name);
        for (at, release) in self.releases.iter().enumerate() {
            let before = revision_of(world, name).await;
            world.send("PATCH", &path, "application/json-patch+json", Some(release)).await;
            world.until("the next revision", async |world| revision_of(world, name).await != before).await;
            if !(self.unsettled && at + 1 == self.releases.len()) {
                world.rolled_out(name).await;
            }
        }
        if self.stuck {
            let pods = format!("/api/v1/namespaces/{}/pods?labelSelector=app%3D{name}", world.namespace);
            world
                .until("the pods to be stuck", async |world| {
                    world.get(&pods).await.unwrap().to_string().contains("ImagePullBackOff")
                })
                .await;
        }
        if let Some(patch) = &self.finally {
            // A pod beyond a quota that still counts one that is gone is refused, and its set then tries
            // again more and more seldom, for minutes in the end.
            world.until("the pods of its releases to be counted", is_counted).await;
            world.merge(&path, patch).await;
            world
                .until("the controller to have seen it", async |world| {
                    let it = world.deployment(name).await;
                    it["status"]["observedGeneration"] == it["metadata"]["generation"]
                })
                .await;
        }
    }
}

async fn revision_of(world: &World, name: &str) -> Value {
    world.deployment(name).await["metadata"]["annotations"][crate::fixture::REVISION].clone()
}
