//! Where files are kept: in the checkout's `.local` by default. A data directory belongs to one process at a time.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use domain::ids::Timestamp;
use rustix::fs::OFlags;
use serde::{Serialize, de::DeserializeOwned};

/// The name of the table's SQLite file.
pub const TABLE_FILE: &str = "table.db";
/// The name of the lock.
const LOCK: &str = "lock";
/// The most bytes of a lock that are read: a process id and a URL are in it.
const MAX_LOCK_BYTES: u64 = 4096;
/// The marker of a restore that moves files.
const RESTORING: &str = "restoring";
/// The mark of an export.
const EXPORTED: &str = "exported";
/// What a restore writes into its lock.
const RESTORE: &str = "restore";

/// A directory or file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The current directory is in no checkout.
    #[error("this must run inside a checkout of the project: no directory above {0} has scripts/openclaw/gateway.mjs")]
    NoCheckout(PathBuf),
    /// Another process holds the lock.
    #[error("the data directory {0} is in use by another process; stop it, or choose another one with --data")]
    InUse(PathBuf),
    /// A restore has moved the old state aside and has not finished.
    #[error("the restore of a backup into {0} was interrupted: run `restore` again")]
    Restoring(PathBuf),
    /// Another service may have the exported users and jobs.
    #[error(
        "the data directory {0} was exported: a request that reaches this service and the one with the export would run \
         twice; if the export is not used, delete the file `exported` in it"
    )]
    Exported(PathBuf),
    /// Any other I/O error.
    #[error("{path} cannot be {done}: {cause}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// `read`, `written` and the like.
        done: &'static str,
        /// The error of the operating system.
        cause: std::io::Error,
    },
}

/// Makes a folder that only its owner may read, and those above it that do not exist. An existing folder keeps its mode.
pub fn private_folder(path: &Path) -> Result<(), DataError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed(path, "made"))
}

/// Makes a conversion of an I/O error into an error that names the path.
pub fn failed(path: &Path, done: &'static str) -> impl FnOnce(std::io::Error) -> DataError {
    let path = path.to_owned();
    move |cause| DataError::Io { path, done, cause }
}

/// The root of the checkout that the current directory is in.
pub fn checkout() -> Result<PathBuf, DataError> {
    let here = std::env::current_dir().map_err(failed(Path::new("."), "read"))?;
    let is_root = |directory: &&Path| directory.join("scripts/openclaw/gateway.mjs").is_file();
    here.ancestors().find(is_root).map(Path::to_owned).ok_or(DataError::NoCheckout(here))
}

/// A data directory that this process locks until it drops the value.
#[derive(Debug)]
pub struct DataDir {
    /// Absolute path.
    pub path: PathBuf,
    lock: File,
}

/// A service that holds a data directory, and reads its files again when it is signalled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningService {
    /// Its process.
    pub process: u32,
    /// Its URL on loopback.
    pub base_url: String,
}

impl RunningService {
    /// Finds it by what it has written into its lock. `None` if no such service runs.
    pub fn of(data: &Path) -> Result<Option<Self>, DataError> {
        let lock = data.join(LOCK);
        let file = match open_lock(&lock, File::options().read(true)) {
            Ok(file) => file,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(failed(&lock, "read")(cause)),
        };
        // The process id of a process that has ended may belong to another one now.
        if file.try_lock_shared().is_ok() {
            return Ok(None);
        }
        let text = lock_text(file).map_err(failed(&lock, "read"))?;
        let found = text.split_once(' ').and_then(|(process, url)| Some((process.parse().ok()?, url.trim())));
        Ok(found.map(|(process, base_url)| Self { process, base_url: base_url.to_owned() }))
    }
}

impl DataDir {
    /// Makes the directory if it is missing, and locks it. Refused after an export, and after an interrupted restore:
    /// with some of its files the directory could look like a new one.
    pub fn take(path: &Path) -> Result<Self, DataError> {
        let taken = Self::take_for_export(path)?;
        if taken.exported().exists() { Err(DataError::Exported(taken.path.clone())) } else { Ok(taken) }
    }

    /// The same, also after an export.
    pub fn take_for_export(path: &Path) -> Result<Self, DataError> {
        let taken = Self::lock(path)?;
        if taken.restoring().exists() { Err(DataError::Restoring(taken.path.clone())) } else { Ok(taken) }
    }

    /// The same, also after an interrupted restore. [`is_restoring`] finds it until the value is dropped.
    pub fn take_for_restore(path: &Path) -> Result<Self, DataError> {
        let taken = Self::lock(path)?;
        (&taken.lock).write_all(RESTORE.as_bytes()).map_err(failed(&taken.path, "written"))?;
        Ok(taken)
    }

    fn lock(path: &Path) -> Result<Self, DataError> {
        // New files are readable by their owner only; an existing directory keeps its mode.
        private_folder(path)?;
        let path = path.canonicalize().map_err(failed(path, "read"))?;
        let lock = path.join(LOCK);
        let file = open_lock(&lock, File::options().create(true).truncate(false).write(true))
            .map_err(failed(&lock, "used as a lock"))?;
        match file.try_lock() {
            Ok(()) => {
                // Content of an earlier process.
                file.set_len(0).map_err(failed(&lock, "written"))?;
                Ok(Self { path, lock: file })
            }
            Err(fs::TryLockError::WouldBlock) => Err(DataError::InUse(path)),
            Err(fs::TryLockError::Error(cause)) => Err(failed(&lock, "locked")(cause)),
        }
    }

    /// Writes into the lock that this process reads its files again on SIGHUP: any other process would end.
    pub fn accept_reloads(&self, base_url: &str) -> Result<(), DataError> {
        let text = format!("{} {base_url}\n", std::process::id());
        (&self.lock).write_all(text.as_bytes()).map_err(failed(&self.path, "written"))
    }

    /// Whether the directory has never held a service. Secrets and exported checkpoints count too: if only the table is
    /// missing, it was lost or moved, and a new one must not replace it.
    pub fn is_new(&self) -> bool {
        [self.table_file(), self.secrets_file(), self.checkpoints()].iter().all(|kept| !kept.exists())
    }

    /// The marker of a restore that moves files.
    pub fn restoring(&self) -> PathBuf {
        self.path.join(RESTORING)
    }

    /// The mark of an export.
    pub fn exported(&self) -> PathBuf {
        self.path.join(EXPORTED)
    }

    /// The directory of exported audit checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// The table's SQLite file.
    pub fn table_file(&self) -> PathBuf {
        self.path.join(TABLE_FILE)
    }

    /// The secrets document.
    pub fn secrets_file(&self) -> PathBuf {
        self.path.join("secrets.json")
    }
}

/// Whether a restore into this data directory runs, or was interrupted and has to be run again.
pub fn is_restoring(data: &Path) -> bool {
    if data.join(RESTORING).exists() {
        return true;
    }
    let Ok(file) = open_lock(&data.join(LOCK), File::options().read(true)) else { return false };
    // The lock is tried only when a restore was the last to take it: a service that starts in that moment would be refused.
    lock_text(&file).is_ok_and(|text| text.trim() == RESTORE) && file.try_lock_shared().is_err()
}

/// Opens a lock. The service's user owns the directory, and root opens the lock, too: through a link it would empty, lock
/// or read another file, and a named pipe would keep it waiting.
fn open_lock(lock: &Path, options: &mut OpenOptions) -> std::io::Result<File> {
    let unfollowed = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = options.custom_flags(unfollowed.bits().cast_signed()).open(lock)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(std::io::Error::other("it is no regular file")),
    }
}

/// What the last process has written into its lock.
fn lock_text(lock: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    lock.take(MAX_LOCK_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Makes an SQLite file, if it is missing, and makes it and SQLite's side files readable by their owner only. SQLite
/// gives files that it makes later the mode of this one.
pub fn keep_table_private(table: &Path) -> Result<(), DataError> {
    File::options().create(true).append(true).mode(0o600).open(table).map_err(failed(table, "written"))?;
    for suffix in ["", "-wal", "-shm"] {
        let mut name = table.as_os_str().to_owned();
        name.push(suffix);
        let file = PathBuf::from(name);
        let shared = match fs::metadata(&file) {
            Ok(metadata) => metadata.permissions().mode() & 0o077 != 0,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => false,
            Err(cause) => return Err(failed(&file, "read")(cause)),
        };
        if shared {
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).map_err(failed(&file, "made private"))?;
        }
    }
    Ok(())
}

/// Reads the state that an earlier process has stored with [`write_state`]; the default if the file cannot be read.
pub fn read_state<T: Default + DeserializeOwned>(file: &Path) -> T {
    domain::json::kept(fs::read_to_string(file).unwrap_or_default()).unwrap_or_default()
}

/// Replaces the stored state.
pub fn write_state(file: &Path, state: &impl Serialize) -> Result<(), DataError> {
    write_private(file, serde_json::json!(state).to_string().as_bytes())
}

/// A time of a file; `None` if it is before 1970, or too far ahead to be one.
pub fn timestamp(at: SystemTime) -> Option<Timestamp> {
    let since_1970 = at.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since_1970.as_millis()).ok().map(Timestamp::from_millis)
}

/// Replaces a file atomically, readable by its owner only.
pub fn write_private(path: &Path, contents: &[u8]) -> Result<(), DataError> {
    let fresh = path.with_extension("new");
    let write = || {
        // A file left by a crash would keep its mode.
        let _ = fs::remove_file(&fresh);
        let mut file = File::options().create_new(true).write(true).mode(0o600).open(&fresh)?;
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().map_err(failed(path, "written"))
}

impl Drop for DataDir {
    /// Closing the file would not end the lock while a child process, which this one is starting at that moment, still
    /// has a copy of it.
    fn drop(&mut self) {
        let _closing_ends_it = self.lock.unlock();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_lock_that_is_a_link_is_refused_and_the_file_behind_it_stays() {
        let dir = std::env::temp_dir().join(format!("miniprogram-linked-lock-{}", std::process::id()));
        let _left_by_a_crash = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let victim = dir.join("victim");
        fs::write(&victim, "kept").unwrap();
        symlink(&victim, dir.join("lock")).unwrap();
        assert!(matches!(DataDir::take_for_restore(&dir), Err(DataError::Io { .. })));
        assert_eq!(fs::read_to_string(&victim).unwrap(), "kept");
        fs::remove_file(dir.join("lock")).unwrap();
        DataDir::take(&dir).unwrap();
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_lock_ends_with_its_value_while_a_child_process_has_a_copy_of_the_file() {
        let dir = std::env::temp_dir().join(format!("miniprogram-copied-lock-{}", std::process::id()));
        let _left_by_a_crash = fs::remove_dir_all(&dir);
        let taken = DataDir::take(&dir).unwrap();
        let _copy = taken.lock.try_clone().unwrap();
        assert!(matches!(DataDir::take(&dir), Err(DataError::InUse(_))));
        drop(taken);
        DataDir::take(&dir).unwrap();
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_lock_that_is_a_link_or_a_pipe_names_no_service_and_no_restore() {
        let dir = std::env::temp_dir().join(format!("miniprogram-read-lock-{}", std::process::id()));
        let _left_by_a_crash = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let (elsewhere, lock) = (dir.join("elsewhere"), dir.join("lock"));
        let holder = File::create(&elsewhere).unwrap();
        holder.lock().unwrap();
        for text in [RESTORE, "1 http://127.0.0.1:8787\n"] {
            fs::write(&elsewhere, text).unwrap();
            symlink(&elsewhere, &lock).unwrap();
            assert!(!is_restoring(&dir), "{text}");
            assert!(matches!(RunningService::of(&dir), Err(DataError::Io { .. })), "{text}");
            fs::remove_file(&lock).unwrap();
            // The same content counts in a lock of its own.
            fs::hard_link(&elsewhere, &lock).unwrap();
            assert_eq!(is_restoring(&dir), text == RESTORE, "{text}");
            assert_eq!(RunningService::of(&dir).unwrap().is_some(), text != RESTORE, "{text}");
            fs::remove_file(&lock).unwrap();
        }
        // A reader of a pipe would wait for its writer.
        let made = std::process::Command::new("mkfifo").arg(&lock).status().unwrap();
        assert!(made.success() && !is_restoring(&dir) && RunningService::of(&dir).is_err());
        fs::remove_dir_all(dir).unwrap();
    }
}
