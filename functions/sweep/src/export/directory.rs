//! A directory, for one host. Best on a disk of its own, or on write-once storage.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    os::unix::fs::DirBuilderExt,
    path::PathBuf,
};

use super::ExportError;

#[derive(Debug)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Written and synced under a temporary name, then hard-linked: the file exists whole or not at all, and a link
    /// never replaces another file.
    pub(super) fn put(&self, name: &str, document: &str) -> Result<(), ExportError> {
        let failed = |error: std::io::Error| ExportError::File { name: name.to_owned(), cause: error.kind() };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(failed)?;
        let (fresh, place) = (self.0.join(format!(".{name}.new")), self.0.join(name));
        let mut file = File::create(&fresh).map_err(failed)?;
        file.write_all(document.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        let linked = fs::hard_link(&fresh, &place);
        fs::remove_file(&fresh).map_err(failed)?;
        match linked {
            Ok(()) => File::open(&self.0).and_then(|directory| directory.sync_all()).map_err(failed),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let there = fs::read(&place).map_err(failed)?;
                if there == document.as_bytes() { Ok(()) } else { Err(ExportError::Taken(name.to_owned())) }
            }
            Err(error) => Err(failed(error)),
        }
    }
}
