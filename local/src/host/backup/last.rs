//! When the last backup was complete. The service's user cannot read the directory of the backups, so the command that
//! makes one leaves a mark in the data directory.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use domain::ids::Timestamp;

use crate::data::{DataError, TABLE_FILE, timestamp, write_private};

/// The mark of a data directory.
#[derive(Debug, Clone)]
pub struct LastBackup {
    mark: PathBuf,
    table: PathBuf,
}

impl LastBackup {
    /// That of a data directory.
    pub fn of(data: &Path) -> Self {
        Self { mark: data.join("last-backup"), table: data.join(TABLE_FILE) }
    }

    /// Records that a backup is complete, and copied where `after_command` copies it.
    pub fn record(&self, at: Timestamp) -> Result<(), DataError> {
        write_private(&self.mark, format!("{at}\n").as_bytes())
    }

    /// The time since the last backup or, without one, since the table was made. `None` if neither is known.
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        // The time of the file, not its text: root has written it, and only root may read it.
        let marked = fs::metadata(&self.mark).and_then(|mark| mark.modified());
        let since = marked.or_else(|_| fs::metadata(&self.table).and_then(|table| table.created())).ok()?;
        timestamp(since).map(|since| now.since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::runtime::{Clock, System};

    #[test]
    fn the_age_is_that_of_the_last_backup_or_of_the_table() {
        let data = crate::data::checkout().unwrap().join(".local/tmp/last-backup");
        let _ = fs::remove_dir_all(&data);
        fs::create_dir_all(&data).unwrap();
        let last = LastBackup::of(&data);
        assert_eq!(last.age(System.now()), None);
        fs::write(data.join(TABLE_FILE), "").unwrap();
        let in_two_days = || System.now().plus(Duration::from_secs(2 * 86_400));
        let age_days = || last.age(in_two_days()).map(|age| age.as_secs() / 86_400);
        assert_eq!(age_days(), Some(2));
        last.record(System.now()).unwrap();
        assert_eq!(age_days(), Some(2));
        assert!(last.age(Timestamp::from_millis(0)).is_some_and(|age| age.is_zero()), "a clock that was set back");
    }
}
