//! worker: runs jobs.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use shared::{clock::World, config::WorkerConfig, timestamp::Timestamp};

/// The function, wired.
#[derive(Debug)]
pub struct Worker {}

impl Worker {
    /// Wires it.
    pub fn new(_config: WorkerConfig, _world: World) -> Self {
        Self {}
    }

    /// Handles one batch; done with all that it starts before `deadline`.
    pub async fn handle_batch(&self, _event: SqsEvent, _deadline: Timestamp) -> SqsBatchResponse {
        SqsBatchResponse::default()
    }
}
