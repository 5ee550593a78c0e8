//! The names of backups, and which of them are deleted. Pure.

use domain::ids::Timestamp;

const PREFIX: &str = "miniprogram-";
const SUFFIX: &str = ".tar";

/// The name of a backup, which sorts by its time.
pub(super) fn file_name(at: Timestamp) -> String {
    format!("{PREFIX}{}{SUFFIX}", at.to_string().replace(['-', ':'], ""))
}

/// Whether a file is a backup by its name. No other file is ever deleted.
pub(super) fn is_backup(name: &str) -> bool {
    let stamp = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX));
    stamp.is_some_and(|stamp| {
        stamp.len() == 20 && stamp.bytes().all(|byte| byte.is_ascii_digit() || b"TZ.".contains(&byte))
    })
}

/// The backups beyond the newest `keep`, oldest first. At least one is kept.
pub(super) fn surplus(mut names: Vec<String>, keep: usize) -> Vec<String> {
    names.retain(|name| is_backup(name));
    names.sort_unstable();
    names.truncate(names.len().saturating_sub(keep.max(1)));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_backups_are_kept_and_no_other_file_is_deleted() {
        let at = |day: i64| file_name(Timestamp::from_millis(1_795_341_600_000 + day * 86_400_000));
        let names = || vec![at(2), "notes.tar".to_owned(), at(0), "miniprogram-old.tar".to_owned(), at(1)];
        assert!(is_backup(&at(0)), "{}", at(0));
        assert_eq!(surplus(names(), 2), [at(0)]);
        assert_eq!(surplus(names(), 0), [at(0), at(1)], "the newest stays");
        assert!(surplus(names(), 3).is_empty());
    }
}
