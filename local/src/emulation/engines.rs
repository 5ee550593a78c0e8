//! The laptop's DynamoDB and SQS: real engines in this process.
//!
//! The table engine runs on threads of its own, because it blocks the thread that calls it. The table is a SQLite file or
//! memory. The queue is memory only, which loses nothing: messages are doorbells, and a start rings every open job.
//!
//! This process calls them without a socket. Only where functions run in other processes do they listen as well, behind
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

/// How long a stop waits for calls of the table engine.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// What to start.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// The table's SQLite file; memory when absent.
    pub table_file: Option<PathBuf>,
    /// The port in the URLs of the queues; 0 where the engine does not listen.
    pub queue_port: u16,
}

/// Engines that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The SQLite file.
    #[error("the table file {file} cannot be opened: {detail}")]
    Table {
        /// Which file.
        file: String,
        /// What SQLite says.
        detail: String,
    },
    /// The same, before SQLite sees it.
    #[error(transparent)]
    File(#[from] DataError),
    /// Threads.
    #[error("the engines' threads cannot be started")]
    Threads(#[source] std::io::Error),
    /// Table or queues.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// Running engines with table and queues made.
#[derive(Debug)]
pub struct Engines {
    /// How this process reaches them.
    pub backend: Backend,
    in_process: InProcess,
    // Last, so that everything above is gone when its threads end.
    threads: Threads,
}

/// Threads that may be dropped anywhere, also on another runtime's thread.
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
    /// Starts them and makes table and queues.
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

    /// The engines themselves, for what passes on the calls of other processes.
    pub(crate) fn in_process(&self) -> InProcess {
        self.in_process.clone()
    }

    /// Lets calls that run finish, then stops.
    pub async fn stop(mut self) {
        if let Some(runtime) = self.threads.0.take() {
            // Waiting blocks, so it is done where that is allowed.
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
