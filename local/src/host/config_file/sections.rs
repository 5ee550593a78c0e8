//! The sections of the file as they are written, with their defaults.

use std::path::PathBuf;

use platform::config::defaults;
use serde::Deserialize;

use super::{DEFAULT_GATEWAY, LogFormat};
use crate::host::{alerts::Format, settings::LONG_POLL_MAX_S};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sections {
    #[serde(default)]
    pub(super) server: Server,
    pub(super) wechat: Wechat,
    #[serde(default)]
    pub(super) gateway: Gateway,
    #[serde(default)]
    pub(super) policy: PolicySection,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) retention: Retention,
    #[serde(default)]
    pub(super) operators: Operators,
    #[serde(default)]
    pub(super) checkpoints: Checkpoints,
    #[serde(default)]
    pub(super) backup: Backup,
    #[serde(default)]
    pub(super) alerts: Alerts,
    #[serde(default)]
    pub(super) metrics: Metrics,
    #[serde(default)]
    pub(super) log: Log,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Server {
    pub(super) data: PathBuf,
    pub(super) socket: Option<PathBuf>,
    pub(super) rings_port: u16,
    pub(super) min_free_mb: u64,
    pub(super) console: Option<PathBuf>,
}

impl Default for Server {
    fn default() -> Self {
        Self { data: "/var/lib/miniprogram".into(), socket: None, rings_port: 8787, min_free_mb: 200, console: None }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wechat {
    pub(super) app_id: String,
    #[serde(default = "wechat_api")]
    pub(super) base_url: String,
    #[serde(default = "wechat_secret")]
    pub(super) secret_file: PathBuf,
}

fn wechat_api() -> String {
    "https://api.weixin.qq.com".to_owned()
}

/// Where systemd puts the credential `wechat-app-secret` of the unit.
fn wechat_secret() -> PathBuf {
    "/run/credentials/miniprogram.service/wechat-app-secret".into()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Gateway {
    pub(super) url: String,
    pub(super) token_file: PathBuf,
    pub(super) user: Option<String>,
    pub(super) unit: String,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            url: DEFAULT_GATEWAY.to_owned(),
            token_file: "/run/credentials/miniprogram.service/gateway-token".into(),
            user: None,
            unit: "openclaw-gateway.service".to_owned(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PolicySection {
    pub(super) dir: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limits {
    pub(super) submit_interval_ms: u64,
    pub(super) submit_burst: u64,
    pub(super) login_interval_ms: u64,
    pub(super) login_burst: u64,
    pub(super) max_in_flight: u64,
    pub(super) max_in_flight_long: u64,
    pub(super) max_conversations: u64,
    pub(super) session_lifetime_s: u64,
    pub(super) long_poll_max_s: u64,
    pub(super) worker_concurrency: u64,
    pub(super) maximum_concurrency: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            submit_interval_ms: defaults::SUBMIT_INTERVAL_MS,
            submit_burst: defaults::SUBMIT_BURST.into(),
            login_interval_ms: defaults::LOGIN_INTERVAL_MS,
            login_burst: defaults::LOGIN_BURST.into(),
            max_in_flight: defaults::MAX_IN_FLIGHT.into(),
            max_in_flight_long: defaults::MAX_IN_FLIGHT_LONG.into(),
            max_conversations: defaults::MAX_CONVERSATIONS.into(),
            session_lifetime_s: defaults::SESSION_LIFETIME_S,
            long_poll_max_s: LONG_POLL_MAX_S,
            worker_concurrency: defaults::WORKER_CONCURRENCY.into(),
            maximum_concurrency: 5,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Retention {
    pub(super) days: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { days: defaults::RETENTION_DAYS }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Operators {
    pub(super) issuer: Option<String>,
    pub(super) audience: Option<String>,
    pub(super) jwks: Option<String>,
    pub(super) roles_claim: String,
    pub(super) client_id: Option<String>,
}

impl Default for Operators {
    fn default() -> Self {
        Self { issuer: None, audience: None, jwks: None, roles_claim: "roles".to_owned(), client_id: None }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Checkpoints {
    pub(super) every_s: u64,
    pub(super) max_age_s: u64,
    pub(super) keep_days: Option<u64>,
    pub(super) copy_command: Option<String>,
}

impl Default for Checkpoints {
    fn default() -> Self {
        Self {
            every_s: defaults::CHECKPOINT_EVERY_S,
            max_age_s: defaults::CHECKPOINT_MAX_AGE_S,
            keep_days: None,
            copy_command: None,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Backup {
    pub(super) dir: PathBuf,
    pub(super) keep: u64,
    pub(super) min_free_mb: u64,
    pub(super) journal: Option<PathBuf>,
    pub(super) after_command: Option<String>,
}

impl Default for Backup {
    fn default() -> Self {
        Self { dir: "/var/backups/miniprogram".into(), keep: 14, min_free_mb: 500, journal: None, after_command: None }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Alerts {
    pub(super) webhook_file: Option<PathBuf>,
    pub(super) format: Format,
    pub(super) heartbeat_url: Option<String>,
}

impl Default for Alerts {
    fn default() -> Self {
        Self { webhook_file: None, format: Format::Json, heartbeat_url: None }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Metrics {
    pub(super) port: Option<u16>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    pub(super) level: String,
    pub(super) format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Json }
    }
}
