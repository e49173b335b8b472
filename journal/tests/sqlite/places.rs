//! Small disks, and folders that nobody can write. Root, who may write everything, needs mounts for
//! that; where they are not to be had, the test says so and passes.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Undone when it is dropped.
#[derive(Debug)]
pub enum Place {
    Mounted(PathBuf),
    Immutable(PathBuf),
    Mode(PathBuf, u32),
}

impl Drop for Place {
    fn drop(&mut self) {
        match self {
            Self::Mounted(path) => drop(succeeds("umount", &["-l".as_ref(), path.as_ref()])),
            Self::Immutable(path) => drop(succeeds("chattr", &["-i".as_ref(), path.as_ref()])),
            Self::Mode(path, mode) => {
                fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
            }
        }
    }
}

/// A disk of that size at a folder.
pub fn small_disk(folder: &Path, size: &str) -> Option<Place> {
    let options = format!("size={size}");
    let args: [&Path; 6] =
        ["-t".as_ref(), "tmpfs".as_ref(), "-o".as_ref(), options.as_ref(), "tmpfs".as_ref(), folder];
    if succeeds("mount", &args) {
        return Some(Place::Mounted(folder.to_owned()));
    }
    eprintln!("skipped: a tmpfs cannot be mounted here");
    None
}

/// Makes a folder, and all that is in it, read-only.
pub fn frozen_folder(folder: &Path) -> Option<Place> {
    if !is_root() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            fs::set_permissions(path, fs::Permissions::from_mode(0o444)).unwrap();
        }
        return Some(mode(folder, 0o555));
    }
    let mounted = succeeds("mount", &["--bind".as_ref(), folder, folder]);
    let place = mounted.then(|| Place::Mounted(folder.to_owned()));
    if place.is_some() && succeeds("mount", &["-o".as_ref(), "remount,bind,ro".as_ref(), folder]) {
        return place;
    }
    eprintln!("skipped: a folder cannot be mounted read-only here, and root may write all others");
    None
}

/// Makes a single file read-only, in a folder that is not.
pub fn frozen_file(file: &Path) -> Option<Place> {
    if !is_root() {
        return Some(mode(file, 0o444));
    }
    if succeeds("chattr", &["+i".as_ref(), file]) {
        return Some(Place::Immutable(file.to_owned()));
    }
    eprintln!("skipped: a file cannot be made immutable here, and root may write all others");
    None
}

fn mode(path: &Path, mode: u32) -> Place {
    let before = fs::metadata(path).unwrap().mode();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    Place::Mode(path.to_owned(), before)
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn succeeds(program: &str, args: &[&Path]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
