//! systemd: the service, the timer of backups, the clock, and the gateway's user.

use std::{fs, os::unix::fs::MetadataExt, path::Path, process::Stdio, time::Duration};

use tokio::process::Command;

use super::Finding;
use crate::host::{
    config_file::ConfigFile,
    systemd::{BACKUP_TIMER, SERVICE, WATCH_TIMER},
};

/// How long one command may take.
const LIMIT: Duration = Duration::from_secs(3);

pub(super) async fn check(config: &ConfigFile) -> Vec<Finding> {
    if !Path::new("/run/systemd/system").is_dir() {
        return vec![Finding::warn("systemd", "it does not run on this host, so units and clock are not checked", "")];
    }
    let (service, timer, watch, clock) = tokio::join!(
        state_of("service", SERVICE),
        state_of("backup timer", BACKUP_TIMER),
        state_of("watch timer", WATCH_TIMER),
        clock(),
    );
    let mut findings = vec![service, timer, watch, clock];
    findings.extend(config.backup.journal.as_deref().and_then(linger));
    findings
}

async fn state_of(check: &'static str, unit: &'static str) -> Finding {
    match said("systemctl", &["is-active", unit]).await.as_deref() {
        Some("active") => Finding::ok(check, format!("{unit} is active")),
        Some(state) => Finding::fail(check, format!("{unit} is {state}"), &format!("systemctl enable --now {unit}")),
        None => Finding::warn(check, "systemctl does not answer", ""),
    }
}

/// A clock that nothing corrects drifts, and with it the times of requests.
async fn clock() -> Finding {
    match said("timedatectl", &["show", "--property=NTPSynchronized", "--value"]).await.as_deref() {
        Some("yes") => Finding::ok("clock", "synchronised"),
        Some("no") => Finding::warn("clock", "not synchronised", "timedatectl set-ntp true"),
        Some(_) | None => Finding::warn("clock", "timedatectl does not answer", ""),
    }
}

/// The user of the gateway owns the journal. Without lingering, systemd stops the user's services at logout.
fn linger(journal: &Path) -> Option<Finding> {
    let owner = fs::metadata(journal).ok()?.uid();
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let user = user_named(&users, owner).filter(|_| owner != 0)?;
    Some(match Path::new("/var/lib/systemd/linger").join(user).exists() {
        true => Finding::ok("linger", format!("services of {user} go on after logout")),
        false => {
            let mend = format!("loginctl enable-linger {user}");
            Finding::fail("linger", format!("the gateway of {user} ends when {user} logs out"), &mend)
        }
    })
}

/// The name of a user in `/etc/passwd`.
fn user_named(passwd: &str, id: u32) -> Option<&str> {
    let entry = |line: &'_ str| line.split(':').nth(2).and_then(|uid| uid.parse().ok()) == Some(id);
    passwd.lines().find(|line| entry(line))?.split(':').next()
}

/// The first line that a command prints; `None` if it does not exist or does not end.
async fn said(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(LIMIT, output).await.ok()?.ok()?;
    String::from_utf8(output.stdout).ok()?.lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_id() {
        let passwd = "root:x:0:0::/root:/bin/sh\nubuntu:x:1000:1000:,,,:/home/ubuntu:/bin/bash\nbroken\n";
        assert_eq!(user_named(passwd, 1000), Some("ubuntu"));
        assert_eq!(user_named(passwd, 7), None);
    }
}
