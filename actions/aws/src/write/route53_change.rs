//! `aws.route53_change`: a batch of changes to the records of a zone, all of it or none.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_sdk_route53::types::ChangeStatus;
use futures::FutureExt as _;
use runbook_core::{
    Value,
    change::{Change, Progress, Request, Undo, brief, differences},
    duration::Duration,
    fault::{Fault, FaultKind},
    spec::{ActionSpec, Effect, UndoSupport},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Aim, Draft, Judgement, Sight, Write};
use crate::{
    client::Session,
    dns::{
        batch::{self, Alteration, Asked, Images, Outcome},
        record::Record,
        wire,
        zone::Zone,
    },
    guard::{CHANGE_RESOURCE_RECORD_SETS, GET_CHANGE},
    identity::Identity,
    read::route53_records::lay,
    rights::Right,
    schema,
};

/// Which changes of which zone.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The id or the name of the hosted zone.
    zone: String,
    /// Where two zones have the name: whether the private one is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    private: Option<bool>,
    /// What to change, in this order; all of it happens or none.
    #[schemars(length(min = 1, max = 100), extend("x-no-secrets" = true))]
    changes: Vec<Asked>,
    /// Kept by Route 53 with the batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-no-secrets" = true))]
    comment: Option<String>,
}

/// What it answers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Output {
    /// The zone's name.
    zone: String,
    /// The zone's id.
    zone_id: String,
    /// What Route 53 calls the batch; absent before it is sent.
    change_id: Option<String>,
    /// `PENDING` or `INSYNC`; absent where it cannot be asked for want of a `change_id`.
    status: Option<String>,
    /// For how many seconds resolvers may still answer as before, once the status is `INSYNC`.
    ttl: i64,
    /// The record sets in question by name and type, null where there is none.
    records: BTreeMap<String, Option<Record>>,
    /// What was changed, as `field: old -> new`.
    changed: Vec<String>,
}

/// What was seen.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Seen {
    url: String,
    zone: Zone,
    /// All records of the names in question.
    records: Vec<Record>,
    /// Record sets in question, by name and type.
    keys: Vec<String>,
}

const MOST_CHANGES: usize = 100;
/// Route 53 takes five requests a second: of more names than this, the whole zone is read.
const MOST_NAMES: usize = 8;
const LARGEST_ZONE: usize = 10_000;
const LONGEST_COMMENT: usize = 256;
/// How long resolvers keep an alias, which has no time of its own.
const ALIAS_TTL: i64 = 60;

/// What no look at the records tells.
const UNKNOWABLE: &str = "not known beforehand: whether what the new answers lead to can serve, and who keeps the old ones beyond their TTL";

#[derive(Debug)]
pub(crate) struct Route53Change;

#[async_trait]
impl Write for Route53Change {
    type Input = Input;
    type Seen = Seen;

    fn spec() -> ActionSpec {
        let undo = UndoSupport::Auto("by the inverse batch, from the records before".to_owned());
        ActionSpec {
            example: json!({
                "zone": "example.com",
                "changes": [{"action": "UPSERT", "name": "api.example.com", "type": "CNAME", "ttl": 60,
                             "values": ["api.eu-central-1.example.com"]}],
            }),
            ..schema::write::<Input, Output>(
                "route53_change",
                "Changes records of a Route 53 hosted zone in one batch, and waits until all its servers know",
                Effect::Destructive,
                undo,
                &[
                    "route53:GetHostedZone",
                    "route53:ListHostedZonesByName",
                    "route53:ListResourceRecordSets",
                    "route53:ChangeResourceRecordSets",
                    "route53:GetChange",
                ],
            )
        }
    }

    async fn look(session: &Session<'_>, input: &Input) -> Result<Sight<Seen>, Fault> {
        if input.changes.is_empty() || input.changes.len() > MOST_CHANGES {
            return Err(Fault::permanent(format!("`changes` has between 1 and {MOST_CHANGES} entries")));
        }
        let zone = Zone::look(session, &input.zone, input.private).await?;
        let alterations = alterations(input);
        let records = records(session, &zone, &alterations).await?;
        let keys = alterations.iter().map(|alteration| alteration.record.key().to_string()).collect();
        let url = session.identity.zone_url(&zone.id);
        Ok(Sight { target: zone.target(session), seen: Seen { url, zone, records, keys } })
    }

    fn aim(input: &Input, seen: &Seen) -> Result<Aim, Fault> {
        if input.comment.as_ref().is_some_and(|comment| comment.len() > LONGEST_COMMENT) {
            return Err(Fault::permanent(format!("a `comment` has {LONGEST_COMMENT} bytes at most")));
        }
        let outcome = batch::outcome(&seen.zone, &seen.records, &alterations(input))?;
        if outcome.alterations.is_empty() {
            return Ok(Aim::Already(format!("the records of {} are so already", seen.zone.name)));
        }
        Ok(Aim::Change(Box::new(draft(input, seen, &outcome)?)))
    }

    fn aim_back(change: &Change, seen: &Seen) -> Result<(Value, Aim), Fault> {
        let before = batch::images(&change.before)?;
        let inverse = batch::inverse(&before, &now(change, seen)?);
        let input = Input {
            zone: seen.zone.id.clone(),
            private: None,
            changes: inverse.into_iter().map(Asked::from).collect(),
            comment: comment(&change.request.body).map(|comment| format!("take back: {comment}")),
        };
        if input.changes.is_empty() {
            let summary = format!("the records of {} are as they were before", seen.zone.name);
            return Ok((schema::value(&input)?, Aim::Already(summary)));
        }
        let aim = Self::aim(&input, seen)?;
        Ok((schema::value(&input)?, aim))
    }

    /// Which request was it that made them so does not matter: a batch that arrives twice leaves
    /// the records as one does, or is refused.
    fn judge(change: &Change, seen: &Seen) -> Judgement {
        let images = (batch::images(&change.before), batch::images(&change.after), now(change, seen));
        let (Ok(before), Ok(after), Ok(now)) = images else {
            return Judgement::Moved("what was recorded of it cannot be read".to_owned());
        };
        if now == after {
            Judgement::Landed
        } else if now == before {
            Judgement::Same
        } else {
            let mut moved = Vec::new();
            if let Ok(now) = schema::value(&now) {
                differences("", &change.before, &now, &mut moved);
            }
            Judgement::Moved(moved.join("; "))
        }
    }

    async fn send(session: &Session<'_>, change: &Change, seen: &Seen) -> Result<Value, Fault> {
        let input: Input = schema::input(&Self::spec(), &change.input)?;
        let outcome = batch::outcome(&seen.zone, &seen.records, &alterations(&input))?;
        let comment = comment_of(&input);
        if wire::shown(&comment, &outcome.alterations) != change.request.body {
            return Err(Fault::conflict(format!("{} would need another batch now", change.target)));
        }
        let batch = wire::batch(&comment, &outcome.alterations)?;
        let (route53, zone) = (&session.link().route53, &seen.zone.id);
        let answer = session
            .ask(CHANGE_RESOURCE_RECORD_SETS, || {
                route53
                    .change_resource_record_sets()
                    .hosted_zone_id(zone)
                    .change_batch(batch.clone())
                    .send()
                    .boxed()
            })
            .await?;
        let info = answer.change_info.map(|info| (info.id, info.status.as_str().to_owned()));
        outputs_of(&seen.zone, &outcome.after, Some(change), info)
    }

    async fn progress(
        session: &Session<'_>,
        input: &Input,
        change: &Change,
        answer: &Value,
    ) -> Result<Progress, Fault> {
        let Some(id) = answer.get("change_id").and_then(Value::as_str) else {
            return without_receipt(session, input, change).await;
        };
        let route53 = &session.link().route53;
        let found = session.ask(GET_CHANGE, || route53.get_change().id(id).send().boxed()).await;
        let info = match found {
            Ok(found) => found.change_info,
            Err(fault) if fault.kind == FaultKind::NotFound => None,
            Err(fault) => return Err(fault),
        };
        match info.map(|info| info.status) {
            Some(ChangeStatus::Insync) => {
                let mut outputs = answer.clone();
                outputs["status"] = json!(ChangeStatus::Insync.as_str());
                Ok(Progress::Done(outputs))
            }
            Some(status) => {
                Ok(Progress::Pending(format!("Route 53 says {}: not all its servers know", status.as_str())))
            }
            None => without_receipt(session, input, change).await,
        }
    }

    fn outputs(seen: &Seen, change: Option<&Change>) -> Result<Value, Fault> {
        let images = match change {
            Some(change) => now(change, seen)?,
            None => images_of(&seen.keys, &seen.records),
        };
        outputs_of(&seen.zone, &images, change, None)
    }

    fn lay(seen: &mut Seen, predicted: &[Change]) {
        lay(&mut seen.records, predicted);
    }

    fn rights(identity: &Identity, seen: &Seen) -> Vec<Right> {
        vec![Right::on("route53:ChangeResourceRecordSets", identity.zone_arn(&seen.zone.id))]
    }
}

fn alterations(input: &Input) -> Vec<Alteration> {
    input.changes.iter().cloned().map(Alteration::from).collect()
}

/// All records of the names that a batch is about.
async fn records(session: &Session<'_>, zone: &Zone, asked: &[Alteration]) -> Result<Vec<Record>, Fault> {
    let names = batch::names(zone, asked);
    let mut found = Vec::new();
    if names.len() <= MOST_NAMES {
        for name in &names {
            found.extend(zone.records(session, Some(name), LARGEST_ZONE).await?.records);
        }
    } else {
        let listing = zone.records(session, None, LARGEST_ZONE).await?;
        if listing.truncated {
            return Err(Fault::permanent(format!(
                "zone `{}` has more than {LARGEST_ZONE} record sets",
                zone.name
            ))
            .hint(format!("change {MOST_NAMES} names at most in one batch")));
        }
        found.extend(listing.records.into_iter().filter(|record| names.contains(&record.name)));
    }
    found.sort_by_key(Record::key);
    Ok(found)
}

fn images_of<'a>(keys: impl IntoIterator<Item = &'a String>, records: &[Record]) -> Images {
    let known: BTreeMap<String, &Record> =
        records.iter().map(|record| (record.key().to_string(), record)).collect();
    keys.into_iter().map(|key| (key.clone(), known.get(key).map(|record| (*record).clone()))).collect()
}

/// The record sets of a change, as they are now.
fn now(change: &Change, seen: &Seen) -> Result<Images, Fault> {
    Ok(images_of(batch::images(&change.before)?.keys(), &seen.records))
}

fn draft(input: &Input, seen: &Seen, outcome: &Outcome) -> Result<Draft, Fault> {
    let inverse = batch::inverse(&outcome.before, &outcome.after);
    let gists = |alterations: &[Alteration]| -> String {
        brief(&json!(alterations.iter().map(Alteration::gist).collect::<Vec<_>>().join("; ")))
    };
    let comment = comment_of(input);
    let mut warnings = waits(outcome);
    warnings.push(format!("to take it back: {}", gists(&inverse)));
    warnings.push(UNKNOWABLE.to_owned());
    Ok(Draft {
        summary: format!("{}: {}", seen.zone.name, gists(&outcome.alterations)),
        before: schema::value(&outcome.before)?,
        after: schema::value(&outcome.after)?,
        request: Request {
            method: "POST".to_owned(),
            url: seen.url.clone(),
            body: wire::shown(&comment, &outcome.alterations),
            content_type: None,
        },
        precondition: Value::Null,
        image: json!({"inverse": wire::shown(&format!("take back: {comment}"), &inverse)}),
        undo: Undo::Auto,
        warnings,
    })
}

fn comment_of(input: &Input) -> String {
    input.comment.clone().unwrap_or_else(|| "runbook".to_owned())
}

fn comment(batch: &Value) -> Option<String> {
    let comment = batch.get("Comment")?.as_str()?;
    // Taken back and forth, a comment must not grow beyond what Route 53 takes.
    Some(comment.trim_start_matches("take back: ").chars().take(LONGEST_COMMENT / 8).collect())
}

/// How long the world will go on seeing what was there.
fn waits(outcome: &Outcome) -> Vec<String> {
    let mut warnings = Vec::new();
    let longest = longest_ttl(&outcome.before);
    if longest > 0 {
        let wait = Duration::from_secs(u64::try_from(longest).unwrap_or_default());
        warnings.push(format!(
            "resolvers may go on answering as before for {wait} after Route 53 is in sync (the TTL of what is there)"
        ));
    }
    if outcome.before.values().any(Option::is_none) {
        warnings.push(
            "resolvers that asked for a new name before remember that it was not there, as long as the SOA says"
                .to_owned(),
        );
    }
    warnings
}

fn longest_ttl(before: &Images) -> i64 {
    let ttl = |record: &Record| record.ttl.unwrap_or(ALIAS_TTL);
    before.values().flatten().map(ttl).max().unwrap_or_default()
}

/// Nobody knows under which name Route 53 has the batch: all that can be told is whether the
/// records are as asked.
async fn without_receipt(session: &Session<'_>, input: &Input, change: &Change) -> Result<Progress, Fault> {
    let Sight { seen, .. } = Route53Change::look(session, input).await?;
    Ok(match Route53Change::judge(change, &seen) {
        Judgement::Landed => {
            Progress::Done(outputs_of(&seen.zone, &now(change, &seen)?, Some(change), None)?)
        }
        Judgement::Same => Progress::Pending("the records are as before".to_owned()),
        Judgement::Moved(what) => {
            Progress::Failed(format!("the records were changed by someone else: {what}"))
        }
    })
}

fn outputs_of(
    zone: &Zone,
    records: &Images,
    change: Option<&Change>,
    info: Option<(String, String)>,
) -> Result<Value, Fault> {
    let mut changed = Vec::new();
    let mut ttl = longest_ttl(records);
    if let Some(change) = change {
        differences("", &change.before, &change.after, &mut changed);
        ttl = longest_ttl(&batch::images(&change.before)?);
    }
    let (change_id, status) = info.map_or((None, None), |(id, status)| (Some(id), Some(status)));
    schema::value(&Output {
        zone: zone.name.clone(),
        zone_id: zone.id.clone(),
        change_id,
        status,
        ttl,
        records: records.clone(),
        changed,
    })
}
