//! Where a state is kept: in memory, or in a file that several processes share.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::error::WorldError;
use crate::scenario::Scenario;
use crate::state::{State, VERSION};

/// A state that has grown beyond this is not read.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Another process holds the lock only while it writes one file.
const LOCK_ATTEMPTS: u32 = 1_000;
const LOCK_PAUSE: Duration = Duration::from_millis(5);
/// Between two marks that somebody has looked, in real time.
const MARK_EVERY: SignedDuration = SignedDuration::from_secs(1);

/// Keeps one state. Reading never waits for a writer; writers take turns, also across processes.
#[derive(Debug)]
pub(crate) struct Store {
    place: Place,
    /// The last bytes that were read, with what they mean: unchanged files are not parsed again.
    cached: Mutex<Option<(Vec<u8>, Arc<State>)>>,
    /// Writers of this process; the file lock is for those of others.
    writing: Mutex<()>,
    /// When this process last left the mark that it looked.
    marked: Mutex<Option<Timestamp>>,
}

#[derive(Debug)]
enum Place {
    Memory(Mutex<Arc<State>>),
    File { path: PathBuf, lock: PathBuf },
}

impl Store {
    pub fn in_memory(state: State) -> Self {
        Self::new(Place::Memory(Mutex::new(Arc::new(state))))
    }

    /// Opens the state of a scenario below a directory, making both where they are missing.
    pub fn in_directory(directory: &Path, scenario: &str) -> Result<Self, WorldError> {
        let wrong =
            |source| WorldError::State { what: "make a place for", path: directory.to_owned(), source };
        fs::create_dir_all(directory).map_err(wrong)?;
        let (path, lock) = paths(directory, scenario);
        Ok(Self::new(Place::File { path, lock }))
    }

    fn new(place: Place) -> Self {
        Self { place, cached: Mutex::new(None), writing: Mutex::new(()), marked: Mutex::new(None) }
    }

    /// When somebody last looked at a state that several processes share, as far as is known. One in
    /// memory goes with its process and is not asked about.
    pub fn last_seen(&self) -> Option<Timestamp> {
        let Place::File { path, .. } = &self.place else { return None };
        let modified = |path: PathBuf| fs::metadata(path).and_then(|metadata| metadata.modified());
        Some(
            modified(seen(path))
                .ok()
                .and_then(|at| Timestamp::try_from(at).ok())
                .unwrap_or(Timestamp::UNIX_EPOCH),
        )
    }

    /// Leaves the mark that somebody has looked: the time of a file with nothing in it.
    pub fn saw(&self, now: Timestamp) {
        let Place::File { path, .. } = &self.place else { return };
        let mut marked = self.marked.lock().unwrap_or_else(PoisonError::into_inner);
        if marked.is_some_and(|at| now.duration_since(at) < MARK_EVERY) {
            return;
        }
        let mark = OpenOptions::new().create(true).truncate(false).write(true).open(seen(path));
        match mark.and_then(|file| file.set_modified(now.into())) {
            Ok(()) => *marked = Some(now),
            // Without the mark the world only ages less.
            Err(error) => tracing::debug!(%error, "the simulated world cannot note when it was seen"),
        }
    }

    /// The present state; `seed` makes the first one.
    pub fn read(&self, scenario: &Scenario, seed: impl FnOnce() -> State) -> Result<Arc<State>, WorldError> {
        match &self.place {
            Place::Memory(state) => Ok(Arc::clone(&state.lock().unwrap_or_else(PoisonError::into_inner))),
            Place::File { path, .. } => match self.load(path, scenario)? {
                Some(state) => Ok(state),
                None => self.write(scenario, seed, |state| Ok(Arc::new(state.clone()))),
            },
        }
    }

    /// Changes the state as a whole or, where `change` refuses, not at all.
    pub fn write<T, E: From<WorldError>>(
        &self,
        scenario: &Scenario,
        seed: impl FnOnce() -> State,
        change: impl FnOnce(&mut State) -> Result<T, E>,
    ) -> Result<T, E> {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.place {
            Place::Memory(place) => {
                let mut state = State::clone(&place.lock().unwrap_or_else(PoisonError::into_inner));
                let result = change(&mut state)?;
                *place.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
                Ok(result)
            }
            Place::File { path, lock } => {
                let _lock = take(lock)?;
                let mut state = match self.load(path, scenario)? {
                    Some(state) => State::clone(&state),
                    None => seed(),
                };
                let result = change(&mut state)?;
                save(path, &state)?;
                Ok(result)
            }
        }
    }

    fn load(&self, path: &Path, scenario: &Scenario) -> Result<Option<Arc<State>>, WorldError> {
        let wrong = |source| WorldError::State { what: "read", path: path.to_owned(), source };
        let bytes = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wrong(error)),
            Ok(metadata) if metadata.len() > MAX_BYTES => {
                return Err(corrupt(path, scenario, "it is too large"));
            }
            Ok(_) => match fs::read(path) {
                // It was reset between the two calls.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                other => other.map_err(wrong)?,
            },
        };
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, state)) = &*cached
            && *known == bytes
        {
            return Ok(Some(Arc::clone(state)));
        }
        let state = Arc::new(parse(path, scenario, &bytes)?);
        *cached = Some((bytes, Arc::clone(&state)));
        Ok(Some(state))
    }
}

/// Removes the state of a scenario; the next one who looks makes a new one.
pub(crate) fn reset(directory: &Path, scenario: &str) -> Result<(), WorldError> {
    if !directory.exists() {
        return Ok(());
    }
    let (path, lock) = paths(directory, scenario);
    let _lock = take(&lock)?;
    match fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(WorldError::State { what: "remove", path, source })
        }
        _ => Ok(()),
    }
}

fn seen(path: &Path) -> PathBuf {
    path.with_extension("seen")
}

fn paths(directory: &Path, scenario: &str) -> (PathBuf, PathBuf) {
    (directory.join(format!("{scenario}.json")), directory.join(format!("{scenario}.lock")))
}

fn parse(path: &Path, scenario: &Scenario, bytes: &[u8]) -> Result<State, WorldError> {
    // The version is read alone first: a newer state may have fields that this version lacks.
    #[derive(Deserialize)]
    struct Head {
        version: u32,
        scenario: String,
        digest: String,
    }
    let head: Head =
        serde_json::from_slice(bytes).map_err(|error| corrupt(path, scenario, &error.to_string()))?;
    if head.version != VERSION || head.digest != scenario.digest {
        return Err(WorldError::Version { path: path.to_owned(), scenario: scenario.name.clone() });
    }
    if head.scenario != scenario.name {
        return Err(corrupt(path, scenario, &format!("it belongs to the scenario `{}`", head.scenario)));
    }
    serde_json::from_slice(bytes).map_err(|error| corrupt(path, scenario, &error.to_string()))
}

fn corrupt(path: &Path, scenario: &Scenario, reason: &str) -> WorldError {
    WorldError::Corrupt { path: path.to_owned(), scenario: scenario.name.clone(), reason: reason.to_owned() }
}

/// Takes the lock that all processes share; it is let go when the file is closed, also by a kill.
fn take(path: &Path) -> Result<File, WorldError> {
    let wrong = |source| WorldError::State { what: "lock", path: path.to_owned(), source };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(wrong)?;
    for _ in 0..LOCK_ATTEMPTS {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(fs::TryLockError::Error(source)) => return Err(wrong(source)),
        }
    }
    Err(WorldError::Locked { path: path.to_owned() })
}

/// Replaces the file in one step: who reads sees the old state or the new one, never a part.
fn save(path: &Path, state: &State) -> Result<(), WorldError> {
    let wrong = |source| WorldError::State { what: "write", path: path.to_owned(), source };
    let bytes = serde_json::to_vec(state).map_err(|error| wrong(io::Error::other(error)))?;
    let fresh = path.with_extension("json.new");
    let mut file = File::create(&fresh).map_err(wrong)?;
    file.write_all(&bytes).and_then(|()| file.sync_data()).map_err(wrong)?;
    fs::rename(&fresh, path).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{scenario, seed};

    fn fixture() -> (Scenario, tempfile::TempDir, Store) {
        let scenario = scenario::load("high-latency").unwrap();
        let directory = tempfile::tempdir().unwrap();
        let store = Store::in_directory(&directory.path().join("world"), "high-latency").unwrap();
        (scenario, directory, store)
    }

    fn new_state(scenario: &Scenario) -> State {
        seed::state(scenario, "2026-11-21T10:00:00Z".parse().unwrap(), 60)
    }

    fn file(directory: &tempfile::TempDir) -> PathBuf {
        directory.path().join("world/high-latency.json")
    }

    #[test]
    fn a_refused_change_leaves_no_trace() {
        let (scenario, directory, store) = fixture();
        store.read(&scenario, || new_state(&scenario)).unwrap();
        let before = fs::read(file(&directory)).unwrap();
        let refused = store.write(
            &scenario,
            || new_state(&scenario),
            |state| {
                state.counter += 1;
                Err::<(), _>(WorldError::Locked { path: PathBuf::new() })
            },
        );
        assert!(refused.is_err());
        assert_eq!(fs::read(file(&directory)).unwrap(), before);
    }

    #[test]
    fn two_stores_on_one_directory_take_turns() {
        let (scenario, directory, store) = fixture();
        store.read(&scenario, || new_state(&scenario)).unwrap();
        let start = store.read(&scenario, || new_state(&scenario)).unwrap().counter;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mine = Store::in_directory(&directory.path().join("world"), "high-latency").unwrap();
                    for _ in 0..5 {
                        mine.write(
                            &scenario,
                            || new_state(&scenario),
                            |state| {
                                state.counter += 1;
                                Ok::<_, WorldError>(())
                            },
                        )
                        .unwrap();
                    }
                });
            }
        });
        assert_eq!(store.read(&scenario, || new_state(&scenario)).unwrap().counter, start + 20);
    }

    #[test]
    fn a_state_that_cannot_be_read_names_the_way_out() {
        let (scenario, directory, store) = fixture();
        let state = new_state(&scenario);
        let mut newer = serde_json::to_value(&state).unwrap();
        newer["version"] = 99.into();
        newer["new_field"] = true.into();
        let mut other = serde_json::to_value(&state).unwrap();
        other["digest"] = "of another text".into();
        for (bytes, told) in [
            ("{".to_owned(), "cannot be read"),
            ("[]".to_owned(), "cannot be read"),
            (newer.to_string(), "another version"),
            (other.to_string(), "another version"),
        ] {
            fs::write(file(&directory), &bytes).unwrap();
            let error = store.read(&scenario, || new_state(&scenario)).unwrap_err().to_string();
            assert!(error.contains(told) && error.contains("runbook world high-latency --reset"), "{error}");
        }
        reset(&directory.path().join("world"), "high-latency").unwrap();
        assert!(store.read(&scenario, || new_state(&scenario)).is_ok());
    }
}
