//! TLS through the built binary: who is spoken with and how, and certificates that are replaced.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use reqwest::{
    header,
    tls::{TlsInfo, Version},
};
use serde_json::Value;

use crate::{
    certificates::{Authority, Subject, protect},
    project::Project,
    server::{PATIENCE, Server},
};

const CONFIG: &str = "
version: 1
playbooks: playbooks
store: sqlite:.runbook/runbook.db
environments: { empty: {} }
auth: { roles: [{ role: viewer, to: [alice] }] }
server: { tls: { certificate: tls.pem, key: tls.key } }
";

fn project(authority: &Authority) -> Project {
    let project = Project::empty();
    project.write("runbook.yaml", CONFIG);
    project.write(
        "playbooks/idle.yaml",
        "apiVersion: runbook/v1\nname: idle\nsteps: [{ id: wait, wait: 1s }]\n",
    );
    authority.server().keep(&project);
    project
}

/// What comes back for some bytes on a connection of its own.
fn answered(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let address = server.url.strip_prefix("https://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

/// The beginning of a TLS connection of a version that is too old: 1 for 1.0, 2 for 1.1.
fn hello(minor: u8) -> Vec<u8> {
    let mut body = vec![3, minor];
    body.extend([7; 32]);
    // No session; a cipher suite; no compression; a curve and signatures that would do.
    body.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
    body.extend([0, 22, 0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0, 0, 13, 0, 4, 0, 2, 4, 3]);
    let length = u8::try_from(body.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(body);
    record
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_speaks_tls_as_browsers_want_it() {
    let authority = Authority::new("test");
    let project = project(&authority);
    let server = Server::start(&project, &[]);
    assert!(server.url.starts_with("https://"), "{}", server.url);

    for version in [Version::TLS_1_2, Version::TLS_1_3] {
        let client = authority.trusting().tls_version_min(version).tls_version_max(version).build().unwrap();
        let response = client.get(format!("{}/healthz", server.url)).send().await.unwrap();
        assert_eq!(response.status(), 200, "{version:?}");
        assert_eq!(response.version(), reqwest::Version::HTTP_2);
        let lasting = response.headers()[header::STRICT_TRANSPORT_SECURITY].to_str().unwrap();
        assert_eq!(lasting, "max-age=31536000");
    }
    for minor in [1, 2] {
        let answer = answered(&server, &hello(minor));
        // An alert, fatal: protocol_version.
        assert_eq!((answer[0], &answer[5..7]), (21, &[2, 70][..]), "TLS 1.{}: {answer:?}", minor - 1);
    }
    let stranger = Authority::new("another").trusting().build().unwrap();
    assert!(stranger.get(format!("{}/healthz", server.url)).send().await.is_err(), "it is who it says");

    let link = project.runbook(["sign-in", "alice", "--url", &server.url]).ends_with_code(0).stdout;
    let client = authority.trusting().build().unwrap();
    let response = client.get(link.trim()).send().await.unwrap();
    assert_eq!(response.status(), 303);
    let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("__Host-runbook="), "{cookie}");
    for attribute in ["; Path=/", "; HttpOnly", "; SameSite=Lax", "; Secure", "; Max-Age=604800"] {
        assert!(cookie.contains(attribute), "{attribute} in {cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    let session = cookie.split(';').next().unwrap();
    let me = |cookie: String| {
        client.get(format!("{}/api/v1/me", server.url)).header(header::COOKIE, cookie).send()
    };
    assert_eq!(me(session.to_owned()).await.unwrap().status(), 200);
    // What another host of the domain can plant is none of ours.
    assert_eq!(me(session.replace("__Host-", "")).await.unwrap().status(), 401);
}

#[test]
fn whoever_asks_without_tls_is_told_where() {
    let authority = Authority::new("test");
    let project = project(&authority);
    let server = Server::start(&project, &[]);
    for request in [
        "GET /api/v1/runs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer rbk_1\r\n\r\n".to_owned(),
        format!("POST /hooks/am HTTP/1.1\r\nhost: x\r\ncontent-length: 50000\r\n\r\n{}", "x".repeat(50_000)),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
    ] {
        let address = server.url.strip_prefix("https://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
        let problem: Value = serde_json::from_str(body).unwrap();
        assert!(problem["hint"].as_str().unwrap().contains(&server.url), "{problem}");
        assert!(!body.contains("rbk_1"), "{body}");
    }
    // Whoever says nothing of it at all keeps nobody else waiting.
    let silent = TcpStream::connect(server.url.strip_prefix("https://").unwrap()).unwrap();
    assert_eq!(answered(&server, &hello(1))[0], 21);
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_replaced_without_a_new_start() {
    let authority = Authority::new("test");
    let project = project(&authority);
    let server = Server::start(&project, &[]);
    let shown = async |client: &reqwest::Client| {
        let response = client.get(format!("{}/healthz", server.url)).send().await.unwrap();
        response.extensions().get::<TlsInfo>().unwrap().peer_certificate().unwrap().to_vec()
    };
    let fresh = || authority.trusting().build().unwrap();
    let standing = fresh();
    let first = shown(&standing).await;

    let second = authority.server();
    second.keep(&project);
    assert_eq!(shown(&fresh()).await, first, "nothing changes by itself");
    server.signalled("-HUP", "read anew: ");
    assert_eq!(shown(&fresh()).await, second.der());
    assert_eq!(shown(&standing).await, first, "a connection that stands goes on");

    project.write("tls.key", &authority.server().key);
    let said = server.signalled("-HUP", "stays as it was");
    assert!(said.contains("it is not the key of the certificate"), "{said}");
    project.write("tls.key", &second.key);
    protect(&project, "tls.key", 0o644);
    let said = server.signalled("-HUP", "stays as it was");
    assert!(said.contains("everybody on this machine may read it"), "{said}");
    assert_eq!(shown(&fresh()).await, second.der());
}

#[test]
fn files_that_cannot_be_used_are_told_before_anything_listens() {
    let authority = Authority::new("test");
    let other = authority.vouch(&Subject { common_name: "other", ..Subject::default() });
    type Spoil = Box<dyn Fn(&Project)>;
    let cases: Vec<(&str, Spoil)> = vec![
        (
            "it is not the key of the certificate",
            Box::new(move |project| project.write("tls.key", &other.key)),
        ),
        ("everybody on this machine may read it", Box::new(|project| protect(project, "tls.key", 0o644))),
        ("there is no private key in it", Box::new(|project| project.write("tls.key", "none"))),
        ("there is no certificate in it", Box::new(|project| project.write("tls.pem", "none"))),
        ("No such file", Box::new(|project| std::fs::remove_file(project.path("tls.key")).unwrap())),
        (
            "tls.pem cannot be used",
            Box::new(|project| {
                project.write("tls.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
            }),
        ),
    ];
    for (expected, spoil) in cases {
        let project = project(&authority);
        spoil(&project);
        let said = project.runbook(["serve", "--listen", "127.0.0.1:0"]).ends_with_code(2);
        assert!(said.stderr.contains(expected), "{expected}: {}", said.stderr);
        assert!(said.stderr.contains("hint: "), "{}", said.stderr);
        assert!(!said.stderr.contains("PRIVATE KEY"), "{}", said.stderr);
    }
}

#[test]
fn nothing_goes_over_a_network_in_plain_text() {
    let authority = Authority::new("test");
    let project = project(&authority);
    let plain = CONFIG.replace("server: { tls: { certificate: tls.pem, key: tls.key } }", "");
    for (config, args, expected) in [
        (plain.clone(), &["--listen", "0.0.0.0:0"][..], "without TLS, secrets would go over the network"),
        (plain.clone(), &["--listen", "[::]:0"], "without TLS, secrets would go over the network"),
        (
            format!("{plain}server: {{ public_url: \"http://runbook.example.com\" }}"),
            &["--listen", "0.0.0.0:0"],
            "without TLS, secrets would go over the network",
        ),
        (CONFIG.to_owned(), &["--listen", "0.0.0.0:0", "--no-login"], "anybody on the network could act"),
    ] {
        project.write("runbook.yaml", &config);
        let said = project.runbook(["serve"].iter().chain(args)).ends_with_code(2);
        assert!(said.stderr.contains(expected), "{args:?}: {}", said.stderr);
    }
}
