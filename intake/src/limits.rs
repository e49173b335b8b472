//! How much a delivery may be.

use crate::refusal::Refusal;

/// The bounds of a delivery that somebody may want to set differently. Those on single texts are
/// below and fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest body, in bytes.
    pub body: usize,
    /// The most alerts of one delivery.
    pub alerts: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body: 1024 * 1024, alerts: 1_000 }
    }
}

impl Limits {
    pub(crate) fn check_body(&self, body: &[u8]) -> Result<(), Refusal> {
        if body.len() <= self.body {
            return Ok(());
        }
        Err(Refusal::TooLarge(format!("the body has {} bytes, at most {} are taken", body.len(), self.body)))
    }

    pub(crate) fn check_alerts(&self, count: usize) -> Result<(), Refusal> {
        if count <= self.alerts {
            return Ok(());
        }
        Err(Refusal::TooLarge(format!(
            "alerts: {count} of them, at most {} are taken at once; let the detector send fewer, such as with \
             `max_alerts`, or group them more finely",
            self.alerts
        )))
    }
}

/// Texts that something is known by: names, ids, the names of labels. In characters, as all of these.
pub(crate) const IDENTITY: usize = 1_024;
/// Values of labels, which conditions compare.
pub(crate) const LABEL: usize = 4_096;
/// Labels of an alert, and likewise annotations and metrics.
pub(crate) const ENTRIES: usize = 128;
/// One line for people.
pub(crate) const LINE: usize = 512;
/// What people read at leisure: descriptions and annotations.
pub(crate) const PROSE: usize = 16_384;
/// Addresses.
pub(crate) const LINK: usize = 4_096;
/// What a refusal repeats of what was sent.
pub(crate) const ECHO: usize = 40;
