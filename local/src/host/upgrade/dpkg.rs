//! The commands of the host's package system, each looked up in `PATH`.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use super::{PACKAGE, UpgradeFault};
use crate::{data::failed, host::systemd::SERVICE};

/// How long, and after which pauses, dpkg is tried while another process holds its lock.
const LOCK_LIMIT: Duration = Duration::from_secs(120);
const LOCK_PAUSE: Duration = Duration::from_secs(1);

/// What a `.deb` says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deb {
    pub(super) file: PathBuf,
    pub(super) version: Version,
}

/// A version as dpkg writes it. Only characters that a version may have, so it is a file name, too.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Version(String);

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let is_one = !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-~:".contains(&byte))
            && text.starts_with(|first: char| first.is_ascii_digit());
        is_one.then(|| Self(text.to_owned()))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The package as dpkg knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Installed {
    pub(super) version: Version,
    /// dpkg has finished with it.
    pub(super) is_whole: bool,
}

/// Reads the control fields of a file, which must be this package.
pub(super) fn describe(file: &Path) -> Result<Deb, UpgradeFault> {
    let file = file.canonicalize().map_err(failed(file, "read"))?;
    let field = |name: &str| {
        let output = run(Command::new("dpkg-deb").arg("--field").arg(&file).arg(name))?;
        Ok::<_, UpgradeFault>(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let not_it = || UpgradeFault::OtherPackage(file.clone());
    if field("Package")? != PACKAGE {
        return Err(not_it());
    }
    let version = Version::parse(&field("Version")?).ok_or_else(not_it)?;
    Ok(Deb { file, version })
}

/// What is installed now.
pub(super) fn installed() -> Result<Installed, UpgradeFault> {
    let query = ["--show", "--showformat=${db:Status-Status} ${Version}", PACKAGE];
    let output = Command::new("dpkg-query").args(query).stdin(Stdio::null()).output();
    let output = output.map_err(|cause| UpgradeFault::Command("dpkg-query".to_owned(), cause.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text.trim().split_once(' ').and_then(|(state, version)| Some((state, Version::parse(version)?)));
    let Some((state, version)) = found else { return Err(UpgradeFault::NotInstalled) };
    Ok(Installed { version, is_whole: state == "installed" })
}

/// Whether `version` is newer than `than`, by dpkg's order.
pub(super) fn is_newer(version: &Version, than: &Version) -> Result<bool, UpgradeFault> {
    let mut command = Command::new("dpkg");
    command.args(["--compare-versions", &version.0, "gt", &than.0]).stdin(Stdio::null());
    let status = command.status().map_err(|cause| UpgradeFault::Command("dpkg".to_owned(), cause.to_string()))?;
    Ok(status.success())
}

/// Installs a newer version with the packages that it depends on. Configuration files that were changed here stay as
/// they are, and dpkg asks nothing.
pub(super) fn install_with_dependencies(deb: &Path) -> Result<(), UpgradeFault> {
    let mut command = Command::new("apt-get");
    command.args(["install", "--yes", "--no-remove", "--no-install-recommends"]);
    command.args(["-o", "Dpkg::Options::=--force-confold", "-o", "DPkg::Lock::Timeout=60"]).arg(deb);
    shown(&mut command)
}

/// Installs one file, also an older version, or over an installation that was interrupted. Needs no network. Waits while
/// another process, for example unattended upgrades, uses the package system: dpkg itself does not wait.
pub(super) fn install(deb: &Path) -> Result<(), UpgradeFault> {
    let begun = Instant::now();
    loop {
        let mut command = Command::new("dpkg");
        command.args(["--force-confold", "--install"]).arg(deb).stdin(Stdio::null()).stdout(Stdio::inherit());
        let output = command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C").output();
        let output = output.map_err(|cause| UpgradeFault::Command("dpkg".to_owned(), cause.to_string()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            return Ok(());
        }
        if !said.contains("locked by another process") || begun.elapsed() >= LOCK_LIMIT {
            eprint!("{said}");
            return Err(UpgradeFault::Command("dpkg".to_owned(), format!("it ended with {}", output.status)));
        }
        std::thread::sleep(LOCK_PAUSE);
    }
}

/// Whether the program of a package accepts the configuration and the policy of this host; it is unpacked into `scratch`.
/// This finds out, too, whether the file can be unpacked.
pub(super) fn accepts(deb: &Deb, scratch: &Path, config_file: &Path) -> Result<(), UpgradeFault> {
    run(Command::new("dpkg-deb").arg("--extract").arg(&deb.file).arg(scratch))?;
    let program = scratch.join("usr/bin").join(PACKAGE);
    let output = Command::new(&program).args(["config", "check", "--config"]).arg(config_file).output();
    let output = output.map_err(failed(&program, "run"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(UpgradeFault::Refuses(deb.version.clone(), first_line(&output)))
}

/// Lets the installed program restore a backup.
pub(super) fn restore(backup: &Path, config_file: &Path) -> Result<(), UpgradeFault> {
    shown(Command::new(PACKAGE).arg("restore").arg(backup).arg("--config").arg(config_file))
}

/// Stops the service.
pub(super) fn stop_service() -> Result<(), UpgradeFault> {
    shown(Command::new("systemctl").args(["stop", SERVICE]))
}

/// Starts the service again. A package's own `try-restart` does nothing for a unit that systemd has given up on. Whether
/// it works is asked of the service itself.
pub(super) fn restart_service() {
    for verb in ["reset-failed", "restart"] {
        let _answers_later = shown(Command::new("systemctl").args([verb, SERVICE]));
    }
}

/// Runs a command whose output the operator sees.
fn shown(command: &mut Command) -> Result<(), UpgradeFault> {
    let name = name(command);
    command.stdin(Stdio::null()).env("DEBIAN_FRONTEND", "noninteractive");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(UpgradeFault::Command(name, format!("it ended with {status}"))),
        Err(cause) => Err(UpgradeFault::Command(name, cause.to_string())),
    }
}

/// Runs a command whose output is read.
fn run(command: &mut Command) -> Result<Output, UpgradeFault> {
    let name = name(command);
    let output = command.stdin(Stdio::null()).env("LC_ALL", "C").output();
    match output {
        Ok(output) if output.status.success() => Ok(output),
        Ok(output) => Err(ended(&name, &output)),
        Err(cause) => Err(UpgradeFault::Command(name, cause.to_string())),
    }
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn ended(name: &str, output: &Output) -> UpgradeFault {
    UpgradeFault::Command(name.to_owned(), first_line(output))
}

fn first_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    text.lines().next().map_or_else(|| format!("it ended with {}", output.status), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_file_name_and_no_path_or_option() {
        for text in ["0.1.0", "1:2.0~rc1-1+b2"] {
            assert_eq!(Version::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "../1", "1/2", "-1", "1 2", "~1", "1\n"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
