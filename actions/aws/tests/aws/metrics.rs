//! Numbers of CloudWatch. The SDK speaks CBOR to it, which moto does not, and ministack only where
//! the Python package `cbor2` is installed beside it: a stub stands in for both.

use aws_sdk_cloudwatch::types::{Dimension, MetricDatum};
use aws_smithy_cbor::Encoder;
use aws_smithy_types::DateTime;
use axum::response::Response;
use runbook_contract::{Access, Mode};
use runbook_core::{Timestamp, fault::FaultKind};
use serde_json::{Value, json};

use crate::{
    place::{Place, Which, cx, named, on, unique},
    stub::Stub,
};

fn input(namespace: &str, statistic: &str) -> Value {
    json!({"namespace": namespace, "metric": "Latency", "dimensions": {"Service": "api"}, "statistic": statistic,
           "window": "10m"})
}

/// A metric of three numbers, a minute and a half ago; nothing where the emulator cannot be told.
#[expect(clippy::print_stderr, reason = "a skipped test says so where people look")]
async fn metric(place: &Place) -> Option<String> {
    let namespace = unique("Shop");
    let at = DateTime::from_secs(Timestamp::now().as_second() - 90);
    let data = [1.0, 5.0, 9.0].map(|value| {
        MetricDatum::builder()
            .metric_name("Latency")
            .dimensions(Dimension::builder().name("Service").value("api").build())
            .timestamp(at)
            .value(value)
            .build()
    });
    let cloudwatch = place.cloudwatch();
    if let Err(error) = cloudwatch.list_metrics().send().await {
        eprintln!("skipped: the emulator does not speak CBOR (install cbor2 beside it): {error}");
        return None;
    }
    let put = cloudwatch.put_metric_data().namespace(&namespace).set_metric_data(Some(data.to_vec()));
    put.send().await.unwrap();
    Some(namespace)
}

#[tokio::test]
async fn statistics_over_a_window() {
    on(Which::Ministack, async |place: Place| {
        let Some(namespace) = metric(&place).await else { return };
        for (statistic, value) in
            [("average", 5.0), ("sum", 15.0), ("minimum", 1.0), ("maximum", 9.0), ("sample_count", 3.0)]
        {
            for period in [None, Some("1m")] {
                let mut input = input(&namespace, statistic);
                if let Some(period) = period {
                    input["period"] = json!(period);
                }
                let outputs = place.read("cloudwatch_metric", input).await;
                assert_eq!(outputs["value"], value, "{statistic} {period:?}: {outputs}");
            }
        }
        let outputs = place.read("cloudwatch_metric", input(&namespace, "p99")).await;
        let p99 = outputs["value"].as_f64().unwrap();
        assert!((8.0..=9.0).contains(&p99), "{outputs}");

        let nothing = input(&unique("Nothing"), "average");
        let fault = place.observe("cloudwatch_metric", &nothing).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::NotFound, "{fault:?}");
        assert_eq!(place.access.writes_sent(), 0);
    })
    .await;
}

/// An answer to GetMetricStatistics: points of seconds and numbers.
fn answer(points: &[(i64, f64)]) -> Response {
    let mut cbor = Encoder::new(Vec::new());
    cbor.map(2).str("Label").str("Latency").str("Datapoints").array(points.len());
    for (at, value) in points {
        cbor.map(5).str("Timestamp").timestamp(&DateTime::from_secs(*at)).str("Unit").str("Milliseconds");
        for name in ["Average", "Maximum"] {
            cbor.str(name).double(*value);
        }
        cbor.str("ExtendedStatistics").map(1).str("p99").double(*value);
    }
    Response::builder()
        .header("content-type", "application/cbor")
        .header("smithy-protocol", "rpc-v2-cbor")
        .body(cbor.into_writer().into())
        .unwrap()
}

#[tokio::test]
async fn numbers_are_read_from_what_cloudwatch_answers() {
    let stub = Stub::serve(|_| answer(&[(120, 9.0), (60, 3.0)])).await;
    let action = named(&stub.config, &Access::new(Mode::ReadOnly), "cloudwatch_metric");
    for (statistic, value) in [("maximum", 9.0), ("p99", 9.0)] {
        let outputs = action.observe(&cx(), &input("Shop", statistic)).await.unwrap().outputs;
        assert_eq!(outputs["value"], value, "{outputs}");
        assert_eq!((&outputs["min"], &outputs["last"]), (&json!(3.0), &json!(9.0)), "{outputs}");
        assert_eq!(outputs["unit"], "Milliseconds");
        assert_eq!(outputs["points"][0], json!({"at": "1970-01-01T00:01:00Z", "value": 3.0}));
    }
    assert_eq!(stub.count("GetMetricStatistics"), 2);
}

#[tokio::test]
async fn no_data_is_said_or_stands_for_what_the_runbook_says() {
    let stub = Stub::serve(|_| answer(&[])).await;
    let action = named(&stub.config, &Access::new(Mode::ReadOnly), "cloudwatch_metric");
    let mut input = input("Shop", "average");
    let fault = action.observe(&cx(), &input).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotFound, "{fault:?}");
    assert!(fault.message.contains("no data"), "{fault}");
    assert_eq!(action.preflight(&cx(), &input).await.unwrap(), Vec::new(), "no data now may be data later");
    input["default"] = json!(0);
    assert_eq!(action.observe(&cx(), &input).await.unwrap().outputs["value"], 0.0);
    input["statistic"] = json!("mode");
    let obstacles = action.preflight(&cx(), &input).await.unwrap();
    assert!(obstacles[0].blocking && obstacles[0].code == "invalid", "{obstacles:?}");
}

#[tokio::test]
async fn an_answer_that_is_not_one_of_cloudwatch_is_not_taken_for_no_data() {
    let garbled = || Response::builder().header("smithy-protocol", "rpc-v2-cbor").body("{}".into()).unwrap();
    let stub = Stub::serve(move |_| garbled()).await;
    let action = named(&stub.config, &Access::new(Mode::ReadOnly), "cloudwatch_metric");
    let fault = action.observe(&cx(), &input("Shop", "average")).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Permanent, "{fault:?}");
    assert!(fault.message.contains("cannot be read"), "{fault}");
}
