//! The runbooks of a project: read, parsed and checked together, each file once.

pub mod files;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use runbook_core::{
    check::{self, Catalog},
    finding::{self, Code, Document, Finding},
    parse::{self, Parsed, file_stem},
    runbook::Runbook,
    suggest,
};

use crate::{
    config::Config,
    exit::{CliError, Findings},
};

use self::files::Text;

/// All runbooks under the paths that were named.
#[derive(Debug, Default)]
pub struct Library {
    /// The runbooks whose structure is sound, by name.
    pub runbooks: BTreeMap<String, Arc<Runbook>>,
    /// Where each one stands.
    pub files: BTreeMap<String, PathBuf>,
    /// What is wrong with any of the files.
    pub findings: Vec<Finding>,
    /// Every file that was read, for the places of findings.
    pub sources: Vec<Document>,
}

impl Library {
    /// The runbooks of a project.
    pub fn of(config: &Config, catalog: &Catalog) -> Result<Self, CliError> {
        Self::load(std::slice::from_ref(&config.playbooks), catalog)
    }

    /// Every runbook under the paths, files and folders alike.
    pub fn load(paths: &[PathBuf], catalog: &Catalog) -> Result<Self, CliError> {
        Self::read(&files::find(paths)?, catalog)
    }

    /// The runbooks in these files.
    pub fn read(paths: &[PathBuf], catalog: &Catalog) -> Result<Self, CliError> {
        let parsed = paths.iter().map(|path| parse(path)).collect::<Result<Vec<_>, _>>()?;
        let findings = check::check_parsed(&parsed, catalog);
        let mut library = Self { findings, ..Self::default() };
        for (file, path) in parsed.into_iter().zip(paths) {
            // Of two runbooks of one name, the second is a finding.
            if let Some(runbook) = file.runbook.filter(|it| !library.runbooks.contains_key(&it.name)) {
                library.files.insert(runbook.name.clone(), path.clone());
                library.runbooks.insert(runbook.name.clone(), Arc::new(runbook));
            }
            library.sources.push(file.document);
        }
        Ok(library)
    }

    /// A runbook by its name, with what it is near to where there is none. It may have errors that
    /// the checker found; see [`Library::checked`].
    pub fn get(&self, name: &str) -> Result<&Arc<Runbook>, CliError> {
        self.runbooks.get(name).ok_or_else(|| self.refuse([name]).unwrap_or_else(|| self.unknown(name)))
    }

    /// A runbook that may be run: neither it nor any that it runs has errors.
    pub fn checked(&self, name: &str) -> Result<&Arc<Runbook>, CliError> {
        let runbook = self.get(name)?;
        let others = self.closure(name);
        let names = std::iter::once(name).chain(others.keys().map(String::as_str));
        self.refuse(names).map_or(Ok(runbook), Err)
    }

    /// The runbooks that this one runs, directly or through others, by name.
    pub fn closure(&self, name: &str) -> BTreeMap<String, Arc<Runbook>> {
        let mut found = BTreeMap::new();
        let mut ahead = vec![name];
        while let Some(next) = ahead.pop() {
            for runs in self.runbooks.get(next).into_iter().flat_map(|runbook| runs(runbook)) {
                if let Some(runbook) = self.runbooks.get(runs).filter(|_| runs != name)
                    && found.insert(runs.to_owned(), runbook.clone()).is_none()
                {
                    ahead.push(runs);
                }
            }
        }
        found
    }

    /// How many files have errors.
    pub fn broken(&self) -> usize {
        let errors = self.findings.iter().filter(|finding| finding.is_error());
        errors.map(|finding| finding.file.as_str()).collect::<BTreeSet<_>>().len()
    }

    fn unknown(&self, name: &str) -> CliError {
        let shown: String = name.chars().take(60).collect();
        let hint = match suggest::closest(name, self.runbooks.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`? `runbook list` lists them"),
            None => "`runbook list` lists them".to_owned(),
        };
        CliError::invalid(format!("there is no runbook `{shown}`")).hint(hint)
    }

    /// The error that shows what is wrong with the files of these runbooks, if anything is.
    fn refuse<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Option<CliError> {
        let names: BTreeSet<&str> = names.into_iter().collect();
        let known = |file: &str| {
            names.contains(file_stem(file))
                || names
                    .iter()
                    .filter_map(|name| self.files.get(*name))
                    .any(|path| files::shown(path) == file)
        };
        let errors = self.findings.iter().filter(|finding| finding.is_error() && known(&finding.file));
        let findings: Vec<Finding> = errors.cloned().collect();
        let file = &findings.first()?.file;
        let count = findings.len();
        let errors = if count == 1 { "an error".to_owned() } else { format!("{count} errors") };
        let error = CliError::invalid(format!("{file} has {errors}"))
            .hint("`runbook check` shows everything that is wrong");
        let documents = self.sources.iter().filter(|source| known(&source.file)).cloned().collect();
        Some(error.findings(Findings { findings, documents }))
    }
}

/// The names after `run` in a runbook.
fn runs(runbook: &Runbook) -> impl Iterator<Item = &str> {
    runbook.steps.iter().chain(&runbook.finally).filter_map(|step| step.run.as_deref())
}

fn parse(path: &std::path::Path) -> Result<Parsed, CliError> {
    let shown = files::shown(path);
    match files::read(path)? {
        Text::Utf8(text) => Ok(parse::parse(&shown, &text)),
        Text::Bytes { readable, first_bad } => {
            let document = Document::new(&shown, &readable);
            let finding = document
                .finding(Code::YamlSyntax, first_bad..first_bad, "from here on the file is not UTF-8")
                .hint("save it as text in UTF-8");
            let mut findings = vec![finding];
            finding::sort(&mut findings);
            Ok(Parsed { runbook: None, findings, tree: None, document, draft: None })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: &str = "apiVersion: runbook/v1\nname: NAME\nsteps:\n";

    fn library(files: &[(&str, &str)]) -> (tempfile::TempDir, Library) {
        let folder = tempfile::tempdir().unwrap();
        for (name, steps) in files {
            let text = format!("{}{steps}", STEP.replace("NAME", name));
            std::fs::write(folder.path().join(format!("{name}.yaml")), text).unwrap();
        }
        let library = Library::load(&[folder.path().to_owned()], &Catalog::default()).unwrap();
        (folder, library)
    }

    #[test]
    fn a_closure_is_transitive_and_leaves_out_its_start() {
        let (_folder, library) = library(&[
            ("a", "  - { id: x, run: b }\n"),
            ("b", "  - { id: x, run: c }\n  - { id: y, run: d }\n"),
            ("c", "  - { id: x, run: d }\n"),
            ("d", "  - { id: x, wait: 1s }\n"),
        ]);
        assert_eq!(library.findings, []);
        let names = |name: &str| library.closure(name).into_keys().collect::<Vec<_>>();
        assert_eq!(names("a"), ["b", "c", "d"]);
        assert_eq!(names("d"), Vec::<String>::new());
        assert!(library.checked("a").is_ok());
    }

    #[test]
    fn recursion_ends_and_is_refused() {
        let (_folder, library) =
            library(&[("a", "  - { id: x, run: b }\n"), ("b", "  - { id: x, run: a }\n")]);
        assert_eq!(library.closure("a").into_keys().collect::<Vec<_>>(), ["b"]);
        assert!(library.checked("a").unwrap_err().findings.is_some());
    }

    #[test]
    fn what_is_wrong_with_a_runbook_that_is_run_keeps_the_outer_one_from_running() {
        let (_folder, library) = library(&[
            ("a", "  - { id: x, run: b }\n"),
            ("b", "  - { id: x, check: no.such }\n"),
            ("c", "  - { id: x, wait: 1s }\n"),
            ("d", "  - { id: }\n"),
        ]);
        let error = library.checked("a").unwrap_err();
        assert!(error.message.ends_with("b.yaml has an error"), "{error}");
        assert!(library.checked("c").is_ok());
        assert!(library.get("b").is_ok(), "its structure is sound");
        // A file that is no runbook at all is told apart from one that is not there.
        assert!(library.get("d").unwrap_err().message.contains("d.yaml has"));
        assert_eq!(library.broken(), 2);
        let unknown = library.get("cc").unwrap_err();
        assert_eq!(unknown.message, "there is no runbook `cc`");
        assert!(unknown.hint.unwrap().contains("did you mean `c`?"));
    }

    #[test]
    fn a_file_that_is_not_text_is_a_finding() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        std::fs::write(&file, b"apiVersion: runbook/v1\nname: \xff\n").unwrap();
        let library = Library::load(&[file], &Catalog::default()).unwrap();
        let [finding] = library.findings.as_slice() else { panic!("{:?}", library.findings) };
        assert_eq!((finding.code, finding.line, finding.column), (Code::YamlSyntax, 2, 7));
    }
}
