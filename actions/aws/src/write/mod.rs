//! What changes something: one file for each action. All share one way of being planned, sent,
//! judged and taken back; a [`Write`] says only what it is about.

pub(crate) mod rds_failover_cluster;
pub(crate) mod rds_reboot;
pub(crate) mod rds_snapshot;
pub(crate) mod route53_change;

use std::{fmt::Debug, marker::PhantomData, sync::Arc};

use async_trait::async_trait;
use runbook_contract::{Action, Cx, Obstacle, PlanCx};
use runbook_core::{
    Value,
    change::{Change, Landed, Observed, Planned, Progress, Request, Target, Undo},
    fault::{Fault, FaultKind},
    spec::{ActionSpec, UndoSupport},
};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    client::{Account, Session},
    fault::obstacle,
    identity::Identity,
    rights::{self, Right},
    schema,
};

/// What was seen of a target.
#[derive(Debug)]
pub(crate) struct Sight<S> {
    pub(crate) target: Target,
    pub(crate) seen: S,
}

/// What an input comes to.
#[derive(Debug)]
pub(crate) enum Aim {
    /// It is so already.
    Already(String),
    Change(Box<Draft>),
}

/// A change, as far as the actions differ in it.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) summary: String,
    pub(crate) before: Value,
    pub(crate) after: Value,
    pub(crate) request: Request,
    pub(crate) precondition: Value,
    pub(crate) image: Value,
    pub(crate) undo: Undo,
    pub(crate) warnings: Vec<String>,
}

/// What a fresh look at the target means for a change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// The target is as the change would make it.
    Landed,
    /// Nothing that the change depends on has moved.
    Same,
    /// Something that it depends on has moved: what, in words.
    Moved(String),
}

/// A change of one target.
#[async_trait]
pub(crate) trait Write: Debug + Send + Sync + 'static {
    type Input: DeserializeOwned + JsonSchema + Send + Sync;
    type Seen: Serialize + DeserializeOwned + Send + Sync;

    fn spec() -> ActionSpec;

    async fn look(session: &Session<'_>, input: &Self::Input) -> Result<Sight<Self::Seen>, Fault>;

    /// What it comes to, from what was seen. Pure.
    fn aim(input: &Self::Input, seen: &Self::Seen) -> Result<Aim, Fault>;

    /// What it takes to have it as it was before, and the input that would ask for that.
    fn aim_back(change: &Change, seen: &Self::Seen) -> Result<(Value, Aim), Fault> {
        let _ = seen;
        Err(Fault::permanent(format!("`{}` cannot be undone", change.action)))
    }

    fn judge(change: &Change, seen: &Self::Seen) -> Judgement;

    /// Whether a change in doubt took effect, where looking at the target tells.
    fn landed(change: &Change, seen: &Self::Seen) -> Landed {
        match Self::judge(change, seen) {
            Judgement::Landed => Landed::Yes,
            Judgement::Same => Landed::No,
            Judgement::Moved(_) => Landed::CannotTell,
        }
    }

    /// Sends the request of the change; gives the outputs.
    async fn send(session: &Session<'_>, change: &Change, seen: &Self::Seen) -> Result<Value, Fault>;

    /// How far it has come. `answer` is what sending it gave, or null.
    async fn progress(
        session: &Session<'_>,
        input: &Self::Input,
        change: &Change,
        answer: &Value,
    ) -> Result<Progress, Fault>;

    /// The outputs as it is now, or as a change has made it.
    fn outputs(seen: &Self::Seen, change: Option<&Change>) -> Result<Value, Fault>;

    /// Lays predicted changes of the same target over what was seen.
    fn lay(seen: &mut Self::Seen, predicted: &[Change]);

    /// What the caller has to be allowed to do.
    fn rights(identity: &Identity, seen: &Self::Seen) -> Vec<Right>;
}

/// A write as an action.
#[derive(Debug)]
pub(crate) struct Doing<W> {
    account: Arc<Account>,
    spec: ActionSpec,
    write: PhantomData<fn() -> W>,
}

impl<W: Write> Doing<W> {
    pub(crate) fn action(account: &Arc<Account>) -> Arc<dyn Action> {
        Arc::new(Self { account: account.clone(), spec: W::spec(), write: PhantomData })
    }

    fn change(&self, input: Value, target: Target, draft: Draft) -> Change {
        Change {
            action: self.spec.name.clone(),
            input,
            target,
            summary: draft.summary,
            effect: self.spec.effect,
            before: draft.before,
            after: draft.after,
            request: draft.request,
            precondition: draft.precondition,
            image: draft.image,
            undo: draft.undo,
            warnings: draft.warnings,
        }
    }

    fn planned(&self, input: Value, seen: &Observed, aim: Aim) -> Result<Planned, Fault> {
        match (aim, seen.target.clone()) {
            (Aim::Already(summary), target) => {
                Ok(Planned::Already { target, summary, outputs: seen.outputs.clone() })
            }
            (Aim::Change(draft), Some(target)) => {
                Ok(Planned::Change(Box::new(self.change(input, target, *draft))))
            }
            (Aim::Change(_), None) => Err(Fault::permanent("what was observed names no target")),
        }
    }

    async fn come(&self, cx: &Cx, change: &Change, answer: &Value) -> Result<Progress, Fault> {
        let input: W::Input = schema::input(&self.spec, &change.input)?;
        W::progress(&self.account.session(cx).await?, &input, change, answer).await
    }
}

/// What an action's own spec says of its undo.
pub(crate) fn undo_of(spec: &ActionSpec) -> Undo {
    match &spec.undo {
        UndoSupport::Auto(_) => Undo::Auto,
        UndoSupport::None(why) => Undo::None(why.clone()),
    }
}

fn replaced(target: &Target) -> Fault {
    Fault::conflict(format!("{target} is not the one that was looked at: another account, region or object"))
        .hint("plan anew; an approval that was given is void")
}

#[async_trait]
impl<W: Write> Action for Doing<W> {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }

    async fn observe(&self, cx: &Cx, input: &Value) -> Result<Observed, Fault> {
        let input: W::Input = schema::input(&self.spec, input)?;
        let Sight { target, seen } = W::look(&self.account.session(cx).await?, &input).await?;
        Ok(Observed {
            target: Some(target),
            outputs: W::outputs(&seen, None)?,
            state: schema::value(&seen)?,
            warnings: Vec::new(),
        })
    }

    fn overlay(&self, mut observed: Observed, predicted: &[Change]) -> (Observed, bool) {
        let name = observed.target.as_ref().map(|target| &target.name);
        let changes: Vec<Change> =
            predicted.iter().filter(|change| Some(&change.target.name) == name).cloned().collect();
        let (Some(last), Ok(mut seen)) = (changes.last(), schema::kept::<W::Seen>(&observed.state)) else {
            return (observed, false);
        };
        W::lay(&mut seen, &changes);
        let (Ok(state), Ok(outputs)) = (schema::value(&seen), W::outputs(&seen, Some(last))) else {
            return (observed, false);
        };
        let touched = state != observed.state;
        if touched {
            (observed.state, observed.outputs) = (state, outputs);
        }
        (observed, touched)
    }

    fn plan(&self, _: &PlanCx, input: &Value, seen: &Observed) -> Result<Planned, Fault> {
        let parsed: W::Input = schema::input(&self.spec, input)?;
        let aim = W::aim(&parsed, &schema::kept(&seen.state)?)?;
        self.planned(input.clone(), seen, aim)
    }

    async fn apply(&self, cx: &Cx, change: &Change) -> Result<Value, Fault> {
        let input: W::Input = schema::input(&self.spec, &change.input)?;
        let session = self.account.session(cx).await?;
        // None of these requests can be made conditional: the look before it leaves stands for that.
        let Sight { target, seen } = W::look(&session, &input).await?;
        if target != change.target {
            return Err(replaced(&change.target));
        }
        match W::judge(change, &seen) {
            Judgement::Landed => W::outputs(&seen, Some(change)),
            Judgement::Same => match W::send(&session, change, &seen).await {
                // A request of before, taken for lost, may have arrived between the look and this one.
                Err(fault) if matches!(fault.kind, FaultKind::Permanent | FaultKind::Conflict) => {
                    match W::look(&session, &input).await {
                        Ok(now) if W::judge(change, &now.seen) == Judgement::Landed => {
                            W::outputs(&now.seen, Some(change))
                        }
                        _ => Err(fault),
                    }
                }
                sent => sent,
            },
            Judgement::Moved(what) => {
                Err(Fault::conflict(format!("{target} was changed since it was looked at: {what}"))
                    .hint("plan anew; an approval that was given is void"))
            }
        }
    }

    async fn verify(&self, cx: &Cx, change: &Change) -> Result<Progress, Fault> {
        self.come(cx, change, &Value::Null).await
    }

    async fn verify_answered(&self, cx: &Cx, change: &Change, answer: &Value) -> Result<Progress, Fault> {
        self.come(cx, change, answer).await
    }

    fn landed(&self, change: &Change, seen: &Observed) -> Landed {
        match schema::kept::<W::Seen>(&seen.state) {
            Ok(state) if seen.target.as_ref() == Some(&change.target) => W::landed(change, &state),
            _ => Landed::CannotTell,
        }
    }

    fn plan_undo(&self, cx: &PlanCx, change: &Change, seen: &Observed) -> Result<Planned, Fault> {
        if let Undo::None(why) = &change.undo {
            return Err(Fault::permanent(format!("`{}` cannot be undone: {why}", self.spec.name)));
        }
        if seen.target.as_ref() != Some(&change.target) {
            return Err(replaced(&change.target));
        }
        let state: W::Seen = schema::kept(&seen.state)?;
        // As it was before, it is Same; as neither before nor after, someone else's.
        if let (Judgement::Moved(what), false) = (W::judge(change, &state), cx.over_others) {
            return Err(Fault::conflict(format!("someone else has changed {} since: {what}", change.target))
                .hint("decide by hand what it should be now"));
        }
        let (input, aim) = W::aim_back(change, &state)?;
        self.planned(input, seen, aim)
    }

    async fn preflight(&self, cx: &Cx, input: &Value) -> Result<Vec<Obstacle>, Fault> {
        let input: W::Input = schema::input(&self.spec, input)?;
        let session = self.account.session(cx).await?;
        let seen = match W::look(&session, &input).await {
            Ok(Sight { seen, .. }) => seen,
            Err(fault) if fault.kind.is_transient() => return Err(fault),
            Err(fault) => return Ok(vec![obstacle(fault)]),
        };
        let mut found: Vec<Obstacle> = W::aim(&input, &seen).err().map(obstacle).into_iter().collect();
        found.extend(rights::missing(&session, &W::rights(session.identity, &seen)).await);
        Ok(found)
    }
}
