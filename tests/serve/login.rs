//! Signing in at a real OpenID provider, through the server's own pages.

use std::{collections::BTreeMap, sync::Arc};

use regex::Regex;
use reqwest::{Client, RequestBuilder, Response, header, redirect};
use runbook_core::{Timestamp, duration::Duration};
use runbook_desk::kept::{self, Kept};
use runbook_journal::{DocumentQuery, Expect, Shelf, Sqlite};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use crate::{
    browser::{Arrived, Browser},
    project::Project,
    server::{Server, token},
};

const RUNBOOK: &str = "apiVersion: runbook/v1\nname: idle\nsteps: [{ id: wait, wait: 1s }]\n";

fn config(auth: &str) -> String {
    format!(
        "
version: 1
playbooks: playbooks
store: sqlite:.runbook/runbook.db
environments: {{ empty: {{}} }}
people: {{ groups: {{ leads: [lea] }} }}
auth:
  roles: [{{ role: responder, to: [sre-oncall] }}, {{ role: admin, to: [\"token:ops\"] }}]
{auth}"
    )
}

/// A server with its project, whose people sign in at a provider.
struct House {
    project: Project,
    server: Server,
}

/// A browser at the server; what it keeps.
struct Visitor<'h> {
    house: &'h House,
    client: Client,
    cookies: BTreeMap<String, String>,
}

impl House {
    fn at(issuer: &str) -> Self {
        let project = Project::empty();
        project.write("runbook.yaml", &config(""));
        project.write("playbooks/idle.yaml", RUNBOOK);
        let server = Server::start(&project, &[]);
        // Where people come back to is known once it listens.
        let oidc = format!(
            "  oidc: {{ issuer: \"{issuer}\", client_id: runbook-post, client_auth: post, client_secret: {{ file: oidc }}, redirect_url: \"{}/login/callback\" }}",
            server.url
        );
        project.write("oidc", "a-secret");
        project.write("runbook.yaml", &config(&oidc));
        server.signalled("-HUP", "read anew: ");
        Self { project, server }
    }

    fn visitor(&self) -> Visitor<'_> {
        let client = Client::builder().redirect(redirect::Policy::none()).no_proxy().build().unwrap();
        Visitor { house: self, client, cookies: BTreeMap::new() }
    }

    fn home(&self) -> String {
        format!("{}/login/callback", self.server.url)
    }

    async fn audit(&self) -> Vec<Value> {
        let ops = token(&self.project, &["--role", "admin", "--service", "ops"]);
        let asked = Client::new().get(format!("{}/api/v1/audit", self.server.url)).bearer_auth(ops);
        let log: Value = asked.send().await.unwrap().json().await.unwrap();
        log["items"].as_array().unwrap().clone()
    }
}

fn issuer() -> Option<String> {
    let issuer = std::env::var("RUNBOOK_TEST_OIDC").ok();
    if issuer.is_none() {
        eprintln!("skipped: RUNBOOK_TEST_OIDC is not set");
    }
    issuer
}

impl Visitor<'_> {
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.house.server.url)
    }

    async fn get(&mut self, path: &str) -> Response {
        let request = self.client.get(self.url(path)).header(header::ACCEPT, "text/html");
        self.send(request).await
    }

    async fn send(&mut self, request: RequestBuilder) -> Response {
        let sent: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let response = request.header(header::COOKIE, sent.join("; ")).send().await.unwrap();
        for set in response.headers().get_all(header::SET_COOKIE) {
            let (name, value) = set.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            match value {
                "" => self.cookies.remove(name),
                value => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        response
    }

    /// Begins to sign in: where the provider is asked.
    async fn begin(&mut self, next: &str) -> Url {
        let response = self.get(&format!("/login/begin?next={next}")).await;
        assert_eq!(response.status(), 303);
        Url::parse(&location(&response)).unwrap()
    }

    /// Signs in at the provider: the address with which it sends the browser back.
    async fn prove(&self, at: &Url, person: &str) -> Url {
        match Browser::new().walk(at, person, &[], &self.house.home()).await {
            Arrived::Back(url) => url,
            Arrived::Page(page) => panic!("the provider stopped: {page}"),
        }
    }

    async fn come_back(&mut self, with: &Url) -> Response {
        self.get(&format!("/login/callback?{}", with.query().unwrap())).await
    }

    async fn sign_in(&mut self, person: &str) -> Response {
        let at = self.begin("/").await;
        let back = self.prove(&at, person).await;
        self.come_back(&back).await
    }

    async fn me(&mut self) -> (u16, Value) {
        let response = self.get("/api/v1/me").await;
        (response.status().as_u16(), response.json().await.unwrap())
    }
}

fn location(response: &Response) -> String {
    response.headers()[header::LOCATION].to_str().unwrap().to_owned()
}

fn cookies(response: &Response) -> Vec<String> {
    let all = response.headers().get_all(header::SET_COOKIE).iter();
    all.map(|cookie| cookie.to_str().unwrap().to_owned()).collect()
}

/// The same address with one field of its query changed.
fn with(url: &Url, field: &str, value: &str) -> Url {
    let mut changed = url.clone();
    let pairs = url.query_pairs().map(|(name, old)| {
        let new = if name == field { value.into() } else { old };
        (name, new)
    });
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    changed.set_query(Some(&query));
    changed
}

fn field(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_signs_in_and_out_with_a_browser() {
    let Some(issuer) = issuer() else { return };
    let house = House::at(&issuer);
    let mut ann = house.visitor();
    let response = ann.get("/runs").await;
    assert_eq!((response.status().as_u16(), location(&response)), (303, "/login?next=%2Fruns".to_owned()));
    let page = ann.get("/login?next=%2Fruns").await.text().await.unwrap();
    assert!(page.contains("/login/begin?next=%2Fruns") && !page.contains("runbook sign-in"), "{page}");

    let response = ann.get("/login/begin?next=%2Fruns").await;
    let [login] = &cookies(&response)[..] else { panic!("{response:?}") };
    for part in ["runbook-login=", "; Path=/", "; Max-Age=600", "; HttpOnly", "; SameSite=Lax"] {
        assert!(login.contains(part), "{part} in {login}");
    }
    let at = Url::parse(&location(&response)).unwrap();
    assert!(at.as_str().starts_with(&issuer), "{at}");
    let back = ann.prove(&at, "oncall").await;
    let response = ann.come_back(&back).await;
    assert_eq!((response.status().as_u16(), location(&response)), (303, "/runs".to_owned()));
    let [session, forgotten] = &cookies(&response)[..] else { panic!("{response:?}") };
    for part in ["runbook=", "; Path=/", "; Max-Age=604800", "; HttpOnly", "; SameSite=Lax"] {
        assert!(session.contains(part), "{part} in {session}");
    }
    assert!(forgotten.starts_with("runbook-login=; ") && forgotten.contains("Max-Age=0"), "{forgotten}");

    let (status, me) = ann.me().await;
    assert_eq!((status, &me["name"]), (200, &Value::from("oncall")));
    assert!(me["groups"].as_array().unwrap().contains(&"sre-oncall".into()), "{me}");
    let page = ann.get("/runs").await.text().await.unwrap();
    assert!(page.contains("oncall"), "{page}");
    let log = house.audit().await;
    let entry = log.iter().find(|entry| entry["code"] == "signed_in").unwrap();
    assert_eq!(
        (&entry["who"], &entry["from"], &entry["detail"]),
        (&"oncall".into(), &"127.0.0.1".into(), &issuer.as_str().into())
    );

    // A token is shown once, whatever key its request had, and is nowhere in the store.
    let csrf = Regex::new(r#"name="csrf" value="([^"]+)""#).unwrap().captures(&page).unwrap()[1].to_owned();
    let new = json!({
        "name": "mine",
        "rights": [{ "role": "viewer", "environments": ["*"], "runbooks": ["*"] }],
        "expires_at": Duration::from_secs(600).after(Timestamp::now()),
    });
    let make = || {
        let request = ann.client.post(ann.url("/api/v1/tokens")).json(&new);
        request.header("x-csrf-token", &csrf).header("idempotency-key", "k1")
    };
    let (first, second) = (make(), make());
    let made: Value = ann.send(first).await.json().await.unwrap();
    let secret =
        made["token"].as_str().unwrap_or_else(|| panic!("{made}")).rsplit('_').next().unwrap().to_owned();
    assert_eq!(ann.send(second).await.status(), 409);
    for file in std::fs::read_dir(house.project.path(".runbook")).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{}", path.display());
    }

    // Out, with a form of one of our pages only; then the cookie is worth nothing.
    let out = ann.client.post(ann.url("/logout"));
    assert_eq!(ann.send(out).await.status(), 403);
    let kept = ann.cookies.clone();
    let out = ann.client.post(ann.url("/logout")).form(&[("csrf", csrf)]);
    let response = ann.send(out).await;
    assert_eq!((response.status().as_u16(), location(&response)), (303, "/login".to_owned()));
    assert!(!ann.cookies.contains_key("runbook"), "{:?}", ann.cookies);
    ann.cookies = kept;
    assert_eq!(ann.me().await.0, 401);
    assert_eq!(ann.get("/runs").await.status(), 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_ends_once_in_the_browser_that_began_it() {
    let Some(issuer) = issuer() else { return };
    let house = House::at(&issuer);
    let refused = async |visitor: &mut Visitor<'_>, back: &Url, expected: &str| {
        let response = visitor.come_back(back).await;
        assert_eq!(response.status(), 401, "{back}");
        assert!(cookies(&response).iter().all(|cookie| !cookie.starts_with("runbook=")), "{back}");
        let page = response.text().await.unwrap();
        assert!(page.contains(expected), "{expected}: {page}");
        assert_eq!(visitor.me().await.0, 401);
    };
    const NOT_BEGUN: &str = "This login was not begun in this browser";

    // With another state, and then not even with its own.
    let mut ann = house.visitor();
    let at = ann.begin("/").await;
    let back = ann.prove(&at, "oncall").await;
    refused(&mut ann, &with(&back, "state", "guessed"), NOT_BEGUN).await;
    refused(&mut ann, &back, NOT_BEGUN).await;
    // By a browser that has begun nothing, or something else.
    let at = ann.begin("/").await;
    let back = ann.prove(&at, "oncall").await;
    refused(&mut house.visitor(), &back, "This browser has begun no login").await;
    let mut eve = house.visitor();
    let own = eve.begin("/").await;
    refused(&mut eve, &back, NOT_BEGUN).await;
    // The code of somebody else in one's own login: the provider wants what only their browser knows.
    let mut eve = house.visitor();
    let mine = eve.begin("/").await;
    refused(&mut eve, &with(&back, "state", &field(&mine, "state")), "The provider did not let you in").await;
    drop(own);
    // A token that was made for another login.
    let mut eve = house.visitor();
    let at = eve.begin("/").await;
    let back = eve.prove(&with(&at, "nonce", "of-another-login"), "oncall").await;
    refused(&mut eve, &back, "it belongs to another login").await;
    // Of another provider that our browser was sent to.
    let mut eve = house.visitor();
    let at = eve.begin("/").await;
    let back = eve.prove(&at, "oncall").await;
    assert_eq!(eve.come_back(&with(&back, "iss", "https://evil.example.com")).await.status(), 500);
    assert_eq!(eve.me().await.0, 401);
    // Where the provider says no.
    let mut eve = house.visitor();
    let at = eve.begin("/").await;
    let mut no = Url::parse(&house.home()).unwrap();
    no.query_pairs_mut().extend_pairs([
        ("error", "access_denied"),
        ("error_description", "<b>no</b>"),
        ("state", &field(&at, "state")),
        ("iss", &issuer),
    ]);
    refused(&mut eve, &no, "Access_denied: &lt;b&gt;no&lt;/b&gt;".trim_start_matches('A')).await;

    // Twice with all that was right the first time.
    let mut ann = house.visitor();
    let at = ann.begin("/").await;
    let before = ann.cookies.clone();
    let back = ann.prove(&at, "oncall").await;
    assert_eq!(ann.come_back(&back).await.status(), 303);
    assert_eq!(ann.me().await.0, 200);
    let mut again = house.visitor();
    again.cookies = before;
    refused(&mut again, &back, NOT_BEGUN).await;
    assert_eq!(ann.me().await.0, 200, "whoever is signed in stays so");
    let log = house.audit().await;
    assert!(log.iter().any(|entry| {
        entry["code"] == "unauthenticated"
            && entry["path"] == "/login/callback"
            && entry["from"] == "127.0.0.1"
    }));
}

/// A login that was begun, as the store has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
struct Begun(Value);

impl Kept for Begun {
    const KIND: &'static str = "login";
    fn at(&self) -> Timestamp {
        self.0["begun_at"].as_str().unwrap().parse().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_took_too_long_is_over() {
    let Some(issuer) = issuer() else { return };
    let house = House::at(&issuer);
    let mut ann = house.visitor();
    let at = ann.begin("/").await;
    let shelf: Arc<dyn Shelf> =
        Arc::new(Sqlite::open(&house.project.path(".runbook/runbook.db")).await.unwrap());
    let all = DocumentQuery { limit: 10, ..DocumentQuery::default() };
    let [begun] = &mut kept::list::<Begun>(&shelf, all).await.unwrap()[..] else { panic!("one was begun") };
    // Nothing in the store is of use to whoever reads it.
    let secrets = [ann.cookies["runbook-login"].clone(), field(&at, "state"), field(&at, "nonce")];
    assert!(secrets.iter().all(|secret| !begun.value.0.to_string().contains(secret)), "{:?}", begun.value);
    begun.value.0["attempt"]["expires_at"] = Timestamp::now().to_string().into();
    let write = kept::put(&begun.id, &begun.value, Expect::Version(begun.version)).unwrap();
    shelf.write(vec![write]).await.unwrap();
    let back = ann.prove(&at, "oncall").await;
    let response = ann.come_back(&back).await;
    assert_eq!(response.status(), 401);
    assert!(response.text().await.unwrap().contains("or took more than ten minutes"));
    assert_eq!(ann.me().await.0, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_new_with_each_sign_in() {
    let Some(issuer) = issuer() else { return };
    let house = House::at(&issuer);
    let mut eve = house.visitor();
    assert_eq!(eve.sign_in("eve").await.status(), 303);
    // Somebody plants their own session in the browser of another, who then signs in.
    let mut ann = house.visitor();
    ann.cookies.insert("runbook".to_owned(), eve.cookies["runbook"].clone());
    assert_eq!(ann.sign_in("oncall").await.status(), 303);
    assert_ne!(ann.cookies["runbook"], eve.cookies["runbook"]);
    assert_eq!(ann.me().await.1["name"], "oncall");
    assert_eq!(eve.me().await.0, 401, "the one that was planted is over");
    // A made-up one is not taken up.
    let mut max = house.visitor();
    let planted = "A".repeat(43);
    max.cookies.insert("runbook".to_owned(), planted.clone());
    assert_eq!(max.sign_in("oncall").await.status(), 303);
    assert_ne!(max.cookies["runbook"], planted);
    // After signing in, nobody is led elsewhere.
    for next in
        ["//evil.example.com", "https://evil.example.com", "/%5Cevil.example.com", "/%09/evil.example.com"]
    {
        let mut bob = house.visitor();
        let at = bob.begin(next).await;
        let back = bob.prove(&at, "oncall").await;
        assert_eq!(location(&bob.come_back(&back).await), "/", "{next}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_granted_nothing_is_told_so_and_can_leave() {
    let Some(issuer) = issuer() else { return };
    let house = House::at(&issuer);
    let mut bob = house.visitor();
    assert_eq!(bob.sign_in("bob").await.status(), 303);
    let (status, me) = bob.me().await;
    assert_eq!((status, &me["name"], &me["rights"]), (200, &"bob".into(), &Value::from(Vec::<Value>::new())));
    let response = bob.get("/").await;
    assert_eq!(response.status(), 403);
    let page = response.text().await.unwrap();
    assert!(page.contains("bob") && page.contains("auth.roles") && page.contains("/logout"), "{page}");
    assert_eq!(bob.get("/api/v1/runs").await.status(), 403);
    // A name that would be taken for a group is nobody's.
    let mut leads = house.visitor();
    assert_eq!(leads.sign_in("leads").await.status(), 403);
    assert_eq!(leads.me().await.0, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_down_is_told_and_the_rest_goes_on() {
    let house = House::at("http://127.0.0.1:9");
    let mut ann = house.visitor();
    assert_eq!(ann.get("/login").await.status(), 200);
    let response = ann.get("/login/begin").await;
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key(header::RETRY_AFTER));
    assert!(cookies(&response).is_empty());
    let page = response.text().await.unwrap();
    assert!(page.contains("The OpenID provider could not be asked"), "{page}");
    assert_eq!(ann.get("/readyz").await.status(), 200);
    assert!(house.audit().await.is_empty(), "nothing was refused to anybody");
    // Somebody with access to the machine comes in all the same.
    let link = house.project.runbook(["sign-in", "lea", "--url", &house.server.url]).ends_with_code(0).stdout;
    let path = link.trim().strip_prefix(&house.server.url).unwrap().to_owned();
    assert_eq!(ann.get(&path).await.status(), 303);
    assert_eq!(ann.me().await.1["name"], "lea");
    assert_eq!(ann.get(&path).await.status(), 401, "once");
}
