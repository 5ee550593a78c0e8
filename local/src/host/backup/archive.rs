//! The file of a backup: a tar archive whose last entry is the manifest.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};
use domain::json;

use super::{
    BackupFault,
    manifest::{self, FileEntry, Manifest},
};
use crate::data::failed;

/// The largest manifest that is read: some hundred thousand checkpoints.
const MANIFEST_AT_MOST: u64 = 64 * 1024 * 1024;

/// An archive that is being written, readable by its owner only.
pub(super) struct Writer {
    path: PathBuf,
    tar: tar::Builder<File>,
    files: Vec<FileEntry>,
}

impl Writer {
    pub(super) fn create(path: &Path) -> Result<Self, BackupFault> {
        let file = File::options().create_new(true).write(true).mode(0o600).open(path);
        let tar = tar::Builder::new(file.map_err(failed(path, "made"))?);
        Ok(Self { path: path.to_owned(), tar, files: Vec::new() })
    }

    /// Adds a file as it is now.
    pub(super) fn add(&mut self, name: &str, from: &Path) -> Result<(), BackupFault> {
        let file = File::open(from).map_err(failed(from, "read"))?;
        let bytes = file.metadata().map_err(failed(from, "read"))?.len();
        let entry = self.append(name, bytes, file.take(bytes)).map_err(failed(from, "copied"))?;
        self.files.push(entry);
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: u64, from: impl Read) -> io::Result<FileEntry> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes);
        header.set_mode(0o600);
        let mut read = Hashing { inner: from, context: Context::new(&SHA256), bytes: 0 };
        self.tar.append_data(&mut header, name, &mut read)?;
        let entry = read.entry(name);
        // The header says how much follows: an archive with less cannot be read.
        if entry.bytes == bytes { Ok(entry) } else { Err(io::Error::other("it became shorter while it was read")) }
    }

    /// Adds the manifest with the files so far, and makes the archive durable.
    pub(super) fn finish(mut self, manifest: Manifest) -> Result<Manifest, BackupFault> {
        let manifest = Manifest { files: std::mem::take(&mut self.files), ..manifest };
        let text = serde_json::to_vec_pretty(&manifest).expect("a manifest serialises");
        let added = self.append(manifest::NAME, text.len() as u64, text.as_slice());
        added.map_err(failed(&self.path, "written"))?;
        let file = self.tar.into_inner().map_err(failed(&self.path, "written"))?;
        file.sync_all().map_err(failed(&self.path, "written"))?;
        Ok(manifest)
    }
}

/// Reads a whole archive, compares it with its manifest, and writes the entries for which `place` names a file.
pub(super) fn unpack(file: &Path, place: impl Fn(&str) -> Option<PathBuf>) -> Result<Manifest, BackupFault> {
    let broken = |found: String| BackupFault::NotABackup { file: file.to_owned(), found };
    let mut archive = tar::Archive::new(File::open(file).map_err(failed(file, "read"))?);
    let mut found = Vec::new();
    for entry in archive.entries().map_err(failed(file, "read"))? {
        let entry = entry.map_err(|error| broken(error.to_string()))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if !manifest::is_safe(&name) || !entry.header().entry_type().is_file() {
            return Err(broken(format!("{name:?} is not the name of a file")));
        }
        if name == manifest::NAME {
            return finish(file, entry, &found);
        }
        found.push(copy_entry(&name, entry, place(&name).as_deref()).map_err(|fault| match fault {
            CopyFault::Read(error) => broken(error.to_string()),
            CopyFault::Write(path, error) => failed(&path, "written")(error).into(),
        })?);
    }
    Err(broken("it has no manifest".to_owned()))
}

/// Reads the manifest alone.
pub(super) fn manifest(file: &Path) -> Result<Manifest, BackupFault> {
    let broken = |found: String| BackupFault::NotABackup { file: file.to_owned(), found };
    let mut archive = tar::Archive::new(File::open(file).map_err(failed(file, "read"))?);
    for entry in archive.entries_with_seek().map_err(failed(file, "read"))? {
        let entry = entry.map_err(|error| broken(error.to_string()))?;
        if *entry.path_bytes() == *manifest::NAME.as_bytes() {
            return parse(file, entry);
        }
    }
    Err(broken("it has no manifest".to_owned()))
}

/// The configuration file in a backup.
pub fn configuration(file: &Path) -> Result<Option<String>, BackupFault> {
    let broken = |error: io::Error| BackupFault::NotABackup { file: file.to_owned(), found: error.to_string() };
    let mut archive = tar::Archive::new(File::open(file).map_err(failed(file, "read"))?);
    for entry in archive.entries_with_seek().map_err(failed(file, "read"))? {
        let entry = entry.map_err(broken)?;
        if *entry.path_bytes() == *format!("{}/config.toml", manifest::CONFIGURATION).as_bytes() {
            let mut text = String::new();
            entry.take(MANIFEST_AT_MOST).read_to_string(&mut text).map_err(broken)?;
            return Ok(Some(text));
        }
    }
    Ok(None)
}

fn finish(file: &Path, entry: impl Read, found: &[FileEntry]) -> Result<Manifest, BackupFault> {
    let manifest = parse(file, entry)?;
    match manifest.difference(found) {
        None => Ok(manifest),
        Some(found) => Err(BackupFault::NotABackup { file: file.to_owned(), found }),
    }
}

fn parse(file: &Path, entry: impl Read) -> Result<Manifest, BackupFault> {
    let broken = || BackupFault::NotABackup { file: file.to_owned(), found: "its manifest is unreadable".to_owned() };
    let mut text = Vec::new();
    entry.take(MANIFEST_AT_MOST).read_to_end(&mut text).map_err(|_| broken())?;
    let value: serde_json::Value = json::kept(&text).map_err(|_| broken())?;
    // The format is read first: a newer manifest may have another shape.
    let format = value["format"].as_u64().and_then(|format| u32::try_from(format).ok()).ok_or_else(broken)?;
    if format > manifest::FORMAT {
        return Err(BackupFault::Newer { file: file.to_owned(), format });
    }
    serde_json::from_value(value).map_err(|_| broken())
}

enum CopyFault {
    Read(io::Error),
    Write(PathBuf, io::Error),
}

fn copy_entry(name: &str, from: impl Read, to: Option<&Path>) -> Result<FileEntry, CopyFault> {
    let mut read = Hashing { inner: from, context: Context::new(&SHA256), bytes: 0 };
    let Some(to) = to else {
        io::copy(&mut read, &mut io::sink()).map_err(CopyFault::Read)?;
        return Ok(read.entry(name));
    };
    let failed = |error| CopyFault::Write(to.to_owned(), error);
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    let mut file = File::options().create_new(true).write(true).mode(0o600).open(to).map_err(failed)?;
    io::copy(&mut read, &mut file).map_err(failed)?;
    file.flush().and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(read.entry(name))
}

/// Counts and hashes what is read through it.
struct Hashing<R> {
    inner: R,
    context: Context,
    bytes: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.context.update(buffer.get(..count).unwrap_or_default());
        self.bytes += count as u64;
        Ok(count)
    }
}

impl<R> Hashing<R> {
    fn entry(self, name: &str) -> FileEntry {
        let digits = self.context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        FileEntry { name: name.to_owned(), bytes: self.bytes, sha256: digits }
    }
}
