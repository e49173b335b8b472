//! What changes something: one file for each action. Edits of a workload share one way of being
//! planned, sent, checked and taken back; an [`Edit`] says only which fields it is about.

pub(crate) mod apply;
mod deliver;
pub(crate) mod exec;
pub(crate) mod object;
mod outcome;
pub(crate) mod patch;
pub(crate) mod rollout_restart;
pub(crate) mod rollout_undo;
pub(crate) mod scale;
pub(crate) mod set_env;
pub(crate) mod set_resources;

use std::{fmt::Debug, marker::PhantomData, sync::Arc};

use async_trait::async_trait;
use runbook_contract::{Action, Cx, Obstacle, PlanCx};
use runbook_core::{
    Value,
    change::{Change, Landed, Observed, Planned, Progress, Request, Undo, Validation, differences},
    fault::Fault,
    spec::{ActionSpec, Effect, Permission, UndoSupport},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

use self::deliver::{Judgement, deliver, text};
use crate::{
    around::{self, Depth, Purpose},
    client::{Call, Cluster, Reply, Session, kept},
    predict, rights,
    rollout::{self, Revision, Stage},
    schema,
    workload::{WorkloadRef, revision, view_of},
};

/// What an edit comes to.
#[derive(Debug)]
pub(crate) struct Aim {
    /// The fields as they are.
    pub(crate) before: Value,
    /// The fields as they are to be.
    pub(crate) after: Value,
    /// In a line, what changes.
    pub(crate) summary: String,
    /// What is needed to restore the fields, beside themselves.
    pub(crate) image: Value,
}

/// What was observed of a workload.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) server: String,
    pub(crate) of: WorkloadRef,
    pub(crate) object: Value,
    /// Its revisions, where the edit needs them.
    pub(crate) history: Vec<Revision>,
}

/// A change of some fields of a workload.
#[async_trait]
pub(crate) trait Edit: Debug + Send + Sync + 'static {
    type Input: DeserializeOwned + JsonSchema + Send + Sync;

    /// Whether it looks at earlier revisions.
    const HISTORY: bool = false;
    /// Whether it makes new pods in the place of the old ones.
    const ROLLS_OUT: bool = true;
    /// The media type of its patch.
    const PATCH: &'static str = crate::client::JSON_PATCH;
    /// The face of the object that is patched.
    const FACE: Option<&'static str> = None;

    fn spec() -> ActionSpec;

    fn workload(input: &Self::Input) -> Result<WorkloadRef, Fault>;

    /// What it comes to, from what was observed. Pure.
    fn aim(cx: &PlanCx, input: &Self::Input, seen: &Seen) -> Result<Aim, Fault>;

    /// The fields that `like` has, as they are in an object.
    fn fields(like: &Value, object: &Value) -> Value;

    /// The patch that makes the fields of an object as given.
    fn patch(object: &Value, fields: &Value, image: &Value) -> Value;

    /// How grave it is to make the fields so.
    fn effect(fields: &Value) -> Effect {
        let _ = fields;
        Effect::Write
    }

    /// What it is for, to see what stands in its way.
    fn purpose(input: &Self::Input, object: &Value) -> Purpose {
        let _ = (input, object);
        Purpose::renewal()
    }

    /// The input that would ask for the fields of `before` again.
    fn undo_input(change: &Change) -> Value {
        change.input.clone()
    }

    /// How far it has come.
    async fn progress(
        session: &Session<'_>,
        of: &WorkloadRef,
        object: &Value,
        change: &Change,
    ) -> Result<Stage, Fault> {
        let _ = change;
        rollout::look(session, of, &view_of(object)?).await
    }

    fn within_limits(input: &Self::Input, limits: &Value) -> Result<(), Fault> {
        let _ = (input, limits);
        Ok(())
    }
}

/// An edit as an action.
#[derive(Debug)]
pub(crate) struct Editing<E> {
    cluster: Arc<Cluster>,
    spec: ActionSpec,
    edit: PhantomData<fn() -> E>,
}

impl<E: Edit> Editing<E> {
    pub(crate) fn action(cluster: &Arc<Cluster>) -> Arc<dyn Action> {
        Arc::new(Self { cluster: cluster.clone(), spec: E::spec(), edit: PhantomData })
    }

    /// Whether the fields of an object are as given. The number of a revision is the controller's
    /// to give, some time later.
    fn is(fields: &Value, object: &Value) -> bool {
        let fields = without_revision(fields);
        E::fields(&fields, object) == fields
    }

    /// The fields of an object that `like` has, its revision included where that has one.
    fn fields_now(like: &Value, object: &Value) -> Value {
        let mut fields = E::fields(&without_revision(like), object);
        if let (Some(fields), Some(revision)) = (fields.as_object_mut(), like.get("revision")) {
            fields.insert("revision".to_owned(), revision.clone());
        }
        fields
    }

    fn moved(fields: &Value, object: &Value) -> Vec<String> {
        let fields = without_revision(fields);
        let mut moved = Vec::new();
        differences("", &fields, &E::fields(&fields, object), &mut moved);
        moved
    }

    fn call(of: &WorkloadRef, body: Value) -> Call {
        let mut place = of.place();
        place.subresource = E::FACE;
        Call::patch(place, E::PATCH, body).query("fieldManager", FIELD_MANAGER)
    }

    fn request(seen: &Seen, body: Value) -> Result<Request, Fault> {
        let call = Self::call(&seen.of, body.clone());
        Ok(Request {
            method: "PATCH".to_owned(),
            url: format!("{}{}", seen.server, call.target()?),
            body,
            content_type: Some(E::PATCH.to_owned()),
        })
    }

    /// Rights without which a change is made all the same: to look at the pods that come of it.
    fn is_only_helpful(permission: &Permission) -> bool {
        let Permission::Rbac { resource, verbs, .. } = permission else { return false };
        let looks = resource == "pods" || (resource == "replicasets" && !E::HISTORY);
        looks && verbs.iter().all(|verb| verb == "list")
    }

    /// Nothing is rolled out while a deployment is paused: the change would wait unseen.
    fn refuse_paused(seen: &Seen) -> Result<(), Fault> {
        if E::ROLLS_OUT && view_of(&seen.object)?.spec.paused {
            let (namespace, name) = (&seen.of.namespace, &seen.of.name);
            return Err(Fault::permanent(format!("{} is paused: its pods would stay as they are", seen.of))
                .hint(format!(
                    "resume it first: `kubectl rollout resume -n {namespace} deployment/{name}`"
                )));
        }
        Ok(())
    }

    async fn send(&self, cx: &Cx, change: &Change, dry: bool) -> Result<(WorkloadRef, Option<Reply>), Fault> {
        let of = E::workload(&schema::input(&self.spec, &change.input)?)?;
        let session = self.cluster.session(cx).await?;
        let judge = |live: &Value| {
            if Self::is(&change.after, live) {
                Judgement::Landed
            } else if Self::is(&change.before, live)
                && E::patch(live, &change.after, &change.image) == change.request.body
            {
                Judgement::Same
            } else {
                Judgement::Moved(Self::moved(&change.before, live))
            }
        };
        let call = Self::call(&of, change.request.body.clone());
        let reply = deliver(&session, change, call, dry, judge).await?;
        Ok((of, reply))
    }
}

const TEMPLATE: &str = "/spec/template";

/// The name under which the server books the fields that are set here.
pub(crate) const FIELD_MANAGER: &str = "runbook";

fn without_revision(fields: &Value) -> Value {
    let mut fields = fields.clone();
    if let Some(fields) = fields.as_object_mut() {
        fields.remove("revision");
    }
    fields
}

/// What a fresh look proves of a write that was in doubt: an object that was not written since.
fn untouched(change: &Change, object: &Value) -> bool {
    let same = |name: &str, now: Option<Value>| {
        let then = change.precondition.get(name).filter(|then| !then.is_null());
        then.is_some() && then == now.as_ref()
    };
    let version = object.pointer("/metadata/resourceVersion").cloned();
    let generation = object.pointer("/metadata/generation").cloned();
    // A status update moves the version; only a write to the object itself moves the generation.
    same("resourceVersion", version) || same("generation", generation)
}

fn precondition(object: &Value) -> Value {
    json!({
        "resourceVersion": object.pointer("/metadata/resourceVersion"),
        "generation": object.pointer("/metadata/generation"),
    })
}

#[async_trait]
impl<E: Edit> Action for Editing<E> {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }

    async fn observe(&self, cx: &Cx, input: &Value) -> Result<Observed, Fault> {
        let input: E::Input = schema::input(&self.spec, input)?;
        let of = E::workload(&input)?;
        let session = self.cluster.session(cx).await?;
        let object = of.get(&session).await?;
        let history =
            if E::HISTORY { rollout::history(&session, &of, &view_of(&object)?).await? } else { Vec::new() };
        let purpose = E::purpose(&input, &object);
        let around = around::around(&session, &of, &object, &purpose, Depth::Plan).await?;
        Ok(Observed {
            target: Some(of.target(&object)),
            outputs: outcome::of(&of, &object, None)?,
            warnings: around::warnings(around),
            state: crate::read::outputs(&Seen { server: session.link.server.clone(), of, object, history })?,
        })
    }

    fn overlay(&self, mut seen: Observed, predicted: &[Change]) -> (Observed, bool) {
        let changes = predict::of_target(&seen, predicted);
        let (Some(last), Ok(mut state)) = (changes.last(), kept::<Seen>(&seen.state)) else {
            return (seen, false);
        };
        let before = state.object.clone();
        for change in &changes {
            let template = state.object.pointer(TEMPLATE).cloned();
            predict::lay(&mut state.object, change);
            if E::HISTORY && template.as_ref() != state.object.pointer(TEMPLATE) {
                rollout::foresee_revision(&mut state.history, &mut state.object);
            }
        }
        let (Ok(mut outputs), Ok(now)) =
            (outcome::of(&state.of, &state.object, Some(last)), crate::read::outputs(&state))
        else {
            return (seen, false);
        };
        let touched = before != state.object;
        if touched {
            predict::blur(&mut outputs, &outcome::FOLLOWS, last);
            if before.pointer(TEMPLATE) != state.object.pointer(TEMPLATE) {
                predict::blur(&mut outputs, &["revision"], last);
            }
        }
        (seen.outputs, seen.state) = (outputs, now);
        (seen, touched)
    }

    fn plan(&self, cx: &PlanCx, input: &Value, seen: &Observed) -> Result<Planned, Fault> {
        let parsed: E::Input = schema::input(&self.spec, input)?;
        let state: Seen = kept(&seen.state)?;
        let aim = E::aim(cx, &parsed, &state)?;
        let target = state.of.target(&state.object);
        if without_revision(&aim.before) == without_revision(&aim.after) {
            let summary = format!("{} is already so: {}", state.of, aim.summary);
            return Ok(Planned::Already { target: Some(target), summary, outputs: seen.outputs.clone() });
        }
        Self::refuse_paused(&state)?;
        let body = E::patch(&state.object, &aim.after, &aim.image);
        let undo = match &self.spec.undo {
            UndoSupport::Auto(_) => Undo::Auto,
            UndoSupport::None(why) => Undo::None(why.clone()),
        };
        Ok(Planned::Change(Box::new(Change {
            action: self.spec.name.clone(),
            input: input.clone(),
            target,
            summary: aim.summary,
            effect: E::effect(&aim.after),
            request: Self::request(&state, body)?,
            precondition: precondition(&state.object),
            before: aim.before,
            after: aim.after,
            image: with_revision_of(&state.object, aim.image),
            undo,
            warnings: seen.warnings.clone(),
        })))
    }

    async fn validate(&self, cx: &Cx, change: &Change) -> Result<Validation, Fault> {
        let asked = self.send(cx, change, true).await;
        deliver::or_predicted(asked.map(|(_, reply)| deliver::validated(reply)))
    }

    async fn apply(&self, cx: &Cx, change: &Change) -> Result<Value, Fault> {
        let (of, _) = self.send(cx, change, false).await?;
        let session = self.cluster.session(cx).await?;
        // The change is made: what cannot be read of it now is read when it is verified.
        match of.get(&session).await {
            Ok(object) => outcome::of(&of, &object, Some(change)),
            Err(_) => Ok(Value::Null),
        }
    }

    async fn verify(&self, cx: &Cx, change: &Change) -> Result<Progress, Fault> {
        let of = E::workload(&schema::input(&self.spec, &change.input)?)?;
        let session = self.cluster.session(cx).await?;
        let object = of.get(&session).await?;
        if text(&object, "/metadata/uid") != change.target.uid {
            return Ok(Progress::Failed(format!("{of} was replaced by another object of that name")));
        }
        if !Self::is(&change.after, &object) {
            let moved = Self::moved(&change.after, &object);
            return Ok(Progress::Failed(format!(
                "{of} was changed again by someone else: {}",
                moved.join("; ")
            )));
        }
        Ok(match E::progress(&session, &of, &object, change).await? {
            Stage::Complete => Progress::Done(outcome::of(&of, &object, Some(change))?),
            Stage::Progressing(missing) => Progress::Pending(missing),
            Stage::Failed(why) => Progress::Failed(why),
        })
    }

    fn landed(&self, change: &Change, seen: &Observed) -> Landed {
        let Ok(state) = kept::<Seen>(&seen.state) else { return Landed::CannotTell };
        if seen.target.as_ref() != Some(&change.target) {
            Landed::CannotTell
        } else if Self::is(&change.after, &state.object) {
            Landed::Yes
        } else if untouched(change, &state.object) {
            Landed::No
        } else {
            Landed::CannotTell
        }
    }

    fn plan_undo(&self, cx: &PlanCx, change: &Change, seen: &Observed) -> Result<Planned, Fault> {
        if let Undo::None(why) = &change.undo {
            return Err(Fault::permanent(format!("`{}` cannot be undone: {why}", self.spec.name)));
        }
        let state: Seen = kept(&seen.state)?;
        let target = state.of.target(&state.object);
        if target != change.target {
            return Err(Fault::conflict(format!("{} was replaced by another object of that name", state.of))
                .hint("decide by hand whether there is anything to take back"));
        }
        if Self::is(&change.before, &state.object) {
            let summary = format!("{} is as it was before", state.of);
            return Ok(Planned::Already { target: Some(target), summary, outputs: seen.outputs.clone() });
        }
        if !cx.over_others && !Self::is(&change.after, &state.object) {
            let moved = Self::moved(&change.after, &state.object).join("; ");
            return Err(Fault::conflict(format!("someone else has changed {} since: {moved}", state.of))
                .hint("decide by hand what it should be now"));
        }
        Self::refuse_paused(&state)?;
        let now = view_of(&state.object).map(|view| revision(&view.metadata))?;
        let before = with_revision(&Self::fields_now(&change.after, &state.object), now);
        let after = with_revision(&change.before, now.map(|now| now + 1));
        let body = E::patch(&state.object, &after, &change.image);
        Ok(Planned::Change(Box::new(Change {
            action: change.action.clone(),
            input: E::undo_input(change),
            target,
            summary: format!("take back: {}", change.summary),
            effect: E::effect(&after),
            request: Self::request(&state, body)?,
            precondition: precondition(&state.object),
            before,
            after,
            image: with_revision_of(&state.object, change.image.clone()),
            undo: Undo::Auto,
            warnings: seen.warnings.clone(),
        })))
    }

    async fn preflight(&self, cx: &Cx, input: &Value) -> Result<Vec<Obstacle>, Fault> {
        let input: E::Input = schema::input(&self.spec, input)?;
        let of = E::workload(&input)?;
        let session = self.cluster.session(cx).await?;
        let object = of.get(&session).await.unwrap_or_default();
        let (helpful, needed): (Vec<_>, Vec<_>) =
            self.spec.permissions.iter().cloned().partition(Self::is_only_helpful);
        let purpose = E::purpose(&input, &object);
        let mut found = around::obstacles(&session, &of, &needed, &purpose).await?;
        let lacking = rights::missing(&session, &helpful, Some(&of.namespace), Some(&of.name)).await;
        found.extend(lacking.into_iter().map(|lacking| Obstacle {
            blocking: false,
            message: format!("{}: why a rollout is held up would not be told", lacking.message),
            ..lacking
        }));
        Ok(found)
    }

    fn within_limits(&self, input: &Value, limits: &Value) -> Result<(), Fault> {
        E::within_limits(&schema::input(&self.spec, input)?, limits)
    }
}

/// Keeps the revision from before the change, to tell of it afterwards.
fn with_revision_of(object: &Value, image: Value) -> Value {
    let Some(revision) = view_of(object).ok().and_then(|view| revision(&view.metadata)) else { return image };
    let mut image = if image.is_object() { image } else { json!({}) };
    if let Some(image) = image.as_object_mut() {
        image.insert("revision".to_owned(), json!(revision));
    }
    image
}

fn with_revision(fields: &Value, revision: Option<i64>) -> Value {
    let mut fields = fields.clone();
    if let Some(known) = fields.get_mut("revision") {
        *known = json!(revision);
    }
    fields
}
