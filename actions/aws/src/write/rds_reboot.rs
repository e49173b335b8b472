//! `aws.rds_reboot`: a database instance is restarted, over to its standby where that is asked.

use async_trait::async_trait;
use aws_sdk_rds::types::SourceType;
use futures::FutureExt as _;
use runbook_core::{
    Timestamp, Value,
    change::{Change, Landed, Progress, Request},
    fault::Fault,
    spec::{ActionSpec, Effect, UndoSupport},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Aim, Draft, Judgement, Sight, Write, undo_of};
use crate::{
    client::Session,
    guard::{DESCRIBE_EVENTS, REBOOT_DB_INSTANCE},
    identity::Identity,
    rds::{AVAILABLE, instance::Instance, is_ready, moment},
    rights::Right,
    schema,
};

/// Which instance, and how.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The identifier of the instance.
    instance: String,
    /// Whether its standby in the other availability zone takes over; only for a Multi-AZ instance.
    #[serde(default)]
    failover: bool,
}

/// What it answers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Output {
    /// The identifier of the instance.
    instance: String,
    /// `available`, `rebooting`, …
    status: String,
    /// Whether its standby was asked to take over.
    failover: bool,
    /// Where it runs.
    availability_zone: Option<String>,
    /// Where it ran before; RDS takes some minutes to show the other zone.
    previous_availability_zone: Option<String>,
}

/// What was seen.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Seen {
    url: String,
    instance: Instance,
    /// When it was last restarted, of the last hour; nothing where RDS does not tell.
    restarts: Option<Vec<Timestamp>>,
    /// A dry-run foresees a reboot.
    rebooted: bool,
}

/// For how long back RDS is asked for restarts, in minutes.
const EVENTS_OF: i32 = 60;

#[derive(Debug)]
pub(crate) struct RdsReboot;

#[async_trait]
impl Write for RdsReboot {
    type Input = Input;
    type Seen = Seen;

    fn spec() -> ActionSpec {
        ActionSpec {
            example: json!({"instance": "orders-1", "failover": true}),
            ..schema::write::<Input, Output>(
                "rds_reboot",
                "Reboots an RDS instance, over to its standby where `failover` says so",
                Effect::Destructive,
                UndoSupport::None("a restart cannot be taken back".to_owned()),
                &["rds:DescribeDBInstances", "rds:DescribeEvents", "rds:RebootDBInstance"],
            )
        }
    }

    async fn look(session: &Session<'_>, input: &Input) -> Result<Sight<Seen>, Fault> {
        let instance = Instance::look(session, &input.instance).await?;
        let restarts = restarts(session, &instance.name).await;
        let url = session.identity.rds_url(REBOOT_DB_INSTANCE.name);
        Ok(Sight {
            target: instance.target(session),
            seen: Seen { url, instance, restarts, rebooted: false },
        })
    }

    fn aim(input: &Input, seen: &Seen) -> Result<Aim, Fault> {
        let instance = &seen.instance;
        let name = &instance.name;
        if input.failover {
            if let Some(cluster) = &instance.cluster {
                return Err(Fault::permanent(format!(
                    "`{name}` belongs to cluster `{cluster}`, which fails over as a whole"
                ))
                .hint("use `aws.rds_failover_cluster`"));
            }
            if !instance.multi_az {
                return Err(Fault::permanent(format!(
                    "`{name}` has no standby: it is not a Multi-AZ instance"
                ))
                .hint("leave `failover` out to reboot it where it is"));
            }
        }
        if !is_ready(&instance.status) {
            return Err(Fault::permanent(format!(
                "`{name}` is `{}`: RDS reboots only what is `{AVAILABLE}`",
                instance.status
            )));
        }
        let how = if input.failover { "with failover" } else { "in place" };
        let mut body = json!({"DBInstanceIdentifier": name});
        let (mut before, mut after) = (json!({"reboot": null}), json!({"reboot": how}));
        if input.failover {
            body["ForceFailover"] = json!(true);
            if let (Some(here), Some(there)) =
                (&instance.availability_zone, &instance.secondary_availability_zone)
            {
                before["availability_zone"] = json!(here);
                after["availability_zone"] = json!(there);
            }
        }
        Ok(Aim::Change(Box::new(Draft {
            summary: format!("reboot {name} {how}"),
            before,
            after,
            request: Request { method: "POST".to_owned(), url: seen.url.clone(), body, content_type: None },
            precondition: json!({"restarted": seen.restarts.as_ref().map(|restarts| restarts.iter().max())}),
            image: json!({"availability_zone": instance.availability_zone, "watched": seen.restarts.is_some()}),
            undo: undo_of(&Self::spec()),
            warnings: vec![format!("`{name}` answers nothing while it restarts; connections break")],
        })))
    }

    fn judge(change: &Change, seen: &Seen) -> Judgement {
        if seen.rebooted || restarted_since(change, seen) || moved_over(change, seen) {
            Judgement::Landed
        } else if is_ready(&seen.instance.status) {
            Judgement::Same
        } else {
            Judgement::Moved(format!("status: {AVAILABLE} -> {}", seen.instance.status))
        }
    }

    /// A reboot may leave no trace before it is done, so that none is seen proves nothing.
    fn landed(change: &Change, seen: &Seen) -> Landed {
        match Self::judge(change, seen) {
            Judgement::Landed => Landed::Yes,
            Judgement::Same | Judgement::Moved(_) => Landed::CannotTell,
        }
    }

    async fn send(session: &Session<'_>, change: &Change, seen: &Seen) -> Result<Value, Fault> {
        let (rds, name) = (&session.link().rds, &seen.instance.name);
        let failover = change.request.body.get("ForceFailover").and_then(Value::as_bool);
        let answer = session
            .ask(REBOOT_DB_INSTANCE, || {
                rds.reboot_db_instance()
                    .db_instance_identifier(name)
                    .set_force_failover(failover)
                    .send()
                    .boxed()
            })
            .await?;
        let mut instance = seen.instance.clone();
        if let Some(status) = answer.db_instance.and_then(|instance| instance.db_instance_status) {
            instance.status = status;
        }
        outputs_of(&instance, Some(change))
    }

    async fn progress(
        session: &Session<'_>,
        input: &Input,
        change: &Change,
        _: &Value,
    ) -> Result<Progress, Fault> {
        let instance = Instance::look(session, &input.instance).await?;
        if instance.uid != change.target.uid {
            return Ok(Progress::Failed(format!(
                "{} was replaced by another instance of that name",
                change.target
            )));
        }
        Ok(match instance.status.as_str() {
            status if is_ready(status) => Progress::Done(outputs_of(&instance, Some(change))?),
            "failed"
            | "incompatible-parameters"
            | "incompatible-network"
            | "incompatible-restore"
            | "inaccessible-encryption-credentials"
            | "storage-full" => {
                Progress::Failed(format!("`{}` came to be `{}`", instance.name, instance.status))
            }
            status => Progress::Pending(format!("`{}` is `{status}`", instance.name)),
        })
    }

    fn outputs(seen: &Seen, change: Option<&Change>) -> Result<Value, Fault> {
        outputs_of(&seen.instance, change)
    }

    fn lay(seen: &mut Seen, predicted: &[Change]) {
        for change in predicted.iter().filter(|change| change.action == Self::spec().name) {
            seen.rebooted = true;
            let (here, there) = (text(&change.before), text(&change.after));
            if let (Some(here), Some(there)) = (here, there) {
                seen.instance.availability_zone = Some(there);
                seen.instance.secondary_availability_zone = Some(here);
            }
        }
    }

    fn rights(_: &Identity, seen: &Seen) -> Vec<Right> {
        vec![Right::on("rds:RebootDBInstance", &seen.instance.arn)]
    }
}

/// When RDS noted a restart of an instance. It is evidence only: where it cannot be had, the
/// reboot is no worse.
async fn restarts(session: &Session<'_>, name: &str) -> Option<Vec<Timestamp>> {
    let rds = &session.link().rds;
    let answer = session
        .ask(DESCRIBE_EVENTS, || {
            rds.describe_events()
                .source_type(SourceType::DbInstance)
                .source_identifier(name)
                .duration(EVENTS_OF)
                .send()
                .boxed()
        })
        .await
        .ok()?;
    let is_restart = |message: &str| {
        let message = message.to_lowercase();
        message.contains("restarted") || message.contains("failover completed")
    };
    let events = answer.events.unwrap_or_default();
    let restarts = events.iter().filter(|event| event.message().is_some_and(is_restart));
    Some(restarts.filter_map(|event| moment(event.date.as_ref())).collect())
}

/// Whether RDS noted a restart that it had not noted when the change was planned.
fn restarted_since(change: &Change, seen: &Seen) -> bool {
    let watched = change.image.get("watched").and_then(Value::as_bool) == Some(true);
    let last = seen.restarts.as_ref().and_then(|restarts| restarts.iter().max());
    let known = change.precondition.get("restarted").and_then(Value::as_str);
    let known = known.and_then(|at| at.parse::<Timestamp>().ok());
    watched && last.is_some_and(|last| known.is_none_or(|known| *last > known))
}

fn moved_over(change: &Change, seen: &Seen) -> bool {
    text(&change.after).is_some_and(|zone| seen.instance.availability_zone.as_ref() == Some(&zone))
}

fn text(fields: &Value) -> Option<String> {
    fields.get("availability_zone")?.as_str().map(str::to_owned)
}

fn outputs_of(instance: &Instance, change: Option<&Change>) -> Result<Value, Fault> {
    let failover = change.and_then(|change| change.request.body.get("ForceFailover")?.as_bool());
    schema::value(&Output {
        instance: instance.name.clone(),
        status: instance.status.clone(),
        failover: failover.unwrap_or(false),
        availability_zone: instance.availability_zone.clone(),
        previous_availability_zone: change.and_then(|change| text(&change.image)),
    })
}
