//! `severity` in the configuration: the name of a preset, or a matrix of one's own.

use schemars::JsonSchema;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Level, Matrix, Preset, normal};
use crate::suggest;

/// What the configuration may say, for its schema.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum Setting {
    Preset(Preset),
    Matrix(Matrix),
}

/// Why a setting is no severity matrix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{at}`: {why}")]
pub struct BadMatrix {
    /// `severity.levels[2].name`.
    pub at: String,
    pub why: String,
    pub hint: Option<String>,
}

const MOST_LEVELS: usize = 10;
const MOST_WORDS: usize = 50;
const MOST_RUNGS: usize = 10;
const MOST_CALLED: usize = 20;
const LONGEST_NAME: usize = 40;
const LONGEST_LINE: usize = 200;
const LONGEST_TEXT: usize = 1000;

/// A matrix as it is read: its levels one by one, so that an error names the one it is in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    levels: Vec<Value>,
    #[serde(default)]
    default: Option<String>,
}

impl Matrix {
    /// Reads the setting `severity`: nothing (null) is the default preset, a text is the name of a
    /// preset, and an object is a matrix.
    pub fn from_config(setting: &Value) -> Result<Self, BadMatrix> {
        match setting {
            Value::Null => Ok(Self::default()),
            Value::String(name) => preset(name).map(Preset::matrix),
            Value::Object(_) => own(setting),
            _ => Err(bad("severity", "it is neither the name of a preset nor a matrix")
                .hint("write `severity: s3`, or levels under `severity:`")),
        }
    }
}

impl BadMatrix {
    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

fn bad(at: impl Into<String>, why: impl Into<String>) -> BadMatrix {
    BadMatrix { at: at.into(), why: why.into(), hint: None }
}

fn preset(name: &str) -> Result<Preset, BadMatrix> {
    let found = Preset::ALL.into_iter().find(|preset| preset.name().eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        let shown: String = name.chars().take(LONGEST_NAME).collect();
        bad("severity", format!("there is no preset `{shown}`")).hint(format!(
            "choose one of {}, or write levels of your own",
            suggest::list(Preset::ALL.map(Preset::name))
        ))
    })
}

fn own(setting: &Value) -> Result<Matrix, BadMatrix> {
    let raw: Raw = part(setting, "severity")?;
    within("severity.levels", raw.levels.len(), MOST_LEVELS, "levels")?;
    if raw.levels.is_empty() {
        return Err(bad("severity.levels", "it has no levels").hint("the most severe comes first"));
    }
    let places = (0..).map(|place| format!("severity.levels[{place}]"));
    let levels: Vec<Level> =
        places.zip(&raw.levels).map(|(at, level)| part(level, &at)).collect::<Result<_, _>>()?;
    for (place, level) in levels.iter().enumerate() {
        sizes(level, &format!("severity.levels[{place}]"))?;
    }
    no_word_twice(&levels)?;
    let matrix = Matrix { levels, default: raw.default };
    match &matrix.default {
        Some(name) if matrix.level_of(name).is_none() => {
            let names = matrix.levels.iter().map(|level| level.name.as_str());
            let shown: String = name.chars().take(LONGEST_NAME).collect();
            Err(bad("severity.default", format!("no level is called `{shown}`"))
                .hint(format!("the levels are {}", suggest::list(names))))
        }
        _ => Ok(matrix),
    }
}

fn part<T: DeserializeOwned>(value: &Value, at: &str) -> Result<T, BadMatrix> {
    T::deserialize(value).map_err(|error| bad(at, error.to_string()))
}

fn within(at: &str, found: usize, most: usize, of: &str) -> Result<(), BadMatrix> {
    if found > most { Err(bad(at, format!("it has {found} {of}; at most {most} are taken"))) } else { Ok(()) }
}

fn sizes(level: &Level, at: &str) -> Result<(), BadMatrix> {
    let of = |field: &str| format!("{at}.{field}");
    filled(&of("name"), &level.name, LONGEST_NAME)?;
    for (field, text, most) in [
        ("title", &level.title, LONGEST_NAME),
        ("description", &level.description, LONGEST_TEXT),
        ("response", &level.response, LONGEST_LINE),
        ("escalation", &level.escalation, LONGEST_TEXT),
    ] {
        text.as_ref().map_or(Ok(()), |text| filled(&of(field), text, most))?;
    }
    for (field, texts, most) in
        [("examples", &level.examples, LONGEST_LINE), ("matches", &level.matches, LONGEST_NAME)]
    {
        within(&of(field), texts.len(), MOST_WORDS, "entries")?;
        texts.iter().try_for_each(|text| filled(&of(field), text, most))?;
    }
    within(&of("escalate_to"), level.escalate_to.len(), MOST_RUNGS, "rungs")?;
    for rung in &level.escalate_to {
        within(&of("escalate_to"), rung.call.len(), MOST_CALLED, "names in a rung")?;
        if rung.call.is_empty() {
            return Err(bad(of("escalate_to"), "a rung calls nobody"));
        }
        rung.call.iter().try_for_each(|name| filled(&of("escalate_to"), name, LONGEST_LINE))?;
    }
    Ok(())
}

fn filled(at: &str, text: &str, most: usize) -> Result<(), BadMatrix> {
    let length = text.chars().count();
    if normal(text).is_empty() {
        return Err(bad(at, "it is empty"));
    }
    if length > most {
        return Err(bad(at, format!("it is {length} characters long; at most {most} are taken")));
    }
    Ok(())
}

/// A word that meant two levels would mean whichever comes first, which nobody chose.
fn no_word_twice(levels: &[Level]) -> Result<(), BadMatrix> {
    for (place, level) in levels.iter().enumerate() {
        for word in level.words() {
            let also = levels[..place].iter().find(|other| other.words().any(|w| normal(w) == normal(word)));
            if let Some(other) = also {
                let why = format!("`{word}` means both {} and {}", other.name, level.name);
                return Err(bad(format!("severity.levels[{place}]"), why)
                    .hint("each name, title and word of `matches` belongs to one level"));
            }
        }
    }
    Ok(())
}
