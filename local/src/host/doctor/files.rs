//! Files: permissions, credentials, space, backups, checkpoints.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use domain::ids::Timestamp;

use super::Finding;
use crate::{
    data::{TABLE_FILE, timestamp},
    disk::{self, MIB},
    host::{alerts::Webhook, backup, config_file::ConfigFile, systemd::BACKUP_TIMER},
};

/// A daily backup may be late by half a day.
const BACKUP_AGE: Duration = Duration::from_secs(36 * 3600);

pub(super) fn check(file: &Path, config: &ConfigFile, now: Timestamp) -> Vec<Finding> {
    let mut findings = vec![private(file, config)];
    findings.extend(credentials(file));
    findings.push(webhook(file, config));
    findings.push(space("disk", &config.data, config.min_free_mb));
    findings.push(backups(config, now));
    findings.push(checkpoints(config, now));
    findings
}

/// Whether state and credentials are closed to other users.
fn private(file: &Path, config: &ConfigFile) -> Finding {
    let beside = |name: &str| config.data.join(name);
    let kept = [beside(TABLE_FILE), beside("secrets.json"), beside("operators.json"), file.with_file_name("secrets")];
    let open = |path: &&PathBuf| fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0);
    match kept.iter().find(open) {
        Some(path) => {
            let mend = format!("chmod go-rwx {}", path.display());
            Finding::fail("permissions", format!("other users may read {}", path.display()), &mend)
        }
        None => Finding::ok("permissions", "state and credentials are closed to other users"),
    }
}

/// The files that the unit passes as credentials.
fn credentials(config_file: &Path) -> Vec<Finding> {
    let dir = config_file.with_file_name("secrets");
    let check = |name: &'static str| {
        let path = dir.join(name);
        match fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => Finding::ok(name, path.display()),
            Ok(_) => Finding::fail(name, format!("{} is empty", path.display()), "miniprogram secrets set NAME"),
            Err(cause) => Finding::fail(
                name,
                format!("{} cannot be read: {cause}", path.display()),
                "run as root; miniprogram secrets set NAME",
            ),
        }
    };
    vec![check("wechat-app-secret"), check("gateway-token")]
}

/// Whether alarms reach a person.
fn webhook(config_file: &Path, config: &ConfigFile) -> Finding {
    let default = config_file.with_file_name("secrets").join("alerts-webhook");
    let file = config.alerts.webhook_file.as_deref().unwrap_or(&default);
    let mend = "miniprogram secrets set alerts-webhook; systemctl restart miniprogram";
    match fs::read_to_string(file) {
        Ok(text) if Webhook::parse(&text, config.alerts.format).is_ok() => Finding::ok("webhook", file.display()),
        Ok(_) => Finding::warn("webhook", format!("{} is no URL for alarms", file.display()), mend),
        Err(cause) => Finding::warn("webhook", format!("alarms are only logged: {}: {cause}", file.display()), mend),
    }
}

fn space(check: &'static str, dir: &Path, min_free_mb: u64) -> Finding {
    let mend = "delete what is not needed, or enlarge the disk";
    match disk::free_bytes(dir) {
        Ok(free) if free / MIB < min_free_mb => {
            Finding::fail(check, format!("{} MiB are free; new jobs are refused", free / MIB), mend)
        }
        Ok(free) if free / MIB < min_free_mb.saturating_mul(5) => {
            Finding::warn(check, format!("{} MiB are free", free / MIB), mend)
        }
        Ok(free) => Finding::ok(check, format!("{} MiB are free", free / MIB)),
        Err(cause) => Finding::fail(check, format!("{}: {cause}", dir.display()), "systemctl start miniprogram"),
    }
}

/// The newest backup: a file has its name only after it was verified.
fn backups(config: &ConfigFile, now: Timestamp) -> Finding {
    let mend = &*format!("miniprogram backup create; systemctl enable --now {BACKUP_TIMER}");
    let listed = backup::list(&config.backup.dir).unwrap_or_default();
    let Some(newest) = listed.last() else {
        return Finding::warn("backup", format!("there is none in {}", config.backup.dir.display()), mend);
    };
    match (&newest.manifest, modified(&newest.file)) {
        (Err(fault), _) => Finding::fail("backup", fault, mend),
        (Ok(_), Some(at)) if now.since(at) > BACKUP_AGE => {
            Finding::warn("backup", format!("the newest is of {at}"), mend)
        }
        (Ok(manifest), _) if manifest.journal.is_none() => {
            let mend = "name the plugin's `db` in backup.journal of the configuration file";
            Finding::warn("backup", "the newest does not have the gateway's journal", mend)
        }
        (Ok(manifest), _) => Finding::ok("backup", format!("the newest is of {}", manifest.created_at)),
    }
}

/// The newest exported checkpoint of the audit chains.
fn checkpoints(config: &ConfigFile, now: Timestamp) -> Finding {
    let dir = config.data.join("checkpoints");
    let files = fs::read_dir(&dir).map(|entries| entries.flatten().filter_map(|entry| modified(&entry.path())).max());
    match files.ok().flatten() {
        Some(at) if now.since(at) > config.settings.checkpoint_max_age => {
            Finding::fail("checkpoints", format!("the newest is of {at}"), "journalctl -u miniprogram -g checkpoint")
        }
        Some(at) => Finding::ok("checkpoints", format!("the newest is of {at}")),
        None => Finding::warn("checkpoints", "none was exported yet", "wait some minutes after the first start"),
    }
}

fn modified(file: &Path) -> Option<Timestamp> {
    timestamp(fs::metadata(file).ok()?.modified().ok()?)
}
