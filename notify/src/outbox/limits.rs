//! How much, how often, how long.

use std::time::Duration as StdDuration;

use runbook_core::duration::Duration;

use crate::config::Channel;

/// How long one try may take.
pub(super) const PATIENCE: StdDuration = StdDuration::from_secs(15);
/// How long a dispatch that is being sent is left alone by others: longer than a try can take.
pub(super) const LEASE: Duration = Duration::from_secs(60);
/// After so many tries, or so long, it is given up.
pub(super) const MOST_TRIES: u32 = 30;
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3_600);
pub(super) const LONGEST_BACKOFF: Duration = Duration::from_secs(3_600);
pub(super) const LAST_DOUBLING: u32 = 12;
/// How often a write is tried anew that others came before.
pub(super) const MOST_CHANGES: u32 = 5;
/// The most that waits for one channel; of what is more, the oldest is dropped, what waits for people
/// last.
pub const MOST_QUEUED: usize = 500;
/// How long it is remembered what was sent, and with it that it need not be sent again.
pub const KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How often the outbox is tidied.
pub(super) const TIDY: Duration = Duration::from_secs(30);
/// The most that is removed at once.
pub(super) const MOST_REMOVED: usize = 500;
/// The most pages of a thousand that are looked through at once.
pub(super) const MOST_PAGES: usize = 50;
/// After a failure of the shelf.
pub(super) const AGAIN: Duration = Duration::from_secs(5);
/// However much is written, the outbox is looked at no more often than this.
pub(super) const GLANCE: StdDuration = StdDuration::from_millis(100);
/// The messages of one approval that are edited.
pub(super) const MOST_POSTED: usize = 10;

/// The least time between two messages. Slack takes one a second into a channel, PagerDuty 120 events
/// a minute from an integration; the others do not say.
pub(super) fn pace(channel: &Channel) -> Duration {
    match channel {
        Channel::Slack(_) => Duration::from_secs(1),
        Channel::PagerDuty(_) => Duration::from_millis(500),
        Channel::Email(_) => Duration::from_millis(200),
        Channel::Webhook(_) => Duration::from_millis(50),
    }
}
