//! Notices for tests, one of each kind.

use runbook_core::{event::EndStatus, runbook::Risk, spec::Effect};
use uuid::Uuid;

use super::*;

pub(crate) fn at() -> Timestamp {
    "2026-11-21T03:04:05Z".parse().unwrap()
}

pub(crate) fn run() -> Run {
    Run { id: RunId::new(Uuid::from_u128(7)), runbook: "high-latency".to_owned() }
}

pub(crate) fn approval() -> Approval {
    Approval {
        step: "mitigate.rollback".to_owned(),
        prompt: "Roll the API back to the release before?".to_owned(),
        digest: format!("sha256:{}", "ab".repeat(32)),
        from: vec!["sre".to_owned(), "alice".to_owned()],
        count: 1,
        deadline: Some("2026-11-21T03:19:05Z".parse().unwrap()),
        risk: Some(Risk::Medium),
        change: Some(Proposed {
            action: "kubernetes.rollback".to_owned(),
            target: "kubernetes:production/deployment/api".to_owned(),
            summary: "roll back api from 42 to 41".to_owned(),
            effect: Effect::Write,
            diff: "- image: api:42\n+ image: api:41\n  replicas: 3".to_owned(),
            irreversible: None,
            warnings: vec!["an HPA governs this deployment".to_owned()],
        }),
    }
}

pub(crate) fn notice(news: News) -> Notice {
    Notice {
        at: at(),
        environment: Some("production".to_owned()),
        simulated: false,
        incident: Some(Incident {
            id: "inc_01".to_owned(),
            title: "API latency <p95> 8 s".to_owned(),
            severity: Some("SEV2".to_owned()),
        }),
        run: Some(run()),
        news,
    }
}

pub(crate) fn approval_requested() -> Notice {
    notice(News::ApprovalRequested(Box::new(approval())))
}

pub(crate) fn approval_answered(outcome: Outcome) -> Notice {
    let vote = Vote { by: "alice".to_owned(), at: at(), approved: outcome != Outcome::Rejected, comment: None };
    notice(News::ApprovalAnswered { approval: Box::new(approval()), votes: vec![vote], outcome })
}

pub(crate) fn alert_unmatched() -> Notice {
    let news = News::AlertUnmatched {
        alert: "alert_0f".to_owned(),
        title: "Disk 91 % full".to_owned(),
        hook: "alertmanager".to_owned(),
        severity: Some("warning".to_owned()),
        why: "no runbook has a trigger for it".to_owned(),
    };
    Notice { incident: None, run: None, ..notice(news) }
}

pub(crate) fn run_ended(status: EndStatus) -> Notice {
    notice(News::RunEnded { status, recovered: Some(status == EndStatus::Succeeded), reason: None })
}

/// One of each.
pub(crate) fn all() -> Vec<Notice> {
    let by = || "alice".to_owned();
    vec![
        Notice {
            run: None,
            ..notice(News::IncidentOpened {
                by: "alertmanager".to_owned(),
                service: Some("api".to_owned()),
                alerts: vec!["p95 above 5 s".to_owned()],
            })
        },
        notice(News::SeverityRaised {
            from: Some("SEV3".to_owned()),
            by: by(),
            reason: Some("checkout is affected".to_owned()),
        }),
        notice(News::IncidentAcknowledged { by: by() }),
        notice(News::IncidentResolved { by: by(), verified: Some(true), reason: None }),
        alert_unmatched(),
        notice(News::RunStarted { by: "alertmanager".to_owned(), reason: None }),
        notice(News::RunEscalated { to: vec!["platform".to_owned()] }),
        run_ended(EndStatus::Succeeded),
        run_ended(EndStatus::Stuck),
        notice(News::QuestionAsked {
            step: "confirm".to_owned(),
            prompt: "Did the change happen?".to_owned(),
            from: vec!["sre".to_owned()],
        }),
        Notice { simulated: true, ..approval_requested() },
        notice(News::ApprovalEscalated { approval: Box::new(approval()), to: vec!["leads".to_owned()] }),
        approval_answered(Outcome::Approved),
        approval_answered(Outcome::Open),
    ]
}
