//! Which files are runbooks, and what stands in them.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use runbook_core::parse::MAX_FILE;

use crate::{config::FILE, exit::CliError};

/// How many files may belong to one project.
pub const MAX_FILES: usize = 1000;
/// How deep folders may nest.
const MAX_DEPTH: usize = 16;
/// Folders beside runbooks that hold none: tests of them, and what `kubernetes.apply` applies.
const ASIDE: [&str; 2] = ["cases", "manifests"];

/// The files under the paths, in order, each once. A folder gives its `*.yaml` and `*.yml`, also in
/// folders below; hidden ones, `cases` and `manifests` are left out, and so is the configuration. A
/// file that is named is taken whatever its name.
pub fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    let mut search = Search::default();
    for path in paths {
        let kind = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        if kind.is_dir() {
            search.folder(path, 0)?;
        } else {
            search.add(path)?;
        }
    }
    Ok(search.found)
}

/// The runbooks in the folder of a file, which may run each other.
pub fn beside(file: &Path) -> Vec<PathBuf> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut search = Search::default();
    // Where too many or unreadable files lie around, the file is checked alone.
    match search.folder(folder, MAX_DEPTH) {
        Ok(()) => search.found,
        Err(_) => Vec::new(),
    }
}

#[derive(Debug, Default)]
struct Search {
    found: Vec<PathBuf>,
    /// What was seen, links followed, so that nothing is taken twice and circles end.
    seen: BTreeSet<PathBuf>,
}

impl Search {
    fn folder(&mut self, folder: &Path, depth: usize) -> Result<(), CliError> {
        if !self.is_new(folder) {
            return Ok(());
        }
        let entries = fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry.map_err(|error| unreadable(folder, &error))?.file_name());
        }
        names.sort_unstable();
        for name in names {
            let (path, word) = (folder.join(&name), name.to_string_lossy());
            if word.starts_with('.') {
                continue;
            }
            // A link that leads nowhere is no runbook.
            let Ok(kind) = fs::metadata(&path) else { continue };
            let is_runbook = (word.ends_with(".yaml") || word.ends_with(".yml")) && word != FILE;
            if kind.is_dir() && !ASIDE.contains(&word.as_ref()) && depth < MAX_DEPTH {
                self.folder(&path, depth + 1)?;
            } else if kind.is_file() && is_runbook {
                self.add(&path)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path) -> Result<(), CliError> {
        if self.is_new(path) {
            self.found.push(path.to_owned());
        }
        if self.found.len() > MAX_FILES {
            return Err(CliError::invalid(format!("there are more than {MAX_FILES} YAML files"))
                .hint("name the folder of the runbooks, or keep other files out of it"));
        }
        Ok(())
    }

    fn is_new(&mut self, path: &Path) -> bool {
        self.seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()))
    }
}

/// What stands in a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Text {
    Utf8(String),
    /// Not text throughout: what can be read of it, and where it stops being text.
    Bytes {
        readable: String,
        first_bad: usize,
    },
}

/// Reads a file, one byte beyond the largest that a runbook may have: the parser says the rest.
pub fn read(path: &Path) -> Result<Text, CliError> {
    let mut bytes = Vec::new();
    let limit = MAX_FILE as u64 + 1;
    let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    read.map_err(|error| unreadable(path, &error))?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => Text::Utf8(text),
        // A character that the limit cut is no fault of the file.
        Err(error) if error.as_bytes().len() > MAX_FILE && error.utf8_error().error_len().is_none() => {
            Text::Utf8(String::from_utf8_lossy(error.as_bytes()).into_owned())
        }
        Err(error) => Text::Bytes {
            first_bad: error.utf8_error().valid_up_to(),
            readable: String::from_utf8_lossy(error.as_bytes()).into_owned(),
        },
    })
}

/// A path as it is best read: from here, where it is below.
pub fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let below = here.as_deref().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path);
    below.strip_prefix(".").unwrap_or(below).display().to_string()
}

fn unreadable(path: &Path, error: &std::io::Error) -> CliError {
    let hint = match error.kind() {
        std::io::ErrorKind::NotFound => "check the path; `runbook init` makes a first runbook",
        std::io::ErrorKind::PermissionDenied => "give this user the right to read it",
        _ => "check the path",
    };
    CliError::invalid(format!("{} could not be read: {error}", shown(path))).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    fn names(root: &Path, found: &[PathBuf]) -> Vec<String> {
        found.iter().map(|path| path.strip_prefix(root).unwrap().display().to_string()).collect()
    }

    #[test]
    fn folders_give_their_runbooks_in_order() {
        let folder = folder(&[
            "b.yaml",
            "a.yml",
            "notes.md",
            "runbook.yaml",
            ".hidden.yaml",
            ".git/c.yaml",
            "sub/d.yaml",
            "sub/cases/e.yaml",
            "cases/f.yaml",
            "manifests/g.yaml",
        ]);
        let root = folder.path();
        assert_eq!(names(root, &find(&[root.to_owned()]).unwrap()), ["a.yml", "b.yaml", "sub/d.yaml"]);
        let named = [root.join("cases/f.yaml"), root.join("notes.md"), root.join("cases/f.yaml")];
        assert_eq!(names(root, &find(&named).unwrap()), ["cases/f.yaml", "notes.md"]);
        assert_eq!(names(root, &beside(&root.join("b.yaml"))), ["a.yml", "b.yaml"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_once_and_circles_end() {
        let folder = folder(&["real/a.yaml"]);
        let root = folder.path();
        std::os::unix::fs::symlink(root, root.join("real/circle")).unwrap();
        std::os::unix::fs::symlink(root.join("real/a.yaml"), root.join("z.yaml")).unwrap();
        std::os::unix::fs::symlink(root.join("nowhere"), root.join("dead.yaml")).unwrap();
        assert_eq!(names(root, &find(&[root.to_owned()]).unwrap()), ["real/a.yaml"]);
    }

    #[test]
    fn too_many_files_are_refused() {
        let many: Vec<String> = (0..=MAX_FILES).map(|n| format!("{n}.yaml")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let folder = folder(&many);
        assert!(find(&[folder.path().to_owned()]).unwrap_err().message.contains("more than 1000"));
        assert_eq!(beside(&folder.path().join("0.yaml")), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_file_is_read_up_to_the_limit() {
        let folder = folder(&[]);
        let path = folder.path().join("large.yaml");
        fs::write(&path, "é".repeat(MAX_FILE)).unwrap();
        let Text::Utf8(text) = read(&path).unwrap() else { panic!("it is UTF-8") };
        assert!(text.len() > MAX_FILE && text.len() < MAX_FILE + 8);
        fs::write(&path, b"ab\xffcd").unwrap();
        assert!(matches!(read(&path).unwrap(), Text::Bytes { first_bad: 2, .. }));
        assert!(read(&folder.path().join("none")).unwrap_err().hint.is_some());
    }
}
