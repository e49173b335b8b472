//! Health pages, flags in three shapes, chat, and what is counted as a write.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Fixture, start};

async fn flags(fixture: &Fixture, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let url = format!("{}{path}", fixture.world.flags_url());
    let request = fixture.client.request(method, url).header("authorization", fixture.world.flags_token());
    let response = request.json(body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn flags_are_switched_in_every_shape() {
    let fixture = start("service-health-check").await;
    let unleash = "/api/admin/projects/default/features/heavy-search";
    let switch = format!("{unleash}/environments/production");
    for (method, path, body, status, enabled) in [
        (Method::GET, "/api/flags/heavy-search".to_owned(), Value::Null, 200, true),
        (Method::POST, "/api/flags/heavy-search/disable".to_owned(), Value::Null, 200, false),
        (Method::POST, "/api/flags/heavy-search/enable".to_owned(), Value::Null, 200, true),
        (Method::PATCH, "/api/flags".to_owned(), json!({ "heavy-search": false }), 200, false),
        (
            Method::POST,
            "/api/flags".to_owned(),
            json!({ "heavy-search": true, "new-recommendations": true }),
            200,
            true,
        ),
        (Method::POST, format!("{switch}/off"), Value::Null, 200, false),
        (Method::POST, format!("{switch}/on"), Value::Null, 200, true),
        (Method::POST, "/api/flags/no-such-flag/disable".to_owned(), Value::Null, 404, true),
        (
            Method::PATCH,
            "/api/flags".to_owned(),
            json!({ "heavy-search": false, "no-such-flag": false }),
            404,
            true,
        ),
        (Method::PATCH, "/api/flags".to_owned(), json!({ "heavy-search": "off" }), 400, true),
        (Method::PATCH, "/api/flags".to_owned(), json!(["heavy-search"]), 400, true),
    ] {
        let (found, answer) = flags(&fixture, method, &path, &body).await;
        assert_eq!(found, status, "{path} {answer}");
        let (_, one) = flags(&fixture, Method::GET, "/api/flags/heavy-search", &Value::Null).await;
        assert_eq!(one, json!({ "name": "heavy-search", "enabled": enabled }), "after {path} {body}");
        let (_, all) = flags(&fixture, Method::GET, "/api/flags", &Value::Null).await;
        assert_eq!(all["heavy-search"], enabled);
        let (_, feature) = flags(&fixture, Method::GET, unleash, &Value::Null).await;
        let production =
            feature["environments"].as_array().unwrap().iter().find(|e| e["name"] == "production");
        assert_eq!(production.unwrap()["enabled"], enabled);
    }
}

#[tokio::test]
async fn flags_need_their_token() {
    let fixture = start("service-health-check").await;
    let url = format!("{}/api/flags/heavy-search/disable", fixture.world.flags_url());
    assert_eq!(fixture.client.post(&url).send().await.unwrap().status(), 401);
    assert_eq!(fixture.client.post(&url).bearer_auth("wrong").send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn health_follows_the_model() {
    for (scenario, code, status) in [
        ("service-health-check", 200, "ok"),
        ("high-latency", 200, "degraded"),
        ("service-health-check-degraded", 200, "degraded"),
        ("service-unavailable", 503, "unavailable"),
        ("service-unavailable-healthy", 503, "unavailable"),
    ] {
        let fixture = start(scenario).await;
        let response =
            fixture.client.get(format!("{}/api/health", fixture.world.services_url())).send().await.unwrap();
        assert_eq!(response.headers()["x-simulated"], "true");
        assert_eq!(response.status(), code, "{scenario}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["status"], status, "{scenario}");
        assert_eq!(body["reasons"].as_array().unwrap().is_empty(), status == "ok", "{scenario}: {body}");
    }
}

#[tokio::test]
async fn messages_are_kept() {
    let fixture = start("service-health-check").await;
    let url = format!("{}/chat.postMessage", fixture.world.slack_url());
    let message = json!({ "channel": "#incidents", "text": "declared", "blocks": [{ "type": "divider" }] });
    let refused: Value = fixture.client.post(&url).json(&message).send().await.unwrap().json().await.unwrap();
    assert_eq!(refused, json!({ "ok": false, "error": "not_authed" }));
    let posted: Value = fixture
        .client
        .post(&url)
        .bearer_auth("xoxb-test")
        .json(&message)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(posted["ok"], true);
    for (body, error) in
        [(json!({ "text": "x" }), "channel_not_found"), (json!({ "channel": "#x" }), "no_text")]
    {
        let answer: Value = fixture
            .client
            .post(&url)
            .bearer_auth("xoxb-test")
            .json(&body)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(answer["error"], error);
    }
    let messages = fixture.get("/slack/messages").await["messages"].clone();
    assert_eq!(messages.as_array().unwrap().len(), 1);
    assert_eq!(messages[0]["text"], "declared");
    assert_eq!(messages[0]["ts"], posted["ts"]);
}

#[tokio::test]
async fn writes_are_counted_as_they_arrive() {
    let fixture = start("high-latency").await;
    let api = crate::support::API;
    let dry = format!("{api}?dryRun=All");
    let review = json!({ "spec": { "resourceAttributes": { "verb": "patch", "resource": "deployments" } } });
    fixture.get(api).await;
    fixture.query("up").await;
    fixture.patch(&dry, &json!({ "spec": { "replicas": 9 } })).await;
    fixture.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &review).await;
    let config_map = "/api/v1/namespaces/production/configmaps/api-config";
    fixture.send(Method::DELETE, config_map, "application/json", &json!({ "dryRun": ["All"] })).await;
    let url = format!("{}/api/v1/query", fixture.world.prometheus_url());
    fixture.client.post(url).form(&[("query", "up")]).send().await.unwrap();
    assert_eq!(fixture.world.writes(), 0);
    assert_eq!(fixture.get(api).await["spec"]["replicas"], 3);
    fixture.get(config_map).await;
    fixture.scale_api(4).await;
    fixture.patch("/apis/apps/v1/namespaces/production/deployments/none", &json!({})).await;
    fixture.flag("heavy-search", false).await;
    assert_eq!(fixture.world.writes(), 3, "also those that were refused");
}

#[tokio::test]
async fn bodies_are_bounded() {
    let fixture = start("service-health-check").await;
    let huge = Value::String("x".repeat(1_100_000));
    let (status, body) = fixture.post("/api/v1/namespaces/production/configmaps", &huge).await;
    assert_eq!((status, body["reason"].as_str()), (413, Some("RequestEntityTooLarge")));
}
