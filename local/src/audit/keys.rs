//! The public keys that are trusted for checkpoints.

use std::path::Path;

use domain::{audit::checkpoint::PublicKey, json};
use serde::Deserialize;

use super::source::AuditError;
use crate::data::failed;

/// Public keys, in either of the two shapes. Private keys in the same document are not parsed.
#[derive(Deserialize)]
struct Keys {
    keys: Option<Vec<PublicKey>>,
    checkpoints: Option<Inner>,
}

#[derive(Deserialize)]
struct Inner {
    keys: Vec<PublicKey>,
}

/// Reads them from a file `{"keys": [...]}`, or from a document of secrets.
pub fn trusted_keys(file: &Path) -> Result<Vec<PublicKey>, AuditError> {
    let bytes = std::fs::read(file).map_err(failed(file, "read"))?;
    let read: Option<Keys> = json::kept(&bytes).ok();
    let keys = read.and_then(|read| read.keys.or_else(|| read.checkpoints.map(|inner| inner.keys)));
    keys.ok_or_else(|| AuditError::Shape(file.to_owned(), "a list of public keys"))
}
