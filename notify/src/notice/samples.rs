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
    let vote =
        Vote { by: "alice".to_owned(), at: at(), approved: outcome != Outcome::Rejected, comment: None };
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

pub(crate) fn incident_escalated() -> Notice {
    let news = News::IncidentEscalated {
        runbook: "high-latency".to_owned(),
        to: vec!["platform".to_owned()],
        why: "it has run 3 times within 1h".to_owned(),
        entry: 7,
    };
    Notice { run: None, ..notice(news) }
}

pub(crate) fn follow_up(about: About, over: bool) -> Notice {
    let by = "alice".to_owned();
    notice(News::FollowUp { about, over, by, why: "the incident is resolved".to_owned() })
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
        incident_escalated(),
        follow_up(About::Run {}, true),
        follow_up(About::Escalation { entry: 7 }, false),
    ]
}

/// A notice of any kind, all of whose texts are any and may be long.
pub(crate) fn any_notice() -> impl proptest::strategy::Strategy<Value = Notice> {
    use proptest::prelude::*;
    let text = prop_oneof![
        "[a-z ]{0,20}",
        "\\PC{0,40}",
        ("[<&>`*😀é\n|]{1,40}", 1_usize..200).prop_map(|(part, times)| part.repeat(times)),
    ];
    let texts = proptest::collection::vec(text, 1..6);
    (0..all().len(), texts).prop_map(|(kind, texts)| {
        let mut value = serde_json::to_value(&all()[kind]).unwrap();
        let mut next = 0;
        refill(&mut value, &mut || {
            next += 1;
            texts[next % texts.len()].clone()
        });
        serde_json::from_value::<Notice>(value).unwrap().bounded().unwrap()
    })
}

/// Other texts in all places that take any.
fn refill(value: &mut serde_json::Value, next: &mut dyn FnMut() -> String) {
    const FIXED: &[&str] = &["type", "at", "deadline", "effect", "risk", "status", "outcome"];
    match value {
        serde_json::Value::String(text) if text.parse::<RunId>().is_err() => *text = next(),
        serde_json::Value::Array(items) => {
            if let Some(first) = items.first().cloned().filter(serde_json::Value::is_string) {
                items.resize(60, first);
            }
            items.iter_mut().for_each(|item| refill(item, next));
        }
        serde_json::Value::Object(fields) => {
            let free = fields.iter_mut().filter(|(name, _)| !FIXED.contains(&name.as_str()));
            free.for_each(|(_, field)| refill(field, next));
        }
        _ => {}
    }
}
