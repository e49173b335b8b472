//! A dry-run cannot write: no write arrives, whatever an action tries.

use runbook_contract::{Access, Mode};
use runbook_core::{
    change::Planned,
    fault::{Fault, FaultKind},
};
use serde_json::json;

use crate::{
    place::{Place, config, cx, named, on_each, plan_cx},
    proxy::Proxy,
};

#[tokio::test]
async fn no_write_arrives_in_a_dry_run() {
    on_each(async |place: Place| {
        let (cluster, instance) = (place.aurora(&[0, 1]).await, place.instance(true).await);
        let (_, zone) = place.zone(60).await;
        let change = json!({"action": "UPSERT", "name": format!("api.{zone}"), "type": "A", "ttl": 60,
                            "values": ["192.0.2.9"]});
        let proxy = Proxy::before(&place.endpoint).await;
        let access = Access::new(Mode::ReadOnly);
        let config = config(&proxy.endpoint);
        let writes = [
            ("rds_failover_cluster", json!({"cluster": cluster})),
            ("rds_reboot", json!({"instance": instance, "failover": true})),
            ("rds_snapshot", json!({"instance": instance, "snapshot": "dry"})),
            ("rds_snapshot", json!({"cluster": cluster, "snapshot": "dry"})),
            ("route53_change", json!({"zone": zone, "changes": [change]})),
        ];
        for (tried, (name, input)) in writes.into_iter().enumerate() {
            let action = named(&config, &access, name);
            action.preflight(&cx(), &input).await.unwrap();
            let seen = action.observe(&cx(), &input).await.unwrap();
            let Planned::Change(change) = action.plan(&plan_cx(), &input, &seen).unwrap() else {
                panic!("{name}")
            };
            action.validate(&cx(), &change).await.unwrap();
            action.verify(&cx(), &change).await.unwrap();
            // Nobody calls this in a dry-run; the transport does not rely on that.
            let fault: Fault = action.apply(&cx(), &change).await.unwrap_err();
            assert_eq!(fault.kind, FaultKind::Denied, "{name}: {fault:?}");
            assert_eq!(access.writes_refused(), u64::try_from(tried).unwrap() + 1);
        }
        for (name, input) in [
            ("rds_cluster", json!({"cluster": cluster})),
            ("rds_instance", json!({"instance": instance})),
            ("route53_records", json!({"zone": zone})),
        ] {
            named(&config, &access, name).observe(&cx(), &input).await.unwrap();
        }
        assert_eq!(proxy.writes(), Vec::<String>::new());
        assert_eq!(access.writes_sent(), 0);
        assert_eq!(access.reads_sent(), u64::try_from(proxy.reads().len()).unwrap(), "{:?}", proxy.reads());
    })
    .await;
}
