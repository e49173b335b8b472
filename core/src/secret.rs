//! Secrets as marks. The core never holds a secret's value: `secrets.NAME` evaluates to a mark,
//! which spreads through templates like any text, is what the journal stores, and is replaced by
//! the value only in the hand that makes the call.
//!
//! A mark is `NAME` between two private-use characters. They are stripped from everything that
//! comes from outside, so nobody can write a mark into an input and have it filled in.

use serde_json::Value;

const OPEN: char = '\u{E0FE}';
const CLOSE: char = '\u{E0FF}';

/// What stands for a secret wherever people read.
pub const MASK: &str = "***";

/// The mark of the secret `name`.
pub fn mark(name: &str) -> String {
    format!("{OPEN}{name}{CLOSE}")
}

/// Whether a text holds any mark.
pub fn is_marked(text: &str) -> bool {
    text.contains(OPEN)
}

/// Text for people: every mark becomes `***`.
pub fn mask_text(text: &str) -> String {
    replace(text, |_| Some(MASK.to_owned())).unwrap_or_else(|_| MASK.to_owned())
}

/// The same for a whole value, keys included.
pub fn mask(value: &Value) -> Value {
    map_strings(value, &mut |text| mask_text(text))
}

/// Fills marks in. `lookup` gives a secret's value; `Err` carries the name that nobody knows.
pub fn reveal(value: &Value, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Value, String> {
    let mut missing = None;
    let revealed = map_strings(value, &mut |text| {
        replace(text, lookup).unwrap_or_else(|name| {
            missing.get_or_insert(name);
            String::new()
        })
    });
    missing.map_or(Ok(revealed), Err)
}

/// Makes a value from outside harmless: the two characters that make a mark are replaced.
pub fn sanitize(value: Value) -> Value {
    if contains_mark(&value) { map_strings(&value, &mut |text| sanitize_text(text)) } else { value }
}

/// The same for a text.
pub fn sanitize_text(text: &str) -> String {
    text.replace([OPEN, CLOSE], "\u{FFFD}")
}

/// Rewrites every string of a value, keys of objects included.
pub fn map_strings(value: &Value, rewrite: &mut dyn FnMut(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(rewrite(text)),
        Value::Array(items) => items.iter().map(|item| map_strings(item, rewrite)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, item)| {
                let key = rewrite(key);
                (key, map_strings(item, rewrite))
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

fn contains_mark(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains([OPEN, CLOSE]),
        Value::Array(items) => items.iter().any(contains_mark),
        Value::Object(fields) => fields.iter().any(|(k, v)| k.contains([OPEN, CLOSE]) || contains_mark(v)),
        _ => false,
    }
}

fn replace(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(OPEN) {
        out.push_str(&rest[..start]);
        let inner = &rest[start + OPEN.len_utf8()..];
        let Some(end) = inner.find(CLOSE) else { return Err("a damaged mark".to_owned()) };
        let name = &inner[..end];
        out.push_str(&lookup(name).ok_or_else(|| name.to_owned())?);
        rest = &inner[end + CLOSE.len_utf8()..];
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn marks_are_masked_for_people_and_revealed_for_calls() {
        let value = json!({"header": format!("Bearer {}", mark("token")), "n": [1, mark("token")]});
        assert_eq!(mask(&value), json!({"header": "Bearer ***", "n": [1, "***"]}));
        let lookup = |name: &str| (name == "token").then(|| "s3cret".to_owned());
        assert_eq!(reveal(&value, &lookup).unwrap(), json!({"header": "Bearer s3cret", "n": [1, "s3cret"]}));
        assert_eq!(reveal(&json!(mark("other")), &lookup), Err("other".to_owned()));
    }

    #[test]
    fn a_mark_from_outside_is_defused() {
        let forged = sanitize(json!({"x": mark("token")}));
        assert_eq!(reveal(&forged, &|_| Some("s3cret".into())).unwrap(), forged);
    }
}
