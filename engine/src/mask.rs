//! Secrets at the last step: filled in just before a provider is called, and turned back into marks
//! in whatever the provider says, also where they come back encoded.

use std::{collections::BTreeMap, fmt::Debug};

use base64::Engine as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use runbook_core::{
    Value,
    change::{Change, Target},
    fault::Fault,
    secret,
};

/// Where the values of secrets come from.
pub trait Secrets: Debug + Send + Sync {
    /// The value of a secret, or why there is none (never with any of the value in it).
    fn value(&self, name: &str) -> Result<String, String>;
    /// All names that are defined.
    fn names(&self) -> Vec<String>;
}

/// An environment without secrets.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSecrets;

impl Secrets for NoSecrets {
    fn value(&self, name: &str) -> Result<String, String> {
        Err(format!("secret `{name}` is not defined in this environment"))
    }
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Shorter values are not looked for in what comes back: they would be found in everything.
const SHORTEST: usize = 4;

/// Fills the marks of an input in. The values that were used come back, to mask with.
pub(crate) fn reveal(input: &Value, secrets: &dyn Secrets) -> Result<(Value, Mask), Fault> {
    let used = std::cell::RefCell::new(BTreeMap::new());
    let why = std::cell::RefCell::new(None);
    let lookup = |name: &str| match secrets.value(name) {
        Ok(value) => {
            used.borrow_mut().insert(name.to_owned(), value.clone());
            Some(value)
        }
        Err(reason) => {
            why.borrow_mut().get_or_insert(reason);
            None
        }
    };
    let revealed = secret::reveal(input, &lookup).map_err(|name| {
        let reason = why.borrow().clone();
        Fault::denied(reason.unwrap_or_else(|| format!("secret `{name}` is not defined in this environment")))
            .hint("define it under `secrets` in runbook.yaml; a secret cannot go through filters")
    })?;
    Ok((revealed, Mask::of(used.into_inner())))
}

/// The encodings of the secrets that a call was made with, and the marks that stand for them.
#[derive(Debug, Default)]
pub(crate) struct Mask {
    replacements: Vec<(String, String)>,
}

impl Mask {
    fn of(used: BTreeMap<String, String>) -> Self {
        let mut replacements = Vec::new();
        for (name, value) in used.into_iter().filter(|(_, value)| value.len() >= SHORTEST) {
            for form in encodings(&value) {
                replacements.push((form, secret::mark(&name)));
            }
        }
        // The longest first, so that a form that holds another one is found whole.
        replacements.sort_by_key(|(form, _)| std::cmp::Reverse(form.len()));
        Self { replacements }
    }

    pub fn text(&self, text: &str) -> String {
        self.replacements.iter().fold(text.to_owned(), |text, (form, mark)| {
            if text.contains(form.as_str()) { text.replace(form.as_str(), mark) } else { text }
        })
    }

    pub fn value(&self, value: Value) -> Value {
        if self.replacements.is_empty() {
            value
        } else {
            secret::map_strings(&value, &mut |text| self.text(text))
        }
    }

    pub fn fault(&self, fault: Fault) -> Fault {
        Fault { message: self.text(&fault.message), hint: fault.hint.map(|hint| self.text(&hint)), ..fault }
    }

    pub fn lines(&self, lines: Vec<String>) -> Vec<String> {
        lines.into_iter().map(|line| self.text(&line)).collect()
    }

    /// A target's name, which may come from a URL that holds a secret.
    pub fn target(&self, target: Target) -> Target {
        Target { name: self.text(&target.name), ..target }
    }

    /// A change as the journal may keep it: with the input as it was, marks and all.
    pub fn change(&self, change: Change, input: &Value) -> Change {
        if self.replacements.is_empty() {
            return Change { input: input.clone(), ..change };
        }
        Change {
            input: input.clone(),
            target: self.target(change.target),
            summary: self.text(&change.summary),
            before: self.value(change.before),
            after: self.value(change.after),
            image: self.value(change.image),
            precondition: self.value(change.precondition),
            warnings: self.lines(change.warnings),
            request: runbook_core::change::Request {
                url: self.text(&change.request.url),
                body: self.value(change.request.body),
                ..change.request
            },
            ..change
        }
    }
}

/// A journaled change with its secrets filled in, for the call that applies it.
pub(crate) fn reveal_change(change: &Change, secrets: &dyn Secrets) -> Result<(Change, Mask), Fault> {
    let whole = serde_json::to_value(change).map_err(|error| Fault::permanent(error.to_string()))?;
    let (revealed, mask) = reveal(&whole, secrets)?;
    let change = serde_json::from_value(revealed).map_err(|error| Fault::permanent(error.to_string()))?;
    Ok((change, mask))
}

/// The forms in which a secret may come back: as it is, escaped in JSON, percent-encoded, and in
/// base64 (at each of the three places at which it can stand in a longer encoded text).
fn encodings(value: &str) -> Vec<String> {
    let mut forms = vec![value.to_owned(), utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()];
    forms.push(Value::String(value.to_owned()).to_string().trim_matches('"').to_owned());
    for engine in
        [&base64::engine::general_purpose::STANDARD_NO_PAD, &base64::engine::general_purpose::URL_SAFE_NO_PAD]
    {
        for shift in 0..3_usize {
            let padded = [vec![0_u8; shift], value.as_bytes().to_vec()].concat();
            let encoded = engine.encode(&padded);
            // The first characters mix with what stands before, the last with what comes after.
            let start = [0, 2, 3][shift];
            let end = encoded.len() - usize::from(!padded.len().is_multiple_of(3));
            forms.extend(encoded.get(start..end).map(str::to_owned));
        }
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms.sort();
    forms.dedup();
    forms
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug)]
    struct One;
    impl Secrets for One {
        fn value(&self, name: &str) -> Result<String, String> {
            if name == "token" { Ok("s3cr3t/va+lue".to_owned()) } else { Err("no".to_owned()) }
        }
        fn names(&self) -> Vec<String> {
            vec!["token".to_owned()]
        }
    }

    #[test]
    fn a_secret_that_comes_back_is_masked_in_every_encoding() {
        let (revealed, mask) = reveal(&json!({ "t": secret::mark("token") }), &One).unwrap();
        assert_eq!(revealed, json!({ "t": "s3cr3t/va+lue" }));
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        for echo in [
            "s3cr3t/va+lue".to_owned(),
            "https://x/?t=s3cr3t%2Fva%2Blue".to_owned(),
            encode("s3cr3t/va+lue"),
            format!("Basic {}", encode("user:s3cr3t/va+lue")),
            format!("Basic {}", encode("me:s3cr3t/va+lue:x")),
        ] {
            let shown = secret::mask(&mask.value(json!(echo)));
            let text = shown.as_str().unwrap();
            assert!(text.contains("***"), "{echo} was shown as {text}");
            assert!(!text.contains("cr3t"), "{echo} was shown as {text}");
        }
    }

    #[test]
    fn a_target_named_after_a_secret_is_masked() {
        let (_, mask) = reveal(&json!(secret::mark("token")), &One).unwrap();
        let target = mask.target(Target::new("http:hooks.example.com/s3cr3t/va+lue", None));
        assert_eq!(secret::mask_text(&target.name), "http:hooks.example.com/***");
    }

    #[test]
    fn an_undefined_secret_is_refused_by_name() {
        let fault = reveal(&json!(secret::mark("other")), &One).unwrap_err();
        assert_eq!(fault.message, "no");
    }
}
