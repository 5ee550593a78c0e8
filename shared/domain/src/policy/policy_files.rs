//! The files of `policy/`.

use std::collections::BTreeMap;

use include_dir::{Dir, DirEntry, include_dir};

use crate::{content_safety::CONTENT_SAFETY, ids::Digest, risk::RISK};

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../policy");

/// Policies about operators; every other `*.cedar` file is about tools.
pub const OPERATORS: &str = "operators.cedar";
/// Generated from the catalogue, and checked in for readers and editors. The service itself reads the catalogue.
pub const SCHEMA: &str = "schema.cedarschema";

/// Every file of `policy/`, by its path in that folder: `tools.toml`, `notifications.toml`, `content_safety.toml`,
/// `risk.toml`, `schemas/*.json`, `*.cedar`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyFiles(BTreeMap<String, Vec<u8>>);

impl PolicyFiles {
    /// The files that were compiled into this program.
    pub fn built_in() -> Self {
        let mut files = BTreeMap::new();
        collect(&BUILT_IN, &mut files);
        Self(files)
    }

    /// The same files with one added or replaced.
    #[must_use]
    pub fn with(mut self, path: &str, contents: impl Into<Vec<u8>>) -> Self {
        self.0.insert(path.to_owned(), contents.into());
        self
    }

    /// The same files with a text in one file replaced; `None` when the text is not in it.
    #[must_use]
    pub fn replacing(self, path: &str, from: &str, to: &str) -> Option<Self> {
        let text = self.text(path)?;
        let changed = text.contains(from).then(|| text.replace(from, to))?;
        Some(self.with(path, changed))
    }

    /// Content of a file.
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.0.get(path).map(Vec::as_slice)
    }

    /// Text of a file; `None` when it is missing or not UTF-8.
    pub fn text(&self, path: &str) -> Option<&str> {
        std::str::from_utf8(self.get(path)?).ok()
    }

    /// Names of the policy files about tools, sorted.
    pub(super) fn about_tools(&self) -> impl Iterator<Item = &str> {
        let policies = self.0.keys().filter(|path| is_policy(path) && path.as_str() != OPERATORS);
        policies.map(String::as_str)
    }

    /// A short digest of every file that affects decisions: the catalogue, the schemas of arguments, the policies and the
    /// decisions about texts and about the risk of users.
    pub fn version(&self) -> String {
        let decides = |path: &str| {
            ["tools.toml", CONTENT_SAFETY, RISK].contains(&path) || path.starts_with("schemas/") || is_policy(path)
        };
        let mut hashed = Vec::new();
        for (path, bytes) in self.0.iter().filter(|(path, _)| decides(path)) {
            for part in [path.as_bytes(), bytes] {
                hashed.extend_from_slice(&(part.len() as u64).to_be_bytes());
                hashed.extend_from_slice(part);
            }
        }
        let mut version = Digest::sha256(&hashed).to_string();
        version.truncate(12);
        version
    }
}

impl FromIterator<(String, Vec<u8>)> for PolicyFiles {
    fn from_iter<I: IntoIterator<Item = (String, Vec<u8>)>>(files: I) -> Self {
        Self(files.into_iter().collect())
    }
}

/// Only files directly in `policy/`: a folder in it may hold drafts.
fn is_policy(path: &str) -> bool {
    path.strip_suffix(".cedar").is_some_and(|name| !name.contains('/'))
}

fn collect(dir: &Dir<'_>, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in dir.entries() {
        match entry {
            DirEntry::Dir(below) => collect(below, files),
            DirEntry::File(file) => {
                // Paths have `/` on every platform, so that the digest does not depend on where this was built.
                let path = file.path().to_string_lossy().replace('\\', "/");
                files.insert(path, file.contents().to_vec());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_decides_is_in_the_version_and_nothing_else() {
        let files = PolicyFiles::built_in();
        let version = files.version();
        assert_eq!(version.len(), 12);
        let deciding = [
            "tools.toml",
            CONTENT_SAFETY,
            RISK,
            "schemas/note.json",
            "tools.cedar",
            OPERATORS,
            "more.cedar",
            "schemas/more.json",
        ];
        for path in deciding {
            let mut changed = files.get(path).unwrap_or_default().to_vec();
            changed.push(b' ');
            assert_ne!(files.clone().with(path, changed).version(), version, "{path}");
        }
        for path in [SCHEMA, "notifications.toml", "README.md", "examples.cedar.txt", "drafts/more.cedar"] {
            assert_eq!(files.clone().with(path, "changed").version(), version, "{path}");
        }
        // Moving bytes from one file to the next has to change the digest.
        let one = PolicyFiles::default().with("a.cedar", "12").with("b.cedar", "3");
        let other = PolicyFiles::default().with("a.cedar", "1").with("b.cedar", "23");
        assert_ne!(one.version(), other.version());
    }
}
