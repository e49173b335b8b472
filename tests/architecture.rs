//! Arrows go down: reads the workspace's own dependency graph and fails on any edge that the
//! architecture does not allow.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// What each crate of the workspace may use of the others. A provider sees only the contract and
/// the core; providers do not see each other, the engine or the journal.
const ALLOWED: &[(&str, &[&str])] = &[
    // For tests: knows a browser, and nothing of runbooks.
    ("runbook-browser", &[]),
    ("runbook-core", &[]),
    ("runbook-journal", &["runbook-core"]),
    ("runbook-contract", &["runbook-core"]),
    ("runbook-engine", &["runbook-core", "runbook-journal", "runbook-contract"]),
    ("runbook-intake", &["runbook-core"]),
    ("runbook-identity", &["runbook-core", "runbook-contract"]),
    ("runbook-desk", &["runbook-core", "runbook-engine", "runbook-journal"]),
    ("runbook-notify", &["runbook-core", "runbook-contract", "runbook-intake", "runbook-journal"]),
    // Observes the journal, whoever writes it: the engine knows nothing of traces.
    ("runbook-telemetry", &["runbook-core", "runbook-journal"]),
    (
        "runbook-server",
        &[
            "runbook-core",
            "runbook-journal",
            "runbook-engine",
            "runbook-intake",
            "runbook-identity",
            "runbook-desk",
            "runbook-notify",
            "runbook-telemetry",
        ],
    ),
    ("runbook-world", &["runbook-core"]),
    ("runbook-kubernetes", &["runbook-core", "runbook-contract"]),
    ("runbook-aws", &["runbook-core", "runbook-contract"]),
    ("runbook-web", &["runbook-core", "runbook-contract"]),
    ("runbook-command", &["runbook-core", "runbook-contract"]),
    (
        "runbook",
        &[
            "runbook-core",
            "runbook-journal",
            "runbook-contract",
            "runbook-engine",
            "runbook-intake",
            "runbook-identity",
            "runbook-desk",
            "runbook-notify",
            "runbook-server",
            "runbook-telemetry",
            "runbook-world",
            "runbook-kubernetes",
            "runbook-aws",
            "runbook-web",
            "runbook-command",
        ],
    ),
];

/// What the pure core must never come to depend on, directly: async, network, clocks, databases.
const IMPURE: &[&str] =
    &["tokio", "futures", "async-trait", "reqwest", "hyper", "axum", "rusqlite", "kube", "rand"];

fn edges() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let normal = |package: &cargo_metadata::Package| -> BTreeSet<String> {
        let kept = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        kept.map(|dependency| dependency.name.clone()).collect()
    };
    metadata.packages.iter().map(|package| (package.name.to_string(), normal(package))).collect()
}

#[test]
fn every_arrow_goes_down() {
    let edges = edges();
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        ALLOWED.iter().map(|(name, uses)| (*name, uses.iter().copied().collect())).collect();
    let known: BTreeSet<&str> = edges.keys().map(String::as_str).collect();
    assert_eq!(known, allowed.keys().copied().collect(), "every crate has its place in the architecture");
    for (name, uses) in &edges {
        for used in uses.iter().filter(|used| known.contains(used.as_str())) {
            assert!(allowed[name.as_str()].contains(used.as_str()), "{name} must not depend on {used}");
        }
    }
}

#[test]
fn the_core_stays_pure() {
    let core = &edges()["runbook-core"];
    let impure: Vec<_> = IMPURE.iter().filter(|name| core.contains(**name)).collect();
    assert!(impure.is_empty(), "the core must not depend on {impure:?}");
}
