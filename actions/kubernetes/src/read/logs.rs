//! `kubernetes.logs`: the last lines of one or several pods, and how many of them match.

use async_trait::async_trait;
use futures::future::try_join_all;
use regex::{Regex, RegexBuilder};
use runbook_contract::text;
use runbook_core::{change::Observed, duration::Duration, fault::Fault, spec::ActionSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Read, outputs};
use crate::{
    client::{Call, Session, parse},
    place::Place,
    pod, schema, selector,
    view::Pod,
};

/// Whose logs: those of one pod, or of the pods that a selector chooses.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The namespace.
    namespace: String,
    /// The name of one pod.
    pod: Option<String>,
    /// A label selector; the logs of at most ten pods are read, those that are not ready first.
    selector: Option<String>,
    /// The container; the pod's default or first one where it is left out.
    container: Option<String>,
    /// How far back to read.
    since: Option<Duration>,
    /// How many of the last lines of each pod to read.
    #[serde(default = "usual_tail")]
    #[schemars(range(min = 1, max = 5000))]
    tail: u32,
    /// The logs of the container before its last restart.
    #[serde(default)]
    previous: bool,
    /// A regular expression: only lines that it matches are kept.
    r#match: Option<String>,
}

fn usual_tail() -> u32 {
    200
}

#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Output {
    /// The lines that match, the oldest first for each pod; `POD: ` stands before each where there
    /// are several. At most five hundred, and 64 KiB.
    lines: Vec<String>,
    /// How many lines were read.
    count: usize,
    /// How many of them match; all of them where nothing was asked to match.
    matched: usize,
    /// There were more lines, or more pods, than are given here.
    truncated: bool,
    /// The last line that matches, of the first pod that has one: what to read when there is time
    /// for one line only.
    last: Option<String>,
}

const MOST_PODS: usize = 10;
const MOST_TAIL: u32 = 5_000;
const LARGEST_LOG: usize = 1024 * 1024;
const MOST_LINES: usize = 500;
const LARGEST_OUTPUT: usize = 64 * 1024;
const LARGEST_REGEX: usize = 256 * 1024;
const LONGEST_LAST: usize = 500;
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

#[derive(Debug)]
pub(crate) struct Logs;

#[async_trait]
impl Read for Logs {
    type Input = Input;

    fn spec() -> ActionSpec {
        ActionSpec {
            permissions: vec![
                schema::rbac("", "pods", &["get", "list"]),
                schema::rbac("", "pods/log", &["get"]),
            ],
            example: json!({"namespace": "production", "selector": "app=api", "since": "10m", "match": "ERROR|panic"}),
            ..schema::read::<Input, Output>("logs", "The last log lines of pods, and how many of them match")
        }
    }

    async fn read(session: &Session<'_>, input: Input) -> Result<Observed, Fault> {
        let wanted = input.r#match.as_deref().map(pattern).transpose()?;
        let (pods, more) = pods(session, &input).await?;
        let texts = try_join_all(pods.iter().map(|pod| log(session, &input, pod))).await?;
        let mut output = Output { truncated: more, ..Output::default() };
        let several = pods.len() > 1;
        for (pod, text) in pods.iter().zip(texts) {
            gather(&mut output, several.then_some(pod.metadata.name.as_str()), &text, wanted.as_ref());
        }
        Ok(Observed::outputs(outputs(&output)?))
    }
}

fn pattern(text: &str) -> Result<Regex, Fault> {
    RegexBuilder::new(text).size_limit(LARGEST_REGEX).build().map_err(|_| {
        Fault::permanent(format!(
            "`match` is not a regular expression, or too large a one: {}",
            text.chars().take(80).collect::<String>()
        ))
        .hint("it is Rust's regular expression syntax, without look-around")
    })
}

async fn pods(session: &Session<'_>, input: &Input) -> Result<(Vec<Pod>, bool), Fault> {
    let place = Place::core("pods").within(&input.namespace);
    match (&input.pod, &input.selector) {
        (Some(name), None) => Ok((vec![parse(session.get(place.named(name)).await?)?], false)),
        (None, Some(labels)) => {
            selector::read(labels)?;
            let listed = session.list(&place, Some(labels), None).await?;
            let mut pods: Vec<Pod> = listed.items.into_iter().map(parse).collect::<Result<_, _>>()?;
            if pods.is_empty() {
                return Err(Fault::not_found(format!(
                    "no pod in namespace `{}` matches `{labels}`",
                    input.namespace
                ))
                .hint("check the selector with kubernetes.pods"));
            }
            pods.sort_by(|a, b| {
                (pod::is_ready(a), &a.metadata.name).cmp(&(pod::is_ready(b), &b.metadata.name))
            });
            let more = pods.len() > MOST_PODS;
            pods.truncate(MOST_PODS);
            Ok((pods, more))
        }
        _ => Err(Fault::permanent("`with` needs either `pod` or `selector`").hint("give one of the two")),
    }
}

async fn log(session: &Session<'_>, input: &Input, pod: &Pod) -> Result<String, Fault> {
    let place = Place::core("pods").within(&input.namespace).named(&pod.metadata.name).sub("log");
    let mut call = Call::get(place)
        .query("tailLines", input.tail.min(MOST_TAIL).to_string())
        .query("limitBytes", LARGEST_LOG.to_string());
    if let Some(container) = input.container.clone().or_else(|| default_container(pod)) {
        call = call.query("container", container);
    }
    if let Some(since) = input.since {
        call = call.query("sinceSeconds", (since.as_secs_f64().ceil().max(1.0)).to_string());
    }
    if input.previous {
        call = call.query("previous", "true");
    }
    session.text(&call, LARGEST_LOG + 1).await
}

/// The container to look at where there are several and none is named.
pub(crate) fn default_container(pod: &Pod) -> Option<String> {
    let named = pod.metadata.annotations.get(DEFAULT_CONTAINER).cloned();
    named.or_else(|| Some(pod.spec.containers.first()?.name.clone()))
}

fn gather(output: &mut Output, pod: Option<&str>, log: &str, wanted: Option<&Regex>) {
    let mut size: usize = output.lines.iter().map(String::len).sum();
    output.truncated |= log.len() >= LARGEST_LOG;
    let is_wanted = |line: &&str| wanted.is_none_or(|wanted| wanted.is_match(line));
    if output.last.is_none() {
        let last = log.lines().rfind(is_wanted);
        output.last = last.map(|line| line.chars().take(LONGEST_LAST).collect());
    }
    for line in log.lines() {
        output.count += 1;
        if !is_wanted(&line) {
            continue;
        }
        output.matched += 1;
        let line = match pod {
            Some(pod) => format!("{pod}: {}", text::clean(line)),
            None => text::clean(line),
        };
        size += line.len();
        if output.lines.len() < MOST_LINES && size <= LARGEST_OUTPUT {
            output.lines.push(line);
        } else {
            output.truncated = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_matches_within_bounds() {
        let mut output = Output::default();
        gather(&mut output, Some("api-1"), "INFO fine\nERROR no\n", Some(&pattern("ERROR").unwrap()));
        assert_eq!((output.count, output.matched, output.truncated), (2, 1, false));
        assert_eq!(output.lines, ["api-1: ERROR no"]);
        gather(&mut output, Some("api-2"), "ERROR another\n", Some(&pattern("ERROR").unwrap()));
        assert_eq!(output.last.as_deref(), Some("ERROR no"), "the first pod comes first");

        let mut output = Output::default();
        gather(&mut output, None, &"x\n".repeat(MOST_LINES + 1), None);
        assert_eq!((output.count, output.lines.len(), output.truncated), (MOST_LINES + 1, MOST_LINES, true));

        let mut output = Output::default();
        gather(&mut output, None, &"x".repeat(LARGEST_OUTPUT + 1), None);
        assert_eq!((output.matched, output.lines.len(), output.truncated), (1, 0, true));
    }

    #[test]
    fn refuses_patterns_that_are_wrong_or_too_large() {
        assert!(pattern("(").is_err());
        assert!(pattern(r"\w{1000}{1000}").is_err());
    }
}
