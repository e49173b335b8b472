//! The Kubernetes API: rollouts over time, concurrency, dry runs, refusals, access.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{API, Fixture, STRATEGIC, container, image, start};

const MERGE: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";
const CONFIG: &str = "/api/v1/namespaces/production/configmaps/limits";

fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    object["status"]["conditions"].as_array().unwrap().iter().find(|c| c["type"] == kind).unwrap()
}

async fn sets(fixture: &Fixture) -> Vec<(String, String, i64)> {
    let list = fixture.get("/apis/apps/v1/namespaces/production/replicasets?labelSelector=app%3Dapi").await;
    let mut sets: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|set| {
            let revision =
                set["metadata"]["annotations"]["deployment.kubernetes.io/revision"].as_str().unwrap();
            let image = set["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
            (revision.to_owned(), image.to_owned(), set["spec"]["replicas"].as_i64().unwrap())
        })
        .collect();
    sets.sort();
    sets
}

#[tokio::test]
async fn nothing_can_be_taken_for_the_real_thing() {
    let fixture = start("high-latency").await;
    assert_eq!(fixture.get("/version").await["gitVersion"], "v1.33.0+simulated");
    assert_eq!(fixture.get("/").await["simulated"], true);
    assert!(fixture.world.kubeconfig().contains("current-context: simulated-high-latency"));
    let (status, body) = fixture.send(Method::GET, "/no/such/path", "application/json", &Value::Null).await;
    assert_eq!(
        (status, body["kind"].as_str(), body["reason"].as_str()),
        (404, Some("Status"), Some("NotFound"))
    );
}

#[tokio::test]
async fn a_rollout_goes_step_by_step_in_simulated_time() {
    let fixture = start("high-latency").await;
    let before = fixture.get(API).await;
    assert_eq!(condition(&before, "Progressing")["reason"], "NewReplicaSetAvailable");
    let (status, answer) = fixture.patch(API, &container(json!({ "image": image(41) }))).await;
    assert_eq!(status, 200);
    let generation = before["metadata"]["generation"].as_i64().unwrap();
    assert_eq!(answer["metadata"]["generation"], generation + 1);
    assert_eq!(answer["status"]["observedGeneration"], generation, "the controller has not looked yet");
    let mut updated = Vec::new();
    let mut versions = vec![answer["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap()];
    for _ in 0..5 {
        fixture.pass(15);
        let now = fixture.get(API).await;
        assert_eq!(now["status"]["observedGeneration"], generation + 1);
        assert!(now["status"]["availableReplicas"].as_i64().unwrap() >= 3, "never less than is allowed");
        assert!(now["status"]["replicas"].as_i64().unwrap() <= 4, "never more than the surge");
        updated.push(now["status"]["updatedReplicas"].as_i64().unwrap());
        versions.push(now["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap());
    }
    assert_eq!(updated, [1, 2, 3, 3, 3]);
    assert!(versions.is_sorted(), "{versions:?}");
    let after = fixture.get(API).await;
    assert_eq!(condition(&after, "Progressing")["reason"], "NewReplicaSetAvailable");
    let expected = [("40", 40, 0), ("42", 42, 0), ("43", 41, 3)];
    let expected: Vec<_> = expected.iter().map(|(r, i, n)| ((*r).to_owned(), image(*i), *n)).collect();
    assert_eq!(sets(&fixture).await, expected, "the old replica set came back under the next revision");
    assert_eq!(after["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "43");
}

#[tokio::test]
async fn a_rollout_that_cannot_succeed_stalls_and_says_so() {
    let fixture = start("service-health-check").await;
    fixture.change_api(json!({ "image": "registry.simulated/api:bad-image" })).await;
    fixture.pass(120);
    let stalled = fixture.get(API).await;
    assert_eq!(condition(&stalled, "Progressing")["reason"], "ReplicaSetUpdated");
    assert_eq!(stalled["status"]["availableReplicas"], 3, "the old pods keep serving");
    let broken: Vec<Value> =
        fixture.pods("app=api").await.into_iter().filter(|pod| pod["status"]["phase"] == "Pending").collect();
    assert_eq!(broken.len(), 1);
    assert_eq!(broken[0]["status"]["containerStatuses"][0]["state"]["waiting"]["reason"], "ImagePullBackOff");
    fixture.pass(700);
    let dead = fixture.get(API).await;
    assert_eq!(condition(&dead, "Progressing")["reason"], "ProgressDeadlineExceeded");
    assert_eq!(condition(&dead, "Progressing")["status"], "False");
}

#[tokio::test]
async fn dry_runs_are_validated_answered_and_forgotten() {
    let fixture = start("high-latency").await;
    let before = fixture.get(API).await;
    let dry = format!("{API}?dryRun=All");
    let (status, answer) = fixture.patch(&dry, &container(json!({ "image": image(41) }))).await;
    assert_eq!(
        (status, &answer["spec"]["template"]["spec"]["containers"][0]["image"]),
        (200, &json!(image(41)))
    );
    let (status, _) = fixture.patch(&dry, &json!({ "spec": { "replicas": -1 } })).await;
    assert_eq!(status, 422);
    let scale = format!("{API}/scale?dryRun=All");
    let (status, answer) =
        fixture.send(Method::PATCH, &scale, MERGE, &json!({ "spec": { "replicas": 8 } })).await;
    assert_eq!((status, &answer["spec"]["replicas"]), (200, &json!(8)));
    let made = json!({ "metadata": { "name": "new" }, "data": {} });
    let (status, _) = fixture.post("/api/v1/namespaces/production/configmaps?dryRun=All", &made).await;
    assert_eq!(status, 201);
    let (status, _) = fixture.send(Method::DELETE, &dry, "application/json", &Value::Null).await;
    assert_eq!(status, 200);
    fixture.pass(60);
    assert_eq!(fixture.get(API).await, before);
    let (status, body) = fixture.patch(&format!("{API}?dryRun=Some"), &json!({})).await;
    assert_eq!(status, 400, "{body}");
}

#[tokio::test]
async fn a_stale_version_conflicts_on_every_way_of_writing() {
    let fixture = start("high-latency").await;
    let seen = fixture.get(API).await;
    fixture.scale_api(4).await;
    let mut replaced = seen.clone();
    replaced["spec"]["replicas"] = json!(5);
    let version = &seen["metadata"]["resourceVersion"];
    let patch = json!({ "metadata": { "resourceVersion": version }, "spec": { "replicas": 5 } });
    let scale = json!({ "metadata": { "name": "api", "namespace": "production", "resourceVersion": version }, "spec": { "replicas": 5 } });
    let test = json!([{ "op": "replace", "path": "/metadata/resourceVersion", "value": version }]);
    let scale_path = format!("{API}/scale");
    for (method, path, media_type, body) in [
        (Method::PUT, API, "application/json", &replaced),
        (Method::PATCH, API, STRATEGIC, &patch),
        (Method::PATCH, API, MERGE, &patch),
        (Method::PATCH, API, JSON_PATCH, &test),
        (Method::PUT, scale_path.as_str(), "application/json", &scale),
        (Method::PATCH, scale_path.as_str(), MERGE, &scale),
    ] {
        let (status, answer) = fixture.send(method.clone(), path, media_type, body).await;
        assert_eq!(
            (status, answer["reason"].as_str()),
            (409, Some("Conflict")),
            "{method} {path} {media_type}"
        );
        assert!(answer["message"].as_str().unwrap().contains("the object has been modified"), "{answer}");
    }
    assert_eq!(fixture.get(API).await["spec"]["replicas"], 4);
    let mut fresh = fixture.get(API).await;
    fresh["spec"]["replicas"] = json!(5);
    let (status, _) = fixture.send(Method::PUT, API, "application/json", &fresh).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn status_changes_move_the_version_but_not_the_generation() {
    let fixture = start("service-health-check").await;
    fixture.scale_api(4).await;
    let early = fixture.get(API).await;
    fixture.pass(60);
    let late = fixture.get(API).await;
    assert_ne!(early["metadata"]["resourceVersion"], late["metadata"]["resourceVersion"]);
    assert_eq!(early["metadata"]["generation"], late["metadata"]["generation"]);
    let other = json!({ "data": { "a": "b" } });
    let (status, _) = fixture.patch("/api/v1/namespaces/production/configmaps/api-config", &other).await;
    assert_eq!(status, 200);
    assert_eq!(fixture.get(API).await["metadata"]["resourceVersion"], late["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn refusals_are_those_of_a_real_server() {
    let fixture = start("high-latency").await;
    let name_mismatch = json!({ "metadata": { "name": "other" } });
    for (method, path, media_type, body, status, reason) in [
        (
            Method::GET,
            "/apis/apps/v1/namespaces/production/deployments/none",
            "",
            Value::Null,
            404,
            "NotFound",
        ),
        (
            Method::GET,
            "/apis/apps/v1/namespaces/production/deployments/none/scale",
            "",
            Value::Null,
            404,
            "NotFound",
        ),
        (
            Method::POST,
            "/api/v1/namespaces/nowhere/configmaps",
            "",
            json!({ "metadata": { "name": "a" } }),
            404,
            "NotFound",
        ),
        (
            Method::POST,
            "/api/v1/namespaces/production/configmaps",
            "",
            json!({ "metadata": { "name": "api-config" } }),
            409,
            "AlreadyExists",
        ),
        (
            Method::POST,
            "/api/v1/namespaces/production/configmaps",
            "",
            json!({ "metadata": { "name": "No Name" } }),
            422,
            "Invalid",
        ),
        (
            Method::POST,
            "/api/v1/namespaces/production/configmaps",
            "",
            json!({ "metadata": {} }),
            422,
            "Invalid",
        ),
        (Method::POST, "/api/v1/namespaces/production/configmaps", "", json!("text"), 400, "BadRequest"),
        (
            Method::POST,
            "/api/v1/namespaces/production/configmaps",
            "text/html",
            json!({}),
            415,
            "UnsupportedMediaType",
        ),
        (
            Method::POST,
            "/api/v1/namespaces/production/pods",
            "",
            json!({ "metadata": { "name": "a" } }),
            405,
            "MethodNotAllowed",
        ),
        (Method::PATCH, API, MERGE, json!({ "spec": { "replicas": "three" } }), 400, "BadRequest"),
        (
            Method::PATCH,
            API,
            MERGE,
            json!({ "spec": { "selector": { "matchLabels": { "app": "x" } } } }),
            422,
            "Invalid",
        ),
        (Method::PATCH, API, "application/json", json!({}), 415, "UnsupportedMediaType"),
        (Method::PUT, API, "", name_mismatch, 400, "BadRequest"),
        (Method::GET, "/api/v1/pods?labelSelector=a%20b", "", Value::Null, 400, "BadRequest"),
        (Method::GET, "/api/v1/pods?fieldSelector=spec.x%3D1", "", Value::Null, 400, "BadRequest"),
        (
            Method::PATCH,
            "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/api",
            STRATEGIC,
            json!({}),
            415,
            "UnsupportedMediaType",
        ),
    ] {
        let media_type = if media_type.is_empty() { "application/json" } else { media_type };
        let (found, answer) = fixture.send(method.clone(), path, media_type, &body).await;
        assert_eq!(
            (found, answer["reason"].as_str()),
            (status, Some(reason)),
            "{method} {path} {body}: {answer}"
        );
        assert_eq!(
            (answer["kind"].as_str(), answer["code"].as_i64()),
            (Some("Status"), Some(i64::from(status)))
        );
    }
    let (_, invalid) = fixture.patch(API, &json!({ "spec": { "replicas": -1 } })).await;
    assert_eq!(
        invalid["message"],
        "Deployment.apps \"api\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0"
    );
    assert_eq!(invalid["details"]["causes"][0]["field"], "spec.replicas");
}

#[tokio::test]
async fn unknown_fields_are_warned_about_or_refused() {
    let fixture = start("service-health-check").await;
    let patch = container(json!({ "imagee": "x" }));
    let strict = format!("{API}?fieldValidation=Strict");
    let (status, answer) = fixture.patch(&strict, &patch).await;
    assert_eq!(status, 400);
    assert!(
        answer["message"]
            .as_str()
            .unwrap()
            .contains("unknown field \"spec.template.spec.containers[0].imagee\"")
    );
    let request =
        fixture.client.patch(format!("{}{API}", fixture.world.base_url())).header("content-type", STRATEGIC);
    let response = request.body(patch.to_string()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers()["warning"].to_str().unwrap().contains("imagee"));
}

#[tokio::test]
async fn server_side_apply_makes_objects_and_guards_ownership() {
    let fixture = start("service-health-check").await;
    let wanted = |limit: &str| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "limits" }, "data": { "limit": limit } });
    let by = |manager: &str, more: &str| format!("{CONFIG}?fieldManager={manager}{more}");
    let (status, _) = fixture.send(Method::PATCH, CONFIG, APPLY, &wanted("10")).await;
    assert_eq!(status, 422, "a field manager is needed");
    let (status, made) = fixture.send(Method::PATCH, &by("one", ""), APPLY, &wanted("10")).await;
    assert_eq!((status, &made["data"]["limit"]), (201, &json!("10")));
    let (status, again) = fixture.send(Method::PATCH, &by("one", ""), APPLY, &wanted("10")).await;
    assert_eq!((status, &again["metadata"]["resourceVersion"]), (200, &made["metadata"]["resourceVersion"]));
    let (status, refused) = fixture.send(Method::PATCH, &by("two", ""), APPLY, &wanted("20")).await;
    assert_eq!((status, refused["reason"].as_str()), (409, Some("Conflict")));
    let (status, forced) = fixture.send(Method::PATCH, &by("two", "&force=true"), APPLY, &wanted("20")).await;
    assert_eq!((status, &forced["data"]["limit"]), (200, &json!("20")));
    let replicas = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "api" }, "spec": { "replicas": 9 } });
    let (status, refused) =
        fixture.send(Method::PATCH, &format!("{API}?fieldManager=one"), APPLY, &replicas).await;
    assert_eq!(status, 409);
    assert!(refused["message"].as_str().unwrap().contains("simulated-deployer"), "{refused}");
    let (status, _) = fixture.send(Method::DELETE, CONFIG, "application/json", &Value::Null).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn an_eviction_respects_the_budget_and_a_deleted_pod_is_replaced() {
    let fixture = start("service-health-check").await;
    let path = |pod: &Value| {
        format!("/api/v1/namespaces/production/pods/{}", pod["metadata"]["name"].as_str().unwrap())
    };
    let pods = fixture.pods("app=api").await;
    let eviction = json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": "any" } });
    assert_eq!(fixture.post(&format!("{}/eviction", path(&pods[0])), &eviction).await.0, 201);
    let (status, refused) = fixture.post(&format!("{}/eviction", path(&pods[1])), &eviction).await;
    assert_eq!((status, refused["reason"].as_str()), (429, Some("TooManyRequests")));
    let (status, _) = fixture.send(Method::DELETE, &path(&pods[1]), "application/json", &Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(fixture.get(API).await["status"]["readyReplicas"], 1);
    fixture.pass(30);
    assert_eq!(fixture.get(API).await["status"]["readyReplicas"], 3);
    let names: Vec<Value> =
        fixture.pods("app=api").await.iter().map(|pod| pod["metadata"]["name"].clone()).collect();
    assert!(!names.contains(&pods[0]["metadata"]["name"]) && names.contains(&pods[2]["metadata"]["name"]));
}

#[tokio::test]
async fn a_quota_bounds_a_scale() {
    let fixture = start("service-health-check").await;
    fixture.scale_api(400).await;
    fixture.pass(60);
    let full = fixture.get(API).await;
    assert_eq!(full["status"]["replicas"], 55, "sixty pods less those of the others");
    assert_eq!(condition(&full, "ReplicaFailure")["reason"], "FailedCreate");
    let quota = fixture.get("/api/v1/namespaces/production/resourcequotas/production").await;
    assert_eq!(quota["status"]["used"]["pods"], "60");
    let path = "/api/v1/namespaces/production/events?fieldSelector=reason%3DFailedCreate";
    let events = fixture.get(path).await;
    assert!(events["items"][0]["message"].as_str().unwrap().contains("exceeded quota: production"));
    let (status, _) = fixture.patch(API, &json!({ "spec": { "replicas": 100_000 } })).await;
    assert_eq!(status, 422);
}

#[tokio::test]
async fn the_viewer_only_looks() {
    let fixture = start("high-latency").await;
    let review = |verb: &str| json!({ "spec": { "resourceAttributes": { "verb": verb, "group": "apps", "resource": "deployments" } } });
    let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    for (prefix, verb, allowed) in
        [("", "patch", true), ("", "get", true), ("/as/viewer", "patch", false), ("/as/viewer", "list", true)]
    {
        let (status, answer) = fixture.post(&format!("{prefix}{reviews}"), &review(verb)).await;
        assert_eq!((status, answer["status"]["allowed"].as_bool()), (201, Some(allowed)), "{prefix} {verb}");
    }
    let (status, answer) =
        fixture.patch(&format!("/as/viewer{API}"), &json!({ "spec": { "replicas": 9 } })).await;
    assert_eq!((status, answer["reason"].as_str()), (403, Some("Forbidden")));
    assert!(
        answer["message"]
            .as_str()
            .unwrap()
            .contains("cannot patch resource \"deployments\" in API group \"apps\"")
    );
    let url = format!("{}{API}", fixture.world.base_url());
    assert_eq!(fixture.client.get(&url).bearer_auth("wrong").send().await.unwrap().status(), 401);
    assert_eq!(fixture.client.get(&url).bearer_auth("simulated-viewer").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn pods_tell_their_trouble() {
    let fixture = start("service-unavailable").await;
    let pod = fixture.pods("app=api").await.remove(0);
    let status = &pod["status"]["containerStatuses"][0];
    assert_eq!(status["state"]["waiting"]["reason"], "CrashLoopBackOff");
    let before = status["restartCount"].as_i64().unwrap();
    assert!(before >= 5);
    fixture.pass(1_200);
    let later = fixture.pods("app=api").await.remove(0);
    assert!(later["status"]["containerStatuses"][0]["restartCount"].as_i64().unwrap() > before);
    let starved = start("service-health-check").await;
    let resources = json!({ "requests": { "memory": "64Mi" }, "limits": { "memory": "64Mi" } });
    starved.change_api(json!({ "resources": resources })).await;
    starved.pass(60);
    let killed = starved
        .pods("app=api")
        .await
        .into_iter()
        .find(|pod| pod["status"]["containerStatuses"][0]["ready"] == false);
    let state = &killed.unwrap()["status"]["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!((state["reason"].as_str(), state["exitCode"].as_i64()), (Some("OOMKilled"), Some(137)));
    let pending = start("service-unavailable-pending").await;
    let pod = pending.pods("app=api").await.remove(0);
    assert_eq!(pod["status"]["phase"], "Pending");
    assert_eq!(pod["status"]["conditions"][0]["reason"], "Unschedulable");
    assert_eq!(pod["status"]["conditions"][0]["message"], "0/4 nodes are available: 4 Insufficient memory.");
    let warnings = pending.get("/api/v1/namespaces/production/events?fieldSelector=type%3DWarning").await;
    assert_eq!(warnings["items"][0]["reason"], "FailedScheduling");
}

#[tokio::test]
async fn logs_repeat_themselves_and_obey_their_limits() {
    let fixture = start("high-latency").await;
    let pod = fixture.pods("app=api").await.remove(0);
    let path =
        format!("/api/v1/namespaces/production/pods/{}/log", pod["metadata"]["name"].as_str().unwrap());
    let all = fixture.get(&format!("{path}?timestamps=true")).await;
    let all: Vec<String> = all.as_str().unwrap().lines().map(str::to_owned).collect();
    assert!(all.len() > 300 && all.len() <= 2_001, "{}", all.len());
    assert!(all.iter().any(|line| line.contains("timed out waiting for lock")));
    assert!(all[0].contains("(simulated)") && all[0].contains(&image(42)));
    let last = fixture.get(&format!("{path}?tailLines=3&timestamps=true")).await;
    assert_eq!(last.as_str().unwrap().lines().collect::<Vec<_>>(), all[all.len() - 3..]);
    let recent = fixture.get(&format!("{path}?sinceSeconds=60")).await;
    assert!((28..=32).contains(&recent.as_str().unwrap().lines().count()));
    assert_eq!(fixture.get(&format!("{path}?limitBytes=10")).await.as_str().unwrap().len(), 10);
    for (query, told) in [("container=side", "container side is not valid"), ("previous=true", "not found")] {
        let (status, body) = fixture.send(Method::GET, &format!("{path}?{query}"), "", &Value::Null).await;
        assert_eq!(status, 400);
        assert!(body["message"].as_str().unwrap().contains(told), "{body}");
    }
}

#[tokio::test]
async fn lists_are_paged_and_tables_have_rows() {
    let fixture = start("service-health-check").await;
    let path = "/api/v1/namespaces/production/pods";
    let (mut names, mut next) = (Vec::new(), String::new());
    loop {
        let page = fixture.get(&format!("{path}?limit=3&continue={next}")).await;
        names.extend(page["items"].as_array().unwrap().iter().map(|pod| pod["metadata"]["name"].clone()));
        match page["metadata"]["continue"].as_str() {
            Some(token) => next = token.to_owned(),
            None => break,
        }
    }
    let whole: Vec<Value> = fixture.get(path).await["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["metadata"]["name"].clone())
        .collect();
    assert_eq!(names, whole);
    let url = format!("{}/apis/apps/v1/namespaces/production/deployments", fixture.world.base_url());
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let table: Value =
        fixture.client.get(url).header("accept", accept).send().await.unwrap().json().await.unwrap();
    assert_eq!(table["kind"], "Table");
    assert_eq!(table["rows"][0]["cells"][0], "api");
    assert_eq!(table["rows"][0]["cells"][1], "3/3");
}

#[tokio::test]
async fn policies_and_endpoints_follow_the_pods() {
    let fixture = start("service-health-check-degraded").await;
    let budget = fixture.get("/apis/policy/v1/namespaces/production/poddisruptionbudgets/api").await;
    assert_eq!(budget["status"]["currentHealthy"], 2);
    assert_eq!(budget["status"]["disruptionsAllowed"], 0);
    let scaler = fixture.get("/apis/autoscaling/v2/namespaces/production/horizontalpodautoscalers/api").await;
    assert_eq!(scaler["status"]["currentReplicas"], 3);
    let endpoints = fixture.get("/api/v1/namespaces/production/endpoints/api").await;
    assert_eq!(endpoints["subsets"][0]["addresses"].as_array().unwrap().len(), 2);
    assert_eq!(endpoints["subsets"][0]["notReadyAddresses"].as_array().unwrap().len(), 1);
    let slices = fixture.get("/apis/discovery.k8s.io/v1/namespaces/production/endpointslices?labelSelector=kubernetes.io/service-name%3Dapi").await;
    assert_eq!(slices["items"][0]["endpoints"].as_array().unwrap().len(), 3);
    let application = fixture.get("/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/api").await;
    assert_eq!(application["status"]["sync"]["status"], "Synced");
    assert_eq!(application["status"]["health"]["status"], "Degraded");
    assert_eq!(application["status"]["history"][1]["id"], 41);
    let metrics = fixture.get("/apis/metrics.k8s.io/v1beta1/namespaces/production/pods").await;
    assert_eq!(metrics["items"].as_array().unwrap().len(), 8);
}

/// Bodies that no client should send.
fn odd_bodies() -> Vec<Value> {
    let mut nested = json!(1);
    for _ in 0..100 {
        nested = json!({ "spec": nested });
    }
    vec![
        json!(null),
        json!([]),
        json!("text"),
        json!({}),
        nested,
        json!({ "metadata": "text" }),
        json!({ "metadata": [] }),
        json!({ "metadata": { "name": "api", "annotations": "text", "labels": 3 } }),
        json!({ "metadata": { "name": 7, "managedFields": "text" } }),
        json!({ "metadata": { "name": "odd", "managedFields": [{ "fieldsV1": { "k:x": 1, "": {} } }] } }),
        json!({ "metadata": { "name": "odd" }, "spec": "text", "data": 1, "status": [] }),
        json!({ "metadata": { "name": "odd" }, "spec": { "ports": [1], "selector": "x", "hard": [], "rules": 3 } }),
        json!({ "metadata": { "name": "odd" }, "spec": { "scaleTargetRef": 1, "minAvailable": "x%", "destination": 3 } }),
        json!({ "metadata": { "name": "odd" }, "spec": { "template": { "metadata": { "labels": [] } } } }),
        json!({ "spec": { "template": { "spec": { "containers": [{ "name": "api", "env": [{ "name": "A" }], "resources": { "limits": { "memory": "-1e99" } } }] } } } }),
        json!({ "spec": { "replicas": 1e300, "strategy": { "rollingUpdate": { "maxSurge": -5, "maxUnavailable": "abc" } } } }),
        json!({ "spec": { "replicas": 9_223_372_036_854_775_807_i64, "minReadySeconds": -1, "revisionHistoryLimit": -1 } }),
        json!([{ "op": "replace", "path": "/metadata", "value": "text" }]),
        json!([{ "op": "replace", "path": "/spec", "value": null }, { "op": "add", "path": "/status", "value": 1 }]),
        json!({ "spec": { "$patch": "delete" } }),
        json!({ "$setElementOrder/x": 1, "$retainKeys": [1], "$deleteFromPrimitiveList/y": {} }),
    ]
}

#[tokio::test]
async fn no_body_makes_the_world_fail() {
    let fixture = start("high-latency").await;
    let paths = [
        API.to_owned(),
        format!("{API}/scale"),
        "/apis/apps/v1/namespaces/production/deployments".into(),
        "/api/v1/namespaces/production/configmaps/odd?fieldManager=a".into(),
        "/api/v1/namespaces/production/services/api?fieldManager=a".into(),
        "/api/v1/namespaces/production/services".into(),
        "/api/v1/nodes/simulated-node-1".into(),
        "/api/v1/namespaces/production/resourcequotas/production".into(),
        "/apis/policy/v1/namespaces/production/poddisruptionbudgets".into(),
        "/apis/autoscaling/v2/namespaces/production/horizontalpodautoscalers/api".into(),
        "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/api?fieldManager=a&force=true".into(),
        "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications".into(),
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews".into(),
        "/api/v1/namespaces/production/pods".into(),
        "/flags/api/flags".into(),
        "/slack/api/chat.postMessage".into(),
    ];
    for body in odd_bodies() {
        for path in &paths {
            for (method, media_type) in [
                (Method::POST, "application/json"),
                (Method::PUT, "application/json"),
                (Method::PATCH, STRATEGIC),
                (Method::PATCH, MERGE),
                (Method::PATCH, JSON_PATCH),
                (Method::PATCH, APPLY),
            ] {
                let (status, answer) = fixture.send(method.clone(), path, media_type, &body).await;
                assert!(status < 500, "{method} {path} {media_type} {body}: {answer}");
            }
        }
    }
    fixture.pass(60);
    for path in [
        "/apis/apps/v1/deployments",
        "/apis/apps/v1/replicasets",
        "/api/v1/pods",
        "/api/v1/events",
        "/api/v1/services",
        "/api/v1/endpoints",
        "/api/v1/nodes",
        "/api/v1/limitranges",
        "/api/v1/resourcequotas",
        "/api/v1/configmaps",
        "/apis/policy/v1/poddisruptionbudgets",
        "/apis/autoscaling/v2/horizontalpodautoscalers",
        "/apis/argoproj.io/v1alpha1/applications",
        "/apis/discovery.k8s.io/v1/endpointslices",
        "/apis/metrics.k8s.io/v1beta1/pods",
        "/services/api/health",
        "/services/checkout",
        "/slack/messages",
    ] {
        let (status, answer) = fixture.send(Method::GET, path, "", &Value::Null).await;
        assert!(status < 500 || (path.starts_with("/services") && status == 503), "{path}: {answer}");
    }
}
