//! The commands of the host that a setup needs, each looked up in `PATH`.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use super::SetupFault;

/// The gateway's user. Every command of OpenClaw runs as this user: as root it would make a second state and a second unit.
#[derive(Debug)]
pub(super) struct User {
    pub(super) name: String,
    /// The command, as a word of the shell.
    pub(super) openclaw: String,
}

impl User {
    /// Runs a line of the login shell, which has the user's own `PATH`.
    fn shell(&self, line: &str, input: &str) -> Result<Output, SetupFault> {
        let mut command = Command::new("runuser");
        command
            .args(["-l", &self.name, "-c", line])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let failed = |cause: std::io::Error| SetupFault::Command("runuser".to_owned(), cause.to_string());
        let mut child = command.spawn().map_err(failed)?;
        let mut stdin = child.stdin.take().expect("it is piped");
        // A command that does not read its input closes it.
        let _may_be_closed = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().map_err(failed)
    }

    fn openclaw(&self, args: &str, input: &str) -> Result<String, SetupFault> {
        let output = self.shell(&format!("{} {args}", self.openclaw), input)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(SetupFault::Command(format!("openclaw {args}, as {}", self.name), last_line(&output)))
    }

    /// The path of the configuration.
    pub(super) fn config_file(&self) -> Result<String, SetupFault> {
        let said = self.openclaw("config file", "")?;
        let path = said.lines().map(str::trim).rfind(|line| line.starts_with('/'));
        path.map(str::to_owned).ok_or_else(|| {
            SetupFault::Command("openclaw config file".to_owned(), "it names no absolute path".to_owned())
        })
    }

    /// The value at a path; null if it is not set. OpenClaw ends with an error for that, too.
    pub(super) fn config_value(&self, path: &str) -> Result<Value, SetupFault> {
        let args = format!("config get {path} --json");
        let output = self.shell(&format!("{} {args}", self.openclaw), "")?;
        let found: Option<Value> = domain::json::foreign(&output.stdout).ok();
        match found {
            Some(value) if output.status.success() => Ok(value),
            Some(value) if value["error"]["message"].as_str().is_some_and(|why| why.contains("unset")) => {
                Ok(Value::Null)
            }
            Some(_) | None => {
                Err(SetupFault::Command(format!("openclaw {args}, as {}", self.name), last_line(&output)))
            }
        }
    }

    /// Lets OpenClaw check a change, and writes it unless `is_trial`.
    pub(super) fn patch(&self, patch: &Value, is_trial: bool) -> Result<(), SetupFault> {
        let args = if is_trial { "config patch --stdin --dry-run" } else { "config patch --stdin" };
        self.openclaw(args, &patch.to_string()).map(drop)
    }

    /// Restarts the gateway's unit.
    pub(super) fn restart(&self, unit: &str) -> Result<(), SetupFault> {
        let line = format!("XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user restart {}", quoted(unit));
        let output = self.shell(&line, "")?;
        if output.status.success() {
            Ok(())
        } else {
            Err(SetupFault::Command(format!("systemctl --user restart {unit}, as {}", self.name), last_line(&output)))
        }
    }
}

/// Whether a command succeeds; one that does not exist does not.
pub(super) fn succeeds(program: &str, args: &[&str]) -> bool {
    said(program, args).is_some()
}

/// What a command prints; `None` if it does not succeed.
pub(super) fn said(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a command that has to succeed.
pub(super) fn run(program: &str, args: &[&str]) -> Result<(), SetupFault> {
    let name = format!("{program} {}", args.join(" "));
    match Command::new(program).args(args).stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(SetupFault::Command(name, last_line(&output))),
        Err(cause) => Err(SetupFault::Command(name, cause.to_string())),
    }
}

/// A text as one word of the shell.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn last_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = text.lines().rfind(|line| !line.trim().is_empty());
    last.map_or_else(|| format!("it ended with {}", output.status), str::to_owned)
}
