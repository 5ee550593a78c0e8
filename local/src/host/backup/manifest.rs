//! The manifest of a backup: what the file has to contain. Pure.

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

/// The format that this version writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 1;
/// The manifest's own name. It is the last entry, so that each file is read once.
pub(super) const NAME: &str = "manifest.json";
/// The copy of the table.
pub(super) const TABLE: &str = "table.db";
/// The copy of the gateway's journal.
pub(super) const JOURNAL: &str = "journal.sqlite";
/// The exported checkpoints.
pub(super) const CHECKPOINTS: &str = "checkpoints";
/// Configuration file, policy folder and the unit's credentials.
pub(super) const CONFIGURATION: &str = "config";

/// What a backup contains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format.
    pub format: u32,
    /// When the copy of the table began, RFC 3339.
    pub created_at: String,
    /// Version of the program that made it.
    pub program: String,
    /// Schema version of the table engine.
    pub table_schema: String,
    /// The gateway's journal, if the backup has it.
    pub journal: Option<JournalMark>,
    /// Every other entry, in order.
    pub files: Vec<FileEntry>,
}

/// How far a journal was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalMark {
    /// Its id.
    pub id: String,
    /// Its sequence, which every call increments.
    pub sequence: u64,
    /// Its schema version.
    pub schema: i64,
}

/// One entry of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its name, relative.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
}

/// Why a name is refused: it must not lead out of the directory that a backup is unpacked in.
pub(super) fn is_safe(name: &str) -> bool {
    !name.is_empty() && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

impl Manifest {
    /// The first difference between what the manifest names and what was found, in one phrase.
    pub(super) fn difference(&self, found: &[FileEntry]) -> Option<String> {
        for (named, there) in self.files.iter().zip(found) {
            if named.name != there.name {
                return Some(format!("{} stands in the place of {}", there.name, named.name));
            }
            if named != there {
                return Some(format!("{} was changed", named.name));
            }
        }
        match (self.files.get(found.len()), found.get(self.files.len())) {
            (Some(missing), _) => Some(format!("{} is missing", missing.name)),
            (None, Some(more)) => Some(format!("{} is not in the manifest", more.name)),
            (None, None) if !self.files.iter().any(|file| file.name == TABLE) => Some("it has no table".to_owned()),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, sha256: &str) -> FileEntry {
        FileEntry { name: name.to_owned(), bytes: 1, sha256: sha256.to_owned() }
    }

    fn manifest(files: Vec<FileEntry>) -> Manifest {
        let text = String::new();
        Manifest {
            format: 1,
            created_at: text.clone(),
            program: text.clone(),
            table_schema: text,
            journal: None,
            files,
        }
    }

    #[test]
    fn what_is_missing_changed_added_or_moved_is_named() {
        let (table, secrets) = (file(TABLE, "a"), file("secrets.json", "b"));
        let whole = manifest(vec![table.clone(), secrets.clone()]);
        assert_eq!(whole.difference(&[table.clone(), secrets.clone()]), None);
        for (found, expected) in [
            (vec![table.clone()], "secrets.json is missing"),
            (vec![table.clone(), file("secrets.json", "c")], "secrets.json was changed"),
            (vec![table.clone(), secrets.clone(), file("x", "x")], "x is not in the manifest"),
            (vec![secrets.clone(), table], "secrets.json stands in the place of table.db"),
        ] {
            assert_eq!(whole.difference(&found).as_deref(), Some(expected));
        }
        assert_eq!(manifest(vec![secrets.clone()]).difference(&[secrets]).as_deref(), Some("it has no table"));
    }

    #[test]
    fn no_name_leads_out_of_the_directory() {
        for name in ["table.db", "checkpoints/000000000001.json", "config/policy/tools.toml"] {
            assert!(is_safe(name), "{name}");
        }
        for name in ["", "/etc/passwd", "../x", "config/../../x", ".."] {
            assert!(!is_safe(name), "{name}");
        }
    }
}
