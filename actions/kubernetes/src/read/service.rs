//! `kubernetes.service`: whether a service has anything behind it, and what leads to it.

use async_trait::async_trait;
use futures::try_join;
use runbook_core::{
    Value,
    change::{Observed, Target},
    fault::{Fault, FaultKind},
    spec::ActionSpec,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Read, outputs};
use crate::{client::Session, discover, place::Place, schema};

/// Which service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The namespace it is in.
    namespace: String,
    /// Its name.
    service: String,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Output {
    /// Whether there is such a service.
    exists: bool,
    /// `ClusterIP`, `NodePort`, `LoadBalancer`, `ExternalName`.
    r#type: Option<String>,
    /// The labels of the pods it sends to, as a selector.
    selector: Option<String>,
    /// Its ports.
    ports: Vec<PortOutput>,
    /// How many addresses behind it are ready to serve.
    endpoints_ready: usize,
    /// How many are there but not ready.
    endpoints_not_ready: usize,
    /// The addresses that a load balancer gave it.
    addresses: Vec<String>,
    /// The ingresses that lead to it.
    ingresses: Vec<IngressOutput>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct PortOutput {
    /// Its name.
    name: Option<String>,
    /// The port of the service.
    port: i64,
    /// The port of the pods, a number or a name.
    target: String,
    /// `TCP`, `UDP`, `SCTP`.
    protocol: String,
}

#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct IngressOutput {
    /// Its name.
    name: String,
    /// The class of the controller that serves it.
    class: Option<String>,
    /// The hosts that lead to the service.
    hosts: Vec<String>,
    /// The paths that lead to the service.
    paths: Vec<String>,
    /// The addresses that the controller gave it.
    addresses: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Service;

#[async_trait]
impl Read for Service {
    type Input = Input;

    fn spec() -> ActionSpec {
        ActionSpec {
            permissions: vec![
                schema::rbac("", "services", &["get"]),
                schema::rbac("discovery.k8s.io", "endpointslices", &["list"]),
                schema::rbac("networking.k8s.io", "ingresses", &["list"]),
            ],
            example: json!({"namespace": "production", "service": "api"}),
            ..schema::read::<Input, Output>(
                "service",
                "A service, the endpoints behind it and the ingresses before it",
            )
        }
    }

    async fn read(session: &Session<'_>, input: Input) -> Result<Observed, Fault> {
        let place = Place::core("services").within(&input.namespace).named(&input.service);
        let target = format!("kubernetes:{}/service/{}", input.namespace, input.service);
        let service = match session.get(place).await {
            Ok(service) => service,
            Err(fault) if fault.kind == FaultKind::NotFound => {
                let output = outputs(&Output::default())?;
                return Ok(Observed { target: Some(Target::new(target, None)), ..Observed::outputs(output) });
            }
            Err(fault) => return Err(fault),
        };
        let mut warnings = Vec::new();
        let ((ready, not_ready), ingresses) =
            try_join!(endpoints(session, &input), ingresses(session, &input, &mut warnings))?;
        let output = Output {
            endpoints_ready: ready,
            endpoints_not_ready: not_ready,
            ingresses,
            ..described(&service)
        };
        let uid = text(&service, "/metadata/uid");
        Ok(Observed {
            target: Some(Target::new(target, uid)),
            outputs: outputs(&output)?,
            state: Value::Null,
            warnings,
        })
    }
}

fn described(service: &Value) -> Output {
    let ports = items(service, "/spec/ports").map(|port| PortOutput {
        name: text(port, "/name"),
        port: port.get("port").and_then(Value::as_i64).unwrap_or_default(),
        target: match port.get("targetPort") {
            Some(Value::String(name)) => name.clone(),
            Some(number) => number.to_string(),
            None => String::new(),
        },
        protocol: text(port, "/protocol").unwrap_or_else(|| "TCP".to_owned()),
    });
    let selector = service.pointer("/spec/selector").and_then(Value::as_object).map(|labels| {
        let labels =
            labels.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
        labels.collect::<Vec<_>>().join(",")
    });
    Output {
        exists: true,
        r#type: text(service, "/spec/type"),
        selector,
        ports: ports.collect(),
        addresses: balancers(service),
        ..Output::default()
    }
}

/// Ready and not ready addresses, from the slices where the cluster has them.
async fn endpoints(session: &Session<'_>, input: &Input) -> Result<(usize, usize), Fault> {
    if let Some(version) = discover::version(session, "discovery.k8s.io", &["v1", "v1beta1"]).await? {
        let place = Place::of("discovery.k8s.io", version, "endpointslices").within(&input.namespace);
        let labels = format!("kubernetes.io/service-name={}", input.service);
        return Ok(in_slices(&session.list(&place, Some(&labels), None).await?.items));
    }
    match session.get(Place::core("endpoints").within(&input.namespace).named(&input.service)).await {
        Ok(endpoints) => Ok(in_subsets(&endpoints)),
        Err(fault) if fault.kind == FaultKind::NotFound => Ok((0, 0)),
        Err(fault) => Err(fault),
    }
}

fn in_slices(slices: &[Value]) -> (usize, usize) {
    let endpoints = slices.iter().flat_map(|slice| items(slice, "/endpoints"));
    // "Not known" counts as ready, says the API.
    endpoints.fold((0, 0), |(ready, not_ready), endpoint| {
        match endpoint.pointer("/conditions/ready").and_then(Value::as_bool) {
            Some(false) => (ready, not_ready + 1),
            _ => (ready + 1, not_ready),
        }
    })
}

fn in_subsets(endpoints: &Value) -> (usize, usize) {
    let count = |field: &str| items(endpoints, "/subsets").map(|subset| items(subset, field).count()).sum();
    (count("/addresses"), count("/notReadyAddresses"))
}

async fn ingresses(
    session: &Session<'_>,
    input: &Input,
    warnings: &mut Vec<String>,
) -> Result<Vec<IngressOutput>, Fault> {
    let Some(version) = discover::version(session, "networking.k8s.io", &["v1", "v1beta1"]).await? else {
        return Ok(Vec::new());
    };
    let place = Place::of("networking.k8s.io", version, "ingresses").within(&input.namespace);
    match session.list(&place, None, None).await {
        Ok(listed) => {
            Ok(listed.items.iter().filter_map(|ingress| leading_to(ingress, &input.service)).collect())
        }
        Err(fault) if matches!(fault.kind, FaultKind::Forbidden | FaultKind::NotFound) => {
            warnings.push(format!("ingresses were not looked at: {fault}"));
            Ok(Vec::new())
        }
        Err(fault) => Err(fault),
    }
}

/// The part of an ingress that leads to a service, in either form of the API.
fn leading_to(ingress: &Value, service: &str) -> Option<IngressOutput> {
    let is_it = |backend: Option<&Value>| {
        let backend = backend?;
        let name = text(backend, "/service/name").or_else(|| text(backend, "/serviceName"))?;
        (name == service).then_some(())
    };
    let by_default =
        is_it(ingress.pointer("/spec/defaultBackend").or_else(|| ingress.pointer("/spec/backend"))).is_some();
    let (mut hosts, mut paths) = (Vec::new(), Vec::new());
    for rule in items(ingress, "/spec/rules") {
        for path in items(rule, "/http/paths").filter(|path| is_it(path.get("backend")).is_some()) {
            paths.push(text(path, "/path").unwrap_or_else(|| "/".to_owned()));
            hosts.push(text(rule, "/host").unwrap_or_else(|| "*".to_owned()));
        }
    }
    if paths.is_empty() && !by_default {
        return None;
    }
    hosts.dedup();
    let class = text(ingress, "/spec/ingressClassName")
        .or_else(|| text(ingress.pointer("/metadata/annotations")?, "/kubernetes.io~1ingress.class"));
    Some(IngressOutput {
        name: text(ingress, "/metadata/name")?,
        class,
        hosts,
        paths,
        addresses: balancers(ingress),
    })
}

fn balancers(object: &Value) -> Vec<String> {
    let given = items(object, "/status/loadBalancer/ingress");
    given.filter_map(|address| text(address, "/hostname").or_else(|| text(address, "/ip"))).collect()
}

fn items<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_ingresses_of_both_forms() {
        let backend = |name: &str| json!({"service": {"name": name, "port": {"number": 80}}});
        let new = json!({"metadata": {"name": "web"}, "spec": {"ingressClassName": "nginx", "rules": [
            {"host": "a.test", "http": {"paths": [
                {"path": "/", "backend": backend("api")}, {"path": "/x", "backend": backend("api")}]}},
            {"host": "b.test", "http": {"paths": [{"path": "/", "backend": backend("other")}]}}]}});
        let old = json!({"metadata": {"name": "old"}, "spec": {"backend": {"serviceName": "api", "servicePort": 80}}});
        let found = leading_to(&new, "api").unwrap();
        assert_eq!(
            (found.hosts, found.paths),
            (vec!["a.test".to_owned()], vec!["/".to_owned(), "/x".to_owned()])
        );
        assert_eq!(found.class.as_deref(), Some("nginx"));
        assert_eq!(leading_to(&old, "api").unwrap().name, "old");
        assert_eq!(leading_to(&new, "db"), None);
    }

    #[test]
    fn counts_endpoints_of_both_forms() {
        let slices =
            [json!({"endpoints": [{"conditions": {"ready": true}}, {"conditions": {"ready": false}}, {}]})];
        assert_eq!(in_slices(&slices), (2, 1));
        let endpoints =
            json!({"subsets": [{"addresses": [{}, {}], "notReadyAddresses": [{}]}, {"addresses": [{}]}]});
        assert_eq!(in_subsets(&endpoints), (3, 1));
        assert_eq!(in_subsets(&json!({"subsets": null})), (0, 0));
    }
}
