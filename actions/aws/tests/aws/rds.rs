//! Clusters, instances and snapshots: read, planned, changed, verified and taken back.

use runbook_contract::{PlanCx, laws};
use runbook_core::{
    change::{Landed, Planned, Undo},
    fault::FaultKind,
    spec::{Effect, Grade},
};
use serde_json::json;

use crate::place::{Place, REGION, Which, cx, on, on_each, plan_cx, unique};

#[tokio::test]
async fn a_cluster_says_who_writes() {
    on_each(async |place: Place| {
        let cluster = place.aurora(&[0, 2, 1]).await;
        let seen = place.observe("rds_cluster", &json!({"cluster": cluster.to_uppercase()})).await.unwrap();
        let target = seen.target.unwrap();
        assert_eq!(target.name, format!("aws:{}/{REGION}/rds-cluster/{cluster}", place.account()));
        assert!(target.uid.unwrap().starts_with("cluster-"));
        let outputs = seen.outputs;
        assert_eq!(outputs["type"], "aurora");
        assert_eq!((&outputs["status"], &outputs["available"]), (&json!("available"), &json!(true)));
        assert_eq!(outputs["writer"], format!("{cluster}-1"));
        assert_eq!(outputs["readers"], json!([format!("{cluster}-2"), format!("{cluster}-3")]));
        let member = &outputs["members"][1];
        assert_eq!(
            (&member["status"], &member["promotion_tier"]),
            (&json!("available"), &json!(2)),
            "{outputs}"
        );
        assert_eq!(member["class"], "db.r6g.large");
    })
    .await;
}

#[tokio::test]
async fn an_instance_says_where_it_is() {
    on_each(async |place: Place| {
        let name = place.instance(true).await;
        let outputs = place.read("rds_instance", json!({"instance": name})).await;
        assert_eq!(outputs["instance"], name);
        assert_eq!((&outputs["available"], &outputs["multi_az"]), (&json!(true), &json!(true)), "{outputs}");
        assert_eq!((&outputs["engine"], &outputs["class"]), (&json!("postgres"), &json!("db.m6g.large")));
        assert_eq!(outputs["availability_zone"], "eu-west-1a");
        assert_eq!(outputs["storage_gb"], 20);
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_is_told_with_its_place() {
    on_each(async |place: Place| {
        for (action, input) in [
            ("rds_cluster", json!({"cluster": "nowhere"})),
            ("rds_instance", json!({"instance": "nowhere"})),
            ("rds_failover_cluster", json!({"cluster": "nowhere"})),
            ("rds_reboot", json!({"instance": "nowhere"})),
            ("rds_snapshot", json!({"instance": "nowhere", "snapshot": "s"})),
        ] {
            let fault = place.observe(action, &input).await.unwrap_err();
            assert_eq!(fault.kind, FaultKind::NotFound, "{action}: {fault:?}");
            assert!(fault.message.contains(REGION) && fault.message.contains(place.account()), "{fault}");
            let obstacles = place.action(action).preflight(&cx(), &input).await.unwrap();
            assert!(obstacles[0].blocking && obstacles[0].code == "missing", "{obstacles:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn failing_over_and_back() {
    on_each(async |place: Place| {
        let cluster = place.aurora(&[0, 2, 1]).await;
        let [first, second, third] = [1, 2, 3].map(|i| format!("{cluster}-{i}"));
        let input = json!({"cluster": cluster});
        let action = place.action("rds_failover_cluster");
        assert_eq!(
            laws::of_change(action.as_ref(), &place.access, &cx(), &input).await,
            Vec::<String>::new()
        );

        // The lowest tier is chosen, and said to RDS.
        let change = place.plan("rds_failover_cluster", &input).await;
        assert_eq!(change.effect, Effect::Destructive);
        assert_eq!((&change.before, &change.after), (&json!({"writer": first}), &json!({"writer": third})));
        assert_eq!(change.request.body["TargetDBInstanceIdentifier"], third);
        assert_eq!(change.undo, Undo::Auto);
        assert_eq!(action.validate(&cx(), &change).await.unwrap().grade, Grade::Predicted);
        let seen = action.observe(&cx(), &input).await.unwrap();
        assert_eq!(action.landed(&change, &seen), Landed::No);

        let outputs = place.make(&change).await;
        assert_eq!((&outputs["writer"], &outputs["previous_writer"]), (&json!(third), &json!(first)));
        let seen = action.observe(&cx(), &input).await.unwrap();
        assert_eq!(action.landed(&change, &seen), Landed::Yes);
        // Sent again, it finds itself made.
        let sent = place.access.writes_sent();
        action.apply(&cx(), &change).await.unwrap();
        assert_eq!(place.access.writes_sent(), sent);

        let Planned::Change(undo) = place.plan_undo(&change).await.unwrap() else {
            panic!("nothing to take back")
        };
        assert_eq!(undo.after, change.before);
        assert_eq!((undo.effect, &undo.undo), (Effect::Destructive, &Undo::Auto));
        place.make(&undo).await;
        assert_eq!(place.read("rds_cluster", input.clone()).await["writer"], first);
        let again = place.plan_undo(&change).await.unwrap();
        assert!(matches!(again, Planned::Already { .. }), "{again:?}");

        // To one that is named, and named again.
        let input = json!({"cluster": cluster, "target": second});
        place.make(&place.plan("rds_failover_cluster", &input).await).await;
        let already = place.try_plan("rds_failover_cluster", &input).await.unwrap();
        assert!(matches!(already, Planned::Already { .. }), "{already:?}");
    })
    .await;
}

#[tokio::test]
async fn a_failover_that_cannot_be_is_told_before_it_is_tried() {
    on_each(async |place: Place| {
        let alone = place.aurora(&[1]).await;
        let two = place.aurora(&[1, 1]).await;
        let cases = [
            (json!({"cluster": alone}), "single instance"),
            (json!({"cluster": two, "target": "somebody-else"}), "is not an instance"),
            (json!({"cluster": "a b"}), "cannot be the identifier"),
        ];
        for (input, word) in cases {
            let fault = place.try_plan("rds_failover_cluster", &input).await.unwrap_err();
            assert_eq!(fault.kind, FaultKind::Permanent, "{fault:?}");
            assert!(fault.message.contains(word), "{fault}");
        }
        assert_eq!(place.access.writes_sent(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_failover_by_someone_else_voids_the_plan_and_guards_the_undo() {
    on_each(async |place: Place| {
        let cluster = place.aurora(&[0, 1, 2]).await;
        let elsewhere = async |target: &str| {
            let rds = place.rds();
            rds.failover_db_cluster()
                .db_cluster_identifier(&cluster)
                .target_db_instance_identifier(target)
                .send()
                .await
                .unwrap();
            let _ = rds.describe_db_clusters().db_cluster_identifier(&cluster).send().await.unwrap();
        };
        let input = json!({"cluster": cluster, "target": format!("{cluster}-2")});
        let change = place.plan("rds_failover_cluster", &input).await;
        elsewhere(&format!("{cluster}-3")).await;
        let action = place.action("rds_failover_cluster");
        let fault = action.apply(&cx(), &change).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Conflict, "{fault:?}");
        assert!(fault.message.contains(&format!("writer: {cluster}-1 -> {cluster}-3")), "{fault}");
        assert_eq!(place.access.writes_sent(), 0);
        let seen = action.observe(&cx(), &input).await.unwrap();
        assert_eq!(action.landed(&change, &seen), Landed::CannotTell);

        let change = place.plan("rds_failover_cluster", &input).await;
        place.make(&change).await;
        elsewhere(&format!("{cluster}-1")).await;
        let fault = place.plan_undo(&change).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Conflict, "{fault:?}");
        let seen = action.observe(&cx(), &input).await.unwrap();
        let over = PlanCx { over_others: true, ..plan_cx() };
        assert!(matches!(action.plan_undo(&over, &change, &seen).unwrap(), Planned::Change(_)));
    })
    .await;
}

#[tokio::test]
async fn a_predicted_failover_shows_in_later_reads() {
    on_each(async |place: Place| {
        let cluster = place.aurora(&[0, 1]).await;
        let input = json!({"cluster": cluster});
        let change = place.plan("rds_failover_cluster", &input).await;
        let predicted = std::slice::from_ref(&change);
        let read = place.action("rds_cluster");
        let seen = read.observe(&cx(), &input).await.unwrap();
        let (seen, touched) = read.overlay(seen, predicted);
        assert!(touched);
        assert_eq!(seen.outputs["writer"], format!("{cluster}-2"));
        assert_eq!(seen.outputs["members"][0]["writer"], json!(false));
        let other = place.aurora(&[0, 1]).await;
        let seen = read.observe(&cx(), &json!({"cluster": other})).await.unwrap();
        assert!(!read.overlay(seen, predicted).1, "another cluster was touched");

        // On top of it, the same target is there already.
        let action = place.action("rds_failover_cluster");
        let seen = action.observe(&cx(), &input).await.unwrap();
        let (seen, touched) = action.overlay(seen, predicted);
        assert!(touched);
        let named = json!({"cluster": cluster, "target": format!("{cluster}-2")});
        assert!(matches!(action.plan(&plan_cx(), &named, &seen).unwrap(), Planned::Already { .. }));
    })
    .await;
}

#[tokio::test]
async fn rebooting() {
    on_each(async |place: Place| {
        let (pair, single) = (place.instance(true).await, place.instance(false).await);
        let input = json!({"instance": pair, "failover": true});
        let action = place.action("rds_reboot");
        assert_eq!(
            laws::of_change(action.as_ref(), &place.access, &cx(), &input).await,
            Vec::<String>::new()
        );
        let change = place.plan("rds_reboot", &input).await;
        assert_eq!(
            (change.effect, &change.request.body["ForceFailover"]),
            (Effect::Destructive, &json!(true))
        );
        let seen = action.observe(&cx(), &input).await.unwrap();
        assert_eq!(action.landed(&change, &seen), Landed::CannotTell, "that nothing is seen proves nothing");
        let outputs = place.make(&change).await;
        assert_eq!((&outputs["status"], &outputs["failover"]), (&json!("available"), &json!(true)));
        assert_eq!(place.plan_undo(&change).await.unwrap_err().kind, FaultKind::Permanent);

        let fault =
            place.try_plan("rds_reboot", &json!({"instance": single, "failover": true})).await.unwrap_err();
        assert!(fault.message.contains("no standby"), "{fault}");
        place.make(&place.plan("rds_reboot", &json!({"instance": single})).await).await;
        let cluster = place.aurora(&[0, 1]).await;
        let member = json!({"instance": format!("{cluster}-1"), "failover": true});
        let fault = place.try_plan("rds_reboot", &member).await.unwrap_err();
        assert!(fault.message.contains(&cluster), "{fault}");
    })
    .await;
}

#[tokio::test]
async fn a_reboot_in_doubt_is_settled_by_the_events_of_rds() {
    // moto notes no restarts.
    on(Which::Ministack, async |place: Place| {
        let name = place.instance(false).await;
        let input = json!({"instance": name});
        let action = place.action("rds_reboot");
        let change = place.plan("rds_reboot", &input).await;
        place.make(&change).await;
        let seen = action.observe(&cx(), &input).await.unwrap();
        assert_eq!(action.landed(&change, &seen), Landed::Yes);
        // An earlier restart says nothing of a later reboot.
        let next = place.plan("rds_reboot", &input).await;
        assert_eq!(action.landed(&next, &seen), Landed::CannotTell);
    })
    .await;
}

#[tokio::test]
async fn snapshots_are_made_once() {
    on_each(async |place: Place| {
        let (instance, cluster) = (place.instance(false).await, place.aurora(&[1]).await);
        for (kind, source, word) in
            [("instance", &instance, "rds-snapshot"), ("cluster", &cluster, "rds-cluster-snapshot")]
        {
            let name = unique("before-restore");
            let input = json!({kind: source, "snapshot": name});
            let action = place.action("rds_snapshot");
            let laws = laws::of_change(action.as_ref(), &place.access, &cx(), &input).await;
            assert_eq!(laws, Vec::<String>::new());
            let change = place.plan("rds_snapshot", &input).await;
            assert_eq!(change.effect, Effect::Write);
            assert_eq!(change.target.name, format!("aws:{}/{REGION}/{word}/{name}", place.account()));
            let seen = action.observe(&cx(), &input).await.unwrap();
            assert_eq!(action.landed(&change, &seen), Landed::No, "an identifier is taken only once");

            let outputs = place.make(&change).await;
            assert_eq!((&outputs["status"], &outputs["source"]), (&json!("available"), &json!(source)));
            let arn = outputs["arn"].as_str().unwrap();
            assert!(arn.contains(place.account()) && arn.ends_with(&name), "{arn}");
            let seen = action.observe(&cx(), &input).await.unwrap();
            assert_eq!(action.landed(&change, &seen), Landed::Yes);
            let already = place.try_plan("rds_snapshot", &input).await.unwrap();
            assert!(matches!(already, Planned::Already { .. }), "{already:?}");
            assert_eq!(place.plan_undo(&change).await.unwrap_err().kind, FaultKind::Permanent);

            // Of another source, the identifier is taken.
            let other =
                if kind == "instance" { place.instance(false).await } else { place.aurora(&[1]).await };
            let fault =
                place.try_plan("rds_snapshot", &json!({kind: other, "snapshot": name})).await.unwrap_err();
            assert!(fault.message.contains(source), "{fault}");
        }
        let member = json!({"instance": format!("{cluster}-1"), "snapshot": "s"});
        let fault = place.try_plan("rds_snapshot", &member).await.unwrap_err();
        assert!(fault.message.contains("belongs to cluster"), "{fault}");
        for wrong in [json!({"snapshot": "s"}), json!({"instance": "a", "cluster": "b", "snapshot": "s"})] {
            let fault = place.observe("rds_snapshot", &wrong).await.unwrap_err();
            assert!(fault.message.contains("exactly one"), "{fault}");
        }
    })
    .await;
}
