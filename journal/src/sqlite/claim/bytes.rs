//! A claim is a locked byte of one file, at the place that the run's id names. The file stays empty:
//! bytes beyond its end can be locked too. Locks of open file descriptions belong to whoever has opened
//! the file, not to the process, so that two journals in one process exclude each other.

use std::{
    collections::BTreeSet,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
    libc,
};
use runbook_core::event::RunId;

/// The claims of one journal.
#[derive(Debug)]
pub(in super::super) struct Claims {
    path: PathBuf,
    shared: OnceLock<Arc<Shared>>,
}

#[derive(Debug)]
struct Shared {
    file: File,
    /// A lock does not keep out whoever holds it already.
    held: Mutex<BTreeSet<RunId>>,
}

#[derive(Debug)]
pub(in super::super) struct Claimed {
    run: RunId,
    shared: Arc<Shared>,
}

impl Claims {
    pub(in super::super) fn beside(path: PathBuf) -> Self {
        Self { path, shared: OnceLock::new() }
    }

    /// Takes the claim; `None` where someone else has it.
    pub(in super::super) fn take(&self, run: RunId) -> io::Result<Option<Claimed>> {
        let shared = self.shared()?;
        let mut held = shared.held();
        if held.contains(&run) {
            return Ok(None);
        }
        match shared.set(run, libc::F_WRLCK) {
            Ok(()) => {
                held.insert(run);
                drop(held);
                Ok(Some(Claimed { run, shared }))
            }
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn shared(&self) -> io::Result<Arc<Shared>> {
        if let Some(shared) = self.shared.get() {
            return Ok(Arc::clone(shared));
        }
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(&self.path)?;
        // Of two who come at once, one has opened it in vain.
        Ok(Arc::clone(self.shared.get_or_init(|| Arc::new(Shared { file, held: Mutex::default() }))))
    }
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, BTreeSet<RunId>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, run: RunId, kind: i32) -> Result<(), Errno> {
        // The last 62 bits of an id are random: two runs share a byte about never, and would only wait
        // for each other.
        let place = run.bits() & ((1 << 62) - 1);
        let lock = libc::flock {
            l_type: kind as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: place as libc::off_t,
            l_len: 1,
            l_pid: 0,
        };
        fcntl(&self.file, FcntlArg::F_OFD_SETLK(&lock)).map(drop)
    }
}

impl Drop for Claimed {
    /// Unlocked by name, and not merely closed, because a child that is being started may have
    /// inherited the file for a moment. It cannot fail in a way that matters: closing unlocks.
    fn drop(&mut self) {
        let mut held = self.shared.held();
        let _ = self.shared.set(self.run, libc::F_UNLCK);
        held.remove(&self.run);
    }
}
