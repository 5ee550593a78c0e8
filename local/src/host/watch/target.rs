//! The keys of the configuration that the watch needs.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::State;
use crate::host::{alerts::Format, config_file::ConfigFile};

/// The host that is watched. A copy is kept with the state, because a fault in the configuration keeps the service
/// from starting, and that needs an alert, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The data directory.
    pub(super) data: PathBuf,
    /// The port of the service on loopback.
    rings_port: u16,
    /// The gateway's URL.
    gateway_url: String,
    /// The user whose systemd runs the gateway.
    pub(super) gateway_user: Option<String>,
    /// The gateway's unit.
    pub(super) gateway_unit: String,
    /// File with the URL of the webhook, if the configuration names one.
    pub webhook_file: Option<PathBuf>,
    /// The form of messages.
    pub format: Format,
}

impl From<&ConfigFile> for Target {
    fn from(config: &ConfigFile) -> Self {
        Self {
            data: config.data.clone(),
            rings_port: config.rings_port,
            gateway_url: config.gateway_url.clone(),
            gateway_user: config.gateway_user.clone(),
            gateway_unit: config.gateway_unit.clone(),
            webhook_file: config.alerts.webhook_file.clone(),
            format: config.alerts.format,
        }
    }
}

impl Target {
    /// The target of the last run with a valid configuration. `state` is the file with the state.
    pub fn remembered(state: &Path) -> Option<Self> {
        crate::data::read_state::<State>(state).target
    }

    /// The health check of the service.
    pub(super) fn service_health(&self) -> String {
        format!("http://127.0.0.1:{}/healthz", self.rings_port)
    }

    /// The health check of the gateway.
    pub(super) fn gateway_health(&self) -> String {
        format!("{}/readyz", self.gateway_url)
    }
}
