//! The folder of exported checkpoints on one host: what is copied to another host, and what is deleted after some time.
//!
//! A person with access to the host could also replace checkpoints on its disk, and there are 105,000 in a year.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, UNIX_EPOCH},
};

use domain::ids::Timestamp;

use crate::data::{DataError, failed, write_private};

/// What is done with exported checkpoints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckpointSettings {
    /// After how many days a checkpoint is deleted. Without it none is.
    pub keep_days: Option<u64>,
    /// A command of `sh` that copies the folder to another host; its path is in `CHECKPOINT_DIR`.
    pub copy_command: Option<String>,
}

/// What one run has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Whether there was something to copy, and it was copied.
    pub copied: bool,
    /// How many checkpoints were deleted.
    pub deleted: usize,
}

/// Checkpoints cannot be copied or deleted.
#[derive(Debug, thiserror::Error)]
pub enum FolderFault {
    /// A file cannot be read or deleted.
    #[error(transparent)]
    File(#[from] DataError),
    /// The command cannot be started.
    #[error("checkpoints.copy_command cannot be started: {0}")]
    Start(#[source] std::io::Error),
    /// The command failed. Nothing is deleted then.
    #[error("checkpoints.copy_command ended with {0}; nothing is deleted until it succeeds")]
    Copy(std::process::ExitStatus),
}

/// A checkpoint in the folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct File {
    name: String,
    at: Timestamp,
}

/// Copies what is new since the last run, and then deletes what is older than `keep_days` at `now`, the time by which
/// this host deletes. `mark` is the file with the name that was the newest at the last copy. Only what was there before
/// the copy is deleted.
pub fn keep(folder: &Path, mark: &Path, settings: &CheckpointSettings, now: Timestamp) -> Result<Kept, FolderFault> {
    let files = read(folder)?;
    let newest = files.last().map(|file| file.name.clone()).unwrap_or_default();
    let marked = fs::read_to_string(mark).unwrap_or_default();
    let mut copied = false;
    if let Some(command) = settings.copy_command.as_deref().filter(|_| is_due(&newest, marked.trim())) {
        let run = Command::new("/bin/sh").args(["-c", command]).env("CHECKPOINT_DIR", folder).status();
        let status = run.map_err(FolderFault::Start)?;
        if !status.success() {
            return Err(FolderFault::Copy(status));
        }
        write_private(mark, format!("{newest}\n").as_bytes())?;
        copied = true;
    }
    let old = settings.keep_days.map(|days| surplus(files, now.minus(Duration::from_secs(days * 86_400))));
    let old = old.unwrap_or_default();
    for name in &old {
        let path = folder.join(name);
        fs::remove_file(&path).map_err(failed(&path, "deleted"))?;
    }
    Ok(Kept { copied, deleted: old.len() })
}

/// Whether there is something to copy. After a restore the numbers go on from those of the backup, which are lower than
/// the mark.
fn is_due(newest: &str, marked: &str) -> bool {
    !newest.is_empty() && newest != marked
}

/// The checkpoints of before a time, oldest first, without the newest of all: verification begins with any of them, and
/// needs one. They are deleted from the beginning, so that no gap looks like one that was taken away.
fn surplus(files: Vec<File>, before: Timestamp) -> Vec<String> {
    let but_one = files.len().saturating_sub(1);
    files.into_iter().take(but_one).take_while(|file| file.at < before).map(|file| file.name).collect()
}

/// The checkpoints of a folder by number. A folder that does not exist yet has none.
fn read(folder: &Path) -> Result<Vec<File>, DataError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(failed(folder, "read")(cause)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path: PathBuf = entry.map_err(failed(folder, "read"))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if is_checkpoint(&name) {
            let at = fs::metadata(&path).and_then(|file| file.modified()).map_err(failed(&path, "read"))?;
            let millis = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
            files.push(File { name, at: Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX)) });
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Whether a file is a checkpoint by its name: twelve digits. No other file is ever deleted.
fn is_checkpoint(name: &str) -> bool {
    name.strip_suffix(".json").is_some_and(|seq| seq.len() == 12 && seq.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::audit::checkpoint::file_name;

    const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

    fn file(seq: u64, days_old: u64) -> File {
        File { name: file_name(seq), at: NOW.minus(Duration::from_secs(days_old * 86_400)) }
    }

    #[test]
    fn the_oldest_are_deleted_without_a_gap_and_the_newest_stays() {
        let before = NOW.minus(Duration::from_secs(30 * 86_400));
        let names = |files: &[File]| surplus(files.to_vec(), before);
        assert_eq!(names(&[file(1, 40), file(2, 31), file(3, 29)]), [file_name(1), file_name(2)]);
        assert_eq!(names(&[file(1, 40), file(2, 1), file(3, 40), file(4, 0)]), [file_name(1)], "no gap");
        assert_eq!(names(&[file(1, 60), file(2, 50)]), [file_name(1)]);
        assert!(names(&[file(1, 60)]).is_empty() && names(&[]).is_empty());
    }

    #[test]
    fn a_copy_is_due_for_another_newest_name_also_for_a_lower_one() {
        for (newest, marked, expected) in [
            (file_name(8), file_name(7), true),
            (file_name(7), file_name(7), false),
            (file_name(3), file_name(900), true),
            (file_name(1), String::new(), true),
            (String::new(), file_name(900), false),
        ] {
            assert_eq!(is_due(&newest, &marked), expected, "{newest} {marked}");
        }
    }

    #[test]
    fn only_checkpoints_are_touched() {
        assert!(is_checkpoint(&file_name(7)));
        for other in ["notes.json", ".000000000001.json.new", "000000000001.json.bak", "1.json", ""] {
            assert!(!is_checkpoint(other), "{other}");
        }
    }
}
