//! Asks systemd for the state of a unit, and restarts it: of the system, or of a user's own manager.

use std::{fs, process::Stdio, time::Duration};

use tokio::process::Command;

use super::decision::Unit;

/// How long one command may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How long a restart may take: the gateway's unit waits up to 330 s for what runs in it.
const RESTART_LIMIT: Duration = Duration::from_secs(400);
/// `EX_CONFIG`, with which this service ends for a fault in its files. OpenClaw ends with it also when its start was
/// disturbed, and then a restart helps.
const EX_CONFIG: &str = "78";

/// A unit, as systemd reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shown {
    /// Its state.
    pub(super) unit: Unit,
    /// How often systemd has restarted it by itself since a person last started it (`NRestarts`). `None` if systemd does
    /// not tell.
    pub(super) restarts: Option<u64>,
}

impl Shown {
    /// A unit about which systemd reports nothing.
    pub(super) const UNKNOWN: Self = Self { unit: Unit::Unknown, restarts: None };
}

/// The manager of the unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Manager {
    /// The system manager.
    System,
    /// The manager of a user.
    User {
        /// The user's number.
        uid: u32,
        /// The number of the user's group.
        gid: u32,
    },
}

impl Manager {
    /// The manager of a user by name. `None` for a user that does not exist.
    pub(super) fn of_user(name: &str) -> Option<Self> {
        user(&fs::read_to_string("/etc/passwd").ok()?, name)
    }

    fn systemctl(&self, args: &[&str]) -> Command {
        let mut command = Command::new("systemctl");
        command.stdin(Stdio::null()).kill_on_drop(true);
        if let Self::User { uid, gid } = self {
            command.arg("--user").uid(*uid).gid(*gid).env("XDG_RUNTIME_DIR", format!("/run/user/{uid}"));
        }
        command.args(args);
        command
    }

    /// The state of a unit.
    pub(super) async fn state(&self, unit: &str) -> Shown {
        let show = ["show", unit, "--property=LoadState,ActiveState,Result,ExecMainStatus,NRestarts"];
        let output = tokio::time::timeout(LIMIT, self.systemctl(&show).output()).await;
        let Ok(Ok(output)) = output else { return Shown::UNKNOWN };
        let own_fault = if *self == Self::System { Some(EX_CONFIG) } else { None };
        shown(&String::from_utf8_lossy(&output.stdout), own_fault)
    }

    /// Restarts a unit, also one that systemd has given up on. Whether systemd has done it.
    pub(super) async fn restart(&self, unit: &str) -> bool {
        let run = async |args: &[&str]| {
            let status = tokio::time::timeout(RESTART_LIMIT, self.systemctl(args).stdout(Stdio::null()).status()).await;
            matches!(status, Ok(Ok(status)) if status.success())
        };
        // Without it the limit of starts (`StartLimitBurst`) refuses the restart.
        run(&["reset-failed", unit]).await;
        run(&["restart", unit]).await
    }
}

fn user(passwd: &str, name: &str) -> Option<Manager> {
    let fields = |line: &'_ str| -> Option<(u32, u32)> {
        let mut fields = line.split(':');
        let is_it = fields.next() == Some(name);
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        is_it.then_some((uid, gid))
    };
    passwd.lines().find_map(fields).map(|(uid, gid)| Manager::User { uid, gid })
}

/// Reads what `systemctl show` prints. `own_fault` is the exit code for a fault in the configuration.
fn shown(text: &str, own_fault: Option<&str>) -> Shown {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let unit = match (value("LoadState"), value("ActiveState")) {
        (Some("loaded"), Some("failed")) if value("ExecMainStatus").is_some_and(|code| own_fault == Some(code)) => {
            Unit::Misconfigured
        }
        (Some("loaded"), Some("failed")) => Unit::Failed,
        (Some("loaded"), Some("inactive")) => Unit::Stopped,
        (Some("loaded"), Some(_)) => Unit::Running,
        _ => Unit::Unknown,
    };
    Shown { unit, restarts: value("NRestarts").and_then(|count| count.parse().ok()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_unit_is_read_from_its_properties() {
        let text = |active: &str, code: &str| {
            format!("Result=exit-code\nNRestarts=7\nLoadState=loaded\nActiveState={active}\nExecMainStatus={code}\n")
        };
        let is = |unit: Unit| Shown { unit, restarts: Some(7) };
        for (active, code, expected) in [
            ("active", "0", Unit::Running),
            ("activating", "1", Unit::Running),
            ("deactivating", "0", Unit::Running),
            ("inactive", "0", Unit::Stopped),
            ("failed", "1", Unit::Failed),
            ("failed", "78", Unit::Misconfigured),
        ] {
            assert_eq!(shown(&text(active, code), Some("78")), is(expected), "{active} {code}");
        }
        assert_eq!(shown(&text("failed", "78"), None), is(Unit::Failed), "the gateway's 78 is worth a restart");
        assert_eq!(shown("LoadState=not-found\nActiveState=inactive\n", None), Shown::UNKNOWN);
        assert_eq!(shown("", None), Shown::UNKNOWN);
    }

    #[test]
    fn a_user_is_found_by_name() {
        let passwd = "root:x:0:0::/root:/bin/sh\nubuntu:x:1000:1001:,,,:/home/ubuntu:/bin/bash\nbroken\n";
        assert_eq!(user(passwd, "ubuntu"), Some(Manager::User { uid: 1000, gid: 1001 }));
        assert_eq!(user(passwd, "ubunt"), None);
    }
}
