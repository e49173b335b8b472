//! Who is told what: Slack, PagerDuty, e-mail and webhooks, never in the way of a run.
//!
//! A [`Notice`] says what happened, with all that is needed to tell it. [`Outbox::put`] gives the
//! writes that queue it for each [`Channel`] that wants it; the caller does them together with the
//! event that caused the notice, so that both are there or neither. [`Outbox::deliver`] sends what is
//! due. Renderers are pure; each channel has its file.
//!
//! ```yaml
//! notifications:
//!   - name: incidents
//!     kind: slack
//!     on: [incident_opened, approval_requested, approval_escalated, run_stuck]
//!     environments: [production]
//!     token: { env: SLACK_TOKEN }
//!     channel: "#incidents"
//!     signing_secret: { env: SLACK_SIGNING_SECRET }
//!     people: { U024BE7LH: alice }
//!   - name: oncall
//!     kind: pagerduty
//!     on: [incident_opened, run_stuck]
//!     severities: [SEV1, SEV2]
//!     routing_key: { file: secrets/pagerduty }
//!   - name: team
//!     kind: email
//!     on: [incident_resolved, run_ended]
//!     server: smtp.example.com:587
//!     user: runbook
//!     password: { env: SMTP_PASSWORD }
//!     from: Runbook <runbook@example.com>
//!     to: [team@example.com]
//!   - name: audit
//!     kind: webhook
//!     on: [alert_unmatched, run_ended]
//!     url: https://audit.example.com/runbook
//!     secret: { env: AUDIT_SECRET }
//! ```
//!
//! # What may come twice, and what may not come at all
//!
//! A key is queued once for a channel, for at least [`KEPT`]. What was queued is sent until the
//! receiver takes it, refuses it for good, or a day has passed; then it is kept as failed, with the
//! reason. A process that dies between the receiver's yes and the record of it sends again:
//!
//! - PagerDuty knows the repeat by its `dedup_key`, webhooks by `webhook-id`, mail programs by
//!   `Message-Id`. Nobody is told twice.
//! - Slack drops most repeats of one `client_msg_id` but does not promise to: a message may stand
//!   in the channel twice. Only the second is then edited once the approval is decided; the buttons
//!   of the first are refused by their digest. Edits can be repeated without harm.
//!
//! No secret is in a document, a log or an error: they are read where they are used, each time, so a
//! secret that is replaced is taken up at once.

mod config;
mod http;
mod notice;
mod outbox;
mod site;
mod text;

pub mod email;
pub mod pagerduty;
pub mod slack;
pub mod webhook;

pub use runbook_contract::clock::{Clock, System};

pub use crate::{
    config::{
        Address, Channel, Email, Level, MailServer, Misconfigured, NotAMailServer, NotAnAddress, PagerDuty,
        Slack, Tls, Webhook,
    },
    notice::{About, Approval, Incident, Moment, News, Notice, Outcome, Proposed, Run, Vote},
    outbox::{Dispatch, KEPT, Listed, MOST_QUEUED, Outbox, State, Tally},
    site::Site,
    slack::buttons::{AnswerTo, Decision, NotTaken, Press, Pressed},
};
