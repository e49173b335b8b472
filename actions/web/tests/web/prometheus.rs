//! `prometheus.query`, against answers as Prometheus gives them and against Prometheus itself.

use std::sync::Arc;

use runbook_contract::Action;
use runbook_core::{
    Value,
    change::Observed,
    fault::{Fault, FaultKind},
};
use serde_json::json;
use wiremock::{Mock, MockServer, matchers};

use crate::scenario::{answers, counterpart, cx, json as ok, named, reading, seconds, status};

fn query_of(config: Value) -> Arc<dyn Action> {
    named(
        runbook_web::prometheus::actions(&serde_json::from_value(config).unwrap(), &reading()),
        "prometheus.query",
    )
}

async fn ask(result: Value, input: Value) -> Result<Observed, Fault> {
    let server = MockServer::start().await;
    answers(&server, "GET", "/api/v1/query", ok(json!({"status": "success", "data": result}))).await;
    query_of(json!({"url": server.uri()})).observe(&cx(), &input).await
}

fn vector(numbers: &[&str]) -> Value {
    let series =
        |(i, number): (usize, &&str)| json!({"metric": {"pod": format!("p{i}")}, "value": [1.0, number]});
    json!({"resultType": "vector", "result": numbers.iter().enumerate().map(series).collect::<Vec<_>>()})
}

#[tokio::test]
async fn results_come_to_numbers() {
    for (result, value, series, max) in [
        (json!({"resultType": "scalar", "result": [1.0, "0.25"]}), Some(0.25), 1, 0.25),
        (vector(&["0.5"]), Some(0.5), 1, 0.5),
        (vector(&["1", "3", "2"]), None, 3, 3.0),
        (vector(&["NaN", "3"]), Some(3.0), 1, 3.0),
        (vector(&["+Inf"]), Some(f64::MAX), 1, f64::MAX),
        (vector(&["-Inf", "+Inf"]), None, 2, f64::MAX),
    ] {
        let seen = ask(result.clone(), json!({"query": "x"})).await.unwrap();
        assert_eq!(seen.outputs.get("value").and_then(Value::as_f64), value, "{result}");
        assert_eq!(seen.outputs["series"], series, "{result}");
        assert_eq!(seen.outputs["max"], max, "{result}");
        assert!(seen.target.is_none());
    }
    let several = ask(vector(&["1", "3", "2"]), json!({"query": "x"})).await.unwrap();
    assert_eq!((&several.outputs["min"], &several.outputs["avg"]), (&json!(1.0), &json!(2.0)));
    assert_eq!(several.outputs["samples"][1], json!({"labels": {"pod": "p1"}, "value": 3.0}));
    assert!(several.warnings[0].contains("3 series"), "{:?}", several.warnings);
}

#[tokio::test]
async fn no_data_is_an_error_unless_it_is_said_what_it_means() {
    for result in [vector(&[]), vector(&["NaN"]), json!({"resultType": "matrix", "result": []})] {
        let fault = ask(result.clone(), json!({"query": "x"})).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::NotFound, "{result}");
        assert!(fault.message.starts_with("query returned no data") && fault.hint.is_some(), "{fault}");
        let seen = ask(result, json!({"query": "x", "default": 0})).await.unwrap();
        assert_eq!(seen.outputs["value"], 0.0);
        assert_eq!(seen.outputs["series"], 0);
        assert_eq!(seen.outputs["samples"], json!([]));
    }
}

#[tokio::test]
async fn infinity_is_above_every_limit_and_no_default_hides_it() {
    let seen = ask(vector(&["+Inf"]), json!({"query": "x", "default": 0})).await.unwrap();
    assert_eq!(seen.outputs["value"], f64::MAX);
    assert!(seen.warnings[0].contains("infinite"), "{:?}", seen.warnings);
}

#[tokio::test]
async fn outputs_are_bounded() {
    let numbers: Vec<&str> = std::iter::repeat_n("1", 500).collect();
    let seen = ask(vector(&numbers), json!({"query": "x"})).await.unwrap();
    assert_eq!(seen.outputs["series"], 500);
    assert_eq!(seen.outputs["samples"].as_array().unwrap().len(), 50);
    let server = MockServer::start().await;
    answers(&server, "GET", "/api/v1/query", status(200).set_body_string(" ".repeat(2_000_000))).await;
    let fault =
        query_of(json!({"url": server.uri()})).observe(&cx(), &json!({"query": "x"})).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Permanent, "{fault}");
    assert!(fault.message.contains("more than 1 MiB"), "{fault}");
    let fault = ask(vector(&[]), json!({"query": "x".repeat(7000)})).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Permanent, "{fault}");
}

#[tokio::test]
async fn ranges_are_asked_back_from_now_in_the_environments_time() {
    for (speed, start, step) in [(1, "1795229100.000", "30"), (60, "1795229985.000", "0.5")] {
        let server = MockServer::start().await;
        let points = json!([[1, "1"], [2, "NaN"], [3, "5"], [4, "3"]]);
        Mock::given(matchers::path("/prom/api/v1/query_range"))
            .and(matchers::query_param("query", "up{job=\"a b\"}"))
            .and(matchers::query_param("start", start))
            .and(matchers::query_param("end", "1795230000.000"))
            .and(matchers::query_param("step", step))
            .respond_with(ok(json!({"status": "success", "data": {"resultType": "matrix",
                "result": [{"metric": {}, "values": points}]}})))
            .mount(&server)
            .await;
        let action = query_of(json!({"url": format!("{}/prom", server.uri())}));
        let cx = runbook_contract::Cx { speed, ..cx() };
        let input = json!({"query": "up{job=\"a b\"}", "range": {"since": "15m", "step": "30s"}});
        let outputs = action.observe(&cx, &input).await.unwrap().outputs;
        for (name, number) in [("min", 1.0), ("max", 5.0), ("avg", 3.0), ("last", 3.0), ("value", 3.0)] {
            assert_eq!(outputs[name], number, "{name}");
        }
    }
    for range in [json!({"since": "1m", "step": "0s"}), json!({"since": "1s", "step": "1m"})] {
        let fault = ask(vector(&[]), json!({"query": "x", "range": range})).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Permanent, "{fault}");
    }
}

#[tokio::test]
async fn errors_of_the_api_are_told_apart() {
    let error = |code: u16, kind: &str, text: &str| {
        status(code).set_body_json(json!({"status": "error", "errorType": kind, "error": text}))
    };
    for (answer, kind, text) in [
        (
            error(400, "bad_data", "invalid parameter \"query\": 1:4: parse error: unexpected <op:>>"),
            FaultKind::Permanent,
            "parse error: unexpected <op:>> at line 1, character 4, before `> > 1`",
        ),
        (error(422, "execution", "many-to-many matching not allowed"), FaultKind::Permanent, "many-to-many"),
        (error(503, "timeout", "query timed out"), FaultKind::Unreachable, "gave the query up"),
        (error(500, "internal", "boom"), FaultKind::Unreachable, "boom"),
        (status(401), FaultKind::Forbidden, "401"),
        (status(404), FaultKind::NotFound, "404"),
        (status(502), FaultKind::Unreachable, "502"),
        (status(200).set_body_string("<html>login</html>"), FaultKind::Permanent, "not JSON"),
        (ok(json!({"hello": 1})), FaultKind::Permanent, "not one of the Prometheus query API"),
        (
            ok(json!({"status": "success", "data": {"resultType": "string", "result": [1, "x"]}})),
            FaultKind::Permanent,
            "a text",
        ),
    ] {
        let server = MockServer::start().await;
        answers(&server, "GET", "/api/v1/query", answer).await;
        let fault = query_of(json!({"url": server.uri()}))
            .observe(&cx(), &json!({"query": "up > > 1"}))
            .await
            .unwrap_err();
        assert_eq!(fault.kind, kind, "{fault}");
        assert!(fault.message.contains(text), "{fault}");
    }
}

#[tokio::test]
async fn warnings_of_prometheus_are_passed_on() {
    let server = MockServer::start().await;
    let body = json!({"status": "success", "data": vector(&["1"]), "warnings": ["one store is down"]});
    answers(&server, "GET", "/api/v1/query", ok(body)).await;
    let seen = query_of(json!({"url": server.uri()})).observe(&cx(), &json!({"query": "x"})).await.unwrap();
    assert_eq!(seen.warnings, ["one store is down"]);
}

#[tokio::test]
async fn credentials_are_sent_and_never_shown() {
    let server = MockServer::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "s3cret-token\n").unwrap();
    let source = json!({"file": file.path()});
    for (config, expected) in [
        (json!({"token": source}), "Bearer s3cret-token"),
        (json!({"basic": {"username": "me", "password": source}}), "Basic bWU6czNjcmV0LXRva2Vu"),
    ] {
        let mut config = config;
        config["url"] = json!(server.uri());
        Mock::given(matchers::header("authorization", expected))
            .respond_with(status(500).set_body_string(format!("{expected} is wrong")))
            .mount(&server)
            .await;
        let fault = query_of(config).observe(&cx(), &json!({"query": "x"})).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unreachable, "{fault}");
        assert!(fault.message.contains("***") && !fault.message.contains("s3cret"), "{fault}");
    }
    let both = json!({"url": server.uri(), "token": source, "basic": {"username": "me", "password": source}});
    let unset = json!({"url": server.uri(), "token": {"env": "RUNBOOK_WEB_TEST_NOT_SET"}});
    for (config, text) in [(both, "both"), (unset, "RUNBOOK_WEB_TEST_NOT_SET")] {
        let fault = query_of(config).observe(&cx(), &json!({"query": "x"})).await.unwrap_err();
        assert!(fault.kind == FaultKind::Permanent && fault.message.contains(text), "{fault}");
    }
}

#[tokio::test]
async fn preflight_asks_the_query_and_takes_no_data_for_an_answer() {
    let server = MockServer::start().await;
    answers(&server, "GET", "/api/v1/query", ok(json!({"status": "success", "data": vector(&[])}))).await;
    let action = query_of(json!({"url": server.uri()}));
    assert_eq!(action.preflight(&cx(), &json!({"query": "x"})).await.unwrap(), []);
    let elsewhere = query_of(json!({"url": format!("{}/wrong", server.uri())}));
    let found = elsewhere.preflight(&cx(), &json!({"query": "x"})).await.unwrap();
    assert_eq!((found.len(), found[0].code.as_str()), (1, "missing"));
}

#[tokio::test]
async fn the_real_prometheus_answers() {
    let Some(url) = counterpart("RUNBOOK_TEST_PROMETHEUS") else { return };
    let action = query_of(json!({ "url": url }));
    let cx = runbook_contract::Cx { now: jiff::Timestamp::now(), timeout: seconds(10), ..cx() };
    let ask = async |input: Value| action.observe(&cx, &input).await;
    assert_eq!(ask(json!({"query": "scalar(vector(2)) * 3"})).await.unwrap().outputs["value"], 6.0);
    assert_eq!(ask(json!({"query": "vector(0.25)"})).await.unwrap().outputs["value"], 0.25);
    assert_eq!(ask(json!({"query": "vector(1)/0"})).await.unwrap().outputs["value"], f64::MAX);
    assert!(ask(json!({"query": "up"})).await.unwrap().outputs["series"].as_u64().unwrap() >= 1);
    let range = json!({"query": "vector(1)", "range": {"since": "1m", "step": "15s"}});
    assert_eq!(ask(range).await.unwrap().outputs["avg"], 1.0);
    let at = json!({"query": "time()", "time": "2026-01-01T00:00:00Z"});
    assert_eq!(ask(at).await.unwrap().outputs["value"], 1_767_225_600.0);
    for query in ["vector(0)/0", "no_such_metric"] {
        assert_eq!(ask(json!({"query": query})).await.unwrap_err().kind, FaultKind::NotFound, "{query}");
        assert_eq!(
            ask(json!({"query": query, "default": 1})).await.unwrap().outputs["value"],
            1.0,
            "{query}"
        );
    }
    let fault = ask(json!({"query": "sum(rate(up[5m]) > > 1)"})).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Permanent);
    assert!(fault.message.contains("line 1, character 20, before `> 1)`"), "{fault}");
    let fault = ask(
        json!({"query": "up{a=~\"\"} * on(job) group_left vector(1) or label_replace(up,\"a\",\"b\",\"c\",\"(\")"}),
    );
    assert_eq!(fault.await.unwrap_err().kind, FaultKind::Permanent);
}
