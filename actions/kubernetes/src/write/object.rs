//! Changes of any object, whose result only the server can work out: it is asked with a dry-run
//! what it would make of the request, and what differs is the change.

use std::{fmt::Debug, marker::PhantomData, sync::Arc};

use async_trait::async_trait;
use http::StatusCode;
use runbook_contract::{Action, Cx, Obstacle, PlanCx};
use runbook_core::{
    Value,
    change::{Change, Landed, Observed, Planned, Progress, Request, Target, Undo, Validation},
    fault::{Fault, FaultKind},
    spec::{ActionSpec, Effect},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    FIELD_MANAGER,
    deliver::{self, Judgement, deliver, text},
    precondition, untouched,
};
use crate::{
    Config,
    around::{self, Depth, Purpose},
    client::{APPLY_PATCH, Call, Cluster, MERGE_PATCH, Reply, Session, kept},
    delta,
    discover::Resource,
    place::Place,
    predict, read, rights,
    rollout::{self, Stage},
    schema,
    workload::{Kind, WorkloadRef, trimmed, view_of, with_near_names},
};

/// A request for another state of an object.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Wish {
    /// `kubernetes:shop/ingress/api`.
    pub(crate) target: String,
    pub(crate) kind: String,
    pub(crate) place: Place,
    /// The media type of the body.
    pub(crate) content_type: String,
    pub(crate) body: Value,
    /// Whether fields are taken over from who set them.
    pub(crate) force: bool,
}

/// What was observed.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Seen {
    server: String,
    wish: Wish,
    /// The object, where it exists.
    object: Value,
    /// What the server would make of it; nothing where it refuses.
    result: Value,
    refused: Option<Fault>,
}

/// What is remembered with a change, to send it without asking anything again.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Image {
    kind: String,
    place: Place,
    force: bool,
    created: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Outcome {
    /// The kind of the object.
    kind: String,
    /// Its name.
    name: Option<String>,
    /// The namespace it is in.
    namespace: Option<String>,
    /// Whether it exists.
    exists: bool,
    /// Whether it was made by this.
    created: bool,
    /// What was changed, as `field: old -> new`, at most fifty.
    changed: Vec<String>,
}

/// One way of asking for another state of an object.
#[async_trait]
pub(crate) trait Shape: Debug + Send + Sync + 'static {
    type Input: DeserializeOwned + JsonSchema + Send + Sync;

    /// Whether it makes the object where there is none.
    const CREATES: bool;
    const EFFECT: Effect;

    fn spec() -> ActionSpec;

    async fn wish(session: &Session<'_>, config: &Config, input: Self::Input) -> Result<Wish, Fault>;
}

#[derive(Debug)]
pub(crate) struct Shaping<S> {
    cluster: Arc<Cluster>,
    spec: ActionSpec,
    shape: PhantomData<fn() -> S>,
}

impl<S: Shape> Shaping<S> {
    pub(crate) fn action(cluster: &Arc<Cluster>) -> Arc<dyn Action> {
        Arc::new(Self { cluster: cluster.clone(), spec: S::spec(), shape: PhantomData })
    }

    async fn wish(&self, session: &Session<'_>, input: &Value) -> Result<Wish, Fault> {
        S::wish(session, &self.cluster.config, schema::input(&self.spec, input)?).await
    }

    async fn send(&self, cx: &Cx, change: &Change, dry: bool) -> Result<Option<Reply>, Fault> {
        let image: Image = kept(&change.image)?;
        let session = self.cluster.session(cx).await?;
        let call = call(&image.place, &change.request, image.force);
        deliver(&session, change, call, dry, |live| judge(change, live)).await
    }
}

/// The place of an object of a kind, and what it is called; refuses objects whose fields are
/// secret, for the plan and the timeline would show them.
pub(crate) fn addressed(
    resource: &Resource,
    namespace: Option<&str>,
    name: &str,
) -> Result<(Place, String), Fault> {
    if resource.group.is_empty() && resource.kind == "Secret" {
        return Err(Fault::denied(
            "a Secret is not changed by a runbook: its values would stand in the plan and the timeline",
        )
        .hint("change it with the tool that keeps your secrets"));
    }
    let kind = resource.kind.to_lowercase();
    let place = resource.place().named(name);
    match (resource.namespaced, namespace) {
        (true, Some(namespace)) => {
            Ok((place.within(namespace), format!("kubernetes:{namespace}/{kind}/{name}")))
        }
        (true, None) => {
            Err(Fault::permanent(format!("a {} is in a namespace, but none is named", resource.kind))
                .hint("give `namespace`"))
        }
        (false, _) => Ok((place, format!("kubernetes:{kind}/{name}"))),
    }
}

fn call(place: &Place, request: &Request, force: bool) -> Call {
    let kind = request.content_type.as_deref().unwrap_or_default();
    if request.method == "DELETE" {
        return Call::delete(place.clone(), request.body.clone());
    }
    let call = Call::patch(place.clone(), kind, request.body.clone()).query("fieldManager", FIELD_MANAGER);
    if kind == APPLY_PATCH { call.query("force", force.to_string()) } else { call }
}

fn request(server: &str, method: &str, wish: &Wish) -> Result<Request, Fault> {
    let mut request = Request {
        method: method.to_owned(),
        url: String::new(),
        body: wish.body.clone(),
        content_type: Some(wish.content_type.clone()).filter(|kind| !kind.is_empty()),
    };
    request.url = format!("{server}{}", call(&wish.place, &request, wish.force).target()?);
    Ok(request)
}

fn live_fields(change: &Change, object: &Value) -> Value {
    let mut object = if object.is_null() { Value::Null } else { delta::meaningful(object) };
    if change.before.is_null() && change.after.pointer("/metadata/annotations").is_none() {
        object = delta::without_empty_annotations(object);
    }
    delta::pick(&change.before, &change.after, &object)
}

fn judge(change: &Change, live: &Value) -> Judgement {
    let fields = live_fields(change, live);
    if fields == change.after {
        Judgement::Landed
    } else if fields == change.before {
        Judgement::Same
    } else {
        Judgement::Moved(delta::paths(&change.before, &fields))
    }
}

fn outcome(
    kind: &str,
    place: &Place,
    object: &Value,
    created: bool,
    changed: Vec<String>,
) -> Result<Value, Fault> {
    read::outputs(&Outcome {
        kind: kind.to_owned(),
        name: place.name.clone(),
        namespace: place.namespace.clone(),
        exists: !object.is_null(),
        created,
        changed,
    })
}

/// Whether a workload has to come to rest before the change is complete: not for what is said
/// about it beside its spec, and not while someone holds its rollouts back.
fn rolls_out(change: &Change, object: &Value) -> bool {
    let paused = object.pointer("/spec/paused").and_then(Value::as_bool).unwrap_or(false);
    !object.is_null() && !paused && change.after.get("spec").is_some()
}

/// The workload that an object is, where it is one.
fn workload(kind: &str, place: &Place) -> Option<WorkloadRef> {
    let kind =
        [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet].into_iter().find(|it| it.object() == kind)?;
    Some(WorkloadRef { namespace: place.namespace.clone()?, kind, name: place.name.clone()? })
}

async fn find(session: &Session<'_>, place: &Place, may_be_missing: bool) -> Result<Value, Fault> {
    match session.get(place.clone()).await {
        Ok(object) => Ok(trimmed(object)),
        Err(fault) if fault.kind == FaultKind::NotFound && may_be_missing => Ok(Value::Null),
        Err(fault) if fault.kind == FaultKind::NotFound => Err(with_near_names(session, place, fault).await),
        Err(fault) => Err(fault),
    }
}

#[async_trait]
impl<S: Shape> Action for Shaping<S> {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }

    async fn observe(&self, cx: &Cx, input: &Value) -> Result<Observed, Fault> {
        let session = self.cluster.session(cx).await?;
        let wish = self.wish(&session, input).await?;
        let object = find(&session, &wish.place, S::CREATES).await?;
        let asked = call(&wish.place, &request("", "PATCH", &wish)?, wish.force).dry();
        // A refusal is the plan's to tell: to take a change back, one must still be able to look.
        let (result, refused, mut warnings) = match session.send(&asked).await {
            Ok(reply) => (trimmed(reply.value), None, reply.warnings),
            Err(fault) if fault.kind.is_transient() => return Err(fault),
            Err(fault) => (Value::Null, Some(fault), Vec::new()),
        };
        if let Some(of) = workload(&wish.kind, &wish.place).filter(|_| !object.is_null()) {
            warnings.extend(around::warnings(
                around::around(&session, &of, &object, &Purpose::Any, Depth::Plan).await?,
            ));
        }
        let uid = text(&object, "/metadata/uid");
        Ok(Observed {
            target: Some(Target::new(wish.target.clone(), uid)),
            outputs: outcome(&wish.kind, &wish.place, &object, false, Vec::new())?,
            state: read::outputs(&Seen {
                server: session.link.server.clone(),
                wish,
                object,
                result,
                refused,
            })?,
            warnings,
        })
    }

    fn overlay(&self, mut seen: Observed, predicted: &[Change]) -> (Observed, bool) {
        let changes = predict::of_target(&seen, predicted);
        let Ok(mut state) = kept::<Seen>(&seen.state) else { return (seen, false) };
        if changes.is_empty() {
            return (seen, false);
        }
        let (_, own) = delta::between(&delta::meaningful(&state.object), &delta::meaningful(&state.result));
        let before = state.object.clone();
        for change in changes {
            predict::lay(&mut state.object, change);
        }
        if !state.result.is_null() {
            state.result = delta::laid(&state.object, &own);
        }
        let touched = before != state.object;
        match read::outputs(&state) {
            Ok(state) if touched => {
                seen.state = state;
                (seen, true)
            }
            _ => (seen, false),
        }
    }

    fn plan(&self, _: &PlanCx, input: &Value, seen: &Observed) -> Result<Planned, Fault> {
        let state = kept::<Seen>(&seen.state)?;
        if let Some(refused) = state.refused {
            return Err(refused);
        }
        let target = Target::new(state.wish.target.clone(), text(&state.object, "/metadata/uid"));
        let created = state.object.is_null();
        let old = if created { Value::Null } else { delta::meaningful(&state.object) };
        let (before, after) = delta::between(&old, &delta::meaningful(&state.result));
        let name = state.wish.place.name.clone().unwrap_or_default();
        let kind = state.wish.kind.to_lowercase();
        if before == after {
            let summary = format!("{kind} {name} is already so");
            return Ok(Planned::Already { target: Some(target), summary, outputs: seen.outputs.clone() });
        }
        let summary = match delta::paths(&before, &after).as_slice() {
            _ if created => format!("make {kind} {name}"),
            [only] => format!("{kind} {name}: {only}"),
            [first, rest @ ..] => format!("{kind} {name}: {first}, and {} more", rest.len()),
            [] => format!("{kind} {name}"),
        };
        let request = request(&state.server, "PATCH", &state.wish)?;
        let image =
            Image { kind: state.wish.kind, place: state.wish.place, force: state.wish.force, created };
        Ok(Planned::Change(Box::new(Change {
            action: self.spec.name.clone(),
            input: input.clone(),
            target,
            summary,
            effect: S::EFFECT,
            request,
            precondition: if created { Value::Null } else { precondition(&state.object) },
            before,
            after,
            image: read::outputs(&image)?,
            undo: Undo::Auto,
            warnings: seen.warnings.clone(),
        })))
    }

    async fn validate(&self, cx: &Cx, change: &Change) -> Result<Validation, Fault> {
        deliver::or_predicted(self.send(cx, change, true).await.map(deliver::validated))
    }

    async fn apply(&self, cx: &Cx, change: &Change) -> Result<Value, Fault> {
        let image: Image = kept(&change.image)?;
        let reply = self.send(cx, change, false).await?;
        let object = if change.after.is_null() { Value::Null } else { json!({}) };
        let created = reply.is_some_and(|reply| reply.status == StatusCode::CREATED);
        outcome(&image.kind, &image.place, &object, created, delta::paths(&change.before, &change.after))
    }

    async fn verify(&self, cx: &Cx, change: &Change) -> Result<Progress, Fault> {
        let image: Image = kept(&change.image)?;
        let session = self.cluster.session(cx).await?;
        let object = find(&session, &image.place, true).await?;
        let fields = live_fields(change, &object);
        if change.after.is_null() && !object.is_null() {
            return Ok(match text(&object, "/metadata/deletionTimestamp") {
                Some(_) => Progress::Pending(format!("{} is still going", change.target)),
                None => Progress::Failed(format!("{} was made again by someone else", change.target)),
            });
        }
        if fields != change.after {
            let moved = delta::paths(&change.after, &fields).join("; ");
            return Ok(Progress::Failed(format!(
                "{} was changed again by someone else: {moved}",
                change.target
            )));
        }
        let stage = match workload(&image.kind, &image.place).filter(|_| rolls_out(change, &object)) {
            Some(of) => rollout::look(&session, &of, &view_of(&object)?).await?,
            None => Stage::Complete,
        };
        Ok(match stage {
            Stage::Complete => {
                let changed = delta::paths(&change.before, &change.after);
                Progress::Done(outcome(
                    &image.kind,
                    &image.place,
                    &object,
                    image.created && !object.is_null(),
                    changed,
                )?)
            }
            Stage::Progressing(missing) => Progress::Pending(missing),
            Stage::Failed(why) => Progress::Failed(why),
        })
    }

    fn landed(&self, change: &Change, seen: &Observed) -> Landed {
        let Ok(state) = kept::<Seen>(&seen.state) else { return Landed::CannotTell };
        let uid = text(&state.object, "/metadata/uid");
        let replaced = change.target.uid.is_some() && uid.is_some() && uid != change.target.uid;
        if state.wish.target != change.target.name || replaced {
            return Landed::CannotTell;
        }
        let fields = live_fields(change, &state.object);
        let never_made = change.before.is_null() && state.object.is_null();
        if fields == change.after {
            Landed::Yes
        } else if never_made || untouched(change, &state.object) {
            Landed::No
        } else {
            Landed::CannotTell
        }
    }

    fn plan_undo(&self, cx: &PlanCx, change: &Change, seen: &Observed) -> Result<Planned, Fault> {
        let state = kept::<Seen>(&seen.state)?;
        let image: Image = kept(&change.image)?;
        let fields = live_fields(change, &state.object);
        let uid = text(&state.object, "/metadata/uid");
        let target = Target::new(change.target.name.clone(), uid.clone());
        if fields == change.before {
            let summary = format!("{} is as it was before", change.target);
            return Ok(Planned::Already { target: Some(target), summary, outputs: seen.outputs.clone() });
        }
        let replaced = change.target.uid.is_some() && uid != change.target.uid;
        if replaced || (fields != change.after && !cx.over_others) {
            let moved = delta::paths(&change.after, &fields).join("; ");
            return Err(Fault::conflict(format!(
                "someone else has changed {} since: {moved}",
                change.target
            ))
            .hint("decide by hand what it should be now"));
        }
        let made_by_it = change.before.is_null();
        let undone = Wish {
            target: change.target.name.clone(),
            kind: image.kind.clone(),
            place: image.place.clone(),
            content_type: if made_by_it { String::new() } else { MERGE_PATCH.to_owned() },
            body: if made_by_it { json!({"preconditions": {"uid": uid}}) } else { change.before.clone() },
            force: false,
        };
        Ok(Planned::Change(Box::new(Change {
            action: change.action.clone(),
            input: change.input.clone(),
            target,
            summary: format!("take back: {}", change.summary),
            effect: if made_by_it { Effect::Destructive } else { S::EFFECT },
            request: request(&state.server, if made_by_it { "DELETE" } else { "PATCH" }, &undone)?,
            precondition: precondition(&state.object),
            before: fields,
            after: change.before.clone(),
            image: read::outputs(&Image { force: false, created: false, ..image })?,
            undo: if made_by_it {
                Undo::None("the object is gone; make it again".to_owned())
            } else {
                Undo::Auto
            },
            warnings: Vec::new(),
        })))
    }

    async fn preflight(&self, cx: &Cx, input: &Value) -> Result<Vec<Obstacle>, Fault> {
        let session = self.cluster.session(cx).await?;
        let wish = self.wish(&session, input).await?;
        // Only an object that is not there yet has to be made.
        let makes = S::CREATES && matches!(find(&session, &wish.place, true).await, Ok(Value::Null));
        let verbs: &[&str] = if makes { &["get", "create", "patch"] } else { &["get", "patch"] };
        let needed = [schema::rbac(&wish.place.group, &wish.place.resource, verbs)];
        if let (Some(of), false) = (workload(&wish.kind, &wish.place), S::CREATES) {
            return around::obstacles(&session, &of, &needed, &Purpose::Any).await;
        }
        Ok(rights::missing(&session, &needed, wish.place.namespace.as_deref(), wish.place.name.as_deref())
            .await)
    }
}
