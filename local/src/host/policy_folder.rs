//! The policy of an installed host: a folder like `policy/` of the checkout, so that a tool is added without building.

use std::path::{Path, PathBuf};

use domain::policy::{OperatorPolicy, Policy, PolicyFault, PolicyFiles};

use crate::data::{DataError, failed};

/// The policy folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFolderFault {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] DataError),
    /// A file of it is refused.
    #[error("the policy in {folder} is refused: {source}")]
    Refused {
        /// The folder.
        folder: PathBuf,
        /// The first fault, with its place.
        source: PolicyFault,
    },
}

/// Files whose policies about tools and about operators both passed every check.
#[derive(Debug)]
pub struct CheckedPolicy {
    /// The files.
    pub files: PolicyFiles,
    /// The catalogue, and the policies about tools.
    pub tools: Policy,
    /// Warnings about valid policies that are probably a mistake.
    pub warnings: Vec<String>,
}

/// Reads the files of a folder: those directly in it, and those in `schemas/`.
pub fn read(folder: &Path) -> Result<PolicyFiles, DataError> {
    let mut files = Vec::new();
    for (folder, prefix) in [(folder.to_owned(), ""), (folder.join("schemas"), "schemas/")] {
        for entry in std::fs::read_dir(&folder).map_err(failed(&folder, "read"))? {
            let path = entry.map_err(failed(&folder, "read"))?.path();
            if let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|_| path.is_file()) {
                files.push((format!("{prefix}{name}"), std::fs::read(&path).map_err(failed(&path, "read"))?));
            }
        }
    }
    Ok(files.into_iter().collect())
}

/// Reads and checks the policy of a folder or, without one, the policy that this program was built with.
pub fn check(folder: Option<&Path>) -> Result<CheckedPolicy, PolicyFolderFault> {
    let files = folder.map_or_else(|| Ok(PolicyFiles::built_in()), read)?;
    let refused =
        |source| PolicyFolderFault::Refused { folder: folder.unwrap_or(Path::new("the program")).into(), source };
    let tools = Policy::parse(&files).map_err(refused)?;
    let operators = OperatorPolicy::parse(&files).map_err(refused)?;
    let warnings = tools.warnings().iter().chain(operators.warnings()).cloned().collect();
    Ok(CheckedPolicy { files, tools, warnings })
}
