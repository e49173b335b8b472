//! What neither emulator shows, against a stub: clusters of other types and in other states, roles
//! with a path, rights that may not be asked, a service that is too busy for ever.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{http::StatusCode, response::Response};
use runbook_contract::{Access, Action, Mode};
use runbook_core::{
    Value,
    change::{Change, Landed, Planned, Progress, Undo},
    fault::{Fault, FaultKind},
};
use serde_json::json;

use crate::{
    place::{cx, named, plan_cx},
    proxy::{error, throttled},
    stub::{Form, Stub, xml},
};

/// A cluster as RDS describes it.
#[derive(Debug, Clone, Copy)]
struct Shape {
    engine: &'static str,
    mode: &'static str,
    status: &'static str,
    /// Whether each of three instances writes.
    writes: [bool; 3],
    /// The state of each of them.
    states: [&'static str; 3],
}

const MULTI_AZ: Shape = Shape {
    engine: "postgres",
    mode: "provisioned",
    status: "available",
    writes: [true, false, false],
    states: ["available"; 3],
};

fn describe(shape: Shape, form: &Form) -> Response {
    match form.action() {
        "DescribeDBClusters" => {
            let members: String = shape
                .writes
                .iter()
                .enumerate()
                .map(|(i, writer)| {
                    format!(
                        "<DBClusterMember><DBInstanceIdentifier>orders-{}</DBInstanceIdentifier>\
                         <IsClusterWriter>{writer}</IsClusterWriter><PromotionTier>1</PromotionTier></DBClusterMember>",
                        i + 1
                    )
                })
                .collect();
            let Shape { engine, mode, status, .. } = shape;
            xml(
                "DescribeDBClusters",
                &format!(
                    "<DBClusters><DBCluster><DBClusterIdentifier>orders</DBClusterIdentifier>\
                     <DbClusterResourceId>cluster-1</DbClusterResourceId><Engine>{engine}</Engine>\
                     <EngineMode>{mode}</EngineMode><Status>{status}</Status><MultiAZ>true</MultiAZ>\
                     <DBClusterMembers>{members}</DBClusterMembers></DBCluster></DBClusters>"
                ),
            )
        }
        "DescribeDBInstances" => {
            let instances: String = shape
                .states
                .iter()
                .enumerate()
                .map(|(i, state)| {
                    format!(
                        "<DBInstance><DBInstanceIdentifier>orders-{}</DBInstanceIdentifier>\
                         <DBInstanceStatus>{state}</DBInstanceStatus></DBInstance>",
                        i + 1
                    )
                })
                .collect();
            xml("DescribeDBInstances", &format!("<DBInstances>{instances}</DBInstances>"))
        }
        "FailoverDBCluster" => xml("FailoverDBCluster", ""),
        other => error(StatusCode::BAD_REQUEST, "InvalidAction", other),
    }
}

async fn of(shape: Shape) -> Stub {
    Stub::serve(move |form| describe(shape, form)).await
}

fn failover(stub: &Stub) -> Arc<dyn Action> {
    named(&stub.config, &Access::new(Mode::ReadWrite), "rds_failover_cluster")
}

async fn planned(stub: &Stub, input: &Value) -> Result<Planned, Fault> {
    let action = failover(stub);
    let seen = action.observe(&cx(), input).await?;
    action.plan(&plan_cx(), input, &seen)
}

async fn change(stub: &Stub, input: &Value) -> Change {
    match planned(stub, input).await.unwrap() {
        Planned::Change(change) => *change,
        already => panic!("{already:?}"),
    }
}

fn orders() -> Value {
    json!({"cluster": "orders"})
}

#[tokio::test]
async fn a_multi_az_cluster_fails_over_to_a_standby() {
    let stub = of(Shape { states: ["available", "rebooting", "available"], ..MULTI_AZ }).await;
    let read = named(&stub.config, &Access::new(Mode::ReadOnly), "rds_cluster");
    let outputs = read.observe(&cx(), &orders()).await.unwrap().outputs;
    assert_eq!((&outputs["type"], &outputs["multi_az"]), (&json!("multi-az"), &json!(true)));

    let change = change(&stub, &orders()).await;
    assert_eq!(change.after, json!({"writer": "orders-3"}), "one that is rebooting cannot take over");
    failover(&stub).apply(&cx(), &change).await.unwrap();
    assert_eq!(stub.last("FailoverDBCluster").get("TargetDBInstanceIdentifier"), Some("orders-3"));
    let fault = planned(&stub, &json!({"cluster": "orders", "target": "orders-2"})).await.unwrap_err();
    assert!(fault.message.contains("`orders-2` is `rebooting`"), "{fault}");
}

#[tokio::test]
async fn mysql_takes_no_target_and_so_cannot_be_failed_back() {
    let stub = of(Shape { engine: "mysql", ..MULTI_AZ }).await;
    let fault = planned(&stub, &json!({"cluster": "orders", "target": "orders-2"})).await.unwrap_err();
    assert!(fault.message.contains("takes no named target"), "{fault}");
    let change = change(&stub, &orders()).await;
    assert_eq!(change.after, json!({"writer": "one of orders-2, orders-3"}));
    assert!(matches!(change.undo, Undo::None(_)));
    let action = failover(&stub);
    action.apply(&cx(), &change).await.unwrap();
    assert_eq!(stub.last("FailoverDBCluster").get("TargetDBInstanceIdentifier"), None);
    // Sent again, RDS would fail over once more.
    let seen = action.observe(&cx(), &orders()).await.unwrap();
    assert_eq!(action.landed(&change, &seen), Landed::CannotTell);
    assert_eq!(action.plan_undo(&plan_cx(), &change, &seen).unwrap_err().kind, FaultKind::Permanent);
    let moved = of(Shape { engine: "mysql", writes: [false, true, false], ..MULTI_AZ }).await;
    let action = failover(&moved);
    let seen = action.observe(&cx(), &orders()).await.unwrap();
    assert_eq!(action.landed(&change, &seen), Landed::Yes);
}

#[tokio::test]
async fn clusters_that_cannot_fail_over_are_told_in_the_plan() {
    for (shape, word) in [
        (Shape { engine: "aurora-mysql", mode: "serverless", ..MULTI_AZ }, "Serverless v1"),
        (Shape { engine: "something-new", ..MULTI_AZ }, "unknown type"),
        (Shape { engine: "aurora-mysql", writes: [false; 3], ..MULTI_AZ }, "no writer here"),
        (Shape { status: "modifying", ..MULTI_AZ }, "is `modifying`"),
        (Shape { states: ["available", "failed", "creating"], ..MULTI_AZ }, "no reader"),
    ] {
        let stub = of(shape).await;
        let fault = planned(&stub, &orders()).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Permanent, "{fault:?}");
        assert!(fault.message.contains(word), "{fault}");
        assert_eq!(stub.count("FailoverDBCluster"), 0);
    }
}

#[tokio::test]
async fn a_failover_under_way_is_neither_done_nor_undone() {
    let change = change(&of(MULTI_AZ).await, &orders()).await;
    let under_way = of(Shape { status: "failing-over", ..MULTI_AZ }).await;
    let change = Change {
        request: runbook_core::change::Request {
            url: format!("{}/?Action=FailoverDBCluster", under_way.config.endpoint_url.as_ref().unwrap()),
            ..change.request.clone()
        },
        ..change
    };
    let action = failover(&under_way);
    let seen = action.observe(&cx(), &orders()).await.unwrap();
    assert_eq!(action.landed(&change, &seen), Landed::CannotTell);
    let Progress::Pending(missing) = action.verify(&cx(), &change).await.unwrap() else {
        panic!("it is not done")
    };
    assert!(missing.contains("failing-over") && missing.contains("orders-1"), "{missing}");
    let fault = action.apply(&cx(), &change).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Conflict, "{fault:?}");
    assert_eq!(under_way.count("FailoverDBCluster"), 0);

    let settling = of(Shape { status: "failing-over", writes: [false, true, false], ..MULTI_AZ }).await;
    let progress = failover(&settling).verify(&cx(), &change).await.unwrap();
    assert!(matches!(progress, Progress::Pending(_)), "{progress:?}");
    let other = of(Shape { writes: [false, false, true], ..MULTI_AZ }).await;
    let progress = failover(&other).verify(&cx(), &change).await.unwrap();
    assert!(matches!(progress, Progress::Failed(_)), "{progress:?}");
}

#[tokio::test]
async fn a_refusal_by_state_is_a_conflict_and_by_rights_is_forbidden() {
    for (status, code, kind) in [
        (StatusCode::BAD_REQUEST, "InvalidDBClusterStateFault", FaultKind::Conflict),
        (StatusCode::FORBIDDEN, "AccessDenied", FaultKind::Forbidden),
        (StatusCode::FORBIDDEN, "ExpiredToken", FaultKind::Forbidden),
        (StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", FaultKind::Unknown),
    ] {
        let stub = Stub::serve(move |form| match form.action() {
            "FailoverDBCluster" => error(status, code, "no"),
            _ => describe(MULTI_AZ, form),
        })
        .await;
        let change = change(&stub, &orders()).await;
        let fault = failover(&stub).apply(&cx(), &change).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{code}: {fault:?}");
        assert_eq!(stub.count("FailoverDBCluster"), 1, "{code}: sent again");
        if code == "AccessDenied" {
            assert!(fault.hint.unwrap().contains("rds:FailoverDBCluster"));
        }
    }
}

#[tokio::test]
async fn reads_are_tried_again_but_not_for_ever() {
    let once = Arc::new(AtomicBool::new(true));
    let stub = Stub::serve(move |form| match form.action() {
        "DescribeDBClusters" if once.swap(false, Ordering::Relaxed) => {
            error(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", "later")
        }
        _ => describe(MULTI_AZ, form),
    })
    .await;
    planned(&stub, &orders()).await.unwrap();
    assert_eq!(stub.count("DescribeDBClusters"), 2);
    assert_eq!(stub.count("GetCallerIdentity"), 1);

    let stub = Stub::serve(|_| throttled()).await;
    let fault = planned(&stub, &orders()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Refused, "{fault:?}");
    assert_eq!(stub.count("DescribeDBClusters"), 4);
}

#[tokio::test]
async fn a_role_is_asked_with_its_path_and_a_simulation_that_is_refused_blocks_nothing() {
    let path = "arn:aws:iam::123456789012:role/team/oncall";
    let stub = Stub::serve(move |form| match form.action() {
        "GetRole" => xml(
            "GetRole",
            &format!(
                "<Role><Path>/team/</Path><RoleName>oncall</RoleName><RoleId>r</RoleId><Arn>{path}</Arn>\
                 <CreateDate>2026-01-01T00:00:00Z</CreateDate></Role>"
            ),
        ),
        "SimulatePrincipalPolicy" => error(StatusCode::FORBIDDEN, "AccessDenied", "you may not simulate"),
        _ => describe(MULTI_AZ, form),
    })
    .await;
    let action = failover(&stub);
    let obstacles = action.preflight(&cx(), &orders()).await.unwrap();
    assert_eq!(obstacles.len(), 1, "{obstacles:?}");
    assert!(!obstacles[0].blocking && obstacles[0].code == "iam", "{obstacles:?}");
    assert!(obstacles[0].message.contains("you may not simulate"), "{obstacles:?}");
    let asked = stub.last("SimulatePrincipalPolicy");
    assert_eq!(asked.get("PolicySourceArn"), Some(path.replace(':', "%3A").replace('/', "%2F").as_str()));
    action.preflight(&cx(), &orders()).await.unwrap();
    assert_eq!((stub.count("GetRole"), stub.count("SimulatePrincipalPolicy")), (1, 2));
}

/// An earlier request that was taken for lost arrives just before the one that is sent for it.
#[tokio::test]
async fn a_refusal_because_it_has_just_happened_is_no_failure() {
    let moved = Arc::new(AtomicBool::new(false));
    let stub = Stub::serve(move |form| match form.action() {
        "FailoverDBCluster" => {
            moved.store(true, Ordering::Relaxed);
            error(StatusCode::BAD_REQUEST, "InvalidDBClusterStateFault", "it is under way")
        }
        _ if moved.load(Ordering::Relaxed) => {
            describe(Shape { writes: [false, true, false], ..MULTI_AZ }, form)
        }
        _ => describe(MULTI_AZ, form),
    })
    .await;
    let change = change(&stub, &orders()).await;
    let outputs = failover(&stub).apply(&cx(), &change).await.unwrap();
    assert_eq!(outputs["writer"], "orders-2");
    assert_eq!(stub.count("FailoverDBCluster"), 1);
}
