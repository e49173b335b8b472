//! The report: how often each grade was right, and every disagreement whole.

use std::{
    any::Any,
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use runbook_core::Value;
use serde::Serialize;

use crate::compare::{About, Claim};

/// All that the suite found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub scenarios: usize,
    pub claims: Vec<Claim>,
    /// Writes that arrived at the proxy during dry-runs.
    pub written_dry: Vec<String>,
    pub undone: Vec<Undone>,
    /// Scenarios that could not be played, with the reason.
    pub broken: BTreeMap<String, String>,
    /// Both documents of every scenario in which something disagreed.
    pub documents: BTreeMap<String, [Value; 2]>,
    pub requests: BTreeMap<String, u64>,
}

/// What came of taking a successful run back.
#[derive(Debug, Serialize)]
pub struct Undone {
    pub scenario: String,
    pub actions: Vec<String>,
    /// Where the target is not as it was before; nothing means that it is.
    pub differs: Vec<String>,
    /// Why something was left as it is.
    pub left: Option<String>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub agree: usize,
    pub all: usize,
}

impl Count {
    pub fn share(self) -> f64 {
        if self.all == 0 { 1.0 } else { self.agree as f64 / self.all as f64 }
    }
}

impl Report {
    /// Of a scenario that could not be played.
    pub fn broken(name: &str, panic: Box<dyn Any + Send>) -> Self {
        let why = panic.downcast_ref::<String>().cloned();
        let why = why.or_else(|| panic.downcast_ref::<&str>().map(|why| (*why).to_owned()));
        let broken = BTreeMap::from([(name.to_owned(), why.unwrap_or_default())]);
        Self { scenarios: 1, broken, ..Self::default() }
    }

    pub fn take(&mut self, other: Self) {
        self.scenarios += other.scenarios;
        self.claims.extend(other.claims);
        self.written_dry.extend(other.written_dry);
        self.undone.extend(other.undone);
        self.broken.extend(other.broken);
        self.documents.extend(other.documents);
        for (method, count) in other.requests {
            *self.requests.entry(method).or_default() += count;
        }
    }

    pub fn of_grade(&self, grade: &str) -> Count {
        self.count(|claim| claim.grade == grade)
    }

    fn count(&self, counts: impl Fn(&Claim) -> bool) -> Count {
        let counted: Vec<_> = self.claims.iter().filter(|claim| counts(claim)).collect();
        Count { agree: counted.iter().filter(|claim| claim.agrees).count(), all: counted.len() }
    }

    /// What people read.
    pub fn text(&self) -> String {
        let mut text = format!("{} scenarios\n\n{:<12}", self.scenarios, "grade");
        let abouts = [About::Step, About::Target, About::Completion, About::Read];
        for about in ["step", "target", "completion", "read", "agree"] {
            let _ = write!(text, "{about:>14}");
        }
        for grade in ["observed", "validated", "predicted", "unknown"] {
            let _ = write!(text, "\n{grade:<12}");
            for about in abouts {
                let Count { agree, all } = self.count(|claim| claim.grade == grade && claim.about == about);
                let _ =
                    write!(text, "{:>14}", if all == 0 { "-".to_owned() } else { format!("{agree}/{all}") });
            }
            let _ = write!(text, "{:>13.2}%", 100.0 * self.of_grade(grade).share());
        }
        let back = self.undone.iter().filter(|undone| undone.differs.is_empty()).count();
        let left = self.undone.iter().filter(|undone| undone.left.is_some()).count();
        let _ = write!(
            text,
            "\n\nwrites sent in dry-runs: {}\ntaken back: {} runs, {back} as before, {left} say why not\nrequests: {:?}\n",
            self.written_dry.len(),
            self.undone.len(),
            self.requests,
        );
        for (name, why) in &self.broken {
            let _ = write!(text, "\nbroken: {name}: {why}\n");
        }
        for claim in self.claims.iter().filter(|claim| !claim.agrees) {
            let _ = write!(
                text,
                "\ndisagreement: {} {} {:?} ({})\n  said     {}\n  happened {}\n",
                claim.scenario, claim.step, claim.about, claim.grade, claim.said, claim.happened
            );
        }
        for undone in self.undone.iter().filter(|undone| !undone.differs.is_empty() && undone.left.is_none())
        {
            let _ = write!(text, "\nnot as before: {}\n  {}\n", undone.scenario, undone.differs.join("\n  "));
        }
        text
    }

    /// Writes the report for people and for programs; where.
    pub fn keep(&self, folder: &Path, name: &str) -> PathBuf {
        let json = folder.join(format!("fidelity-{name}.json"));
        std::fs::write(json, serde_json::to_vec_pretty(self).unwrap()).unwrap();
        let path = folder.join(format!("fidelity-{name}.txt"));
        std::fs::write(&path, self.text()).unwrap();
        path
    }
}
