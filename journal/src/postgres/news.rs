//! What processes tell each other: which runs have new entries, and that something was written.

use std::{collections::BTreeMap, fmt::Write as _};

use runbook_core::event::RunId;

/// PostgreSQL takes no more than 8,000 bytes.
const MOST: usize = 100;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct News {
    /// The last entry of each run that has new ones.
    pub(super) runs: BTreeMap<RunId, u64>,
    /// Whether there are more of them than can be told.
    pub(super) too_many: bool,
}

impl News {
    pub(super) fn add(&mut self, other: Self) {
        self.runs.extend(other.runs);
        self.too_many |= other.too_many;
        if self.runs.len() > MOST {
            self.runs.clear();
            self.too_many = true;
        }
    }

    /// `NAME run_…:12 run_…:3`, or `NAME *`.
    pub(super) fn payload(&self, name: &str) -> String {
        let mut text = name.to_owned();
        if self.too_many || self.runs.len() > MOST {
            text.push_str(" *");
            return text;
        }
        for (run, head) in &self.runs {
            // Writing to a text does not fail.
            let _ = write!(text, " {run}:{head}");
        }
        text
    }

    /// What another process tells; nothing where it is this one's own word.
    pub(super) fn from_others(payload: &str, name: &str) -> Option<Self> {
        let mut words = payload.split(' ');
        if words.next() == Some(name) {
            return None;
        }
        let mut news = Self::default();
        for word in words {
            match word.split_once(':').and_then(|(run, head)| Some((run.parse().ok()?, head.parse().ok()?))) {
                Some((run, head)) => drop(news.runs.insert(run, head)),
                // A newer version may say things that this one does not understand.
                None => news.too_many = true,
            }
        }
        Some(news)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_is_told_is_understood() {
        let run = |number| RunId::new(Uuid::from_u128(number));
        let mut news = News::default();
        news.add(News { runs: [(run(1), 7), (run(2), u64::MAX)].into(), too_many: false });
        let payload = news.payload("me");
        assert_eq!(News::from_others(&payload, "you"), Some(news.clone()));
        assert_eq!(News::from_others(&payload, "me"), None);
        for number in 3..300 {
            news.add(News { runs: [(run(number), 1)].into(), too_many: false });
            assert!(news.payload(&Uuid::max().to_string()).len() < 8_000);
        }
        assert!(News::from_others(&news.payload("me"), "you").unwrap().too_many);
        assert!(News::from_others("me what?", "you").unwrap().too_many);
        assert_eq!(News::from_others("me", "you"), Some(News::default()));
    }
}
