//! Replaces a configuration file.

use std::{
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use crate::data::{DataError, failed};

/// Replaces a file that other users may read. The one of before the first setup stays beside it.
pub(super) fn replace(file: &Path, text: &str) -> Result<(), DataError> {
    let (fresh, before) = (file.with_extension("setup-new"), file.with_extension("before-setup"));
    let write = || {
        let _left_by_a_crash = fs::remove_file(&fresh);
        let mut new = fs::File::create_new(&fresh)?;
        // Whatever the umask is: the service's user and Caddy's read these files.
        new.set_permissions(fs::Permissions::from_mode(0o644))?;
        new.write_all(text.as_bytes())?;
        new.sync_all()?;
        match fs::hard_link(file, &before) {
            // There is no file yet, or the one of before the first setup is kept already.
            Err(cause) if matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists) => {}
            Err(cause) => return Err(cause),
            Ok(()) => {}
        }
        fs::rename(&fresh, file)
    };
    write().map_err(failed(file, "written"))
}
