//! One round: all rules are read, then each is judged, written and told.

use futures::{FutureExt as _, StreamExt as _, stream};
use runbook_core::{
    Timestamp,
    detection::{Measure, Message, Reading, Rule, Sample, Turn, Watch},
    fault::Fault,
};
use runbook_journal::{DocumentQuery, Expect, JournalError, MOST_DOCUMENTS};

use super::{Detection, Detector, Gauge, Looked, Round, Watched, blind};
use crate::{
    DeskError,
    kept::{self, Found},
};

/// How many rules are read together: a source of metrics has other things to do too.
const AT_ONCE: usize = 8;
/// How often a reading is taken in anew because someone else has written meanwhile.
const MOST_TRIES: usize = 4;
/// How many messages of one round may fail to arrive before the others are kept for the next.
const MOST_REFUSED: usize = 10;

impl Detection {
    /// Goes round once.
    pub async fn round(&self) -> Round {
        let now = self.clock.now();
        let mut round = Round { at: now, rules: self.detector.rules.len(), ..Round::default() };
        let looks: Vec<_> = self.detector.rules.iter().map(|rule| self.look(rule).boxed()).collect();
        let looks: Vec<Looked<'_>> = stream::iter(looks).buffered(AT_ONCE).collect().await;
        for (rule, look) in looks {
            let done = self.rule(rule, look, now, &mut round).await;
            round.blame(done);
        }
        let told = self.tell_of_blindness(now, &mut round).await;
        round.blame(told);
        let forgotten = self.forgotten(now, &mut round).await;
        round.blame(forgotten);
        if let Some(why) = &round.store {
            tracing::warn!(detector = self.detector.name, why, "the state of rules could not be kept");
        }
        if let Some(why) = &round.undelivered {
            tracing::warn!(detector = self.detector.name, why, "what was detected could not be told yet");
        }
        round
    }

    async fn look<'a>(&self, rule: &'a Rule) -> Looked<'a> {
        let Detector { timeout, .. } = *self.detector;
        let deadline = timeout.after(self.clock.now());
        let look = tokio::select! {
            look = read(self.gauge.as_ref(), rule) => look,
            () = self.clock.sleep_until(deadline) => {
                Err(Fault::unreachable(format!("there was no answer within {timeout}")))
            }
        };
        (rule, look)
    }

    /// Takes in what was read of a rule, and tells what is due.
    pub(super) async fn rule(
        &self,
        rule: &Rule,
        look: Result<Reading, Fault>,
        now: Timestamp,
        round: &mut Round,
    ) -> Result<(), DeskError> {
        let id = Watched::id(&self.detector.name, &rule.name);
        for _ in 0..MOST_TRIES {
            let found = kept::find::<Watched>(&self.shelf, &id).await?;
            let before = found.as_ref().map(|found| &found.value);
            let mut after = Watched {
                detector: self.detector.name.clone(),
                rule: rule.clone(),
                watch: before.map(|before| before.watch.clone()).unwrap_or_default(),
            };
            let turns = self.take(&mut after, &look, now);
            match self.write(&id, found, after).await {
                Err(DeskError::Journal(JournalError::Changed { .. })) => {}
                Err(error) => return Err(error),
                Ok(found) => {
                    self.log(&found.value, &turns);
                    round.count(rule, &found.value.watch);
                    return self.tell(found, now, round).await;
                }
            }
        }
        Err(DeskError::Busy)
    }

    fn take(
        &self,
        after: &mut Watched,
        look: &Result<Reading, Fault>,
        now: Timestamp,
    ) -> Vec<(String, Turn)> {
        let Detector { name: detector, .. } = self.detector.as_ref();
        let Watched { rule, watch, .. } = after;
        match look {
            Ok(reading) => {
                if watch.failing.is_some() {
                    tracing::info!(detector, rule = rule.name, "the rule can be read again");
                }
                watch.take(rule, reading, now)
            }
            Err(fault) => {
                if watch.fail(fault.message.clone(), fault.hint.clone(), now) {
                    tracing::warn!(detector, rule = rule.name, %fault, "the rule cannot be read; it stays as it is");
                }
                Vec::new()
            }
        }
    }

    fn log(&self, watched: &Watched, turns: &[(String, Turn)]) {
        let Detector { name: detector, .. } = self.detector.as_ref();
        for (series, turn) in turns {
            tracing::info!(detector, rule = watched.rule.name, series, ?turn, "a series has changed");
        }
    }

    /// Tells what is due, and keeps what has arrived. One message that is not taken does not keep the
    /// others back; where many are not, the rest wait for the next round.
    async fn tell(&self, found: Found<Watched>, now: Timestamp, round: &mut Round) -> Result<(), DeskError> {
        let mut after = found.value.clone();
        let due = after.watch.due(&after.rule, self.detector.repeat, now);
        for message in due {
            if round.refused >= MOST_REFUSED {
                break;
            }
            match self.deliver(&message).await {
                Ok(()) => {
                    after.watch.told(&message, now);
                    round.delivered += 1;
                }
                Err(why) => {
                    round.refused += 1;
                    round.undelivered = Some(why);
                }
            }
        }
        let id = found.id.clone();
        match self.write(&id, Some(found), after).await {
            // Someone else has gone on: at worst a message is told again, under the same number.
            Ok(_) | Err(DeskError::Journal(JournalError::Changed { .. })) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn deliver(&self, message: &Message) -> Result<(), String> {
        let timeout = self.detector.timeout;
        let deadline = timeout.after(self.clock.now());
        tokio::select! {
            done = self.sink.deliver(message) => done,
            () = self.clock.sleep_until(deadline) => Err(format!("it was not taken within {timeout}")),
        }
    }

    /// Ends what fires of rules that are no more.
    async fn forgotten(&self, now: Timestamp, round: &mut Round) -> Result<(), DeskError> {
        let query = DocumentQuery {
            parent: Some(self.detector.name.clone()),
            limit: MOST_DOCUMENTS,
            ..DocumentQuery::default()
        };
        let is_known = |name: &str| {
            let own = name == blind::RULE && !self.detector.rules.is_empty();
            own || self.detector.rules.iter().any(|rule| rule.name == name)
        };
        for found in kept::list::<Watched>(&self.shelf, query).await? {
            if is_known(&found.value.rule.name) {
                continue;
            }
            let id = found.id.clone();
            let mut after = found.value.clone();
            after.watch.close(now);
            if after.watch.is_settled() {
                self.shelf.write(vec![kept::remove::<Watched>(&id)]).await?;
                continue;
            }
            let found = self.write(&id, Some(found), after).await?;
            self.tell(found, now, round).await?;
        }
        Ok(())
    }

    /// Writes what has become of a rule, if that is worth it, on the condition that nobody else has.
    async fn write(
        &self,
        id: &str,
        found: Option<Found<Watched>>,
        after: Watched,
    ) -> Result<Found<Watched>, DeskError> {
        let version = found.as_ref().map_or(0, |found| found.version);
        if found
            .is_some_and(|found| found.value.rule == after.rule && !is_news(&found.value.watch, &after.watch))
        {
            return Ok(Found { id: id.to_owned(), version, value: after });
        }
        let expect = if version == 0 { Expect::New } else { Expect::Version(version) };
        self.shelf.write(vec![kept::put(id, &after, expect)?]).await?;
        Ok(Found { id: id.to_owned(), version: version + 1, value: after })
    }
}

/// Reads and judges a rule once. What is told along is only asked for where it is needed, and is left
/// out where it cannot be read.
///
/// # Errors
/// What cannot be read or judged; nothing may be concluded from that.
pub async fn read(gauge: &dyn Gauge, rule: &Rule) -> Result<Reading, Fault> {
    let value = gauge.read(&rule.measure()).await?;
    let expected = match &rule.expected {
        Some(measure) => gauge.read(measure).await?,
        None => Vec::new(),
    };
    let mut reading = rule.read(value, &expected)?;
    if reading.is_breached() {
        let along: Vec<_> =
            rule.also.iter().map(|(name, measure)| along(gauge, name, measure).boxed()).collect();
        for (name, samples) in futures::future::join_all(along).await {
            reading.tell_along(name, &samples);
        }
    }
    Ok(reading)
}

async fn along<'a>(gauge: &dyn Gauge, name: &'a str, measure: &Measure) -> (&'a str, Vec<Sample>) {
    let samples = gauge.read(measure).await;
    (name, samples.unwrap_or_default())
}

/// Whether somebody who goes on from `before` would do otherwise than from `after`: numbers that only
/// move are not worth a write every few seconds.
fn is_news(before: &Watch, after: &Watch) -> bool {
    let plain = |watch: &Watch| {
        let mut plain = Watch { read_at: None, ..watch.clone() };
        plain.series.values_mut().for_each(|active| active.metrics.clear());
        if let Some(failing) = &mut plain.failing {
            failing.message.clear();
            failing.hint = None;
        }
        plain
    };
    let pending = || after.series.values().any(|active| active.fired_at.is_none());
    pending() || plain(before) != plain(after)
}

impl Round {
    fn count(&mut self, rule: &Rule, watch: &Watch) {
        let firing = watch.series.values().filter(|active| active.fired_at.is_some()).count();
        self.firing += firing;
        self.pending += watch.series.len() - firing;
        if let Some(failing) = &watch.failing {
            self.failing.insert(rule.name.clone(), failing.clone());
        }
    }

    fn blame(&mut self, done: Result<(), DeskError>) {
        if let Err(error) = done {
            self.store = Some(error.to_string());
        }
    }
}
