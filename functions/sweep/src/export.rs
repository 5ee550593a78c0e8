//! Where checkpoints are exported, out of reach of writers of the table. An exported checkpoint is never overwritten.

use domain::ids::Timestamp;
use platform::config::{CheckpointTarget, TableConfig};

mod bucket;
mod directory;

use bucket::Bucket;
use directory::Directory;

/// The target of exports.
#[derive(Debug)]
pub(crate) enum Export {
    Directory(Directory),
    Bucket(Box<Bucket>),
}

/// A checkpoint that could not be exported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    /// Writing a file failed.
    #[error("the checkpoint {name} could not be written to CHECKPOINT_DIR: {cause}")]
    File {
        /// Name of the checkpoint.
        name: String,
        /// The kind of failure.
        cause: std::io::ErrorKind,
    },
    /// Writing an object failed.
    #[error("the checkpoint {name} could not be written to CHECKPOINT_BUCKET: {cause}")]
    Object {
        /// Name of the checkpoint.
        name: String,
        /// The response, or the transport's error.
        cause: String,
    },
    /// An object of that name exists with other bytes: another writer's, or from before this table.
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
            CheckpointTarget::Bucket(name) => Self::Bucket(Box::new(Bucket::new(name, table, aws)?)),
        })
    }

    /// Writes a document under a name. Writing the same document again succeeds.
    pub(crate) async fn put(&self, name: &str, document: &str, now: Timestamp) -> Result<(), ExportError> {
        match self {
            Self::Directory(directory) => directory.put(name, document),
            Self::Bucket(bucket) => bucket.put(name, document, now).await,
        }
    }
}
