//! The right to drive a run: an operating system lock on a file, which ends with the process however
//! that ends.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::place::{Identity, create_folder};

/// How often a holder may have left just as we came, before we give up.
const ATTEMPTS: usize = 100;

#[derive(Debug)]
pub(super) struct Claimed {
    path: PathBuf,
    file: File,
}

/// Takes the claim; `None` where someone else has it. `folder` is created if it is not there.
pub(super) fn take(folder: &Path, name: &str) -> io::Result<Option<Claimed>> {
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
