//! Label selectors, matched here as the server matches them: to tell which controllers stand
//! behind a set of pods even where there are no pods left.

use kube::core::{Expression, Selector, SelectorExt as _};
use runbook_core::fault::Fault;

use crate::view::{LabelSelector, Labels};

/// Reads `app=api,tier!=db,env in (a, b),!canary`.
pub(crate) fn read(text: &str) -> Result<Selector, Fault> {
    let mut parts = Vec::new();
    let mut depth = 0_u32;
    let mut current = String::new();
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(std::mem::take(&mut current));
                continue;
            }
            _ => {}
        }
        current.push(c);
    }
    parts.push(current);
    let parts = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty());
    parts.map(|part| requirement(part).ok_or_else(|| not_a_selector(part))).collect()
}

fn requirement(text: &str) -> Option<Expression> {
    let (left, right, build): (&str, &str, fn(String, String) -> Expression) =
        if let Some((key, value)) = text.split_once("!=") {
            (key, value, Expression::NotEqual)
        } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
            (key, value, Expression::Equal)
        } else {
            return set_requirement(text);
        };
    Some(build(a_key(left)?, a_value(right)?))
}

fn set_requirement(text: &str) -> Option<Expression> {
    let Some((head, values)) = text.split_once('(') else {
        return match text.strip_prefix('!') {
            Some(key) => Some(Expression::DoesNotExist(a_key(key)?)),
            None => Some(Expression::Exists(a_key(text)?)),
        };
    };
    let values: Option<_> = values.trim().strip_suffix(')')?.split(',').map(a_value).collect();
    let mut words = head.split_whitespace();
    let (key, operator) = (a_key(words.next()?)?, words.next()?);
    match (operator, words.next()) {
        ("in", None) => Some(Expression::In(key, values?)),
        ("notin", None) => Some(Expression::NotIn(key, values?)),
        _ => None,
    }
}

fn a_key(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    (!text.is_empty() && text.chars().all(fits)).then(|| text.to_owned())
}

fn a_value(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.chars().all(fits).then(|| text.to_owned())
}

fn not_a_selector(part: &str) -> Fault {
    let shown: String = part.chars().take(80).collect();
    Fault::permanent(format!("`{shown}` is not a label selector"))
        .hint("write it like `app=api,tier in (web, edge)`")
}

/// The selector of a controller, a service or a budget. An empty one selects everything, or
/// nothing where the API says so; that is the caller's to know.
pub(crate) fn of(selector: &LabelSelector) -> Selector {
    let labels =
        selector.match_labels.iter().map(|(key, value)| Expression::Equal(key.clone(), value.clone()));
    let others = selector.match_expressions.iter().filter_map(|requirement| {
        let (key, values) = (requirement.key.clone(), requirement.values.iter().cloned().collect());
        match requirement.operator.as_str() {
            "In" => Some(Expression::In(key, values)),
            "NotIn" => Some(Expression::NotIn(key, values)),
            "Exists" => Some(Expression::Exists(key)),
            "DoesNotExist" => Some(Expression::DoesNotExist(key)),
            _ => None,
        }
    });
    labels.chain(others).collect()
}

pub(crate) fn matches(selector: &Selector, labels: &Labels) -> bool {
    selector.matches(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selects_as_the_server_does() {
        let labels: Labels =
            [("app", "api"), ("tier", "web")].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        for (text, expected) in [
            ("", true),
            ("app=api", true),
            ("app == api , tier=web", true),
            ("app=db", false),
            ("app!=db", true),
            ("zone!=a", true),
            ("app in (api, db)", true),
            ("app in (db)", false),
            ("zone in (a)", false),
            ("app notin (db,cache)", true),
            ("zone notin (a)", true),
            ("tier", true),
            ("!zone", true),
            ("!tier", false),
            ("zone", false),
            ("app in (api),!zone,tier!=db", true),
        ] {
            assert_eq!(matches(&read(text).unwrap(), &labels), expected, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_a_selector() {
        for text in ["app in api", "app in (", "in (a)", "a b", "app within (x)", "app=a b", "=x", "!"] {
            assert!(read(text).is_err(), "{text:?} was taken");
        }
    }
}
