//! The checker: everything that can be said about runbooks without running them, in one pass over
//! all files, without the network. It looks at drafts, so one mistake does not hide the next.

mod actions;
mod book;
mod index;
mod inputs;
mod names;
mod order;
mod people;
mod scope;
mod steps;
mod triggers;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    finding::{self, Code, Document, Finding},
    parse::{Draft, Parsed, parse, tree::Node},
    runbook::Runbook,
    spec::{ActionSpec, Effect},
};

use self::{
    book::Book,
    index::{Index, Indexed},
};

pub use self::actions::effect_of;

/// The most items that a `for_each` may go over.
pub const MAX_ITEMS: usize = 100;

/// One file with a runbook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path, for messages; its last part gives the runbook's name.
    pub path: String,
    pub text: String,
}

/// What the world offers, as far as it is known without asking it.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// Every action, by name.
    pub specs: BTreeMap<String, ActionSpec>,
    /// Groups and who is in them; `None` where no people are configured.
    pub groups: Option<BTreeMap<String, Vec<String>>>,
    /// The names of the secrets that are defined; `None` where that is not known.
    pub secrets: Option<BTreeSet<String>>,
    /// What approvals must ask for at least.
    pub floors: Vec<Floor>,
}

/// The least that an approval must ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Floor {
    /// It holds for actions with this effect or a graver one…
    pub effect: Effect,
    /// …and only for this action, where one is named.
    pub action: Option<String>,
    /// How many distinct people.
    pub count: u32,
    /// Groups or people that may be asked; empty for anyone.
    pub from: Vec<String>,
}

/// Reads and checks files that belong together: runbooks run each other by name.
pub fn check(files: &[File], catalog: &Catalog) -> Vec<Finding> {
    let parsed: Vec<Parsed> = files.iter().map(|file| parse(&file.path, &file.text)).collect();
    check_parsed(&parsed, catalog)
}

/// The same for files that have been read.
pub fn check_parsed(parsed: &[Parsed], catalog: &Catalog) -> Vec<Finding> {
    let book = Book::new(parsed);
    let mut findings: Vec<Finding> = parsed.iter().flat_map(|file| file.findings.clone()).collect();
    for file in parsed {
        if let Some(draft) = &file.draft {
            let mut checker = Checker::new(file, draft, catalog, &book);
            checker.check();
            findings.append(&mut checker.findings);
        }
    }
    finding::sort(&mut findings);
    findings
}

/// The check of one file.
struct Checker<'a> {
    document: &'a Document,
    /// The whole tree, to tell what was left out of the draft.
    whole: Option<&'a Node>,
    runbook: &'a Runbook,
    tree: &'a Node,
    catalog: &'a Catalog,
    book: &'a Book<'a>,
    index: Index<'a>,
    findings: Vec<Finding>,
}

impl<'a> Checker<'a> {
    fn new(file: &'a Parsed, draft: &'a Draft, catalog: &'a Catalog, book: &'a Book<'a>) -> Self {
        Self {
            document: &file.document,
            whole: file.tree.as_ref(),
            runbook: &draft.runbook,
            tree: &draft.tree,
            catalog,
            book,
            index: Index::new(&draft.runbook, &draft.tree),
            findings: Vec::new(),
        }
    }

    fn check(&mut self) {
        self.check_names_of_files();
        self.check_inputs();
        self.check_triggers();
        self.check_secrets();
        self.check_top_texts();
        self.check_escalation();
        self.check_steady_state();
        let places: Vec<Indexed<'a>> = self.index.all().collect();
        self.check_ids(&places);
        self.check_needs();
        for place in &places {
            self.check_step(*place);
        }

        self.check_recursion(&places);
    }

    fn say(&mut self, code: Code, span: std::ops::Range<usize>, message: impl Into<String>) -> &mut Finding {
        let index = self.findings.len();
        self.findings.push(self.document.finding(code, span, message));
        &mut self.findings[index]
    }

    fn escalates_to_nobody(&mut self, node: &Node, at: &str, key: &str) {
        self.say(Code::EscalatesToNobody, node.key_span(at), "the escalation names nobody").hint =
            Some(format!("name groups or people under `{key}`"));
    }
}
