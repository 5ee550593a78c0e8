//! The configuration file of one host, `/etc/miniprogram/config.toml`.
//!
//! Every key has one reader here. An unknown key, a value of the wrong type and a value out of range each refuse the
//! start: a misspelt limit would otherwise be replaced by its default without notice.

use std::{
    io,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use domain::{
    access::operator_token::OperatorAudience,
    limits::{Rate, admission::Limits},
};
use platform::jwks::JwksSource;
use reqwest::Url;

use crate::host::{
    alerts::{Format, Webhook},
    backup::BackupSettings,
    checkpoint_folder::CheckpointSettings,
    service::OperatorIssuer,
    settings::Settings,
};

mod sections;

use sections::Sections;

/// Where the package puts the file.
pub const DEFAULT_FILE: &str = "/etc/miniprogram/config.toml";
/// The URL of the gateway unless another one is configured.
pub const DEFAULT_GATEWAY: &str = "http://127.0.0.1:18789";

/// A configuration file that was read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// The data directory.
    pub data: PathBuf,
    /// The socket on which a reverse proxy passes clients' requests on. Without it the service listens on loopback only.
    pub socket: Option<PathBuf>,
    /// The port on loopback, where the gateway's plugin sends its webhook and operators' commands connect.
    pub rings_port: u16,
    /// Free space in MiB on the disk of the data directory below which new jobs are refused; 0 never refuses.
    pub min_free_mb: u64,
    /// The operator's console, built.
    pub console: Option<PathBuf>,
    /// The Mini Program's app id.
    pub wechat_app_id: String,
    /// WeChat's API.
    pub wechat_base_url: String,
    /// File with the app secret.
    pub wechat_secret_file: PathBuf,
    /// The gateway's URL.
    pub gateway_url: String,
    /// File with the gateway's token.
    pub gateway_token_file: PathBuf,
    /// The user whose systemd runs the gateway. Without one the gateway is not restarted. Only `watch` reads it.
    pub gateway_user: Option<String>,
    /// The gateway's unit.
    pub gateway_unit: String,
    /// The folder of the catalogue and the policies; without one, those that this program was built with.
    pub policy_dir: Option<PathBuf>,
    /// Limits, lifetimes and retention.
    pub settings: Settings,
    /// How many batches of jobs run at once.
    pub workers: usize,
    /// The issuer of operators' tokens; without one, this host's own key.
    pub operators: Option<OperatorIssuer>,
    /// The console's client id at that issuer.
    pub console_client_id: Option<String>,
    /// Where backups are kept, and how many. Only the commands read it.
    pub backup: BackupSettings,
    /// What is done with exported checkpoints. Only the command reads it.
    pub checkpoints: CheckpointSettings,
    /// Where alarms are sent.
    pub alerts: AlertSettings,
    /// Port of Prometheus metrics on loopback.
    pub metrics_port: Option<u16>,
    /// Which log lines are written, as in `info` or `worker=debug,warn`.
    pub log_level: String,
    /// The form of log lines.
    pub log_format: LogFormat,
}

/// Where alarms are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertSettings {
    /// File with the URL of the webhook. Without one the unit's credential `alerts-webhook`, if there is one.
    pub webhook_file: Option<PathBuf>,
    /// The form of the messages.
    pub format: Format,
    /// Called once a minute while table and gateway answer.
    pub heartbeat: Option<Webhook>,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One flat JSON object per line, as on AWS.
    Json,
    /// For people.
    Text,
}

/// The file cannot be used. Each error is one sentence that names the file and, where there is one, the key.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFault {
    /// The file cannot be read.
    #[error("{file} cannot be read")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file is not TOML, or has an unknown key, a missing one, or a value of the wrong type.
    #[error("{file}, line {line}: {message}")]
    Malformed {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The parser's message, in one line. It quotes no values.
        message: String,
    },
    /// A value is not one of those that the key takes.
    #[error("{file}: {key} must be {expected}")]
    Invalid {
        /// The file.
        file: PathBuf,
        /// Section and key.
        key: &'static str,
        /// Description of a valid value.
        expected: String,
    },
}

impl ConfigFile {
    /// Reads and checks a file.
    pub fn read(file: &Path) -> Result<Self, ConfigFault> {
        let text = std::fs::read_to_string(file)
            .map_err(|source| ConfigFault::Unreadable { file: file.to_owned(), source })?;
        Self::parse(file, &text)
    }

    /// Checks the text of a file, whose path is needed for errors.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigFault> {
        let sections: Sections = toml::from_str(text).map_err(|error| malformed(file, text, &error))?;
        let check = Check { file };
        let operators = operators(check, &sections)?;
        let settings = settings(check, &sections)?;
        let backup = backup(check, &sections)?;
        let alerts = alerts(check, &sections)?;
        let checkpoints = checkpoints(check, &sections)?;
        let Sections { server, wechat, gateway, policy, limits, metrics, log, operators: from, .. } = sections;
        let paths = [
            ("server.data", Some(&server.data)),
            ("server.socket", server.socket.as_ref()),
            ("server.console", server.console.as_ref()),
            ("wechat.secret_file", Some(&wechat.secret_file)),
            ("gateway.token_file", Some(&gateway.token_file)),
            ("policy.dir", policy.dir.as_ref()),
            ("backup.dir", Some(&backup.dir)),
            ("backup.journal", backup.journal.as_ref()),
            ("alerts.webhook_file", alerts.webhook_file.as_ref()),
        ];
        for (key, path) in paths {
            check.that(key, path.is_none_or(|path| path.is_absolute()), "an absolute path")?;
        }
        let is_unit = gateway.unit.ends_with(".service") && is_name(gateway.unit.as_bytes(), b"-_.@");
        check.that("gateway.unit", is_unit, "the name of a unit that ends in .service")?;
        let is_user = gateway.user.as_ref().is_none_or(|user| is_name(user.as_bytes(), b"-_."));
        check.that("gateway.user", is_user, "the name of a user")?;
        let levels = "levels such as `info`, or `worker=debug,warn`: off, error, warn, info, debug, trace";
        check.that("log.level", log.level.split(',').all(is_log_directive), levels)?;
        check.that("wechat.app_id", is_app_id(&wechat.app_id), "4 to 32 letters, digits, hyphens or underscores")?;
        Ok(Self {
            data: server.data,
            socket: server.socket,
            rings_port: server.rings_port,
            min_free_mb: check.number("server.min_free_mb", server.min_free_mb, 0..=1_000_000)?,
            console: server.console,
            wechat_app_id: wechat.app_id,
            wechat_base_url: check.url("wechat.base_url", &wechat.base_url)?,
            wechat_secret_file: wechat.secret_file,
            gateway_url: check.url("gateway.url", &gateway.url)?,
            gateway_token_file: gateway.token_file,
            gateway_user: gateway.user,
            gateway_unit: gateway.unit,
            workers: check.count("limits.maximum_concurrency", limits.maximum_concurrency, 1..=64)?,
            policy_dir: policy.dir,
            settings,
            operators,
            console_client_id: from.client_id,
            backup,
            checkpoints,
            alerts,
            metrics_port: metrics.port,
            log_level: log.level,
            log_format: log.format,
        })
    }

    /// Whether `other` differs in a key that a running service cannot replace. It replaces the policy, the limits of
    /// users, lifetimes and retention.
    pub fn differs_beyond_reload(&self, other: &Self) -> bool {
        let (settings, policy_dir) = (self.settings.clone(), self.policy_dir.clone());
        // Read by commands only.
        let (backup, checkpoints) = (self.backup.clone(), self.checkpoints.clone());
        let (gateway_user, gateway_unit) = (self.gateway_user.clone(), self.gateway_unit.clone());
        let reloaded = Self { settings, policy_dir, backup, checkpoints, gateway_user, gateway_unit, ..other.clone() };
        reloaded != *self
    }
}

/// The ranges are those of `template.yaml`; a test compares the defaults.
fn settings(check: Check<'_>, sections: &Sections) -> Result<Settings, ConfigFault> {
    let (limits, checkpoints) = (&sections.limits, &sections.checkpoints);
    let rate = |interval: (&'static str, u64), burst: (&'static str, u64), most| -> Result<Rate, ConfigFault> {
        let interval = check.number(interval.0, interval.1, 1..=3_600_000)?;
        let burst = check.number(burst.0, burst.1, 1..=most)?;
        Ok(Rate::new(Duration::from_millis(interval), u32::try_from(burst).unwrap_or(u32::MAX)))
    };
    let seconds = |key, value, range: RangeInclusive<u64>| check.number(key, value, range).map(Duration::from_secs);
    let submit = ("limits.submit_interval_ms", limits.submit_interval_ms);
    let login = ("limits.login_interval_ms", limits.login_interval_ms);
    Ok(Settings {
        limits: Limits {
            submissions: rate(submit, ("limits.submit_burst", limits.submit_burst), 1000)?,
            in_flight: check.count("limits.max_in_flight", limits.max_in_flight, 1..=100)?,
            in_flight_long: check.count("limits.max_in_flight_long", limits.max_in_flight_long, 1..=100)?,
            conversations: check.count("limits.max_conversations", limits.max_conversations, 1..=1000)?,
        },
        login_rate: rate(login, ("limits.login_burst", limits.login_burst), 10_000)?,
        session_lifetime: seconds("limits.session_lifetime_s", limits.session_lifetime_s, 300..=86_400)?,
        long_poll_cap: seconds("limits.long_poll_max_s", limits.long_poll_max_s, 0..=20)?,
        worker_concurrency: check.count("limits.worker_concurrency", limits.worker_concurrency, 1..=10)?,
        retention_days: check.number("retention.days", sections.retention.days, 2..=3650)?,
        checkpoint_every: seconds("checkpoints.every_s", checkpoints.every_s, 60..=300)?,
        checkpoint_max_age: seconds("checkpoints.max_age_s", checkpoints.max_age_s, 900..=86_400)?,
    })
}

fn backup(check: Check<'_>, sections: &Sections) -> Result<BackupSettings, ConfigFault> {
    let sections::Backup { dir, keep, min_free_mb, journal, after_command } = &sections.backup;
    Ok(BackupSettings {
        dir: dir.clone(),
        keep: check.count("backup.keep", *keep, 1..=1000)?,
        min_free_mb: check.number("backup.min_free_mb", *min_free_mb, 0..=1_000_000)?,
        journal: journal.clone(),
        after_command: after_command.clone(),
    })
}

/// Checkpoints are kept at least as long as the jobs that they prove.
fn checkpoints(check: Check<'_>, sections: &Sections) -> Result<CheckpointSettings, ConfigFault> {
    let sections::Checkpoints { keep_days, copy_command, .. } = &sections.checkpoints;
    let least = sections.retention.days.clamp(2, 3650);
    let keep_days = keep_days.map(|days| check.number("checkpoints.keep_days", days, least..=3650)).transpose()?;
    Ok(CheckpointSettings { keep_days, copy_command: copy_command.clone() })
}

fn alerts(check: Check<'_>, sections: &Sections) -> Result<AlertSettings, ConfigFault> {
    let sections::Alerts { webhook_file, format, heartbeat_url } = &sections.alerts;
    let expected = "an https URL, or an http URL on loopback";
    let heartbeat = heartbeat_url.as_deref().map(|url| Webhook::parse(url, Format::Json)).transpose();
    let heartbeat = heartbeat.map_err(|_| check.invalid("alerts.heartbeat_url", expected))?;
    Ok(AlertSettings { webhook_file: webhook_file.clone(), format: *format, heartbeat })
}

fn operators(check: Check<'_>, sections: &Sections) -> Result<Option<OperatorIssuer>, ConfigFault> {
    let sections::Operators { issuer, audience, jwks, roles_claim, client_id } = &sections.operators;
    let (issuer, audience, jwks) = match (issuer, audience, jwks) {
        (Some(issuer), Some(audience), Some(jwks)) => (issuer.clone(), audience.clone(), jwks),
        (None, None, None) if client_id.is_none() => return Ok(None),
        _ => return Err(check.invalid("operators", "given with issuer, audience and jwks, or left out")),
    };
    let expected = "an https URL, an http URL on loopback, or an absolute path";
    let jwks = JwksSource::parse(jwks).ok_or_else(|| check.invalid("operators.jwks", expected))?;
    let audience = OperatorAudience { issuer, audience, roles_claim: roles_claim.clone() };
    Ok(Some(OperatorIssuer { audience, jwks }))
}

/// A level, for all targets or for one. A misspelt level would be taken for the name of a target, and silence all others.
fn is_log_directive(directive: &str) -> bool {
    let (target, level) = directive.trim().rsplit_once('=').unwrap_or(("all", directive.trim()));
    !target.is_empty() && ["off", "error", "warn", "info", "debug", "trace"].contains(&level)
}

/// Letters, digits and some others, and not an option of a command.
fn is_name(text: &[u8], others: &[u8]) -> bool {
    let is_fine = |byte: &u8| byte.is_ascii_alphanumeric() || others.contains(byte);
    (1..=100).contains(&text.len()) && !text.starts_with(b"-") && text.iter().all(is_fine)
}

/// The rule of `WechatAppId` in `template.yaml`.
fn is_app_id(text: &str) -> bool {
    (4..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Checks values, and names the file in errors.
#[derive(Clone, Copy)]
struct Check<'a> {
    file: &'a Path,
}

impl Check<'_> {
    fn invalid(self, key: &'static str, expected: impl Into<String>) -> ConfigFault {
        ConfigFault::Invalid { file: self.file.to_owned(), key, expected: expected.into() }
    }

    fn that(self, key: &'static str, holds: bool, expected: &str) -> Result<(), ConfigFault> {
        if holds { Ok(()) } else { Err(self.invalid(key, expected)) }
    }

    fn number(self, key: &'static str, value: u64, range: RangeInclusive<u64>) -> Result<u64, ConfigFault> {
        self.that(key, range.contains(&value), &format!("{} to {}", range.start(), range.end()))?;
        Ok(value)
    }

    fn count(self, key: &'static str, value: u64, range: RangeInclusive<u64>) -> Result<usize, ConfigFault> {
        self.number(key, value, range).map(|value| usize::try_from(value).unwrap_or(usize::MAX))
    }

    /// An https URL, or an http URL on this host: the token or the app secret is sent there.
    fn url(self, key: &'static str, text: &str) -> Result<String, ConfigFault> {
        let is_safe = |url: &Url| match url.scheme() {
            "https" => true,
            "http" => matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")),
            _ => false,
        };
        self.that(key, Url::parse(text).is_ok_and(|url| is_safe(&url)), "an https URL, or an http URL on loopback")?;
        Ok(text.trim_end_matches('/').to_owned())
    }
}

fn malformed(file: &Path, text: &str, error: &toml::de::Error) -> ConfigFault {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let message = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
    ConfigFault::Malformed { file: file.to_owned(), line, message }
}

#[cfg(test)]
mod tests;
