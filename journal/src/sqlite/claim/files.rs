//! A claim is a locked file of its own, which goes with it.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use runbook_core::event::RunId;

use super::super::place::{Identity, create_folder};

/// How often a holder may have left just as we came, before we give up.
const ATTEMPTS: usize = 100;

/// The claims of one journal.
#[derive(Debug)]
pub(in super::super) struct Claims {
    folder: PathBuf,
}

impl Claims {
    pub(in super::super) fn beside(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Takes the claim; `None` where someone else has it.
    pub(in super::super) fn take(&self, run: RunId) -> io::Result<Option<Claimed>> {
        take(&self.folder, &run.to_string())
    }
}

#[derive(Debug)]
pub(in super::super) struct Claimed {
    path: PathBuf,
    file: File,
}

/// `folder` is created if it is not there.
fn take(folder: &Path, name: &str) -> io::Result<Option<Claimed>> {
    create_folder(folder)?;
    let path = folder.join(name);
    for _ in 0..ATTEMPTS {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        match file.try_lock() {
            Ok(()) if is_at(&file, &path)? => return Ok(Some(Claimed { path, file })),
            // Its holder took the file away after we had opened it: what we have locked is a file
            // that nobody else will ever find.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(None)
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(found) => Ok(Identity::of(&found) == Identity::of(&file.metadata()?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

impl Drop for Claimed {
    /// The file goes while it is locked, so that nobody can hold it and lose it. It is unlocked by
    /// name, and not merely closed, because a child that is being started may have inherited it for
    /// a moment. Neither can fail in a way that matters: closing unlocks, and a file that stays is
    /// locked again by the next.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_claim_excludes_others_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db-claims");
        let (one, other) = (Claims::beside(path.clone()), Claims::beside(path.clone()));
        let run = RunId::new(Uuid::from_u128(7));
        let claimed = one.take(run).unwrap().unwrap();
        assert!(other.take(run).unwrap().is_none() && one.take(run).unwrap().is_none());
        drop(claimed);
        drop(other.take(run).unwrap().unwrap());
        assert_eq!(fs::read_dir(path).unwrap().count(), 0);
    }
}
