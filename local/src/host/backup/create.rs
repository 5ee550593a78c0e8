//! Makes, lists and verifies backups.

use std::{
    fs::{self, DirBuilder, File},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use domain::ids::Timestamp;

use super::{
    BackupFault, BackupSettings,
    archive::{self, Writer},
    manifest::{self, Manifest},
    retention, sqlite,
};
use crate::{
    data::{TABLE_FILE, failed, private_folder},
    disk::{self, MIB},
    host::config_file::ConfigFile,
};

/// Files beside the table that a backup has, if they are there: the secrets document and the operators' key.
pub(super) const BESIDE: [&str; 3] = ["secrets.json", "operators.json", "operators.jwks.json"];

/// What is backed up.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The data directory.
    pub data: PathBuf,
    /// The configuration file.
    pub config_file: Option<PathBuf>,
    /// The policy folder.
    pub policy_dir: Option<PathBuf>,
    /// The folder of the unit's credentials.
    pub credentials: Option<PathBuf>,
}

impl Sources {
    /// Those of a configured host.
    pub fn of(config_file: &Path, config: &ConfigFile) -> Self {
        Self {
            data: config.data.clone(),
            config_file: Some(config_file.to_owned()),
            policy_dir: config.policy_dir.clone(),
            credentials: Some(credentials_beside(config_file)),
        }
    }
}

/// The folder of the unit's credentials.
pub fn credentials_beside(config_file: &Path) -> PathBuf {
    config_file.with_file_name("secrets")
}

/// A new backup.
#[derive(Debug)]
pub struct Created {
    /// Its file.
    pub file: PathBuf,
    /// What it contains.
    pub manifest: Manifest,
}

/// A backup in the directory.
#[derive(Debug)]
pub struct Listed {
    /// Its file.
    pub file: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// What it says that it contains.
    pub manifest: Result<Manifest, BackupFault>,
}

/// One backup that is being made. Dropping it removes what is left of the attempt.
struct Backup {
    staging: PathBuf,
    // Locked: a second backup at the same time is refused.
    _lock: File,
}

impl Drop for Backup {
    fn drop(&mut self) {
        let _best_effort = fs::remove_dir_all(&self.staging);
    }
}

impl Backup {
    fn begin(dir: &Path) -> Result<Self, BackupFault> {
        private_folder(dir)?;
        let lock = dir.join(".lock");
        let file = File::options().create(true).truncate(false).write(true).open(&lock);
        let file = file.map_err(failed(&lock, "written"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(BackupFault::Busy(dir.to_owned())),
            Err(fs::TryLockError::Error(cause)) => return Err(failed(&lock, "locked")(cause).into()),
        }
        let staging = dir.join(".partial");
        // Left by a backup that was killed.
        let _may_be_absent = fs::remove_dir_all(&staging);
        DirBuilder::new().mode(0o700).create(&staging).map_err(failed(&staging, "made"))?;
        Ok(Self { staging, _lock: file })
    }
}

/// Makes a backup, reads it again completely, and gives it its name. The service may be running.
pub fn create(sources: &Sources, settings: &BackupSettings, now: Timestamp) -> Result<Created, BackupFault> {
    let table = sources.data.join(TABLE_FILE);
    if !table.is_file() {
        return Err(BackupFault::NoTable(table));
    }
    let backup = Backup::begin(&settings.dir)?;
    check_space(sources, settings)?;
    let (table_copy, journal_copy) = (backup.staging.join(manifest::TABLE), backup.staging.join(manifest::JOURNAL));
    // The table first, the journal second. So the journal knows every call that the table says was sent: whatever a
    // restored job has sent before the copy, the restored journal can tell. The other way round a call between the two
    // copies would be in the table and unknown to the journal, which then looks as if it had lost its data.
    sqlite::copy(&table, &table_copy)?;
    sqlite::check(&table_copy)?;
    let journal = match &settings.journal {
        Some(journal) => {
            sqlite::copy(journal, &journal_copy)?;
            sqlite::check(&journal_copy)?;
            Some(sqlite::journal_mark(&journal_copy)?)
        }
        None => None,
    };
    let manifest = Manifest {
        format: manifest::FORMAT,
        created_at: now.to_string(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        table_schema: sqlite::table_schema(&table_copy)?,
        journal,
        files: Vec::new(),
    };
    let (name, unnamed) = (retention::file_name(now), backup.staging.join("backup.tar"));
    let mut writer = Writer::create(&unnamed)?;
    writer.add(manifest::TABLE, &table_copy)?;
    if manifest.journal.is_some() {
        writer.add(manifest::JOURNAL, &journal_copy)?;
    }
    for (name, file) in entries(sources)? {
        writer.add(&name, &file)?;
    }
    writer.finish(manifest)?;
    // Reads all of it again. A backup under its final name is one that was whole.
    let manifest = archive::unpack(&unnamed, |_| None)?;
    let file = settings.dir.join(name);
    fs::rename(&unnamed, &file).map_err(failed(&file, "written"))?;
    File::open(&settings.dir).and_then(|dir| dir.sync_all()).map_err(failed(&settings.dir, "written"))?;
    Ok(Created { file, manifest })
}

/// Refuses a backup that would fill the disk: the table on the same disk could then not be written.
fn check_space(sources: &Sources, settings: &BackupSettings) -> Result<(), BackupFault> {
    let length = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let databases = length(&sources.data.join(TABLE_FILE)) + settings.journal.as_deref().map_or(0, length);
    let free = disk::free_bytes(&settings.dir).map_err(failed(&settings.dir, "read"))?;
    // The copies, and the archive of the copies.
    let needed = databases.saturating_mul(2);
    if free < needed.saturating_add(settings.min_free_mb.saturating_mul(MIB)) {
        return Err(BackupFault::NoSpace {
            dir: settings.dir.clone(),
            free_mb: free / MIB,
            needed_mb: needed.div_ceil(MIB),
            min_mb: settings.min_free_mb,
        });
    }
    Ok(())
}

/// Names and files of everything besides the databases.
fn entries(sources: &Sources) -> Result<Vec<(String, PathBuf)>, BackupFault> {
    let mut entries = Vec::new();
    for name in BESIDE {
        let file = sources.data.join(name);
        if file.is_file() {
            entries.push((name.to_owned(), file));
        }
    }
    folder(&sources.data.join(manifest::CHECKPOINTS), manifest::CHECKPOINTS, &mut entries)?;
    let within = |name: &str| format!("{}/{name}", manifest::CONFIGURATION);
    if let Some(file) = &sources.config_file {
        entries.push((within("config.toml"), file.clone()));
    }
    for (dir, name) in [(&sources.policy_dir, "policy"), (&sources.credentials, "secrets")] {
        if let Some(dir) = dir {
            folder(dir, &within(name), &mut entries)?;
        }
    }
    if let Some(policy) = &sources.policy_dir {
        folder(&policy.join("schemas"), &within("policy/schemas"), &mut entries)?;
    }
    Ok(entries)
}

/// The files directly in a folder, in order; none if there is no such folder. A name that begins with a dot is that of
/// a file which is being written.
fn folder(dir: &Path, prefix: &str, entries: &mut Vec<(String, PathBuf)>) -> Result<(), BackupFault> {
    let listed = match fs::read_dir(dir) {
        Ok(listed) => listed,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(failed(dir, "read")(cause).into()),
    };
    let mut files = Vec::new();
    for entry in listed {
        let path = entry.map_err(failed(dir, "read"))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).filter(|name| !name.starts_with('.'));
        if let Some(name) = name.filter(|_| path.is_file()) {
            files.push((format!("{prefix}/{name}"), path.clone()));
        }
    }
    files.sort_unstable();
    entries.extend(files);
    Ok(())
}

/// The backups in a directory, oldest first.
pub fn list(dir: &Path) -> Result<Vec<Listed>, BackupFault> {
    let backup = |name: String| {
        let file = dir.join(name);
        let bytes = fs::metadata(&file).map_or(0, |metadata| metadata.len());
        Listed { manifest: archive::manifest(&file), bytes, file }
    };
    let mut names = names(dir)?;
    names.retain(|name| retention::is_backup(name));
    names.sort_unstable();
    Ok(names.into_iter().map(backup).collect())
}

fn names(dir: &Path) -> Result<Vec<String>, BackupFault> {
    let listed = fs::read_dir(dir).map_err(failed(dir, "read"))?;
    let name = |entry: std::io::Result<fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
    Ok(listed.filter_map(name).collect())
}

/// Deletes backups beyond the newest `keep`, and returns their files.
pub fn prune(settings: &BackupSettings, made: &Path) -> Result<Vec<PathBuf>, BackupFault> {
    let surplus = retention::surplus(names(&settings.dir)?, settings.keep);
    // The one just made has the oldest name of all if the clock was ahead when the others were made.
    let files = surplus.into_iter().map(|name| settings.dir.join(name)).filter(|file| file != made);
    let files: Vec<PathBuf> = files.collect();
    for file in &files {
        fs::remove_file(file).map_err(failed(file, "deleted"))?;
    }
    Ok(files)
}

/// Reads a backup completely: every file has the digest of the manifest, and SQLite finds both databases consistent.
/// They are unpacked beside the backup for that.
pub fn verify(file: &Path) -> Result<Manifest, BackupFault> {
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let backup = Backup::begin(dir)?;
    let database = |name: &str| [manifest::TABLE, manifest::JOURNAL].contains(&name).then(|| backup.staging.join(name));
    let manifest = archive::unpack(file, database)?;
    sqlite::check(&backup.staging.join(manifest::TABLE))?;
    if let Some(mark) = &manifest.journal {
        let journal = backup.staging.join(manifest::JOURNAL);
        sqlite::check(&journal)?;
        if sqlite::journal_mark(&journal)? != *mark {
            let found = "its journal is not the one of the manifest".to_owned();
            return Err(BackupFault::NotABackup { file: file.to_owned(), found });
        }
    }
    Ok(manifest)
}
