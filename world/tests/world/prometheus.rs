//! The query API: shapes of answers, what is evaluated, what is refused.

use serde_json::{Value, json};

use crate::support::{START, start};

#[tokio::test]
async fn expressions_have_the_values_that_prometheus_gives() {
    let fixture = start("service-health-check").await;
    for (query, expected) in [
        ("1 + 2 * 3 ^ 2", 19.0),
        ("-(2 - 5)", 3.0),
        ("7 % 4", 3.0),
        ("2 > bool 1", 1.0),
        ("count(up)", 2.0),
        ("sum(kube_deployment_spec_replicas)", 8.0),
        ("avg(kube_deployment_spec_replicas{deployment=~\"api|checkout\"})", 3.0),
        ("min(kube_deployment_spec_replicas)", 2.0),
        ("max without (deployment, namespace) (kube_deployment_spec_replicas)", 3.0),
        ("scalar(up{service=\"api\"}) + 1", 2.0),
        ("vector(4)", 4.0),
        ("absent(nothing{a=\"b\"})", 1.0),
        ("abs(vector(-2))", 2.0),
        ("clamp_min(vector(1), 3)", 3.0),
        ("clamp_max(vector(5), 3)", 3.0),
        ("sum(nothing) or vector(0)", 0.0),
        ("avg_over_time(request_error_ratio{service=\"api\"}[10m])", 0.0005),
        ("max_over_time(up{service=\"api\"}[1h])", 1.0),
        ("min_over_time(up{service=\"api\"}[1h])", 1.0),
        ("quantile_over_time(0.5, up{service=\"api\"}[1h])", 1.0),
        ("up{service=\"api\"} == on(service) up{service=\"api\"}", 1.0),
        (
            "sum(http_requests_expected) by (service) / ignoring(x) sum(http_requests_expected) by (service)",
            1.0,
        ),
        ("count(up > 0 and on(service) request_error_ratio < 0.00045)", 1.0),
        ("count(up unless on(service) request_error_ratio < 0.00045)", 1.0),
    ] {
        let found = fixture.value(query).await;
        assert!((found - expected).abs() < 1e-9, "{query}: {found}");
    }
    let increase = fixture.value("sum(increase(http_requests_total{service=\"api\"}[10m]))").await;
    assert!((69_000.0..75_000.0).contains(&increase), "{increase}");
    let instant = fixture.value("sum(irate(http_requests_total{service=\"api\"}[5m]))").await;
    assert!((115.0..125.0).contains(&instant), "{instant}");
}

#[tokio::test]
async fn empty_results_and_filters() {
    let fixture = start("service-health-check").await;
    for query in ["nothing", "up == 0", "absent(up)", "request_error_ratio > 0.5", "up{service=\"worker\"}"] {
        let (status, body) = fixture.query(query).await;
        assert_eq!((status, &body["data"]["result"]), (200, &json!([])), "{query}");
    }
}

#[tokio::test]
async fn what_is_not_evaluated_is_refused_in_the_apis_own_words() {
    let fixture = start("service-health-check").await;
    let long = "1+".repeat(3_000) + "1";
    let deep = format!("{}1{}", "(".repeat(500), ")".repeat(500));
    for (query, status, kind, told) in [
        ("rate(up[5m]", 400, "bad_data", "invalid parameter \"query\""),
        ("", 400, "bad_data", "invalid parameter \"query\""),
        ("topk(2, up)", 400, "bad_data", "the simulated Prometheus does not evaluate the aggregation `topk`"),
        ("predict_linear(up[5m], 60)", 400, "bad_data", "does not evaluate the function predict_linear()"),
        ("max_over_time(rate(up[1m])[5m:1m])", 400, "bad_data", "does not evaluate subqueries"),
        ("up @ 0", 400, "bad_data", "does not evaluate the @ modifier"),
        ("up * on(job) group_left() up", 400, "bad_data", "does not evaluate group_left"),
        ("up + on(namespace) request_error_ratio", 422, "execution", "many-to-many matching not allowed"),
        (long.as_str(), 400, "bad_data", "longer than"),
        (deep.as_str(), 400, "bad_data", "nested too deeply"),
    ] {
        let (found, body) = fixture.query(query).await;
        assert_eq!((found, body["status"].as_str()), (status, Some("error")), "{query}: {body}");
        assert_eq!(body["errorType"], kind, "{query}");
        assert!(body["error"].as_str().unwrap().contains(told), "{query}: {}", body["error"]);
    }
}

#[tokio::test]
async fn a_range_query_shows_the_beginning_of_the_incident() {
    let fixture = start("high-latency").await;
    let url = format!("{}/api/v1/query_range", fixture.world.prometheus_url());
    let query = [
        ("query", "request_latency_p95_seconds{service=\"api\"}"),
        ("start", "2026-11-21T09:30:00Z"),
        ("end", START),
        ("step", "1m"),
    ];
    // Both ways of sending are the same query.
    let by_get: Value = fixture.client.get(&url).query(&query).send().await.unwrap().json().await.unwrap();
    let by_post: Value = fixture.client.post(&url).form(&query).send().await.unwrap().json().await.unwrap();
    assert_eq!(by_get, by_post);
    assert_eq!(by_get["data"]["resultType"], "matrix");
    let points = by_get["data"]["result"][0]["values"].as_array().unwrap();
    assert_eq!(points.len(), 31);
    let at = |minute: usize| points[minute][1].as_str().unwrap().parse::<f64>().unwrap();
    assert!(at(11) < 0.2 && at(12) > 7.0 && at(30) > 7.0);
}

#[tokio::test]
async fn range_queries_are_bounded() {
    let fixture = start("service-health-check").await;
    let url = format!("{}/api/v1/query_range", fixture.world.prometheus_url());
    for (start, end, step, told) in [
        ("0", "100000", "1", "exceeded maximum resolution"),
        ("10", "0", "1", "end timestamp must not be before start time"),
        ("0", "10", "0", "zero or negative query resolution step"),
        ("0", "10", "soon", "zero or negative query resolution step"),
        ("yesterday", "10", "1", "cannot parse"),
        ("NaN", "10", "1", "cannot parse"),
        ("0", "1e300", "1", "cannot parse"),
    ] {
        let query = [("query", "up"), ("start", start), ("end", end), ("step", step)];
        let response = fixture.client.get(&url).query(&query).send().await.unwrap();
        assert_eq!(response.status(), 400);
        let body: Value = response.json().await.unwrap();
        assert!(body["error"].as_str().unwrap().contains(told), "{body}");
    }
    let heavy = [
        ("query", "quantile_over_time(0.9, http_request_duration_seconds_bucket[6d])"),
        ("start", "2026-11-21T00:00:00Z"),
        ("end", START),
        ("step", "10"),
    ];
    let response = fixture.client.get(&url).query(&heavy).send().await.unwrap();
    assert_eq!(response.status(), 422);
}

#[tokio::test]
async fn a_range_selector_alone_is_a_matrix_and_labels_are_listed() {
    let fixture = start("service-health-check").await;
    let (_, body) = fixture.query("up{service=\"api\"}[1m]").await;
    assert_eq!(body["data"]["resultType"], "matrix");
    assert_eq!(body["data"]["result"][0]["values"].as_array().unwrap().len(), 5);
    let names = fixture.get("/prometheus/api/v1/label/__name__/values").await;
    assert!(names["data"].as_array().unwrap().contains(&json!("http_requests_total")));
    let services = fixture.get("/prometheus/api/v1/label/service/values").await;
    assert_eq!(services["data"], json!(["api", "checkout"]));
    assert!(fixture.get("/prometheus/-/ready").await.as_str().unwrap().contains("simulated"));
}
