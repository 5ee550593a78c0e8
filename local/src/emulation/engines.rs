//! The laptop's DynamoDB and SQS: in-process servers of the real protocols, on loopback.
//!
//! They run on threads of their own, because the table engine blocks the thread that calls it. The table is a SQLite file
//! or memory. The queue is memory only, which loses nothing: messages are doorbells, and a start rings every open job.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use dynoxide::Database;
use platform::aws::AwsSettings;
use rustack_sqs_core::{config::SqsConfig, handler::RustackSqsHandler, provider::RustackSqs};
use rustack_sqs_http::service::{SqsHttpConfig, SqsHttpService};
use tokio::{runtime::Runtime, sync::oneshot, task::JoinHandle};

use crate::{
    data::{DataError, keep_table_private},
    emulation::{
        backend::{Backend, BackendError},
        listener::{self, BindError, Server},
    },
};

/// How often expired items are deleted. DynamoDB promises no more than a few days.
const TTL_SWEEP: Duration = Duration::from_secs(3600);
/// How long a stop may take.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// What to start.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// The table's SQLite file; memory when absent.
    pub table_file: Option<PathBuf>,
    /// The table's port; 0 takes a free one.
    pub table_port: u16,
    /// The queue's port; 0 takes a free one.
    pub queue_port: u16,
}

/// Engines that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A port.
    #[error(transparent)]
    Bind(#[from] BindError),
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
    /// How to reach them.
    pub backend: Backend,
    served: Served,
    // Last, so that everything above is gone when its threads end.
    _threads: Threads,
}

/// The servers.
#[derive(Debug)]
struct Served {
    table_address: SocketAddr,
    table_stop: oneshot::Sender<()>,
    table: JoinHandle<()>,
    queue: Server,
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
        threads.worker_threads(2).thread_name("engines").enable_all();
        let runtime = threads.build().map_err(EngineError::Threads)?;
        let serving = runtime.spawn(serve(database, options));
        let threads = Threads(Some(runtime));
        let served = serving.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let mut aws = AwsSettings::loopback(&format!("http://{}", served.table_address), &served.queue.base_url());
        aws.http_client = Some(aws_smithy_http_client::Builder::new().build_http());
        let backend = Backend::create(aws).await?;
        Ok(Self { backend, served, _threads: threads })
    }

    /// Lets open requests finish, then stops.
    pub async fn stop(self) {
        let Served { table_stop, table, queue, .. } = self.served;
        drop(table_stop);
        queue.stop().await;
        let _ = tokio::time::timeout(STOP_LIMIT, table).await;
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

/// An SQS engine that says it lives on `port`.
pub fn sqs_engine(port: u16) -> RustackSqsHandler {
    let config = SqsConfig { host: Ipv4Addr::LOCALHOST.to_string(), port, ..SqsConfig::default() };
    RustackSqsHandler::new(Arc::new(RustackSqs::new(config)))
}

async fn serve(database: Database, options: EngineOptions) -> Result<Served, BindError> {
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let table_listener = listener::bind(loopback(options.table_port), "--table-port").await?;
    let queue_listener = listener::bind(loopback(options.queue_port), "--queue-port").await?;
    let table_address = listener::address(&table_listener);

    tokio::spawn(expire(database.clone()));
    let (table_stop, stopped) = oneshot::channel::<()>();
    let table = tokio::spawn(async move {
        let stop = async {
            let _ = stopped.await;
        };
        if let Err(error) = dynoxide::server::serve_with_shutdown(table_listener, database, stop).await {
            tracing::error!(function = "local", error, "the table engine ended");
        }
    });
    let handler = Arc::new(sqs_engine(listener::address(&queue_listener).port()));
    let service = SqsHttpService::new(handler, SqsHttpConfig::default());
    let queue = listener::serve(queue_listener, move |_| service.clone());
    Ok(Served { table_address, table_stop, table, queue })
}

async fn expire(database: Database) {
    let mut hourly = tokio::time::interval(TTL_SWEEP);
    loop {
        hourly.tick().await;
        if let Err(error) = database.sweep_ttl() {
            tracing::warn!(function = "local", %error, "expired items could not be deleted");
        }
    }
}
