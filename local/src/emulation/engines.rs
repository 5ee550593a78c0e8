//! Replaces DynamoDB and SQS on one host: real engines in this process.
//!
//! The table engine runs on threads of its own, because it blocks the thread that calls it. The table is an SQLite file
//! or in memory. The queue is in memory only, which loses nothing: messages are wake-up messages, and every start wakes
//! every open job.
//!
//! This process calls the engines without a socket. Only for functions in other processes do they listen, too, behind
//! [`crate::emulation::engine_ports`].

use std::{path::PathBuf, time::Duration};

use dynoxide::Database;
use tokio::runtime::Runtime;

use crate::{
    data::{DataError, keep_table_private},
    emulation::{
        backend::{Backend, BackendError},
        connector::InProcess,
    },
};

/// How long a stop waits for running calls of the table engine.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Options of the engines.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// The table's SQLite file; in memory when `None`.
    pub table_file: Option<PathBuf>,
    /// The port in the queues' URLs; 0 if the engine does not listen.
    pub queue_port: u16,
}

/// The engines cannot start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// SQLite cannot open the file.
    #[error("the table file {file} cannot be opened: {detail}")]
    Table {
        /// The file.
        file: String,
        /// SQLite's error.
        detail: String,
    },
    /// The file cannot be made or is not accessible.
    #[error(transparent)]
    File(#[from] DataError),
    /// Threads cannot be started.
    #[error("the engines' threads cannot be started")]
    Threads(#[source] std::io::Error),
    /// Table or queues cannot be made.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// Running engines, with table and queues.
#[derive(Debug)]
pub struct Engines {
    /// Settings and names with which this process reaches them.
    pub backend: Backend,
    in_process: InProcess,
    // The last field: the threads must end after everything that runs on them.
    threads: Threads,
}

/// Threads that may be dropped anywhere, also on a thread of another runtime, where dropping a runtime panics.
#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Engines {
    /// Starts the engines, and makes table and queues.
    pub async fn start(options: EngineOptions) -> Result<Self, EngineError> {
        let database = open(options.table_file.as_deref())?;
        let mut threads = tokio::runtime::Builder::new_multi_thread();
        threads.worker_threads(2).thread_name("engines");
        let runtime = threads.build().map_err(EngineError::Threads)?;
        let in_process = InProcess::with_queue_port(database, options.queue_port).on(runtime.handle().clone());
        let threads = Threads(Some(runtime));
        let backend = Backend::create(in_process.settings()).await?;
        Ok(Self { backend, in_process, threads })
    }

    /// The engines themselves, for passing on the calls of other processes.
    pub(crate) fn in_process(&self) -> InProcess {
        self.in_process.clone()
    }

    /// Lets running calls finish, then stops.
    pub async fn stop(mut self) {
        if let Some(runtime) = self.threads.0.take() {
            // Waiting blocks, so it runs on a thread where blocking is allowed.
            let _ = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(STOP_LIMIT)).await;
        }
    }
}

fn open(file: Option<&std::path::Path>) -> Result<Database, EngineError> {
    let opened = match file {
        None => Database::memory(),
        Some(file) => {
            keep_table_private(file)?;
            Database::new(&file.to_string_lossy())
        }
    };
    let file = || file.map_or_else(|| "in memory".to_owned(), |file| file.display().to_string());
    opened.map_err(|error| EngineError::Table { file: file(), detail: error.to_string() })
}
