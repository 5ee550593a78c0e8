//! The table that a command works on: of a service on this machine, running or not, or on AWS.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use domain::policy::PolicyFiles;
use platform::config::{self, Env};
use store::Table;

use super::Failure;
use crate::{
    data::{DataError, TABLE_FILE, checkout},
    emulation::engines::{EngineOptions, Engines},
    host::{
        config_file::{ConfigFile, DEFAULT_FILE},
        policy_folder,
    },
};

/// Options that name a table.
#[derive(Debug, Args)]
pub(super) struct Which {
    #[command(flatten)]
    pub(super) host: HostArgs,
    /// A table on AWS instead; region, credentials and endpoint come from the standard `AWS_*` variables
    #[arg(long, conflicts_with_all = ["data", "config"])]
    pub(super) table: Option<String>,
}

/// Options that name a service on this machine, running or not. Without one: in a checkout `.local/data`, elsewhere the
/// service of `/etc/miniprogram/config.toml`.
#[derive(Debug, Clone, Args)]
pub(super) struct HostArgs {
    /// The data directory of a service on this machine, running or not, from the checkout's root [default: .local/data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The configuration file of a service on this machine, instead of --data [default outside a checkout:
    /// /etc/miniprogram/config.toml]
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    config: Option<PathBuf>,
}

impl Which {
    /// The policy files of the named service: those of its folder, or those that this program was built with.
    pub(super) fn policy(&self) -> Result<PolicyFiles, Failure> {
        if self.table.is_some() {
            return Ok(PolicyFiles::built_in());
        }
        match self.host.host()? {
            Host::Configured(_, config) => policy_of(&config),
            Host::Directory(_) => Ok(PolicyFiles::built_in()),
        }
    }
}

/// The policy files of a service: those of its folder, or those that this program was built with.
pub(super) fn policy_of(config: &ConfigFile) -> Result<PolicyFiles, Failure> {
    Ok(config.policy_dir.as_deref().map_or_else(|| Ok(PolicyFiles::built_in()), policy_folder::read)?)
}

/// A service on this machine, as the options name it.
#[derive(Debug)]
pub(super) enum Host {
    /// By its data directory.
    Directory(PathBuf),
    /// By its configuration file.
    Configured(PathBuf, Box<ConfigFile>),
}

impl HostArgs {
    /// Finds the service. Reads the configuration file, if there is one.
    pub(super) fn host(&self) -> Result<Host, Failure> {
        self.host_from(checkout(), Path::new(DEFAULT_FILE))
    }

    /// The configuration file that `--config` names, or the installed one.
    pub(super) fn config_file(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|| DEFAULT_FILE.into())
    }

    /// Its data directory.
    pub(super) fn directory(&self) -> Result<PathBuf, Failure> {
        self.host().map(Host::into_directory)
    }

    fn host_from(&self, checkout: Result<PathBuf, DataError>, default_file: &Path) -> Result<Host, Failure> {
        let configured = |file: &Path| Ok(Host::Configured(file.to_owned(), Box::new(ConfigFile::read(file)?)));
        match (&self.data, &self.config, checkout) {
            (Some(data), _, _) if data.is_absolute() => Ok(Host::Directory(data.clone())),
            (None, Some(file), _) => configured(file),
            (Some(data), _, Ok(checkout)) => Ok(Host::Directory(checkout.join(data))),
            (None, None, Ok(checkout)) => Ok(Host::Directory(checkout.join(".local/data"))),
            (None, None, Err(_)) if default_file.exists() => configured(default_file),
            (_, _, Err(no_checkout)) => Err(no_checkout.into()),
        }
    }
}

impl Host {
    fn into_directory(self) -> PathBuf {
        match self {
            Self::Directory(directory) => directory,
            Self::Configured(_, config) => config.data,
        }
    }
}

/// An open table, and the embedded engine that serves it, if there is one.
pub(super) struct Opened {
    pub(super) table: Table,
    engines: Option<Engines>,
}

/// The commands write no items that expire, so the value does not matter.
const RETENTION: Duration = Duration::from_secs(30 * 86_400);

impl Opened {
    pub(super) async fn open(which: &Which) -> Result<Self, Failure> {
        if let Some(name) = &which.table {
            let aws = config::aws(&Env::process())?;
            return Ok(Self { table: Table::new(aws.dynamodb(), name.clone(), RETENTION), engines: None });
        }
        let file = which.host.directory()?.join(TABLE_FILE);
        if !file.is_file() {
            return Err(no_table(&file).into());
        }
        // A running service may use the file at the same time: SQLite serialises the writes of several processes.
        let engines = Engines::start(EngineOptions { table_file: Some(file), ..EngineOptions::default() }).await?;
        let backend = &engines.backend;
        let table = Table::new(backend.aws.dynamodb(), backend.table.clone(), RETENTION);
        Ok(Self { table, engines: Some(engines) })
    }

    pub(super) async fn close(self) {
        if let Some(engines) = self.engines {
            engines.stop().await;
        }
    }
}

fn no_table(file: &Path) -> String {
    format!("there is no table at {}; say which one with --data, --config or --table", file.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_the_one_of_the_options_or_of_the_checkout_or_of_the_installed_file() {
        let (root, nowhere) = (Path::new("/checkout"), Path::new("/does/not/exist/config.toml"));
        let packaged = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/config.toml"));
        let found = |data: Option<&str>, config: Option<&Path>, in_checkout: bool, default: &Path| {
            let args = HostArgs { data: data.map(PathBuf::from), config: config.map(Path::to_owned) };
            let checkout = if in_checkout { Ok(root.to_owned()) } else { Err(DataError::NoCheckout("/".into())) };
            args.host_from(checkout, default).map(|host| host.into_directory().display().to_string())
        };
        for (data, config, in_checkout, default, expected) in [
            (Some("/data"), None, false, nowhere, Some("/data")),
            (Some("data"), None, true, packaged, Some("/checkout/data")),
            (Some("data"), None, false, packaged, None),
            (None, Some(packaged), true, nowhere, Some("/var/lib/miniprogram")),
            (None, Some(nowhere), true, packaged, None),
            (None, None, true, packaged, Some("/checkout/.local/data")),
            (None, None, false, packaged, Some("/var/lib/miniprogram")),
            (None, None, false, nowhere, None),
        ] {
            let found = found(data, config, in_checkout, default).ok();
            assert_eq!(found.as_deref(), expected, "{data:?} {config:?} {in_checkout}");
        }
    }
}
