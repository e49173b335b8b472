//! What actions need to be allowed, put together and ready to paste.

use std::collections::{BTreeMap, BTreeSet};

use runbook_core::spec::{ActionSpec, Permission};
use serde_json::{Value, json};

/// What some actions together need.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Kubernetes: API group and resource to verbs.
    rbac: BTreeMap<(String, String), BTreeSet<String>>,
    iam: BTreeSet<String>,
    other: BTreeSet<String>,
}

impl Permissions {
    pub fn of<'a>(specs: impl IntoIterator<Item = &'a ActionSpec>) -> Self {
        let mut all = Self::default();
        for permission in specs.into_iter().flat_map(|spec| &spec.permissions) {
            match permission {
                Permission::Rbac { group, resource, verbs } => {
                    let known = all.rbac.entry((group.clone(), resource.clone())).or_default();
                    known.extend(verbs.iter().cloned());
                }
                Permission::Iam(action) => {
                    all.iam.insert(action.clone());
                }
                Permission::Other(words) => {
                    all.other.insert(words.clone());
                }
            }
        }
        all
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The rules of a Kubernetes Role; resources of one group with the same verbs share a rule.
    pub fn rules(&self) -> Vec<Value> {
        let mut shared: BTreeMap<(&str, &BTreeSet<String>), Vec<&str>> = BTreeMap::new();
        for ((group, resource), verbs) in &self.rbac {
            shared.entry((group, verbs)).or_default().push(resource);
        }
        shared
            .into_iter()
            .map(|((group, verbs), resources)| {
                json!({ "apiGroups": [group], "resources": resources, "verbs": verbs })
            })
            .collect()
    }

    /// The same as YAML, one rule after the other, as it stands in a manifest.
    pub fn role(&self) -> Option<String> {
        if self.rbac.is_empty() {
            return None;
        }
        let list = |rule: &Value, key: &str| rule.get(key).map(Value::to_string).unwrap_or_default();
        let rules = self.rules().iter().fold(String::from("rules:\n"), |text, rule| {
            format!(
                "{text}  - apiGroups: {}\n    resources: {}\n    verbs: {}\n",
                list(rule, "apiGroups"),
                list(rule, "resources"),
                list(rule, "verbs"),
            )
        });
        Some(rules.replace(',', ", "))
    }

    pub fn iam(&self) -> impl Iterator<Item = &str> {
        self.iam.iter().map(String::as_str)
    }
    pub fn other(&self) -> impl Iterator<Item = &str> {
        self.other.iter().map(String::as_str)
    }
    pub fn document(&self) -> Value {
        json!({ "rbac": self.rules(), "iam": self.iam, "other": self.other })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rbac(group: &str, resource: &str, verbs: &[&str]) -> Permission {
        Permission::Rbac {
            group: group.to_owned(),
            resource: resource.to_owned(),
            verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        }
    }

    #[test]
    fn rules_are_put_together() {
        let spec = |permissions| ActionSpec {
            name: "a.b".to_owned(),
            summary: String::new(),
            effect: runbook_core::spec::Effect::Read,
            destructive_when: None,
            input: Value::Null.into(),
            output: Value::Null.into(),
            undo: runbook_core::spec::UndoSupport::None(String::new()),
            grade: runbook_core::spec::Grade::Observed,
            reads: runbook_core::spec::Reads::Behaviour,
            permissions,
            example: Value::Null,
        };
        let one = spec(vec![rbac("apps", "deployments", &["get"]), rbac("", "pods", &["list"])]);
        let two = spec(vec![
            rbac("apps", "deployments", &["patch", "get"]),
            rbac("apps", "statefulsets", &["get", "patch"]),
            Permission::Iam("rds:DescribeDBClusters".to_owned()),
        ]);
        let all = Permissions::of([&one, &two]);
        assert_eq!(
            all.role().unwrap(),
            "rules:\n  - apiGroups: [\"\"]\n    resources: [\"pods\"]\n    verbs: [\"list\"]\n  - apiGroups: \
             [\"apps\"]\n    resources: [\"deployments\", \"statefulsets\"]\n    verbs: [\"get\", \"patch\"]\n"
        );
        assert_eq!(all.iam().collect::<Vec<_>>(), ["rds:DescribeDBClusters"]);
        assert!(Permissions::of([]).is_empty() && Permissions::of([]).role().is_none());
    }
}
