//! What the caller may do, as IAM simulates it. Only ministack simulates; moto fails when it is
//! asked, which must not stand in the way.

use runbook_aws::Keys;
use runbook_contract::Obstacle;
use serde_json::{Value, json};

use crate::place::{Place, Which, cx, on, on_each, unique};

/// The emulator, asked as a user with one policy.
async fn as_user(place: &Place, policy: &Value) -> Place {
    let (iam, name) = (place.iam(), unique("oncall"));
    iam.create_user().user_name(&name).send().await.unwrap();
    iam.put_user_policy()
        .user_name(&name)
        .policy_name("p")
        .policy_document(policy.to_string())
        .send()
        .await
        .unwrap();
    let key = iam.create_access_key().user_name(&name).send().await.unwrap().access_key.unwrap();
    let keys = Keys { access_key_id: key.access_key_id, secret_access_key: key.secret_access_key };
    Place::with(place.which, place.endpoint.clone(), keys).await
}

fn policy(effect: &str, actions: &[&str]) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": actions, "Resource": "*"}]})
}

async fn iam_obstacles(place: &Place, cluster: &str) -> Vec<Obstacle> {
    let action = place.action("rds_failover_cluster");
    let found = action.preflight(&cx(), &json!({"cluster": cluster})).await.unwrap();
    found.into_iter().filter(|obstacle| obstacle.code == "iam").collect()
}

#[tokio::test]
async fn a_right_that_is_missing_is_told_by_a_simulation() {
    on(Which::Ministack, async |place: Place| {
        let cluster = place.aurora(&[0, 1]).await;
        let may = as_user(&place, &policy("Allow", &["rds:*"])).await;
        assert_eq!(iam_obstacles(&may, &cluster).await, Vec::new());
        for policy in [policy("Allow", &["rds:Describe*"]), policy("Deny", &["rds:FailoverDBCluster"])] {
            let may_not = as_user(&place, &policy).await;
            let obstacles = iam_obstacles(&may_not, &cluster).await;
            assert_eq!(obstacles.len(), 1, "{obstacles:?}");
            assert!(obstacles[0].blocking, "{obstacles:?}");
            assert!(obstacles[0].message.contains("you may not `rds:FailoverDBCluster`"), "{obstacles:?}");
            assert!(obstacles[0].message.contains(&cluster), "{obstacles:?}");
            assert_eq!(may_not.access.writes_sent(), 0);
        }
    })
    .await;
}

#[tokio::test]
async fn a_right_that_cannot_be_asked_is_unknown_and_blocks_nothing() {
    on_each(async |place: Place| {
        let cluster = place.aurora(&[0, 1]).await;
        // The keys of these tests are the account's own, whose rights nobody simulates.
        let obstacles = iam_obstacles(&place, &cluster).await;
        assert_eq!(obstacles.len(), 1, "{obstacles:?}");
        assert!(
            !obstacles[0].blocking && obstacles[0].message.contains("is unknown: the caller is"),
            "{obstacles:?}"
        );
    })
    .await;
    on(Which::Moto, async |place: Place| {
        let cluster = place.aurora(&[0, 1]).await;
        let user = as_user(&place, &policy("Allow", &["rds:*"])).await;
        let obstacles = iam_obstacles(&user, &cluster).await;
        assert!(obstacles.iter().all(|obstacle| !obstacle.blocking), "{obstacles:?}");
        assert!(obstacles[0].message.contains("`rds:FailoverDBCluster` is unknown"), "{obstacles:?}");
    })
    .await;
}
