//! One incident: a namespace of its own with the deployment `api`, whose last rollout is bad, and
//! a line of its own on the metrics page.

use std::{
    env, fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;

/// The page of metrics is one file, which every test of this process writes its line to.
static PAGE: Mutex<()> = Mutex::new(());
/// However slow the machine, a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Site {
    name: String,
    kubeconfig: String,
    page: String,
    folder: tempfile::TempDir,
}

impl Site {
    /// `None` where the servers are not there, which is said.
    pub fn new() -> Option<Self> {
        let read = |name: &str| {
            let value = env::var(name);
            if value.is_err() {
                eprintln!("skipped: {name} is not set");
            }
            value.ok()
        };
        let (kubeconfig, nobody) =
            (read("RUNBOOK_TEST_KUBECONFIG")?, read("RUNBOOK_TEST_KUBECONFIG_NOBODY")?);
        let (prometheus, page) = (read("RUNBOOK_TEST_PROMETHEUS")?, read("RUNBOOK_TEST_METRICS_PAGE")?);
        let folder = tempfile::tempdir().unwrap();
        let unique = folder.path().file_name().unwrap().to_string_lossy().to_lowercase();
        let name = format!("runbook-{}", unique.replace(|c: char| !c.is_ascii_alphanumeric(), ""));
        let site = Self { name, kubeconfig, page, folder };
        site.write("runbook.yaml", &site.config(&nobody, &prometheus));
        for (file, text) in PLAYBOOKS {
            site.write(&format!("playbooks/{file}.yaml"), &text.replace("NAMESPACE", &site.name));
        }
        site.kubectl_cluster(&["create", "namespace", &site.name]);
        site.kubectl(&["create", "deployment", "api", "--image=registry.test/api:1", "--replicas=3"]);
        site.kubectl(&["rollout", "status", "deployment/api", "--timeout=60s"]);
        site.kubectl(&["set", "image", "deployment/api", "api=registry.test/api:2"]);
        site.kubectl(&["rollout", "status", "deployment/api", "--timeout=60s"]);
        site.latency(8.0);
        site.until("Prometheus to have scraped the latency", || {
            let url = format!(
                "{prometheus}/api/v1/query?query=request_latency_p95_seconds%7Bservice%3D%22{}%22%7D",
                site.name
            );
            let answer = Command::new("curl").args(["-sf", &url]).output().unwrap();
            String::from_utf8_lossy(&answer.stdout).contains("\"8\"").then_some(())
        });
        Some(site)
    }

    fn config(&self, nobody: &str, prometheus: &str) -> String {
        let who = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
        let who = who.trim();
        let kubeconfig = &self.kubeconfig;
        let prometheus = format!("prometheus: {{ url: \"{prometheus}\" }}");
        format!(
            "version: 1
playbooks: playbooks
store: sqlite:runs.db
default_environment: production
environments:
  production:
    kubernetes: {{ kubeconfig: {kubeconfig} }}
    {prometheus}
    limits: {{ max_mutations: 5, kubernetes.scale: {{ max_replicas: 20 }} }}
  nobody: {{ kubernetes: {{ kubeconfig: {nobody} }}, {prometheus} }}
  away: {{ kubernetes: {{ kubeconfig: {away} }}, {prometheus} }}
  lost: {{ kubernetes: {{ kubeconfig: no-such-kubeconfig }}, {prometheus} }}
people:
  groups: {{ sre-oncall: [{who}, bob] }}
auth:
  roles: [{{ role: approver, to: [bob] }}, {{ role: viewer, to: [eve] }}, {{ role: admin, to: [{who}] }}]
hooks:
  alertmanager: {{ source: alertmanager, bearer: {{ env: RUNBOOK_TEST_SECRET }} }}
",
            away = self.away(),
        )
    }

    /// A kubeconfig for an address at which nobody listens.
    fn away(&self) -> String {
        let text = fs::read_to_string(&self.kubeconfig).unwrap();
        let server = text.lines().find_map(|line| line.trim().strip_prefix("server: ")).unwrap();
        self.write("away.kubeconfig", &text.replace(server, "https://127.0.0.1:9"));
        self.path("away.kubeconfig")
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Sets the 95th percentile that Prometheus will read for this site's service, in seconds.
    pub fn latency(&self, seconds: f64) {
        let _page = PAGE.lock().unwrap_or_else(PoisonError::into_inner);
        let series = format!("request_latency_p95_seconds{{service=\"{}\"}}", self.name);
        self.rewrite_page(Some(format!("{series} {seconds}")));
    }

    fn rewrite_page(&self, line: Option<String>) {
        let old = fs::read_to_string(&self.page).unwrap();
        let kept =
            old.lines().filter(|line| !line.contains(&format!("\"{}\"", self.name))).map(str::to_owned);
        let lines: Vec<String> = kept.chain(line).collect();
        let beside = Path::new(&self.page).with_extension(format!("{}.tmp", self.name));
        fs::write(&beside, lines.join("\n") + "\n").unwrap();
        fs::rename(beside, &self.page).unwrap();
    }

    fn runbook(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runbook"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .env_remove("RUNBOOK_CONFIG");
        command
    }

    fn ended(&self, arguments: &[&str], codes: &[i32]) -> Output {
        let output = self.runbook(arguments).output().unwrap();
        assert!(
            codes.contains(&output.status.code().unwrap()),
            "{arguments:?} ended with {}, not {codes:?}\n{}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        output
    }

    /// What a command prints to stdout.
    pub fn text(&self, arguments: &[&str], code: i32) -> String {
        String::from_utf8(self.ended(arguments, &[code]).stdout).unwrap()
    }

    pub fn both(&self, arguments: &[&str], code: i32) -> String {
        let output = self.ended(arguments, &[code]);
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    pub fn json(&self, arguments: &[&str], code: i32) -> Value {
        self.json_of(arguments, &[code])
    }

    pub fn json_of(&self, arguments: &[&str], codes: &[i32]) -> Value {
        let arguments = [arguments, &["--output", "json"]].concat();
        serde_json::from_slice(&self.ended(&arguments, codes).stdout).unwrap()
    }

    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.runbook(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub fn finish(&self, run: Child, code: i32) -> Value {
        let output = run.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{}\n{said}", String::from_utf8_lossy(&output.stdout));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Asks again and again until there is an answer: what is waited for is another process.
    pub fn until<T>(&self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// A server at the address to which the real Alertmanager delivers, until it is dropped.
    pub fn serve(&self) -> Server {
        let mut command = self.runbook(&["serve", "--listen", "127.0.0.1:18080"]);
        // What the Alertmanager sends for its secret.
        let child = command.env("RUNBOOK_TEST_SECRET", "sekret").stderr(Stdio::null()).spawn().unwrap();
        let token = self.text(&["token", "create", "test", "--role", "approver", "-q"], 0);
        Server { child, token: token.trim().to_owned() }
    }

    /// The service that its alerts name.
    pub fn service(&self) -> &str {
        &self.name
    }

    fn latest(&self) -> Option<Value> {
        let output = self.runbook(&["show", "latest", "--output", "json"]).output().unwrap();
        serde_json::from_slice(&output.stdout).ok()
    }

    fn step_of(document: &Value, step: &str) -> Option<Value> {
        document["steps"].as_array()?.iter().find(|one| one["id"] == step).cloned()
    }

    /// The run whose step waits for an approval.
    pub fn await_gate(&self, step: &str) -> String {
        self.until(&format!("{step} to ask"), || {
            let document = self.latest()?;
            (Self::step_of(&document, step)?["status"] == "waiting")
                .then(|| document["run"].as_str().unwrap().to_owned())
        })
    }

    pub fn digest(&self, run: &str, step: &str) -> String {
        let document = self.json(&["show", run], 0);
        Self::step_of(&document, step).unwrap()["approval"]["digest"].as_str().unwrap().to_owned()
    }

    pub fn await_other_digest(&self, run: &str, step: &str, old: &str) -> String {
        self.until("the change to be planned anew", || {
            let waits = Self::step_of(&self.json(&["show", run], 0), step)?;
            let digest = waits["approval"]["digest"].as_str()?.to_owned();
            (waits["status"] == "waiting" && digest != old).then_some(digest)
        })
    }

    pub fn await_event(&self, step: &str, kind: &str) {
        self.until(&format!("{step}: {kind}"), || {
            let output = self.runbook(&["timeline", "latest", "--output", "json"]).output().unwrap();
            let entries: Value = serde_json::from_slice(&output.stdout).ok()?;
            let found = |entry: &Value| entry["step"] == step && entry["type"] == kind;
            entries.as_array()?.iter().any(found).then_some(())
        });
    }

    fn kubectl_cluster(&self, arguments: &[&str]) -> String {
        let output = Command::new("kubectl")
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "kubectl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.kubectl_cluster(&[&["--namespace", &self.name], arguments].concat())
    }

    fn deployment(&self, path: &str) -> String {
        self.kubectl(&["get", "deployment", "api", "-o", &format!("jsonpath={{{path}}}")])
    }

    pub fn image(&self) -> String {
        self.deployment(".spec.template.spec.containers[0].image")
    }

    pub fn await_image(&self, image: &str) {
        self.until(&format!("{image} to be rolled out"), || (self.image() == image).then_some(()));
    }

    pub fn replicas(&self) -> u32 {
        self.deployment(".spec.replicas").parse().unwrap()
    }

    pub fn ready(&self) -> u32 {
        self.deployment(".status.readyReplicas").parse().unwrap()
    }

    pub fn revision(&self) -> u32 {
        self.deployment(".metadata.annotations.deployment\\.kubernetes\\.io/revision").parse().unwrap()
    }

    /// The versions of everything that a run could have touched.
    pub fn versions(&self) -> String {
        let versions = "jsonpath={range .items[*]}{.kind}/{.metadata.name}={.metadata.resourceVersion} {end}";
        self.kubectl(&["get", "deployments,replicasets,pods", "-o", versions])
    }
}

pub struct Server {
    child: Child,
    token: String,
}

impl Server {
    pub fn get(&self, path: &str) -> Option<Value> {
        let authorization = format!("authorization: Bearer {}", self.token);
        let mut command = Command::new("curl");
        command.args(["-sf", "-H", &authorization]);
        let answer = command.arg(format!("http://127.0.0.1:18080/api/v1/{path}")).output().unwrap();
        serde_json::from_slice(&answer.stdout).ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _page = PAGE.lock().unwrap_or_else(PoisonError::into_inner);
        self.rewrite_page(None);
        let mut delete = Command::new("kubectl");
        delete.arg("--kubeconfig").arg(&self.kubeconfig).args([
            "delete",
            "namespace",
            &self.name,
            "--wait=false",
        ]);
        // The namespace is unique; one that stays behind harms nobody.
        let _ = delete.output();
    }
}

const PLAYBOOKS: &[(&str, &str)] = &[
    (
        "mitigate-latency",
        "apiVersion: runbook/v1
name: mitigate-latency
triggers:
  - source: alertmanager
    when: alert.labels.alertname == \"HighLatency\" and alert.labels.service == \"NAMESPACE\"
steady_state:
  - id: p95
    check: prometheus.query
    with: { query: 'request_latency_p95_seconds{service=\"NAMESPACE\"}' }
    expect: value < 0.5
steps:
  - { id: pods, check: kubernetes.pods, with: { namespace: NAMESPACE, selector: app=api }, expect: ready == desired }
  - id: history
    needs: []
    check: kubernetes.rollout_history
    with: { namespace: NAMESPACE, deployment: api }
    expect: last_change_age < duration(\"1h\")
  - id: mitigate
    needs: [pods, history]
    until: steady_state
    settle: 40s
    options:
      - id: rollback
        when: steps.history.passed
        action: kubernetes.rollout_undo
        with: { namespace: NAMESPACE, deployment: api }
        risk: medium
        eta: 5m
        approval: { from: [sre-oncall], timeout: 10m }
      - id: scale
        action: kubernetes.scale
        with: { namespace: NAMESPACE, deployment: api, replicas: 4 }
  - { id: soak, wait: steady_state, for: 3s, every: 1s, timeout: 1m }
",
    ),
    (
        "rollback-only",
        "apiVersion: runbook/v1
name: rollback-only
steps:
  - { id: rollback, action: kubernetes.rollout_undo, with: { namespace: NAMESPACE, deployment: api } }
",
    ),
    (
        "scale-only",
        "apiVersion: runbook/v1
name: scale-only
inputs: { replicas: { type: integer, default: 4, minimum: 1, maximum: 100 } }
steps:
  - { id: scale, action: kubernetes.scale, with: { namespace: NAMESPACE, deployment: api, replicas: '${{ inputs.replicas }}' } }
",
    ),
    (
        "restart-and-wait",
        "apiVersion: runbook/v1
name: restart-and-wait
steps:
  - { id: restart, action: kubernetes.rollout_restart, with: { namespace: NAMESPACE, deployment: api } }
  - { id: pods, check: kubernetes.pods, with: { namespace: NAMESPACE, selector: app=api }, expect: ready == 3, required: true }
",
    ),
];
