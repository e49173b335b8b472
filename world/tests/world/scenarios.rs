//! What every scenario promises: how bad it is, what cures it, and what does not help.

use serde_json::json;

use crate::support::{Fixture, image, start};

const P95: &str = "request_latency_p95_seconds{service=\"api\"}";
const ERRORS: &str = "request_error_ratio{service=\"api\"}";
const READY: &str = "kube_deployment_status_replicas_ready{deployment=\"api\"}";

#[derive(Clone, Copy, Debug)]
enum Act {
    Nothing,
    RollBackTo(u32),
    Scale(u32),
    Restart,
    FlagOff(&'static str),
    Env(&'static str, &'static str),
    Memory(&'static str),
    FailOver(&'static str),
    Point(&'static str),
}

async fn act(fixture: &Fixture, act: Act) {
    match act {
        Act::Nothing => {}
        Act::RollBackTo(minor) => fixture.change_api(json!({ "image": image(minor) })).await,
        Act::Scale(replicas) => fixture.scale_api(replicas).await,
        Act::Restart => fixture.restart_api().await,
        Act::FlagOff(flag) => fixture.flag(flag, false).await,
        Act::Env(name, value) => {
            fixture.change_api(json!({ "env": [{ "name": name, "value": value }] })).await
        }
        Act::FailOver(cluster) => {
            let form = [("Action", "FailoverDBCluster"), ("DBClusterIdentifier", cluster)];
            assert_eq!(fixture.aws_form(&form).await.0, 200);
        }
        Act::Point(value) => {
            let (status, body) = fixture.upsert("api.simulated.example", value).await;
            assert_eq!(status, 200, "{body}");
        }
        Act::Memory(size) => {
            let resources = json!({ "requests": { "memory": size }, "limits": { "memory": size } });
            fixture.change_api(json!({ "resources": resources })).await;
        }
    }
}

/// Scenario, what is done, and then: least and most p95, least and most error ratio, ready pods.
type Case = (&'static str, Act, [f64; 2], [f64; 2], f64);

const REST_P95: [f64; 2] = [0.17, 0.19];
const REST_ERRORS: [f64; 2] = [0.0004, 0.0006];

const CASES: &[Case] = &[
    ("high-latency", Act::Nothing, [7.5, 8.5], [0.055, 0.065], 3.0),
    ("high-latency", Act::RollBackTo(41), REST_P95, REST_ERRORS, 3.0),
    ("high-latency", Act::RollBackTo(40), REST_P95, REST_ERRORS, 3.0),
    ("high-latency", Act::Scale(10), [1.5, 2.5], [0.055, 0.065], 10.0),
    ("high-latency", Act::Restart, [7.5, 8.5], [0.055, 0.065], 3.0),
    ("high-latency-load", Act::Nothing, [4.0, 8.0], [0.04, 0.07], 3.0),
    ("high-latency-load", Act::RollBackTo(40), [4.0, 8.0], [0.04, 0.07], 3.0),
    ("high-latency-load", Act::Scale(10), REST_P95, REST_ERRORS, 10.0),
    ("high-error-rate", Act::Nothing, REST_P95, [0.115, 0.125], 3.0),
    ("high-error-rate", Act::RollBackTo(41), REST_P95, REST_ERRORS, 3.0),
    ("high-error-rate-dependency", Act::Nothing, [0.5, 0.7], [0.085, 0.095], 3.0),
    ("high-error-rate-dependency", Act::RollBackTo(41), [0.5, 0.7], [0.085, 0.095], 3.0),
    ("high-error-rate-dependency", Act::FlagOff("heavy-search"), [0.5, 0.7], [0.085, 0.095], 3.0),
    ("high-error-rate-dependency", Act::FlagOff("new-recommendations"), REST_P95, REST_ERRORS, 3.0),
    ("service-unavailable", Act::Nothing, [0.0, 0.1], [1.0, 1.0], 0.0),
    ("service-unavailable", Act::Restart, [0.0, 0.1], [1.0, 1.0], 0.0),
    ("service-unavailable", Act::RollBackTo(41), REST_P95, REST_ERRORS, 3.0),
    (
        "service-unavailable",
        Act::Env("SESSION_STORE_URL", "redis://sessions.simulated:6379"),
        REST_P95,
        REST_ERRORS,
        3.0,
    ),
    ("service-unavailable-pending", Act::Nothing, [0.0, 0.1], [1.0, 1.0], 0.0),
    ("service-unavailable-pending", Act::RollBackTo(40), [0.0, 0.1], [1.0, 1.0], 0.0),
    ("service-unavailable-pending", Act::Memory("4Gi"), REST_P95, REST_ERRORS, 3.0),
    ("service-unavailable-pending", Act::Memory("1Gi"), [0.0, 0.1], [1.0, 1.0], 0.0),
    ("service-unavailable-healthy", Act::Nothing, REST_P95, [0.96, 0.98], 3.0),
    ("service-unavailable-healthy", Act::Restart, REST_P95, REST_ERRORS, 3.0),
    ("bad-deploy-rollback", Act::Nothing, [0.9, 1.5], [0.32, 0.34], 3.0),
    ("bad-deploy-rollback", Act::RollBackTo(41), REST_P95, REST_ERRORS, 3.0),
    ("bad-deploy-rollback-two", Act::Nothing, [1.0, 1.6], [0.14, 0.16], 3.0),
    ("bad-deploy-rollback-two", Act::RollBackTo(41), [1.0, 1.6], [0.14, 0.16], 3.0),
    ("bad-deploy-rollback-two", Act::RollBackTo(40), REST_P95, REST_ERRORS, 3.0),
    ("bad-deploy-rollback-two", Act::FlagOff("heavy-search"), REST_P95, REST_ERRORS, 3.0),
    ("service-health-check", Act::Nothing, REST_P95, REST_ERRORS, 3.0),
    ("service-health-check-degraded", Act::Nothing, [0.2, 0.9], [0.025, 0.035], 2.0),
    ("service-health-check-degraded", Act::Restart, REST_P95, REST_ERRORS, 3.0),
    ("after-rollback", Act::Nothing, REST_P95, REST_ERRORS, 3.0),
    ("after-rollback-relapse", Act::Nothing, REST_P95, [0.019, 0.022], 3.0),
    ("after-rollback-relapse", Act::RollBackTo(40), REST_P95, REST_ERRORS, 3.0),
    ("after-rollback-relapse", Act::Restart, REST_P95, REST_ERRORS, 3.0),
    ("database-unavailable", Act::Nothing, [4.5, 5.5], [0.61, 0.63], 3.0),
    ("database-unavailable", Act::Restart, [4.5, 5.5], [0.61, 0.63], 3.0),
    ("database-unavailable", Act::FailOver("orders"), REST_P95, REST_ERRORS, 3.0),
    ("database-unavailable-stale", Act::Nothing, [4.5, 5.5], [0.59, 0.61], 3.0),
    ("database-unavailable-stale", Act::Restart, [4.5, 5.5], [0.39, 0.41], 3.0),
    ("database-unavailable-stale", Act::FailOver("orders"), REST_P95, [0.19, 0.21], 3.0),
    ("region-failover", Act::Nothing, REST_P95, [0.49, 0.51], 3.0),
    ("region-failover", Act::Scale(10), REST_P95, [0.49, 0.51], 10.0),
    ("region-failover", Act::Point("api.eu-central-1.simulated.example"), REST_P95, REST_ERRORS, 3.0),
    ("region-failover-small", Act::Nothing, REST_P95, [0.49, 0.51], 3.0),
    ("region-failover-small", Act::Scale(10), REST_P95, [0.49, 0.51], 10.0),
    (
        "region-failover-small",
        Act::Point("api.eu-central-1.simulated.example"),
        [4.0, 8.0],
        [0.04, 0.07],
        3.0,
    ),
    ("third-party-down", Act::Nothing, [1.0, 1.2], [0.135, 0.145], 3.0),
    ("third-party-down", Act::Restart, [1.0, 1.2], [0.135, 0.145], 3.0),
    ("third-party-down", Act::Env("PAYMENT_PROVIDER", "fallback"), REST_P95, REST_ERRORS, 3.0),
    ("third-party-down", Act::FlagOff("card-payments"), REST_P95, REST_ERRORS, 3.0),
    ("third-party-down-both", Act::Nothing, [1.0, 1.2], [0.135, 0.145], 3.0),
    ("third-party-down-both", Act::Env("PAYMENT_PROVIDER", "fallback"), [1.0, 1.2], [0.135, 0.145], 3.0),
    ("third-party-down-both", Act::FlagOff("card-payments"), REST_P95, REST_ERRORS, 3.0),
    ("traffic-drop", Act::Nothing, REST_P95, REST_ERRORS, 3.0),
    ("traffic-drop", Act::Point("api.eu-west-1.simulated.example"), REST_P95, REST_ERRORS, 3.0),
    ("traffic-drop-deploy", Act::Nothing, REST_P95, REST_ERRORS, 3.0),
    ("traffic-drop-deploy", Act::RollBackTo(41), REST_P95, REST_ERRORS, 3.0),
];

const TRAFFIC: &str =
    "sum(rate(http_requests_total{service=\"api\"}[1m])) / sum(http_requests_expected{service=\"api\"})";

#[tokio::test]
async fn what_does_not_arrive_comes_back_with_its_cure_only() {
    for (scenario, what, traffic) in [
        ("region-failover", Act::Nothing, 0.33),
        ("region-failover", Act::Point("api.eu-central-1.simulated.example"), 1.0),
        ("region-failover-small", Act::Point("api.eu-central-1.simulated.example"), 2.6),
        ("traffic-drop", Act::Nothing, 0.28),
        ("traffic-drop", Act::Restart, 0.28),
        ("traffic-drop", Act::Point("api.eu-west-1.simulated.example"), 1.0),
        ("traffic-drop-deploy", Act::Point("api.eu-west-1.simulated.example"), 0.36),
        ("traffic-drop-deploy", Act::RollBackTo(41), 1.0),
    ] {
        let fixture = start(scenario).await;
        act(&fixture, what).await;
        fixture.pass(240);
        let found = fixture.value(TRAFFIC).await;
        assert!((found / traffic - 1.0).abs() < 0.05, "{scenario} after {what:?}: {found}");
    }
}

#[tokio::test]
async fn a_name_leads_elsewhere_only_when_all_servers_know_and_its_ttl_has_passed() {
    let fixture = start("region-failover").await;
    fixture.upsert("api.simulated.example", "api.eu-central-1.simulated.example").await;
    for (seconds, least, most) in [(25, 0.49, 0.51), (35, 0.1, 0.4), (60, 0.0, 0.001)] {
        fixture.pass(seconds);
        let errors = fixture.value(ERRORS).await;
        assert!(errors >= least && errors <= most, "{errors} after {seconds} s more");
    }
    fixture.upsert("api.simulated.example", "api.eu-west-1.simulated.example").await;
    assert!(fixture.value(ERRORS).await > 0.4, "and back again");
}

#[tokio::test]
async fn every_scenario_is_as_bad_as_told_and_only_its_cure_helps() {
    for (scenario, what, p95, errors, ready) in CASES {
        let fixture = start(scenario).await;
        act(&fixture, *what).await;
        fixture.pass(180);
        let found = [fixture.value(P95).await, fixture.value(ERRORS).await, fixture.value(READY).await];
        let told =
            format!("{scenario} after {what:?}: p95 {}, errors {}, ready {}", found[0], found[1], found[2]);
        assert!(found[0] >= p95[0] && found[0] <= p95[1], "{told}");
        assert!(found[1] >= errors[0] - 1e-9 && found[1] <= errors[1] + 1e-9, "{told}");
        assert!((found[2] - ready).abs() < 1e-9, "{told}");
    }
}

#[tokio::test]
async fn every_case_is_about_a_scenario_that_ships_and_none_is_left_out() {
    let mut tested: Vec<&str> = CASES.iter().map(|(scenario, ..)| *scenario).collect();
    tested.dedup();
    let shipped = runbook_world::scenarios();
    assert_eq!(tested, shipped.iter().map(|info| info.name.as_str()).collect::<Vec<_>>());
    assert!(
        shipped
            .iter()
            .all(|info| !info.title.is_empty() && !info.cure.is_empty() && !info.playbook.is_empty())
    );
}

#[tokio::test]
async fn a_window_remembers_until_it_has_passed() {
    let fixture = start("high-latency").await;
    let p95 = "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{service=\"api\"}[5m])))";
    let ratio = "sum(rate(http_requests_total{service=\"api\",code=~\"5..\"}[5m])) / sum(rate(http_requests_total{service=\"api\"}[5m]))";
    assert!((7.5..9.0).contains(&fixture.value(p95).await));
    assert!((fixture.value(ratio).await - 0.0605).abs() < 1e-6);
    fixture.change_api(json!({ "image": image(41) })).await;
    fixture.pass(150);
    assert!(fixture.value(P95).await < 0.2, "the service has recovered");
    assert!(fixture.value(p95).await > 2.0, "the window has not");
    assert!((0.01..0.06).contains(&fixture.value(ratio).await));
    fixture.pass(300);
    assert!(fixture.value(p95).await < 0.25, "the window has passed");
    assert!((fixture.value(ratio).await - 0.0005).abs() < 1e-6);
}

#[tokio::test]
async fn before_the_incident_everything_was_well() {
    for info in runbook_world::scenarios() {
        let fixture = start(&info.name).await;
        for metric in ["request_error_ratio", "request_latency_p95_seconds"] {
            let earlier = fixture.value(&format!("{metric}{{service=\"api\"}} offset 2h")).await;
            assert!(earlier < 0.2, "{}: {metric} was {earlier}", info.name);
        }
        let traffic = "sum(rate(http_requests_total{service=\"api\"}[10m] offset 2h)) / sum(http_requests_expected{service=\"api\"})";
        let traffic = fixture.value(traffic).await;
        assert!((0.97..=1.03).contains(&traffic), "{}: {traffic}", info.name);
    }
}

#[tokio::test]
async fn a_flag_works_gradually_and_a_relapse_comes_at_once() {
    let fixture = start("high-error-rate-dependency").await;
    fixture.flag("new-recommendations", false).await;
    fixture.pass(20);
    let half_way = fixture.value(ERRORS).await;
    assert!((0.01..0.08).contains(&half_way), "{half_way}");
    fixture.pass(40);
    assert!(fixture.value(ERRORS).await < 0.001);
    fixture.flag("new-recommendations", true).await;
    assert!(fixture.value(ERRORS).await > 0.08);
}
