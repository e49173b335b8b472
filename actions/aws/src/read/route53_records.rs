//! `aws.route53_records`: what a hosted zone answers.

use async_trait::async_trait;
use runbook_core::{
    Value,
    change::{Change, Observed},
    fault::Fault,
    spec::{ActionSpec, Reads},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Read;
use crate::{
    client::Session,
    dns::{
        batch,
        record::{self, Record},
        zone::Zone,
    },
    schema,
};

/// Which records of which zone.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The id or the name of the hosted zone.
    zone: String,
    /// Where two zones have the name: whether the private one is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    private: Option<bool>,
    /// Only the records of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Only the records of this type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
}

/// Records, as expressions see them.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Output {
    /// The zone's name.
    zone: String,
    /// The zone's id.
    zone_id: String,
    /// Whether only a private network sees it.
    private: bool,
    /// How many records there are.
    count: usize,
    /// What the only record answers; absent where there are several, or none.
    values: Option<Vec<String>>,
    /// For how many seconds resolvers may keep the only record; absent where there are several.
    ttl: Option<i64>,
    /// The records, a thousand at most.
    records: Vec<Record>,
    /// Whether there are more.
    truncated: bool,
}

const MOST_RECORDS: usize = 1_000;

/// What was read, and with what in mind.
#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    zone: Zone,
    input: Input,
    records: Vec<Record>,
    truncated: bool,
}

#[derive(Debug)]
pub(crate) struct Route53Records;

#[async_trait]
impl Read for Route53Records {
    type Input = Input;

    fn spec() -> ActionSpec {
        ActionSpec {
            reads: Reads::Configuration,
            example: json!({"zone": "example.com", "name": "api.example.com", "type": "A"}),
            ..schema::read::<Input, Output>(
                "route53_records",
                "The records of a Route 53 hosted zone, or those of one name",
                &["route53:GetHostedZone", "route53:ListHostedZonesByName", "route53:ListResourceRecordSets"],
            )
        }
    }

    async fn read(session: &Session<'_>, input: Input) -> Result<Observed, Fault> {
        let zone = Zone::look(session, &input.zone, input.private).await?;
        let name = input.name.as_deref().map(record::name);
        if let Some(name) = name.as_deref().filter(|name| !zone.holds(name)) {
            return Err(Fault::permanent(format!("`{name}` is outside of the zone `{}`", zone.name)));
        }
        let mut listing = zone.records(session, name.as_deref(), MOST_RECORDS).await?;
        listing.records.sort_by_key(Record::key);
        let target = zone.target(session);
        let seen = Seen { zone, input, records: listing.records, truncated: listing.truncated };
        Ok(Observed {
            target: Some(target),
            outputs: outputs_of(&seen)?,
            state: schema::value(&seen)?,
            warnings: Vec::new(),
        })
    }

    fn overlay(mut observed: Observed, predicted: &[Change]) -> (Observed, bool) {
        let Ok(mut seen) = schema::kept::<Seen>(&observed.state) else { return (observed, false) };
        lay(&mut seen.records, predicted);
        let (Ok(outputs), Ok(state)) = (outputs_of(&seen), schema::value(&seen)) else {
            return (observed, false);
        };
        let touched = outputs != observed.outputs;
        (observed.outputs, observed.state) = (outputs, state);
        (observed, touched)
    }
}

/// Lays predicted changes of a zone over its records.
pub(crate) fn lay(records: &mut Vec<Record>, predicted: &[Change]) {
    for change in predicted {
        let Ok(after) = batch::images(&change.after) else { continue };
        records.retain(|record| !after.contains_key(&record.key().to_string()));
        records.extend(after.into_values().flatten());
    }
    records.sort_by_key(Record::key);
}

fn outputs_of(seen: &Seen) -> Result<Value, Fault> {
    let Seen { zone, input, records, truncated } = seen;
    let name = input.name.as_deref().map(record::name);
    let of_type = input.r#type.as_deref().map(str::to_ascii_uppercase);
    let meant = |record: &&Record| {
        name.as_ref().is_none_or(|name| record.name == *name)
            && of_type.as_ref().is_none_or(|of_type| record.r#type == *of_type)
    };
    let records: Vec<Record> = records.iter().filter(meant).cloned().collect();
    let only = if let [only] = records.as_slice() { Some(only.clone()) } else { None };
    schema::value(&Output {
        zone: zone.name.clone(),
        zone_id: zone.id.clone(),
        private: zone.private,
        count: records.len(),
        ttl: only.as_ref().and_then(|record| record.ttl),
        values: only.map(|record| record.values),
        records,
        truncated: *truncated,
    })
}
