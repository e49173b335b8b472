//! The files of a database: who may write them, and whether they are still the ones that were opened.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rustix::fs::{Access, access, statvfs};

/// Where a database is. The path is absolute, so that no name is taken for a URI or for memory.
#[derive(Debug, Clone)]
pub(super) struct Place(PathBuf);

/// What tells one file from another that has the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

impl Identity {
    pub(super) fn of(metadata: &fs::Metadata) -> Self {
        Self(metadata.dev(), metadata.ino())
    }
}

impl Place {
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        std::path::absolute(path).map(Self)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = OsString::from(&self.0);
        name.push(suffix);
        PathBuf::from(name)
    }

    fn folder(&self) -> &Path {
        self.0.parent().unwrap_or(Path::new("/"))
    }

    /// Sees to it that the file is there, for its owner's eyes only if it is new.
    ///
    /// A file that is there already is not opened: closing it would end the locks that SQLite holds
    /// on it anywhere in this process. For the same reason one thread at a time may do this.
    pub(super) fn create(&self) -> io::Result<()> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        if self.0.exists() {
            return Ok(());
        }
        create_folder(self.folder())?;
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether this user may write the database: the file, and the log that SQLite keeps beside it.
    pub(super) fn writable(&self) -> bool {
        let may = |path: &Path| access(path, Access::WRITE_OK).is_ok();
        may(&self.0) && (may(self.folder()) || (may(&self.beside("-wal")) && may(&self.beside("-shm"))))
    }

    /// How SQLite is told to read the file as it is, without a look at anything beside it.
    pub(super) fn immutable_uri(&self) -> String {
        let mut uri = String::from("file:");
        for byte in self.0.as_os_str().as_bytes() {
            match byte {
                b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                    uri.push(char::from(*byte))
                }
                other => uri.push_str(&format!("%{other:02X}")),
            }
        }
        uri + "?immutable=1"
    }

    /// Whether entries may lie in the log that are not in the main file yet.
    pub(super) fn has_log(&self) -> bool {
        fs::metadata(self.beside("-wal")).is_ok_and(|log| log.len() > 0)
    }

    /// SQLite blames the disk where it meets a folder or a device.
    pub(super) fn expect_file(&self) -> io::Result<()> {
        let is_file = fs::metadata(&self.0)?.is_file();
        if is_file { Ok(()) } else { Err(io::Error::other("it is not a file")) }
    }

    pub(super) fn identity(&self) -> io::Result<Identity> {
        fs::metadata(&self.0).map(|metadata| Identity::of(&metadata))
    }

    /// Whether so little space is left that this may be why a write failed; SQLite does not always say.
    pub(super) fn is_full(&self) -> bool {
        const LITTLE: u64 = 256 * 1024;
        statvfs(self.folder()).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < LITTLE)
    }
}

/// Creates a folder and those above it, for their owner's eyes only, and puts the new names on disk.
pub(super) fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent();
    if let Some(above) = above {
        create_folder(above)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    // A folder that may be entered but not listed cannot be opened, and so not synced.
    above.and_then(|above| File::open(above).ok()).map_or(Ok(()), |above| above.sync_all())
}
