//! AWS: who asks, databases that fail over, names that change, connections that are counted. The
//! SDKs meet it in the tests of the runbooks that ship.

use reqwest::Method;

use crate::support::{Fixture, change, start};

const CLUSTER: &[(&str, &str)] = &[("Action", "DescribeDBClusters"), ("DBClusterIdentifier", "orders")];
const SNAPSHOT: &[(&str, &str)] = &[
    ("Action", "CreateDBClusterSnapshot"),
    ("DBClusterIdentifier", "orders"),
    ("DBClusterSnapshotIdentifier", "before"),
];
const RECORDS: &str = "/2013-04-01/hostedzone/Z0SIMULATED/rrset";

fn text<'a>(body: &'a str, element: &str) -> &'a str {
    let (_, rest) = body.split_once(&format!("<{element}>")).unwrap_or_else(|| panic!("{element}: {body}"));
    rest.split_once("</").unwrap().0
}

/// The member that writes, and the status of the cluster.
async fn writer(fixture: &Fixture) -> (String, String) {
    let (status, body) = fixture.aws_form(CLUSTER).await;
    assert_eq!(status, 200, "{body}");
    let members: Vec<&str> = body.split("<DBClusterMember>").skip(1).collect();
    let writes = members.iter().find(|member| text(member, "IsClusterWriter") == "true").unwrap();
    (text(writes, "DBInstanceIdentifier").to_owned(), text(&body, "Status").to_owned())
}

#[tokio::test]
async fn only_the_key_of_the_world_is_known() {
    let fixture = start("database-unavailable").await;
    let asked = fixture.client.post(format!("{}/", fixture.world.aws_url())).body("Action=GetCallerIdentity");
    let signed = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/eu-west-1/sts/aws4_request";
    let response = asked.header("authorization", signed).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), response.headers()["x-simulated"].as_bytes()),
        (403, &b"true"[..])
    );
    let (status, body) = fixture.aws_form(&[("Action", "GetCallerIdentity")]).await;
    assert_eq!((status, text(&body, "Account")), (200, "000000000000"));
    let asked = [("Action", "SimulatePrincipalPolicy"), ("ActionNames.member.1", "rds:FailoverDBCluster")];
    assert_eq!(text(&fixture.aws_form(&asked).await.1, "EvalDecision"), "allowed");
    assert_eq!(fixture.aws_form(&[("Action", "DeleteDBCluster")]).await.0, 400);
}

#[tokio::test]
async fn a_cluster_fails_over_in_its_time() {
    let fixture = start("database-unavailable").await;
    let member = [("Action", "DescribeDBInstances"), ("DBInstanceIdentifier", "orders-1")];
    assert_eq!(text(&fixture.aws_form(&member).await.1, "DBInstanceStatus"), "rebooting");
    let failover = [("Action", "FailoverDBCluster"), ("DBClusterIdentifier", "orders")];
    assert_eq!(fixture.aws_form(&failover).await.0, 200);
    let (status, refused) = fixture.aws_form(&failover).await;
    assert_eq!((status, text(&refused, "Code")), (400, "InvalidDBClusterStateFault"));
    let seen = |member: &str, status: &str| (member.to_owned(), status.to_owned());
    for (seconds, expected) in [
        (0, seen("orders-1", "failing-over")),
        (25, seen("orders-2", "failing-over")),
        (15, seen("orders-2", "available")),
    ] {
        fixture.pass(seconds);
        assert_eq!(writer(&fixture).await, expected);
    }
    assert_eq!(text(&fixture.aws_form(&member).await.1, "DBInstanceStatus"), "available");
    assert_eq!(fixture.world.writes(), 2);
}

#[tokio::test]
async fn an_instance_reboots_over_to_its_standby_and_says_so() {
    let fixture = start("service-health-check").await;
    let look = [("Action", "DescribeDBInstances"), ("DBInstanceIdentifier", "reporting")];
    let reboot =
        [("Action", "RebootDBInstance"), ("DBInstanceIdentifier", "reporting"), ("ForceFailover", "true")];
    assert_eq!(text(&fixture.aws_form(&reboot).await.1, "DBInstanceStatus"), "rebooting");
    fixture.pass(40);
    let body = fixture.aws_form(&look).await.1;
    assert_eq!(
        (text(&body, "DBInstanceStatus"), text(&body, "AvailabilityZone")),
        ("available", "eu-west-1b")
    );
    let events = [("Action", "DescribeEvents"), ("SourceIdentifier", "reporting"), ("Duration", "60")];
    assert!(text(&fixture.aws_form(&events).await.1, "Message").contains("failover completed"));
    let over =
        [("Action", "RebootDBInstance"), ("DBInstanceIdentifier", "orders-2"), ("ForceFailover", "true")];
    assert_eq!(fixture.aws_form(&over).await.0, 400, "a member of a cluster has no standby of its own");
}

#[tokio::test]
async fn a_snapshot_is_made_once_and_takes_a_minute() {
    let fixture = start("service-health-check").await;
    let look = [("Action", "DescribeDBClusterSnapshots"), ("DBClusterSnapshotIdentifier", "before")];
    assert_eq!(fixture.aws_form(&look).await.0, 404);
    assert_eq!(fixture.aws_form(SNAPSHOT).await.0, 200);
    fixture.pass(30);
    let body = fixture.aws_form(&look).await.1;
    assert_eq!((text(&body, "Status"), text(&body, "PercentProgress")), ("creating", "50"));
    fixture.pass(30);
    assert_eq!(text(&fixture.aws_form(&look).await.1, "Status"), "available");
    let (status, refused) = fixture.aws_form(SNAPSHOT).await;
    assert_eq!((status, text(&refused, "Code")), (400, "DBClusterSnapshotAlreadyExistsFault"));
}

#[tokio::test]
async fn a_batch_of_records_is_done_whole_or_not_at_all() {
    let fixture = start("region-failover").await;
    let here = "api.eu-west-1.simulated.example";
    for (wrong, code) in [
        (change("CREATE", "api.simulated.example", here), "already exists"),
        (change("DELETE", "api.simulated.example", "elsewhere.example"), "do not match"),
        (change("DELETE", "none.simulated.example", here), "not found"),
        (change("UPSERT", "api.example.com", here), "not permitted"),
        (change("UPSERT", "simulated.example", here), "conflicts"),
        (String::new(), "between 1 and"),
    ] {
        let batch = change("CREATE", "new.simulated.example", here) + &wrong;
        let batch = if wrong.is_empty() { wrong } else { batch };
        let (status, body) = fixture.change_records(&batch).await;
        assert_eq!(status, 400, "{body}");
        assert!(body.contains("<InvalidChangeBatch>") && body.contains(code), "{body}");
    }
    let (_, body) = fixture.aws(Method::GET, RECORDS, String::new()).await;
    assert!(!body.contains("new.simulated.example"), "{body}");
    let (_, body) = fixture.upsert("api.simulated.example", "api.eu-central-1.simulated.example").await;
    let change = format!("/2013-04-01{}", text(&body, "Id"));
    assert_eq!(text(&body, "Status"), "PENDING");
    fixture.pass(31);
    assert_eq!(text(&fixture.aws(Method::GET, &change, String::new()).await.1, "Status"), "INSYNC");
    let one = format!("{RECORDS}?name=api.simulated.example&maxitems=1");
    let (_, body) = fixture.aws(Method::GET, &one, String::new()).await;
    assert_eq!(text(&body, "Value"), "api.eu-central-1.simulated.example");
    assert_eq!(text(&body, "NextRecordName"), "api-old.simulated.example.");
    let (status, _) = fixture.aws(Method::GET, "/2013-04-01/hostedzone/ZNONE/rrset", String::new()).await;
    assert_eq!(status, 404);
}
