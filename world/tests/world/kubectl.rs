//! kubectl itself, where it is installed. These run on the machine's clock, as a person would.

use std::path::Path;
use std::process::Command;

use runbook_world::{Options, World};

struct Kubectl {
    world: World,
    home: tempfile::TempDir,
}

/// A world and a kubectl for it; nothing where kubectl is not installed.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
async fn kubectl(scenario: &str) -> Option<Kubectl> {
    if Command::new("kubectl").args(["version", "--client"]).output().is_err() {
        eprintln!("skipped: kubectl is not installed");
        return None;
    }
    let world = World::start(Options { scenario: scenario.into(), ..Options::default() }).await.unwrap();
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("config"), world.kubeconfig()).unwrap();
    Some(Kubectl { world, home })
}

impl Kubectl {
    /// Runs kubectl; whether it succeeded, and all that it printed.
    async fn run(&self, arguments: &str) -> (bool, String) {
        let (home, arguments) = (self.home.path().to_owned(), arguments.to_owned());
        tokio::task::spawn_blocking(move || run(&home, &arguments)).await.unwrap()
    }

    async fn ok(&self, arguments: &str) -> String {
        let (success, printed) = self.run(arguments).await;
        assert!(success, "kubectl {arguments}: {printed}");
        printed
    }
}

fn run(home: &Path, arguments: &str) -> (bool, String) {
    let output = Command::new("kubectl")
        .args(arguments.split_whitespace())
        .env("KUBECONFIG", home.join("config"))
        .env("HOME", home)
        .output()
        .unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&printed).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn people_can_look_around() {
    let Some(kubectl) = kubectl("high-latency").await else { return };
    for (arguments, told) in [
        ("version", "v1.33.0+simulated"),
        ("get deployments", "3/3"),
        ("get pods -l app=api", "Running"),
        ("get pods -o wide", "simulated-node-"),
        ("get all", "horizontalpodautoscaler.autoscaling/api"),
        ("get nodes", "Ready"),
        ("get events", "ScalingReplicaSet"),
        ("describe deployment api", "NewReplicaSetAvailable"),
        ("describe pods -l app=api", "registry.simulated/api:1.42.0"),
        ("rollout history deployment/api", "release 1.42.0"),
        ("rollout status deployment/api", "successfully rolled out"),
        ("top pods", "Mi"),
        ("top nodes", "simulated-node-1"),
        ("logs deployment/api --tail=20", "level="),
        ("logs -l app=api --since=5m --prefix", "level="),
        ("auth can-i patch deployments", "yes"),
        ("exec deployment/api -- echo hello", "hello"),
        ("get applications.argoproj.io -A", "Synced"),
    ] {
        let printed = kubectl.ok(arguments).await;
        assert!(printed.contains(told), "kubectl {arguments}: {printed}");
    }
    assert_eq!(kubectl.world.writes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_can_change_things_and_be_refused() {
    let Some(kubectl) = kubectl("high-latency").await else { return };
    kubectl.ok("scale deployment/api --replicas=9 --dry-run=server").await;
    let dry =
        "patch deployment api --dry-run=server -p {\"spec\":{\"replicas\":9}} -o jsonpath={.spec.replicas}";
    assert_eq!(kubectl.ok(dry).await, "9");
    assert_eq!(kubectl.world.writes(), 0);
    assert_eq!(kubectl.ok("get deployment api -o jsonpath={.spec.replicas}").await, "3");
    kubectl.ok("scale deployment/api --replicas=5").await;
    kubectl.ok("rollout undo deployment/api").await;
    let status = kubectl.ok("rollout status deployment/api --timeout=60s").await;
    assert!(status.contains("successfully rolled out"), "{status}");
    let image = "get deployment api -o jsonpath={.spec.template.spec.containers[0].image}";
    assert_eq!(kubectl.ok(image).await, "registry.simulated/api:1.41.0");
    let history = kubectl.ok("rollout history deployment/api").await;
    assert!(history.contains("43") && !history.contains("\n41 "), "{history}");
    kubectl.ok("set env deployment/api LOG_LEVEL=DEBUG").await;
    kubectl.ok("rollout restart deployment/api").await;
    let manifest = kubectl.home.path().join("limits.yaml");
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: limits }\ndata: { rps: '10' }\n";
    std::fs::write(&manifest, text).unwrap();
    for more in ["", "--server-side --force-conflicts"] {
        kubectl.ok(&format!("apply -f {} {more}", manifest.display())).await;
    }
    let (success, refused) = kubectl.run("scale deployment/api --replicas=9999").await;
    assert!(!success && refused.contains("the simulated cluster holds no more"), "{refused}");
    let (success, refused) = kubectl.run("--context simulated-viewer delete pods -l app=api").await;
    assert!(!success && refused.contains("Forbidden"), "{refused}");
    let (success, answer) = kubectl.run("--context simulated-viewer auth can-i delete pods").await;
    assert!(!success && answer.starts_with("no"), "{answer}");
}
