//! A detector that cannot see says nothing, which looks like calm. After a while it says that.

use std::collections::BTreeMap;

use runbook_core::{
    Timestamp,
    detection::{NAME_LABEL, Reading, Rule, Series},
    duration::Duration,
};

use super::{Detection, Detector, Round, Watched};
use crate::{DeskError, kept};

/// The name of the alert; a rule of that name in the configuration is there instead of it.
pub(super) const RULE: &str = "DetectorBlind";
/// For how long a rule cannot be read before somebody is told, and never sooner than after so many
/// rounds.
const AFTER: Duration = Duration::from_secs(5 * 60);
const ROUNDS: u32 = 3;
/// How many rules the alert names, and how much of why.
const NAMED: usize = 3;
const LONGEST_WHY: usize = 300;

impl Detector {
    /// For how long rules cannot be read before the detector counts as blind.
    pub fn blind_after(&self) -> Duration {
        AFTER.max(self.every.as_std().saturating_mul(ROUNDS).into())
    }
}

impl Detection {
    /// Tells that rules have not been read for long, and that they can be again: as an alert of the
    /// detector itself, with all that holds for the alerts of rules.
    pub(super) async fn tell_of_blindness(&self, now: Timestamp, round: &mut Round) -> Result<(), DeskError> {
        let detector = self.detector.as_ref();
        if detector.rules.is_empty() || detector.rules.iter().any(|rule| rule.name == RULE) {
            return Ok(());
        }
        let id = Watched::id(&detector.name, RULE);
        let known = kept::find::<Watched>(&self.shelf, &id).await?;
        let blind_for = round.blind_for();
        let is_blind = blind_for >= detector.blind_after();
        let rule = match known {
            // Whatever happened while nobody could look is told; then nothing need be kept.
            Some(known) if !is_blind && known.value.watch.is_settled() => {
                self.shelf.write(vec![kept::remove::<Watched>(&id)]).await?;
                return Ok(());
            }
            Some(known) if !is_blind => known.value.rule,
            None if !is_blind => return Ok(()),
            _ => blind_rule(detector, round),
        };
        let labels = [(NAME_LABEL, RULE), ("detector", detector.name.as_str())];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let series = Series::own(labels, rule.called(), blind_for.as_secs_f64(), is_blind);
        self.rule(&rule, Ok(Reading { series: vec![series] }), now, round).await
    }
}

/// The alert as a rule: what it says does not change while it lasts, but for the reasons.
fn blind_rule(detector: &Detector, round: &Round) -> Rule {
    let since = round.failing.values().map(|failing| failing.since).min().unwrap_or(round.at);
    let since = since.strftime("%Y-%m-%d %H:%M:%S UTC");
    let why = round.failing.iter().take(NAMED).map(|(rule, failing)| {
        let why: String = failing.message.chars().take(LONGEST_WHY).collect();
        format!("{rule}: {why}")
    });
    let mut why: Vec<String> = why.collect();
    if let Some(more) = round.failing.len().checked_sub(NAMED).filter(|more| *more > 0) {
        why.push(format!("{more} more"));
    }
    Rule {
        name: RULE.to_owned(),
        title: Some(format!("detector {} is blind since {since}", detector.name)),
        called: Some("blindSeconds".to_owned()),
        above: Some(detector.blind_after().as_secs_f64()),
        severity: Some("warning".to_owned()),
        annotations: BTreeMap::from([("cannot be read".to_owned(), why.join("; "))]),
        ..Rule::default()
    }
}
