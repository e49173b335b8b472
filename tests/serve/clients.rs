//! Detectors that show a certificate of their own.

use crate::{
    certificates::{Authority, Pair, Subject},
    project::Project,
    server::Server,
};

const ALERT: &str = include_str!("../../intake/tests/cases/alertmanager/one-fires.json");

fn config(hooks: &str) -> String {
    format!(
        "
version: 1
playbooks: playbooks
store: sqlite:.runbook/runbook.db
environments: {{ empty: {{}} }}
server: {{ tls: {{ certificate: tls.pem, key: tls.key, client_authorities: detectors.pem }} }}
hooks:
{hooks}
"
    )
}

fn served(detectors: &Authority, authority: &Authority, hooks: &str) -> (Project, Server) {
    let project = Project::empty();
    project.write("runbook.yaml", &config(hooks));
    project.write(
        "playbooks/idle.yaml",
        "apiVersion: runbook/v1\nname: idle\nsteps: [{ id: wait, wait: 1s }]\n",
    );
    project.write("detectors.pem", &detectors.pem());
    authority.server().keep(&project);
    let server = Server::start(&project, &[]);
    (project, server)
}

/// The status that a delivery gets, or none where the connection is refused.
async fn delivered(server: &Server, authority: &Authority, shown: Option<&Pair>, hook: &str) -> Option<u16> {
    let mut builder = authority.trusting();
    if let Some(pair) = shown {
        builder = builder.identity(pair.identity());
    }
    let sent = builder.build().unwrap().post(format!("{}/hooks/{hook}", server.url)).body(ALERT).send();
    sent.await.ok().map(|response| response.status().as_u16())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_takes_the_certificates_that_it_names() {
    let (authority, detectors) = (Authority::new("servers"), Authority::new("detectors"));
    let of = |subject: Subject<'_>| detectors.vouch(&subject);
    let by_dns = of(Subject { common_name: "am", dns: &["Alertmanager.monitoring"], ..Subject::default() });
    let by_uri = of(Subject { uri: &["spiffe://example.com/am"], ..Subject::default() });
    let by_name = of(Subject { common_name: "alertmanager.monitoring", ..Subject::default() });
    let pinned = of(Subject { common_name: "pinned", ..Subject::default() });
    let expired = of(Subject { dns: &["alertmanager.monitoring"], expired: true, ..Subject::default() });
    let of_a_server = of(Subject { dns: &["alertmanager.monitoring"], server: true, ..Subject::default() });
    let forged = Authority::new("detectors")
        .vouch(&Subject { dns: &["alertmanager.monitoring"], ..Subject::default() });
    let digest = fingerprint(&pinned.der());
    let (project, server) = served(
        &detectors,
        &authority,
        &format!(
            "  dns: {{ source: alertmanager, client_certificate: {{ dns: [alertmanager.monitoring] }} }}
  uri: {{ source: alertmanager, client_certificate: {{ uri: [\"spiffe://example.com/am\"] }} }}
  pin: {{ source: alertmanager, client_certificate: {{ sha256: [\"{digest}\"] }} }}"
        ),
    );
    for (what, shown, hook, expected) in [
        ("by the name of its host", Some(&by_dns), "dns", Some(202)),
        ("by its address", Some(&by_uri), "uri", Some(202)),
        ("by itself", Some(&pinned), "pin", Some(202)),
        ("another host", Some(&by_uri), "dns", Some(401)),
        ("the same name of another kind", Some(&by_name), "dns", Some(401)),
        ("another certificate", Some(&by_dns), "pin", Some(401)),
        ("none", None, "dns", Some(401)),
        ("one that has expired", Some(&expired), "dns", None),
        ("one that is for servers", Some(&of_a_server), "dns", None),
        ("one of another authority of the same name", Some(&forged), "dns", None),
    ] {
        assert_eq!(delivered(&server, &authority, shown, hook).await, expected, "{what}");
    }
    // A header that says so is nothing.
    let claimed = authority.trusting().build().unwrap().post(format!("{}/hooks/dns", server.url));
    let claimed =
        claimed.header("x-client-cert", by_dns.certificate.replace('\n', "")).body(ALERT).send().await;
    assert_eq!(claimed.unwrap().status(), 401);

    // Whoever is no longer named is out with the next reading, also one that has been in before.
    project.write(
        "runbook.yaml",
        &config("  dns: { source: alertmanager, client_certificate: { dns: [alertmanager.elsewhere] } }"),
    );
    server.signalled("-HUP", "read anew: ");
    assert_eq!(delivered(&server, &authority, Some(&by_dns), "dns").await, Some(401));
    assert_eq!(delivered(&server, &authority, Some(&by_uri), "uri").await, Some(404));
    // And so is an authority.
    project.write("detectors.pem", &Authority::new("newer").pem());
    server.signalled("-HUP", "read anew: ");
    assert_eq!(delivered(&server, &authority, Some(&by_dns), "dns").await, None);
}

/// The digest as `openssl x509 -fingerprint -sha256` prints it.
fn fingerprint(der: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    let bytes: Vec<String> = Sha256::digest(der).iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}

#[test]
fn a_hook_that_nobody_vouches_for_is_found() {
    let project = Project::empty();
    project.write(
        "playbooks/idle.yaml",
        "apiVersion: runbook/v1\nname: idle\nsteps: [{ id: wait, wait: 1s }]\n",
    );
    for (hook, expected) in [
        ("client_certificate: { dns: [am] }", "nobody vouches for client certificates"),
        ("client_certificate: {}", "it names nobody"),
        ("client_certificate: { sha256: [abc] }", "`abc` is not a SHA-256"),
        ("client_certificate: { dns: [am] }, bearer: { env: X }", "has 2 proofs"),
    ] {
        let config = config(&format!("  am: {{ source: alertmanager, {hook} }}"));
        project.write("runbook.yaml", &config.replace(", client_authorities: detectors.pem", ""));
        let said = project.runbook(["check"]).ends_with_code(2);
        assert!(said.stderr.contains(expected) || said.stdout.contains(expected), "{hook}: {said:?}");
    }
}
