//! The packages that are kept, and what was done with them: a folder of root's with a file for each version, a lock and a
//! state.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    UpgradeFault,
    dpkg::{self, Deb, Version},
};
use crate::data::{failed, private_folder, read_state, write_state};

/// How often, and after which pauses, the lock is tried. The watch holds it for an instant when it looks.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// What is remembered between two commands.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct State {
    /// What a rollback goes back to.
    pub(super) previous: Option<Previous>,
    /// What has begun. It stays after a power cut.
    pub(super) begun: Option<Begun>,
}

/// The version before, and the host as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Previous {
    pub(super) version: Version,
    pub(super) replaced_by: Version,
    /// The backup that was made before the upgrade.
    pub(super) backup: PathBuf,
    /// When it was made, RFC 3339.
    pub(super) backup_of: String,
    /// The table's schema then, which that version reads.
    pub(super) table_schema: String,
    /// What `/readyz` named then.
    pub(super) failing: BTreeSet<String>,
}

/// Something that has begun and not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Begun {
    Upgrade,
    Rollback,
}

/// The folder, locked until the value is dropped.
#[derive(Debug)]
pub(super) struct Packages {
    dir: PathBuf,
    pub(super) state: State,
    _lock: File,
}

impl Packages {
    pub(super) fn take(dir: &Path) -> Result<Self, UpgradeFault> {
        private_folder(dir)?;
        let dir = dir.canonicalize().map_err(failed(dir, "read"))?;
        let file = lock_file(&dir);
        let lock = File::options().create(true).truncate(false).write(true).open(&file);
        let lock = lock.map_err(failed(&file, "written"))?;
        for _ in 0..TRIES {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { state: read_state(&state_file(&dir)), dir, _lock: lock }),
                Err(fs::TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
                Err(fs::TryLockError::Error(cause)) => return Err(failed(&file, "locked")(cause).into()),
            }
        }
        Err(UpgradeFault::Busy)
    }

    /// Remembers the state before the next step.
    pub(super) fn remember(&self) -> Result<(), UpgradeFault> {
        Ok(write_state(&state_file(&self.dir), &self.state)?)
    }

    /// The file of a version.
    pub(super) fn file(&self, version: &Version) -> PathBuf {
        self.dir.join(format!("{version}.deb"))
    }

    /// The kept package of a version.
    pub(super) fn kept(&self, version: &Version) -> Option<Deb> {
        dpkg::describe(&self.file(version)).ok().filter(|deb| deb.version == *version)
    }

    /// Copies a package into the folder.
    pub(super) fn keep(&self, deb: &Deb) -> Result<Deb, UpgradeFault> {
        let (file, fresh) = (self.file(&deb.version), self.dir.join("deb.new"));
        if file != deb.file {
            let copied = fs::copy(&deb.file, &fresh).and_then(|_| File::open(&fresh)?.sync_all());
            copied.and_then(|()| fs::rename(&fresh, &file)).map_err(failed(&file, "written"))?;
        }
        Ok(Deb { file, version: deb.version.clone() })
    }

    /// The package of the installed version: the file that the operator names, or the kept one. It is never made again from
    /// the installed files: such a package has the operator's configuration files as its defaults, and the next upgrade would
    /// replace them, because nothing seems to have been changed here.
    pub(super) fn present(&self, installed: &Version, named: Option<&Path>) -> Result<Deb, UpgradeFault> {
        if let Some(named) = named {
            let deb = dpkg::describe(named)?;
            return if deb.version == *installed {
                self.keep(&deb)
            } else {
                Err(UpgradeFault::OtherVersion(deb.file, deb.version, installed.clone()))
            };
        }
        self.kept(installed).ok_or_else(|| UpgradeFault::PresentMissing(installed.clone()))
    }

    /// A new empty folder, which is deleted when the value is dropped.
    pub(super) fn scratch(&self) -> Result<Scratch, UpgradeFault> {
        let path = self.dir.join("scratch");
        let _left_by_one_that_was_killed = fs::remove_dir_all(&path);
        DirBuilder::new().mode(0o700).create(&path).map_err(failed(&path, "made"))?;
        Ok(Scratch(path))
    }

    /// Deletes the packages of other versions.
    pub(super) fn forget_all_but(&self, versions: &[&Version]) {
        let kept: Vec<PathBuf> = versions.iter().map(|version| self.file(version)).collect();
        let files = fs::read_dir(&self.dir).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_old = |file: &PathBuf| file.extension().is_some_and(|kind| kind == "deb") && !kept.contains(file);
        for file in files.filter(is_old) {
            let _takes_space_only = fs::remove_file(file);
        }
    }
}

/// A folder for one step.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _best_effort = fs::remove_dir_all(&self.0);
    }
}

fn lock_file(dir: &Path) -> PathBuf {
    dir.join("lock")
}

fn state_file(dir: &Path) -> PathBuf {
    dir.join("state.json")
}

/// Whether an upgrade or a rollback runs now.
pub fn is_running(dir: &Path) -> bool {
    File::open(lock_file(dir)).is_ok_and(|lock| lock.try_lock_shared().is_err())
}

/// What was interrupted, in one phrase: it has begun, and no process goes on with it.
pub fn interrupted(dir: &Path) -> Option<String> {
    let state: State = read_state(&state_file(dir));
    let previous = state.previous?;
    let begun = match state.begun? {
        Begun::Upgrade => format!("an upgrade to {}", previous.replaced_by),
        Begun::Rollback => format!("a rollback to {}", previous.version),
    };
    (!is_running(dir)).then(|| format!("{begun} was interrupted"))
}
