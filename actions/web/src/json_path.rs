//! One value out of a JSON document: `data.items[0].name`, `$.data.ready`, or a JSON Pointer
//! (RFC 6901), `/data/items/0/name`. Wildcards and filters are left to expressions.

use runbook_core::{Value, fault::Fault};

const LONGEST: usize = 500;

/// A path that has been read and can be followed in any document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonPath(Vec<String>);

impl JsonPath {
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let refuse = |why: &str| {
            Err(Fault::permanent(format!(
                "`{}` is not a path into JSON: {why}",
                text.chars().take(80).collect::<String>()
            ))
            .hint("write it like `data.items[0].name` or `/data/items/0/name`"))
        };
        if text.len() > LONGEST {
            return refuse("it is too long");
        }
        if text.is_empty() || text == "$" {
            return Ok(Self(Vec::new()));
        }
        if let Some(pointer) = text.strip_prefix('/') {
            return Ok(Self(
                pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect(),
            ));
        }
        let rest = text.strip_prefix('$').map_or(text, |rest| rest.strip_prefix('.').unwrap_or(rest));
        match dotted(rest) {
            Some(steps) => Ok(Self(steps)),
            None => refuse("a name or an index is missing"),
        }
    }

    pub fn find<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(document, |value, step| match value {
            Value::Object(fields) => fields.get(step),
            Value::Array(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        })
    }
}

fn dotted(text: &str) -> Option<Vec<String>> {
    let mut steps = Vec::new();
    for (i, part) in text.split('.').enumerate() {
        let (name, indices) = part.find('[').map_or((part, ""), |at| part.split_at(at));
        if !name.is_empty() {
            steps.push(name.to_owned());
        } else if i > 0 || indices.is_empty() {
            return None;
        }
        let mut rest = indices;
        while !rest.is_empty() {
            let (index, after) = rest.strip_prefix('[')?.split_once(']')?;
            index.parse::<usize>().ok()?;
            steps.push(index.to_owned());
            rest = after;
        }
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_to_values() {
        let document =
            json!({"data": {"items": [{"name": "a"}, {"name": "b"}], "x.y": 1, "a/b": 2}, "0": "zero"});
        for (path, found) in [
            ("data.items[1].name", Some(json!("b"))),
            ("data.items.1.name", Some(json!("b"))),
            ("$.data.items[0].name", Some(json!("a"))),
            ("/data/items/0/name", Some(json!("a"))),
            ("/data/x.y", Some(json!(1))),
            ("/data/a~1b", Some(json!(2))),
            ("0", Some(json!("zero"))),
            ("data.items[7].name", None),
            ("data.items.first", None),
            ("data.name.deep", None),
        ] {
            assert_eq!(JsonPath::parse(path).unwrap().find(&document), found.as_ref(), "{path}");
        }
        assert_eq!(JsonPath::parse("$").unwrap().find(&document), Some(&document));
        assert_eq!(JsonPath::parse("$[1][0]").unwrap().find(&json!([1, [2]])), Some(&json!(2)));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for path in ["a..b", ".a", "a.", "a[", "a[]", "a[x]", "a[0]b", "a[-1]", "$..a", &"a".repeat(501)] {
            assert!(JsonPath::parse(path).is_err(), "{path}");
        }
    }
}
