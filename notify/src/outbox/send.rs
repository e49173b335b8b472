//! One dispatch over its channel.

use runbook_journal::{Expect, JournalError, MOST_DOCUMENTS, Write};

use super::{
    Dispatch, Outbox,
    kept::{self, Found, Standing},
    limits::MOST_POSTED,
};
use crate::{
    config::{Channel, Slack},
    email,
    http::Trouble,
    notice::{Moment, Notice},
    pagerduty,
    slack::{
        message::{Look, Message, message},
        send::{self, Posted},
    },
    webhook,
};

/// What came of a try that the receiver took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Taken {
    Sent,
    /// A message that is edited once it is decided.
    Posted(Posted),
    /// There was nothing to be done.
    Needless(&'static str),
}

impl Outbox {
    /// Tries once, within the patience of the outbox.
    pub(super) async fn send(
        &self,
        channel: &Channel,
        id: &str,
        dispatch: &Dispatch,
    ) -> Result<Taken, Trouble> {
        let sent = self.send_patiently(channel, id, &dispatch.notice);
        let late = || Trouble::later("the receiver did not answer in time");
        tokio::time::timeout(self.patience, sent).await.unwrap_or_else(|_| Err(late()))
    }

    async fn send_patiently(&self, channel: &Channel, id: &str, notice: &Notice) -> Result<Taken, Trouble> {
        let (site, now) = (self.site.as_ref(), self.clock.now());
        match channel {
            Channel::Slack(slack) => return self.send_to_slack(slack, id, notice).await,
            Channel::PagerDuty(config) => pagerduty::send(&self.http, config, notice, site, now).await?,
            Channel::Email(config) => email::send(config, id, notice, site, self.patience).await?,
            Channel::Webhook(config) => webhook::send(&self.http, config, id, notice, site, now).await?,
        }
        Ok(Taken::Sent)
    }

    async fn send_to_slack(&self, slack: &Slack, id: &str, notice: &Notice) -> Result<Taken, Trouble> {
        let look = Look {
            site: self.site.as_ref(),
            people: Some(&slack.people),
            buttons: slack.signing_secret.is_some(),
        };
        let message = message(notice, look);
        if notice.answers_approval() {
            let standing =
                self.standing(slack, notice).await.map_err(|error| Trouble::later(error.to_string()))?;
            let posted = standing.map(|found| found.value.posted).unwrap_or_default();
            if !posted.is_empty() {
                return self.edit(slack, &posted, &message).await;
            }
            if !slack.on.contains(&Moment::ApprovalAnswered) {
                return Ok(Taken::Needless("no message asked for it here"));
            }
        }
        let posted = send::post(&self.http, slack, id, &message, self.clock.now()).await?;
        Ok(if notice.approval().is_some() { Taken::Posted(posted) } else { Taken::Sent })
    }

    async fn edit(&self, slack: &Slack, posted: &[Posted], message: &Message) -> Result<Taken, Trouble> {
        for one in posted {
            send::update(&self.http, slack, one, message, self.clock.now()).await?;
        }
        Ok(Taken::Sent)
    }

    async fn standing(
        &self,
        slack: &Slack,
        notice: &Notice,
    ) -> Result<Option<Found<Standing>>, JournalError> {
        kept::find(&self.shelf, &kept::standing_id(&slack.name, &notice.subject())).await
    }

    /// The write by which a message is found again.
    pub(super) async fn remember(
        &self,
        channel: &Channel,
        notice: &Notice,
        posted: Posted,
    ) -> Result<Write, JournalError> {
        let id = kept::standing_id(channel.name(), &notice.subject());
        let found = kept::find::<Standing>(&self.shelf, &id).await?;
        let expect = found.as_ref().map_or(Expect::New, |found| Expect::Version(found.version));
        let mut all = found.map(|found| found.value.posted).unwrap_or_default();
        if !all.contains(&posted) {
            all.push(posted);
        }
        let surplus = all.len().saturating_sub(MOST_POSTED);
        all.drain(..surplus);
        let standing = Standing { channel: channel.name().to_owned(), posted: all, at: self.clock.now() };
        kept::put(&id, &standing, expect)
    }

    /// What waits to be told in a channel although this, which has just been told, makes it untrue.
    pub(super) async fn overtaken(
        &self,
        channel: &Channel,
        id: &str,
        news: &Notice,
    ) -> Result<Vec<Found<Dispatch>>, JournalError> {
        if !(news.ends_it() || news.answers_approval()) {
            return Ok(Vec::new());
        }
        let mut waiting = self.open(channel.name(), MOST_DOCUMENTS).await?;
        waiting.retain(|found| found.id != id && overtakes(channel, news, &found.value.notice));
        Ok(waiting)
    }
}

/// A question is not asked once it is decided, an edit does not undo a newer one, and nobody is paged
/// for what is over. Programs are told everything.
fn overtakes(channel: &Channel, newer: &Notice, older: &Notice) -> bool {
    let over = match channel {
        Channel::Webhook(_) => false,
        Channel::PagerDuty(_) => newer.ends_it(),
        Channel::Slack(_) => {
            newer.answers_approval()
                && (older.answers_approval() || (newer.ends_it() && older.asks_approval()))
        }
        Channel::Email(_) => newer.answers_approval() && newer.ends_it() && older.asks_approval(),
    };
    over && older.at <= newer.at && older.subject() == newer.subject()
}
