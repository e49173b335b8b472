//! Numbers of CloudWatch.

use aws_sdk_cloudwatch::types::{Dimension, MetricDatum};
use aws_smithy_types::DateTime;
use runbook_core::{Timestamp, fault::FaultKind};
use serde_json::{Value, json};

use crate::place::{Place, Which, cx, on_each, unique};

/// A metric of three numbers, a minute and a half ago.
async fn metric(place: &Place) -> String {
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
    let put = place.cloudwatch().put_metric_data().namespace(&namespace).set_metric_data(Some(data.to_vec()));
    put.send().await.unwrap();
    namespace
}

fn input(namespace: &str, statistic: &str) -> Value {
    json!({"namespace": namespace, "metric": "Latency", "dimensions": {"Service": "api"}, "statistic": statistic,
           "window": "10m"})
}

#[tokio::test]
async fn statistics_over_a_window() {
    on_each(async |place: Place| {
        let namespace = metric(&place).await;
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
        // moto answers percentiles without their numbers.
        if place.which == Which::Ministack {
            let outputs = place.read("cloudwatch_metric", input(&namespace, "p99")).await;
            let p99 = outputs["value"].as_f64().unwrap();
            assert!((8.0..=9.0).contains(&p99), "{outputs}");
        }
        assert_eq!(place.access.writes_sent(), 0);
    })
    .await;
}

#[tokio::test]
async fn no_data_is_said_or_stands_for_what_the_runbook_says() {
    on_each(async |place: Place| {
        let mut input = input(&unique("Nothing"), "average");
        let fault = place.observe("cloudwatch_metric", &input).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::NotFound, "{fault:?}");
        assert!(fault.message.contains("no data"), "{fault}");
        let obstacles = place.action("cloudwatch_metric").preflight(&cx(), &input).await.unwrap();
        assert_eq!(obstacles, Vec::new(), "no data now may be data later");
        input["default"] = json!(0);
        assert_eq!(place.read("cloudwatch_metric", input.clone()).await["value"], 0.0);
        input["statistic"] = json!("mode");
        let obstacles = place.action("cloudwatch_metric").preflight(&cx(), &input).await.unwrap();
        assert!(obstacles[0].blocking && obstacles[0].code == "invalid", "{obstacles:?}");
    })
    .await;
}
