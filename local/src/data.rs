//! Where files are kept: in the checkout's `.local` by default. A data directory belongs to one process at a time.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// The name of the table's SQLite file.
pub const TABLE_FILE: &str = "table.db";

/// A directory or file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The current directory is in no checkout.
    #[error("this must run inside a checkout of the project: scripts/openclaw-gateway.mjs is nowhere above {0}")]
    NoCheckout(PathBuf),
    /// Another process holds the lock.
    #[error("the data directory {0} is in use by another process; stop it, or choose another one with --data")]
    InUse(PathBuf),
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

/// Makes a conversion of an I/O error into an error that names the path.
pub fn failed(path: &Path, done: &'static str) -> impl FnOnce(std::io::Error) -> DataError {
    let path = path.to_owned();
    move |cause| DataError::Io { path, done, cause }
}

/// The root of the checkout that the current directory is in.
pub fn checkout() -> Result<PathBuf, DataError> {
    let here = std::env::current_dir().map_err(failed(Path::new("."), "read"))?;
    let is_root = |directory: &&Path| directory.join("scripts/openclaw-gateway.mjs").is_file();
    here.ancestors().find(is_root).map(Path::to_owned).ok_or(DataError::NoCheckout(here))
}

/// A data directory that this process locks until it drops the value.
#[derive(Debug)]
pub struct DataDir {
    /// Absolute path.
    pub path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory if it is missing, and locks it.
    pub fn take(path: &Path) -> Result<Self, DataError> {
        // New files are readable by their owner only; an existing directory keeps its mode.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed(path, "made"))?;
        let path = path.canonicalize().map_err(failed(path, "read"))?;
        let lock = path.join("lock");
        let file =
            File::options().create(true).truncate(false).write(true).open(&lock).map_err(failed(&lock, "written"))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path, _lock: file }),
            Err(fs::TryLockError::WouldBlock) => Err(DataError::InUse(path)),
            Err(fs::TryLockError::Error(cause)) => Err(failed(&lock, "locked")(cause)),
        }
    }

    /// Whether the directory has never held a service. Secrets and exported checkpoints count too: if only the table is
    /// missing, it was lost or moved, and a new one must not replace it.
    pub fn is_new(&self) -> bool {
        [self.table_file(), self.secrets_file(), self.checkpoints()].iter().all(|kept| !kept.exists())
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
