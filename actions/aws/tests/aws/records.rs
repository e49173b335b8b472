//! Records of hosted zones: read, changed in batches, taken back.

use runbook_contract::laws;
use runbook_core::{
    Value,
    change::{Landed, Planned, Progress, Undo},
    fault::FaultKind,
    spec::Effect,
};
use serde_json::json;

use crate::place::{Place, Which, cx, on, on_each, plan_cx};

fn a(action: &str, name: &str, ttl: i64, value: &str) -> Value {
    json!({"action": action, "name": name, "type": "A", "ttl": ttl, "values": [value]})
}

async fn values(place: &Place, zone: &str, name: &str) -> Value {
    place.read("route53_records", json!({"zone": zone, "name": name, "type": "A"})).await["values"].clone()
}

#[tokio::test]
async fn records_are_read_by_zone_and_name() {
    on_each(async |place: Place| {
        let (id, name) = place.zone(300).await;
        for zone in [id.as_str(), name.as_str(), &format!("{}.", name.to_uppercase())] {
            let seen = place.observe("route53_records", &json!({"zone": zone})).await.unwrap();
            let target = seen.target.unwrap();
            assert_eq!(target.name, format!("aws:{}/global/hosted-zone/{id}/{name}", place.account()));
            assert_eq!(
                (&seen.outputs["zone_id"], &seen.outputs["count"]),
                (&json!(id), &json!(3)),
                "NS, SOA, api"
            );
        }
        let one = json!({"zone": name, "name": format!("API.{name}."), "type": "a"});
        let outputs = place.read("route53_records", one).await;
        assert_eq!((&outputs["values"], &outputs["ttl"]), (&json!(["192.0.2.1"]), &json!(300)), "{outputs}");
        let none = place.read("route53_records", json!({"zone": name, "name": format!("gone.{name}")})).await;
        assert_eq!((&none["count"], &none["records"]), (&json!(0), &json!([])));
        for zone in ["nowhere.example", "ZNOTHERE"] {
            let fault = place.observe("route53_records", &json!({"zone": zone})).await.unwrap_err();
            assert_eq!(fault.kind, FaultKind::NotFound, "{fault:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_batch_and_its_inverse() {
    on_each(async |place: Place| {
        let (id, name) = place.zone(300).await;
        let (api, new) = (format!("api.{name}"), format!("dr.{name}"));
        let input = json!({"zone": name, "comment": "move to the other region", "changes": [
            a("UPSERT", &api, 60, "192.0.2.9"), a("CREATE", &new, 60, "192.0.2.8")]});
        let action = place.action("route53_change");
        assert_eq!(
            laws::of_change(action.as_ref(), &place.access, &cx(), &input).await,
            Vec::<String>::new()
        );
        let change = place.plan("route53_change", &input).await;
        assert_eq!((change.effect, &change.undo), (Effect::Destructive, &Undo::Auto));
        assert_eq!(change.before[format!("{new} A")], Value::Null);
        assert_eq!(change.before[format!("{api} A")]["values"], json!(["192.0.2.1"]));
        assert!(change.request.url.ends_with(&format!("/2013-04-01/hostedzone/{id}/rrset")));
        assert_eq!(change.request.body["Changes"][0]["ResourceRecordSet"]["TTL"], 60);
        let inverse = &change.image["inverse"]["Changes"];
        assert_eq!((&inverse[0]["Action"], &inverse[1]["Action"]), (&json!("DELETE"), &json!("UPSERT")));
        assert!(change.warnings.iter().any(|warning| warning.contains("5m")), "{:?}", change.warnings);
        assert!(
            change.warnings.iter().any(|warning| warning.contains("DELETE dr.")),
            "{:?}",
            change.warnings
        );
        let seen = action.observe(&cx(), &input).await.unwrap();
        assert_eq!(action.landed(&change, &seen), Landed::No);

        let outputs = place.make(&change).await;
        assert_eq!((&outputs["status"], &outputs["ttl"]), (&json!("INSYNC"), &json!(300)), "{outputs}");
        assert_eq!(values(&place, &name, &api).await, json!(["192.0.2.9"]));
        let seen = action.observe(&cx(), &input).await.unwrap();
        assert_eq!(action.landed(&change, &seen), Landed::Yes);
        let sent = place.access.writes_sent();
        action.apply(&cx(), &change).await.unwrap();
        assert_eq!(place.access.writes_sent(), sent, "sent again, it finds itself made");

        let Planned::Change(undo) = place.plan_undo(&change).await.unwrap() else {
            panic!("nothing to take back")
        };
        assert_eq!((&undo.before, &undo.after), (&change.after, &change.before));
        place.make(&undo).await;
        assert_eq!(values(&place, &name, &api).await, json!(["192.0.2.1"]));
        assert_eq!(values(&place, &name, &new).await, Value::Null);
        assert!(matches!(place.plan_undo(&change).await.unwrap(), Planned::Already { .. }));
        // What took it back can itself be in doubt, and taken back.
        let seen = action.observe(&cx(), &undo.input).await.unwrap();
        assert_eq!(action.landed(&undo, &seen), Landed::Yes);
        let Planned::Change(redo) = place.plan_undo(&undo).await.unwrap() else {
            panic!("nothing to take back")
        };
        assert_eq!(redo.after, change.after);
    })
    .await;
}

#[tokio::test]
async fn every_kind_of_change_lives_and_dies() {
    on_each(async |place: Place| {
        let (_, name) = place.zone(60).await;
        let routed = |value: &str, set: &str, weight: i64| {
            json!({"action": "UPSERT", "name": format!("eu.{name}"), "type": "A", "ttl": 60, "values": [value],
                   "routing": {"set_identifier": set, "weight": weight}})
        };
        let batches = [
            json!([{"action": "DELETE", "name": format!("api.{name}"), "type": "A"}]),
            json!([a("DELETE", &format!("api.{name}"), 60, "192.0.2.1"),
                   {"action": "CREATE", "name": format!("api.{name}"), "type": "CNAME", "ttl": 60, "values": ["dr.test"]}]),
            json!([routed("192.0.2.1", "one", 100), routed("192.0.2.2", "two", 0)]),
            json!([{"action": "UPSERT", "name": format!("*.{name}"), "type": "A",
                    "alias": {"zone_id": "Z32O12XQLNTSW2", "name": "lb.test", "evaluate_target_health": true}}]),
            json!([{"action": "CREATE", "name": name, "type": "TXT", "ttl": 60, "values": ["\"v=spf1 -all\""]}]),
        ];
        let all = json!({"zone": name});
        for changes in batches {
            if place.which == Which::Moto && changes[0]["action"] == "DELETE" {
                // moto refuses to create again what it has ever created.
                continue;
            }
            let before = place.read("route53_records", all.clone()).await["records"].clone();
            let input = json!({"zone": name, "changes": changes});
            let change = place.plan("route53_change", &input).await;
            place.make(&change).await;
            let after = place.read("route53_records", all.clone()).await["records"].clone();
            assert_ne!(before, after, "{input}");
            let Planned::Change(undo) = place.plan_undo(&change).await.unwrap() else { panic!("{input}") };
            place.make(&undo).await;
            assert_eq!(place.read("route53_records", all.clone()).await["records"], before, "{input}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_route53_would_refuse_fails_in_the_plan() {
    on_each(async |place: Place| {
        let (_, name) = place.zone(60).await;
        let api = format!("api.{name}");
        let sent = place.access.writes_sent();
        for (changes, word) in [
            (json!([a("CREATE", &api, 60, "192.0.2.1")]), "exists already"),
            (json!([a("DELETE", &format!("gone.{name}"), 60, "192.0.2.1")]), "nothing to delete"),
            (json!([a("DELETE", &api, 61, "192.0.2.1")]), "does not match"),
            (json!([a("CREATE", "api.elsewhere.example", 60, "192.0.2.1")]), "outside of the zone"),
            (
                json!([{"action": "UPSERT", "name": api, "type": "CNAME", "ttl": 60, "values": ["x.test"]}]),
                "beside other records",
            ),
            (json!([]), "between 1 and 100"),
        ] {
            let fault = place
                .try_plan("route53_change", &json!({"zone": name, "changes": changes}))
                .await
                .unwrap_err();
            assert_eq!(fault.kind, FaultKind::Permanent, "{fault:?}");
            assert!(fault.message.contains(word), "{fault}");
        }
        assert_eq!(place.access.writes_sent(), sent);
        let same = json!({"zone": name, "changes": [a("UPSERT", &api, 60, "192.0.2.1")]});
        let already = place.try_plan("route53_change", &same).await.unwrap();
        assert!(matches!(already, Planned::Already { .. }), "{already:?}");
    })
    .await;
}

#[tokio::test]
async fn records_that_moved_void_the_plan_and_guard_the_undo() {
    on_each(async |place: Place| {
        let (_, name) = place.zone(60).await;
        let api = format!("api.{name}");
        let to = |value: &str| json!({"zone": name, "changes": [a("UPSERT", &api, 60, value)]});
        let change = place.plan("route53_change", &to("192.0.2.2")).await;
        place.make(&place.plan("route53_change", &to("192.0.2.3")).await).await;
        let action = place.action("route53_change");
        let fault = action.apply(&cx(), &change).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Conflict, "{fault:?}");
        assert!(fault.message.contains("192.0.2.1 -> 192.0.2.3"), "{fault}");

        let change = place.plan("route53_change", &to("192.0.2.4")).await;
        place.make(&change).await;
        place.make(&place.plan("route53_change", &to("192.0.2.5")).await).await;
        let fault = place.plan_undo(&change).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Conflict, "{fault:?}");
        let progress = action.verify(&cx(), &change).await.unwrap();
        assert!(matches!(progress, Progress::Failed(_)), "{progress:?}");

        // Also where what it made could not be taken back any more.
        let gone = json!({"zone": name, "changes": [{"action": "DELETE", "name": api, "type": "A"}]});
        let alias = json!({"zone": name, "changes": [
            {"action": "CREATE", "name": api, "type": "CNAME", "ttl": 60, "values": ["dr.test"]}]});
        for input in [gone, alias] {
            place.make(&place.plan("route53_change", &input).await).await;
            let fault = place.plan_undo(&change).await.unwrap_err();
            assert_eq!(fault.kind, FaultKind::Conflict, "{fault:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_predicted_batch_shows_in_later_reads_and_plans() {
    on_each(async |place: Place| {
        let (_, name) = place.zone(60).await;
        let new = format!("new.{name}");
        let input = json!({"zone": name, "changes": [a("CREATE", &new, 60, "192.0.2.7")]});
        let change = place.plan("route53_change", &input).await;
        let predicted = std::slice::from_ref(&change);
        let read = place.action("route53_records");
        let one = json!({"zone": name, "name": new});
        let (seen, touched) = read.overlay(read.observe(&cx(), &one).await.unwrap(), predicted);
        assert!(touched);
        assert_eq!(seen.outputs["values"], json!(["192.0.2.7"]));
        let other = json!({"zone": name, "name": format!("api.{name}")});
        let (_, touched) = read.overlay(read.observe(&cx(), &other).await.unwrap(), predicted);
        assert!(!touched, "another name was touched");

        let action = place.action("route53_change");
        let (seen, touched) = action.overlay(action.observe(&cx(), &input).await.unwrap(), predicted);
        assert!(touched);
        let fault = action.plan(&plan_cx(), &input, &seen).unwrap_err();
        assert!(fault.message.contains("exists already"), "what was foreseen is there: {fault}");
    })
    .await;
}

#[tokio::test]
async fn a_batch_is_waited_for_by_its_receipt() {
    // moto is in sync at once.
    on(Which::Ministack, async |place: Place| {
        let (_, name) = place.zone(60).await;
        let input = json!({"zone": name, "changes": [a("UPSERT", &format!("api.{name}"), 60, "192.0.2.6")]});
        let change = place.plan("route53_change", &input).await;
        let action = place.action("route53_change");
        let answer = action.apply(&cx(), &change).await.unwrap();
        assert_eq!(answer["status"], "PENDING");
        assert!(answer["change_id"].as_str().is_some_and(|id| id.contains("/change/")), "{answer}");
        let outputs = place.follow(action.as_ref(), &change, &answer).await;
        assert_eq!((&outputs["status"], &outputs["change_id"]), (&json!("INSYNC"), &answer["change_id"]));
        // Without a receipt, as after a crash, the records themselves have to do.
        let Progress::Done(outputs) = action.verify(&cx(), &change).await.unwrap() else {
            panic!("not done")
        };
        assert_eq!(outputs["status"], Value::Null);
    })
    .await;
}
