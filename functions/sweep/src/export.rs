//! Where checkpoints go so that whoever can write the table cannot change them. What is there is never overwritten.

use domain::ids::Timestamp;
use platform::config::{CheckpointTarget, TableConfig};

mod bucket;
mod directory;

use bucket::Bucket;
use directory::Directory;

/// Where.
#[derive(Debug)]
pub(crate) enum Export {
    Directory(Directory),
    Bucket(Bucket),
}

/// A checkpoint that could not be exported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    /// A file.
    #[error("the checkpoint {name} could not be written to CHECKPOINT_DIR: {cause}")]
    File {
        /// Its name.
        name: String,
        /// The kind of failure.
        cause: std::io::ErrorKind,
    },
    /// An object.
    #[error("the checkpoint {name} could not be written to CHECKPOINT_BUCKET: {cause}")]
    Object {
        /// Its name.
        name: String,
        /// What came instead of success.
        cause: String,
    },
    /// There is one of that name, with other bytes: somebody else's, or from before this table.
    #[error("another checkpoint {0} has been exported already; it is not overwritten")]
    Taken(String),
}

impl Export {
    pub(crate) fn new(
        target: &CheckpointTarget,
        TableConfig { aws, table, .. }: &TableConfig,
    ) -> Result<Self, reqwest::Error> {
        Ok(match target {
            CheckpointTarget::Directory(path) => Self::Directory(Directory::new(path.clone())),
            CheckpointTarget::Bucket(name) => Self::Bucket(Bucket::new(name, table, aws)?),
        })
    }

    /// Puts a document under a name; the same document may be put again.
    pub(crate) async fn put(&self, name: &str, document: &str, now: Timestamp) -> Result<(), ExportError> {
        match self {
            Self::Directory(directory) => directory.put(name, document),
            Self::Bucket(bucket) => bucket.put(name, document, now).await,
        }
    }
}
