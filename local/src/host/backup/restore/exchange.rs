//! Puts restored files in the place of the old ones, and keeps the old ones.

use std::{
    fs::{self, DirBuilder, File},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown, lchown},
    path::{Path, PathBuf},
};

use domain::ids::Timestamp;

use super::ConfigurationTo;
use crate::{
    data::{DataDir, DataError, failed, write_private},
    host::backup::{BackupFault, create::BESIDE, manifest},
};

/// The state of a service in its data directory.
fn state() -> impl Iterator<Item = &'static str> {
    [manifest::TABLE, "table.db-wal", "table.db-shm", manifest::CHECKPOINTS].into_iter().chain(BESIDE)
}

/// An empty directory beside the files that it will replace, so that each takes its place by a rename.
pub(super) fn staging(data: &DataDir) -> Result<PathBuf, BackupFault> {
    let staging = data.path.join("restore");
    // Left by a restore that was killed.
    let _may_be_absent = fs::remove_dir_all(&staging);
    DirBuilder::new().mode(0o700).create(&staging).map_err(failed(&staging, "made"))?;
    Ok(staging)
}

/// Moves the old state aside and the restored state into its place. A crash in between leaves a marker, with which the
/// service does not start; another restore goes on from there.
pub(super) fn exchange(data: &DataDir, staging: &Path, now: Timestamp) -> Result<PathBuf, BackupFault> {
    own_like(&data.path, staging)?;
    let old = data.path.join(format!("before-restore-{}", stamp(now)));
    DirBuilder::new().mode(0o700).create(&old).map_err(failed(&old, "made"))?;
    own_like(&data.path, &old)?;
    write_private(&data.restoring(), now.to_string().as_bytes())?;
    for name in state() {
        move_if_there(&data.path.join(name), &old.join(name))?;
    }
    for name in state() {
        move_if_there(&staging.join(name), &data.path.join(name))?;
    }
    sync(&data.path)?;
    Ok(old)
}

/// Removes what is left, and lets the service start again.
pub(super) fn finish(data: &DataDir, staging: &Path) -> Result<(), BackupFault> {
    fs::remove_dir_all(staging).map_err(failed(staging, "deleted"))?;
    own_like(&data.path, &data.path.join("lock"))?;
    let marker = data.restoring();
    fs::remove_file(&marker).map_err(failed(&marker, "deleted"))?;
    Ok(sync(&data.path)?)
}

/// Puts a journal where the gateway looks for it, owned as the folder is. Another user can write to that folder, so no
/// link there is followed.
pub(super) fn install_journal(from: &Path, to: &Path) -> Result<(), BackupFault> {
    let Some(folder) = to.parent() else { return Ok(()) };
    let owner = fs::symlink_metadata(folder).map_err(failed(folder, "read"))?;
    if owner.is_symlink() {
        let cause = std::io::Error::other("it is a symbolic link");
        return Err(failed(folder, "used for the journal")(cause).into());
    }
    // Beside its place first: the folder may be on another disk.
    let fresh = to.with_extension("restored");
    let _may_be_absent = fs::remove_file(&fresh);
    let write = || {
        let mut file = File::options()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(&fresh)?;
        std::io::copy(&mut File::open(from)?, &mut file)?;
        if file.metadata()?.uid() != owner.uid() || file.metadata()?.gid() != owner.gid() {
            fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
        }
        file.sync_all()
    };
    write().map_err(failed(&fresh, "written"))?;
    // SQLite would replay the log of another journal into this one.
    for suffix in ["-wal", "-shm", "-journal"] {
        let mut beside = to.as_os_str().to_owned();
        beside.push(suffix);
        let mut aside = beside.clone();
        aside.push(".before-restore");
        move_if_there(Path::new(&beside), Path::new(&aside))?;
    }
    // A hard link never replaces a file: a gateway that was started meanwhile has made a journal of its own.
    let linked = fs::hard_link(&fresh, to).map_err(failed(to, "written"));
    fs::remove_file(&fresh).map_err(failed(&fresh, "deleted"))?;
    linked?;
    Ok(sync(folder)?)
}

/// Puts configuration, policy and credentials in their places; what was there gets another name.
pub(super) fn install_configuration(from: &Path, to: &ConfigurationTo, now: Timestamp) -> Result<(), BackupFault> {
    let policy = to.policy_dir.as_deref();
    for (name, target, mode) in [
        ("config.toml", Some(to.file.as_path()), 0o644),
        ("policy", policy, 0o755),
        ("secrets", Some(to.credentials.as_path()), 0o700),
    ] {
        let (source, Some(target)) = (from.join(name), target) else { continue };
        if !source.exists() {
            continue;
        }
        let mut old = target.as_os_str().to_owned();
        old.push(format!(".before-restore-{}", stamp(now)));
        move_if_there(target, Path::new(&old))?;
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(failed(folder, "made"))?;
        }
        copy_all(&source, target, mode)?;
    }
    Ok(())
}

/// Copies a file or a folder. Policies are readable by the service's user, credentials by root alone.
fn copy_all(from: &Path, to: &Path, mode: u32) -> Result<(), DataError> {
    if from.is_dir() {
        fs::create_dir_all(to).map_err(failed(to, "made"))?;
        for entry in fs::read_dir(from).map_err(failed(from, "read"))? {
            let entry = entry.map_err(failed(from, "read"))?;
            let inner = if entry.path().is_dir() { mode } else { mode & 0o666 };
            copy_all(&entry.path(), &to.join(entry.file_name()), inner)?;
        }
    } else {
        fs::copy(from, to).map_err(failed(to, "written"))?;
    }
    fs::set_permissions(to, fs::Permissions::from_mode(mode)).map_err(failed(to, "made private"))
}

/// `2026-11-29T12:00:00.000Z` without the signs that need quoting in a shell.
fn stamp(at: Timestamp) -> String {
    at.to_string().replace(['-', ':'], "")
}

fn move_if_there(from: &Path, to: &Path) -> Result<(), DataError> {
    match fs::rename(from, to) {
        Ok(()) => Ok(()),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(failed(from, "moved")(cause)),
    }
}

/// Gives a file, or a folder with all that is in it, the owner of `of`. The command runs as root, the service does not.
fn own_like(of: &Path, path: &Path) -> Result<(), DataError> {
    let owner = fs::metadata(of).map_err(failed(of, "read"))?;
    let metadata = fs::symlink_metadata(path).map_err(failed(path, "read"))?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path).map_err(failed(path, "read"))? {
            own_like(of, &entry.map_err(failed(path, "read"))?.path())?;
        }
    }
    if (metadata.uid(), metadata.gid()) == (owner.uid(), owner.gid()) {
        return Ok(());
    }
    lchown(path, Some(owner.uid()), Some(owner.gid())).map_err(failed(path, "given to its owner"))
}

fn sync(dir: &Path) -> Result<(), DataError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed(dir, "written"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_journal_is_put_through_no_link() {
        let dir = std::env::temp_dir().join(format!("miniprogram-install-journal-{}", std::process::id()));
        let _left_by_a_crash = fs::remove_dir_all(&dir);
        fs::create_dir_all(dir.join("gateway")).unwrap();
        fs::write(dir.join("backup"), "journal").unwrap();
        fs::write(dir.join("victim"), "kept").unwrap();
        symlink(dir.join("gateway"), dir.join("link")).unwrap();
        symlink(dir.join("victim"), dir.join("gateway/journal.restored")).unwrap();
        let refused = install_journal(&dir.join("backup"), &dir.join("link/journal.sqlite")).unwrap_err();
        assert!(refused.to_string().contains("it is a symbolic link"), "{refused}");
        let to = dir.join("gateway/journal.sqlite");
        install_journal(&dir.join("backup"), &to).unwrap();
        assert_eq!(fs::read_to_string(dir.join("victim")).unwrap(), "kept");
        assert_eq!(fs::read_to_string(&to).unwrap(), "journal");
        assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_dir_all(dir).unwrap();
    }
}
