//! What happened, with all that is needed to tell it.

mod bounds;
pub(crate) mod words;

use runbook_core::{
    Timestamp,
    change::{Change, Undo},
    event::{EndStatus, Gate, RunId},
    report,
    runbook::Risk,
    spec::Effect,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that people may have to be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Nothing real is touched: the environment is a simulated one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub simulated: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<Incident>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    pub news: News,
}

/// The incident that it belongs to, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    pub id: String,
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
}

/// The run that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub id: RunId,
    pub runbook: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum News {
    IncidentOpened {
        by: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service: Option<String>,
        /// The titles of what is alerting.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        alerts: Vec<String>,
    },
    /// The severity of the incident is now that of [`Incident::severity`].
    SeverityRaised {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        by: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    IncidentAcknowledged {
        by: String,
    },
    IncidentResolved {
        by: String,
        /// Whether recovery was verified, where anybody looked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        verified: Option<bool>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Running a runbook again has not helped; these are called.
    IncidentEscalated {
        runbook: String,
        to: Vec<String>,
        why: String,
        /// The number of its entry in the incident's timeline: each call is one by itself.
        entry: u64,
    },
    /// What people were called for is being looked at, or needs nobody any more.
    FollowUp {
        about: About,
        /// It needs nobody any more; else somebody has taken it on.
        over: bool,
        by: String,
        why: String,
    },
    /// An alert started nothing.
    AlertUnmatched {
        /// The id under which the alert is kept.
        alert: String,
        title: String,
        /// The door through which it came.
        hook: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        severity: Option<String>,
        why: String,
    },
    RunStarted {
        by: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Nobody has recovered it in time; these are called.
    RunEscalated {
        to: Vec<String>,
    },
    RunEnded {
        status: EndStatus,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        recovered: Option<bool>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A run waits for an answer: a manual step, a choice, a doubt.
    QuestionAsked {
        step: String,
        prompt: String,
        from: Vec<String>,
    },
    ApprovalRequested(Box<Approval>),
    /// The time was up, and others are asked.
    ApprovalEscalated {
        approval: Box<Approval>,
        to: Vec<String>,
    },
    /// Somebody has decided, or nobody needs to any more.
    ApprovalAnswered {
        approval: Box<Approval>,
        votes: Vec<Vote>,
        outcome: Outcome,
    },
}

/// What people were called for before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum About {
    /// The incident as a whole.
    Incident {},
    /// The run of the notice.
    Run {},
    /// An alert that started nothing, by the id under which it is kept.
    Alert { alert: String },
    /// An escalation, by the number of its entry.
    Escalation { entry: u64 },
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The path of the step.
    pub step: String,
    pub prompt: String,
    /// What an approval binds to.
    pub digest: String,
    /// People or groups, any of whom may approve.
    pub from: Vec<String>,
    /// How many of them.
    pub count: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<Risk>,
    /// What would be changed; none where the gate guards nothing of that kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Proposed>,
}

/// A change, as people read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposed {
    pub action: String,
    pub target: String,
    pub summary: String,
    pub effect: Effect,
    pub diff: String,
    /// Why it cannot be taken back, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub irreversible: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What one person said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    pub by: String,
    pub at: Timestamp,
    pub approved: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// What came of an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// More have to approve.
    Open,
    Approved,
    Rejected,
    Expired,
    /// The world has moved, or the run has ended: this is no longer asked.
    Void,
}

/// What people can ask to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    IncidentOpened,
    SeverityRaised,
    IncidentAcknowledged,
    IncidentResolved,
    IncidentEscalated,
    FollowUp,
    AlertUnmatched,
    RunStarted,
    RunEscalated,
    RunEnded,
    RunStuck,
    QuestionAsked,
    ApprovalRequested,
    ApprovalEscalated,
    ApprovalAnswered,
}

impl Moment {
    /// As it stands in the configuration, and as the `type` of a webhook.
    pub fn word(self) -> &'static str {
        match self {
            Self::IncidentOpened => "incident_opened",
            Self::SeverityRaised => "severity_raised",
            Self::IncidentAcknowledged => "incident_acknowledged",
            Self::IncidentResolved => "incident_resolved",
            Self::IncidentEscalated => "incident_escalated",
            Self::FollowUp => "follow_up",
            Self::AlertUnmatched => "alert_unmatched",
            Self::RunStarted => "run_started",
            Self::RunEscalated => "run_escalated",
            Self::RunEnded => "run_ended",
            Self::RunStuck => "run_stuck",
            Self::QuestionAsked => "question_asked",
            Self::ApprovalRequested => "approval_requested",
            Self::ApprovalEscalated => "approval_escalated",
            Self::ApprovalAnswered => "approval_answered",
        }
    }
}

impl Approval {
    /// What the gate of a step asks, with the change that it guards.
    pub fn of(step: &str, gate: &Gate, change: Option<&Change>, risk: Option<Risk>) -> Self {
        Self {
            step: step.to_owned(),
            prompt: gate.prompt.clone(),
            digest: gate.digest.clone(),
            from: gate.from.clone(),
            count: gate.count,
            deadline: gate.deadline,
            risk,
            change: change.map(Proposed::of),
        }
    }
}

impl Proposed {
    pub fn of(change: &Change) -> Self {
        Self {
            action: change.action.clone(),
            target: change.target.name.clone(),
            summary: change.summary.clone(),
            effect: change.effect,
            diff: report::diff(change),
            irreversible: match &change.undo {
                Undo::Auto => None,
                Undo::None(why) => Some(why.clone()),
            },
            warnings: change.warnings.clone(),
        }
    }
}

impl Notice {
    pub fn moment(&self) -> Moment {
        match &self.news {
            News::IncidentOpened { .. } => Moment::IncidentOpened,
            News::SeverityRaised { .. } => Moment::SeverityRaised,
            News::IncidentAcknowledged { .. } => Moment::IncidentAcknowledged,
            News::IncidentResolved { .. } => Moment::IncidentResolved,
            News::IncidentEscalated { .. } => Moment::IncidentEscalated,
            News::FollowUp { .. } => Moment::FollowUp,
            News::AlertUnmatched { .. } => Moment::AlertUnmatched,
            News::RunStarted { .. } => Moment::RunStarted,
            News::RunEscalated { .. } => Moment::RunEscalated,
            News::RunEnded { status: EndStatus::Stuck, .. } => Moment::RunStuck,
            News::RunEnded { .. } => Moment::RunEnded,
            News::QuestionAsked { .. } => Moment::QuestionAsked,
            News::ApprovalRequested(_) => Moment::ApprovalRequested,
            News::ApprovalEscalated { .. } => Moment::ApprovalEscalated,
            News::ApprovalAnswered { .. } => Moment::ApprovalAnswered,
        }
    }

    /// The severity that it is told at: the incident's, else the alert's own.
    pub fn severity(&self) -> Option<&str> {
        let own = match &self.news {
            News::AlertUnmatched { severity, .. } => severity.as_deref(),
            _ => None,
        };
        self.incident.as_ref().and_then(|incident| incident.severity.as_deref()).or(own)
    }

    pub fn approval(&self) -> Option<&Approval> {
        match &self.news {
            News::ApprovalRequested(approval)
            | News::ApprovalEscalated { approval, .. }
            | News::ApprovalAnswered { approval, .. } => Some(approval),
            _ => None,
        }
    }

    /// The one thing that notices are about: equal for those that PagerDuty and Slack show as one.
    pub(crate) fn subject(&self) -> String {
        let run = || self.run.as_ref().map_or_else(|| "none".to_owned(), |run| run.id.to_string());
        let incident = || self.incident.as_ref().map_or("none", |incident| incident.id.as_str());
        match &self.news {
            News::IncidentOpened { .. }
            | News::SeverityRaised { .. }
            | News::IncidentAcknowledged { .. }
            | News::IncidentResolved { .. }
            | News::FollowUp { about: About::Incident {}, .. } => format!("incident/{}", incident()),
            News::IncidentEscalated { entry, .. }
            | News::FollowUp { about: About::Escalation { entry }, .. } => {
                format!("escalation/{}/{entry}", incident())
            }
            News::AlertUnmatched { alert, .. } | News::FollowUp { about: About::Alert { alert }, .. } => {
                format!("alert/{alert}")
            }
            News::RunStarted { .. }
            | News::RunEscalated { .. }
            | News::RunEnded { .. }
            | News::QuestionAsked { .. }
            | News::FollowUp { about: About::Run {}, .. } => format!("run/{}", run()),
            News::ApprovalRequested(approval)
            | News::ApprovalEscalated { approval, .. }
            | News::ApprovalAnswered { approval, .. } => {
                format!("approval/{}/{}/{}", run(), approval.step, approval.digest)
            }
        }
    }

    pub(crate) fn asks_approval(&self) -> bool {
        matches!(self.news, News::ApprovalRequested(_) | News::ApprovalEscalated { .. })
    }

    pub(crate) fn answers_approval(&self) -> bool {
        matches!(self.news, News::ApprovalAnswered { .. })
    }

    /// Whether somebody is looking at the subject.
    pub(crate) fn takes_it_on(&self) -> bool {
        match &self.news {
            News::IncidentAcknowledged { .. } => true,
            News::FollowUp { over, .. } => !over,
            // Some have approved.
            News::ApprovalAnswered { outcome, .. } => *outcome == Outcome::Open,
            _ => false,
        }
    }

    /// Whether the subject needs nobody any more.
    pub(crate) fn ends_it(&self) -> bool {
        match &self.news {
            News::IncidentResolved { .. } => true,
            News::FollowUp { over, .. } => *over,
            News::ApprovalAnswered { outcome, .. } => *outcome != Outcome::Open,
            News::RunEnded { status, .. } => !matches!(status, EndStatus::Stuck | EndStatus::Failed),
            _ => false,
        }
    }

    /// The moments after which this one is waited for.
    pub(crate) fn opened_by(&self) -> &'static [Moment] {
        match &self.news {
            News::IncidentAcknowledged { .. }
            | News::IncidentResolved { .. }
            | News::FollowUp { about: About::Incident {}, .. } => {
                &[Moment::IncidentOpened, Moment::SeverityRaised]
            }
            News::FollowUp { about: About::Escalation { .. }, .. } => &[Moment::IncidentEscalated],
            News::FollowUp { about: About::Alert { .. }, .. } => &[Moment::AlertUnmatched],
            News::ApprovalAnswered { .. } => &[Moment::ApprovalRequested, Moment::ApprovalEscalated],
            News::RunEnded { .. } | News::FollowUp { about: About::Run {}, .. } => {
                &[Moment::RunEscalated, Moment::RunEnded, Moment::RunStuck, Moment::QuestionAsked]
            }
            _ => &[],
        }
    }

    /// From when on nobody wants to be told any more.
    pub(crate) fn stale_at(&self) -> Option<Timestamp> {
        if self.asks_approval() { self.approval().and_then(|approval| approval.deadline) } else { None }
    }
}

#[cfg(test)]
pub(crate) mod samples;
