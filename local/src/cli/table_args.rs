//! The table that a command works on: of a service on this machine, running or not, or on AWS.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use platform::config::{self, Env};
use store::Table;

use super::Failure;
use crate::{
    data::{TABLE_FILE, checkout},
    emulation::engines::{EngineOptions, Engines},
};

/// Options that name a table.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// The data directory of a service on this machine, running or not, from the checkout's root
    #[arg(long, default_value = ".local/data")]
    pub(super) data: PathBuf,
    /// A table on AWS instead; region, credentials and endpoint come from the standard `AWS_*` variables
    #[arg(long, conflicts_with = "data")]
    pub(super) table: Option<String>,
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
        let file = checkout()?.join(&which.data).join(TABLE_FILE);
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
    format!("there is no table at {}; say which one with --data or --table", file.display())
}
