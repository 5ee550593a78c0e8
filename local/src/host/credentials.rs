//! The credentials of one host: files of root that systemd passes to the service when it starts.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::backup::credentials_beside;
use crate::data::{DataError, private_folder, write_private};

/// The file of the Mini Program's app secret, which has this name in the unit, too.
pub const WECHAT_APP_SECRET: &str = "wechat-app-secret";
/// The file of the gateway's token.
pub const GATEWAY_TOKEN: &str = "gateway-token";
/// The file of the URL that alarms are sent to.
pub const ALERTS_WEBHOOK: &str = "alerts-webhook";

/// Puts a credential in its place.
pub fn put(config_file: &Path, name: &str, value: &str) -> Result<PathBuf, DataError> {
    let dir = credentials_beside(config_file);
    private_folder(&dir)?;
    let file = dir.join(name);
    write_private(&file, format!("{value}\n").as_bytes())?;
    Ok(file)
}

/// The credential that is there; `None` if it is missing or empty.
pub fn get(config_file: &Path, name: &str) -> Option<String> {
    let text = fs::read_to_string(credentials_beside(config_file).join(name)).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
