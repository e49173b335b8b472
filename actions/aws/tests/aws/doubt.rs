//! Requests of which the answer is lost, late or a refusal: none takes effect twice, and none is
//! taken for done that is not.

use std::sync::Arc;

use futures::future::join_all;
use runbook_aws::Config;
use runbook_contract::{Access, Action, Mode};
use runbook_core::{
    Value,
    change::{Change, Landed, Planned},
    fault::FaultKind,
};
use serde_json::json;

use crate::{
    place::{Place, config, cx, cx_within, named, on_each, plan_cx, unique},
    proxy::{Proxy, Spoil},
};

/// Every write, on a target of its own, and whether a look at the target settles the doubt.
async fn writes(place: &Place) -> Vec<(&'static str, Value, bool)> {
    let (_, zone) = place.zone(60).await;
    let changes = json!([
        {"action": "CREATE", "name": format!("new.{zone}"), "type": "A", "ttl": 60, "values": ["192.0.2.9"]},
        {"action": "DELETE", "name": format!("api.{zone}"), "type": "A"},
    ]);
    vec![
        ("rds_failover_cluster", json!({"cluster": place.aurora(&[0, 1]).await}), true),
        ("rds_snapshot", json!({"instance": place.instance(false).await, "snapshot": unique("s")}), true),
        ("rds_snapshot", json!({"cluster": place.aurora(&[1]).await, "snapshot": unique("s")}), true),
        ("route53_change", json!({"zone": zone, "changes": changes}), true),
        ("rds_reboot", json!({"instance": place.instance(false).await}), false),
    ]
}

struct Tried {
    action: Arc<dyn Action>,
    change: Change,
    input: Value,
}

impl Tried {
    async fn plan(config: &Config, name: &str, input: Value) -> Self {
        let action = named(config, &Access::new(Mode::ReadWrite), name);
        let seen = action.observe(&cx(), &input).await.unwrap();
        let Planned::Change(change) = action.plan(&plan_cx(), &input, &seen).unwrap() else {
            panic!("{name}")
        };
        Self { action, change: *change, input }
    }
    async fn landed(&self) -> Landed {
        let seen = self.action.observe(&cx(), &self.input).await.unwrap();
        self.action.landed(&self.change, &seen)
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_a_doubt_that_a_look_settles() {
    on_each(async |place: Place| {
        for spoil in [Spoil::DropAnswer, Spoil::HoldAnswer, Spoil::DropRequest] {
            let writes = writes(&place).await;
            join_all(writes.into_iter().map(|(name, input, settles)| {
                let place = &place;
                async move { is_settled_by_a_look(place, spoil, name, input, settles).await }
            }))
            .await;
        }
    })
    .await;
}

async fn is_settled_by_a_look(place: &Place, spoil: Spoil, name: &str, input: Value, settles: bool) {
    let proxy = Proxy::before(&place.endpoint).await;
    let tried = Tried::plan(&config(&proxy.endpoint), name, input).await;
    proxy.spoil(spoil);
    let within = if spoil == Spoil::HoldAnswer { cx_within("4s") } else { cx() };
    let fault = tried.action.apply(&within, &tried.change).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unknown, "{name} {spoil:?}: {fault:?}");
    assert_eq!(proxy.writes().len(), 1, "{name} {spoil:?}: sent again without a look");

    proxy.spoil(Spoil::Nothing);
    let landed = tried.landed().await;
    match (settles, spoil == Spoil::DropRequest) {
        (true, false) => assert_eq!(landed, Landed::Yes, "{name} {spoil:?}"),
        (true, true) => {
            assert_eq!(landed, Landed::No, "{name} {spoil:?}");
            tried.action.apply(&cx(), &tried.change).await.unwrap();
            assert_eq!(tried.landed().await, Landed::Yes, "{name} {spoil:?}");
        }
        (false, _) => assert_ne!(landed, Landed::No, "{name} {spoil:?}: nothing proves that"),
    }
}

#[tokio::test]
async fn a_service_that_is_too_busy_is_asked_again_a_few_times() {
    on_each(async |place: Place| {
        for (name, input, _) in writes(&place).await {
            let proxy = Proxy::before(&place.endpoint).await;
            let tried = Tried::plan(&config(&proxy.endpoint), name, input).await;
            proxy.spoil(Spoil::Throttle(2));
            tried.action.apply(&cx(), &tried.change).await.unwrap();
            assert_eq!(proxy.writes().len(), 3, "{name}: {:?}", proxy.writes());
        }
        let input = json!({"instance": place.instance(false).await});
        let proxy = Proxy::before(&place.endpoint).await;
        let tried = Tried::plan(&config(&proxy.endpoint), "rds_reboot", input).await;
        proxy.spoil(Spoil::Throttle(u32::MAX));
        let fault = tried.action.apply(&cx(), &tried.change).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Refused, "{fault:?}");
        assert_eq!(proxy.writes().len(), 4, "as often as one request is tried");
    })
    .await;
}
