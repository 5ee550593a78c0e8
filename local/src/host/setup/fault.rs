//! Why a setup cannot go on.

use std::path::PathBuf;

use crate::{
    data::DataError,
    host::{config_file::ConfigFault, policy_folder::PolicyFolderFault},
};

/// A setup cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SetupFault {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] DataError),
    /// The configuration would not be accepted.
    #[error(transparent)]
    Configuration(#[from] ConfigFault),
    /// The policy is not accepted.
    #[error(transparent)]
    Policy(#[from] PolicyFolderFault),
    /// The keys are written in a form that this command does not change.
    #[error(
        "{0} does not say app_id, user and journal after the change: edit [wechat], [gateway] and [backup] by hand"
    )]
    Unclear(PathBuf),
    /// A command does not exist or has failed.
    #[error("{0}: {1}")]
    Command(String, String),
    /// Neither the command nor the configuration says it.
    #[error("{0} is needed the first time")]
    Needed(&'static str),
    /// OpenClaw must not run as root.
    #[error("OpenClaw must not run as root: name the user that it runs as")]
    Root,
    /// The gateway's token is not in its configuration.
    #[error(
        "{0} has no text in gateway.auth.token: put the token in its place with `secrets set gateway-token`, and run this again"
    )]
    NoToken(String),
    /// OpenClaw also reads JSON5.
    #[error("{0} is not plain JSON: remove comments and trailing commas, and run this again")]
    NotJson(PathBuf),
    /// The app secret cannot be read.
    #[error("the app secret: {0}")]
    Secret(Box<dyn std::error::Error + Send + Sync>),
}
