//! Label and field selectors.

use serde_json::Value;

use crate::kubernetes::failure::Failure;

/// One term of a label selector.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Labels(Vec<Term>);

impl Labels {
    /// Reads `a=b,c!=d,e in (f,g),h notin (i),j,!k`.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let bad = |term: &str| {
            Failure::bad_request(format!("unable to parse requirement: invalid label selector term {term:?}"))
        };
        let mut terms = Vec::new();
        for part in split(text) {
            let part = part.trim();
            if part.is_empty() {
                continue;
            }
            let set = |list: &str| -> Option<Vec<String>> {
                let inside = list.trim().strip_prefix('(')?.strip_suffix(')')?;
                Some(inside.split(',').map(|v| v.trim().to_owned()).collect())
            };
            let term = if let Some((name, list)) = part.split_once(" notin ") {
                Term::NotIn(name.trim().to_owned(), set(list).ok_or_else(|| bad(part))?)
            } else if let Some((name, list)) = part.split_once(" in ") {
                Term::In(name.trim().to_owned(), set(list).ok_or_else(|| bad(part))?)
            } else if let Some((name, value)) = part.split_once("!=") {
                Term::NotIn(name.trim().to_owned(), vec![value.trim().to_owned()])
            } else if let Some((name, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
                Term::In(name.trim().to_owned(), vec![value.trim().to_owned()])
            } else if let Some(name) = part.strip_prefix('!') {
                Term::Absent(name.trim().to_owned())
            } else if part.contains(|c: char| c.is_whitespace() || "()<>".contains(c)) {
                return Err(bad(part));
            } else {
                Term::Exists(part.to_owned())
            };
            terms.push(term);
        }
        Ok(Self(terms))
    }

    /// What the `selector` of an object means: `matchLabels` and `matchExpressions`.
    pub fn of_object(selector: &Value) -> Self {
        let mut terms = Vec::new();
        for (name, value) in selector["matchLabels"].as_object().into_iter().flatten() {
            terms.push(Term::In(name.clone(), vec![value.as_str().unwrap_or_default().to_owned()]));
        }
        for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
            let name = crate::state::text(expression, "/key").to_owned();
            let values = expression["values"].as_array().into_iter().flatten();
            let values = values.filter_map(Value::as_str).map(str::to_owned).collect();
            terms.push(match crate::state::text(expression, "/operator") {
                "In" => Term::In(name, values),
                "NotIn" => Term::NotIn(name, values),
                "DoesNotExist" => Term::Absent(name),
                _ => Term::Exists(name),
            });
        }
        Self(terms)
    }

    pub fn matches(&self, labels: &Value) -> bool {
        let value = |name: &str| labels.get(name).and_then(Value::as_str);
        self.0.iter().all(|term| match term {
            Term::In(name, values) => value(name).is_some_and(|v| values.iter().any(|known| known == v)),
            Term::NotIn(name, values) => value(name).is_none_or(|v| values.iter().all(|known| known != v)),
            Term::Exists(name) => value(name).is_some(),
            Term::Absent(name) => value(name).is_none(),
        })
    }
}

/// Splits at the commas that are not inside parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0_i32, 0, Vec::new());
    for (index, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Field selectors: paths that are compared as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(String, String, bool)>);

/// Paths that some real kind can be selected by.
const SELECTABLE: [&str; 14] = [
    "metadata.name",
    "metadata.namespace",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.unschedulable",
    "status.phase",
    "status.podIP",
    "type",
    "reason",
    "reportingComponent",
    "involvedObject.kind",
    "involvedObject.name",
    "involvedObject.namespace",
    "involvedObject.uid",
];

impl Fields {
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let mut terms = Vec::new();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let (path, value, equal) = if let Some((path, value)) = part.split_once("!=") {
                (path, value, false)
            } else if let Some((path, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
                (path, value, true)
            } else {
                return Err(Failure::bad_request(format!("invalid field selector: {part:?}")));
            };
            if !SELECTABLE.contains(&path.trim()) {
                return Err(Failure::bad_request(format!("field label not supported: {}", path.trim())));
            }
            terms.push((path.trim().to_owned(), value.trim().to_owned(), equal));
        }
        Ok(Self(terms))
    }

    pub fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|(path, wanted, equal)| {
            let pointer = format!("/{}", path.replace('.', "/"));
            let found = match object.pointer(&pointer) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Bool(flag)) => flag.to_string(),
                _ if path == "spec.unschedulable" => "false".to_owned(),
                _ => String::new(),
            };
            (found == *wanted) == *equal
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn label_selectors() {
        let labels = json!({"app": "api", "tier": "web"});
        for (selector, matches) in [
            ("", true),
            ("app=api", true),
            ("app==api,tier=web", true),
            ("app!=api", false),
            ("app in (api, checkout)", true),
            ("app notin (api)", false),
            ("tier", true),
            ("!tier", false),
            ("absent!=x", true),
        ] {
            assert_eq!(Labels::parse(selector).unwrap().matches(&labels), matches, "{selector}");
        }
        assert_eq!(Labels::parse("app in api").unwrap_err().code, 400);
        assert_eq!(Labels::parse("a b").unwrap_err().code, 400);
    }

    #[test]
    fn field_selectors() {
        let pod = json!({"metadata": {"name": "a"}, "status": {"phase": "Running"}});
        assert!(Fields::parse("metadata.name=a,status.phase!=Pending").unwrap().matches(&pod));
        assert!(!Fields::parse("status.phase=Pending").unwrap().matches(&pod));
        assert_eq!(Fields::parse("spec.foo=a").unwrap_err().code, 400);
    }
}
