//! One batch of SQS messages. Each message is handled separately, and one that cannot be decoded blocks no other.

use std::time::Instant;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use domain::{ids::Timestamp, json};
use futures_util::{StreamExt, stream};
use platform::{metrics::Metric, queue::WakeUpMessage};

use crate::{LEAST_TIME, Worker, run_job};

pub(crate) async fn handle(worker: &Worker, event: SqsEvent, deadline: Timestamp) -> SqsBatchResponse {
    let failed: Vec<BatchItemFailure> = stream::iter(event.records)
        .map(|message| async move {
            let id = message.message_id.clone().unwrap_or_default();
            if decided(worker, message, deadline).await {
                return None;
            }
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = id;
            Some(failure)
        })
        .buffer_unordered(worker.config.concurrency)
        .filter_map(std::future::ready)
        .collect()
        .await;
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failed;
    response
}

/// Handles one message. `false`: it failed, so SQS delivers it again after the visibility timeout and finally moves it
/// to the dead-letter queue.
async fn decided(worker: &Worker, message: SqsMessage, deadline: Timestamp) -> bool {
    let Some(wake_up) = message.body.as_deref().and_then(|body| json::kept::<WakeUpMessage>(body).ok()) else {
        worker.runtime.count(Metric::UndecodableMessages);
        tracing::error!(function = "worker", code = "message_undecodable", "a message names no job");
        return false;
    };
    // Invariant 5: with too little time left, nothing is begun that would have to end after the deadline.
    if deadline.since(worker.runtime.now()) < LEAST_TIME {
        return false;
    }
    let began = began();
    let ended = Box::pin(run_job::run(worker, &wake_up, deadline)).await;
    let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let trace_id = wake_up.traceparent.as_deref().and_then(domain::ids::TraceParent::parse);
    let trace_id = trace_id.as_ref().map(domain::ids::TraceParent::trace_id);
    match ended {
        Ok(outcome) => {
            tracing::info!(
                function = "worker", request_id = %wake_up.request_id, user_id = %wake_up.user_id, trace_id, duration_ms,
                outcome = outcome.name(), state = outcome.state(), "handled"
            );
            true
        }
        Err(error) => {
            tracing::error!(
                function = "worker", request_id = %wake_up.request_id, user_id = %wake_up.user_id, trace_id, duration_ms,
                error = %error, "a message could not be processed"
            );
            false
        }
    }
}

/// A monotonic start, only for a duration in a log line.
fn began() -> Instant {
    Instant::now()
}
