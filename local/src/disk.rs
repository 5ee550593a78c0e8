//! The free space of a disk, and the guard that refuses new jobs before SQLite cannot write any more.

use std::{
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// One MiB.
pub const MIB: u64 = 1024 * 1024;

/// Bytes that a process without special rights may still write to the disk of this path.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path.as_os_str().as_bytes());
    let stat = stat.map_err(|error| io::Error::from_raw_os_error(error.raw_os_error()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Refuses new jobs while the disk is nearly full. Jobs that are open still need space for their records: accepted up to
/// the last byte, they could not end.
#[derive(Debug, Clone, Default)]
pub struct DiskGuard {
    dir: PathBuf,
    min_free: u64,
}

impl DiskGuard {
    /// Watches the disk of a directory; `min_free_mb` 0 watches nothing.
    pub fn new(dir: &Path, min_free_mb: u64) -> Self {
        Self { dir: dir.to_owned(), min_free: min_free_mb.saturating_mul(MIB) }
    }

    /// Whether less than the minimum is free now. One system call, which reads no disk. A disk that cannot be asked is
    /// not low: the table reports its own faults.
    pub fn is_low(&self) -> bool {
        self.min_free > 0 && free_bytes(&self.dir).is_ok_and(|free| free < self.min_free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_low_below_its_minimum_only() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(free_bytes(here).unwrap() > 0);
        assert!(!DiskGuard::default().is_low() && !DiskGuard::new(here, 0).is_low());
        assert!(DiskGuard::new(here, u64::MAX).is_low());
        assert!(!DiskGuard::new(Path::new("/does/not/exist"), u64::MAX).is_low());
    }
}
