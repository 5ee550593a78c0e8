//! Replaces Lambda's event source mapping: polls the queue, passes batches to the worker, deletes the messages that
//! succeeded, and leaves the others to their visibility timeout.

use std::{sync::Arc, time::Duration};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use aws_sdk_sqs::{
    config::timeout::TimeoutConfig,
    types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName},
};
use domain::ids::Timestamp;
use platform::{
    aws,
    metrics::{Dimension, Metric},
    runtime::Runtime,
};
use tokio::{sync::watch, task::JoinSet};
use worker::Worker;

use crate::emulation::backend::Backend;

/// How long one batch may take. Below the queue's visibility timeout, so that no message is delivered twice at a time.
pub const BATCH_DEADLINE: Duration = Duration::from_secs(30);
/// The most messages in one batch.
const BATCH_SIZE: i32 = 10;
/// How long a receive waits for messages, in seconds.
const LONG_POLL_S: i32 = 20;
/// The pause after a receive that failed.
const RECEIVE_PAUSE: Duration = Duration::from_secs(1);
/// How long a stop waits for running batches.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A handler of batches: the worker, or, in tests, one that panics.
pub trait Batches: Send + Sync + 'static {
    /// Handles one batch, and finishes before `deadline`.
    fn handle(&self, event: SqsEvent, deadline: Timestamp) -> impl Future<Output = SqsBatchResponse> + Send;
}

impl Batches for Worker {
    fn handle(&self, event: SqsEvent, deadline: Timestamp) -> impl Future<Output = SqsBatchResponse> + Send {
        self.handle_batch(event, deadline)
    }
}

/// Running pollers.
#[derive(Debug)]
pub struct Pollers {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Pollers {
    /// Starts `count` pollers, each with one batch at a time, which goes to the worker that is current when the batch
    /// has arrived.
    pub fn start(
        backend: &Backend,
        worker: &watch::Receiver<Arc<impl Batches>>,
        runtime: &Runtime,
        count: usize,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for _ in 0..count {
            let poller = Poller {
                sqs: backend.aws.sqs(),
                queue_url: backend.queue_url.clone(),
                worker: worker.clone(),
                runtime: runtime.clone(),
            };
            tasks.spawn(poller.run(stopped.clone()));
        }
        Self { stop, tasks }
    }

    /// Receives no more, waits for running batches, then cancels them: SQS delivers their messages again.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(STOP_LIMIT, all).await;
    }
}

struct Poller<W> {
    sqs: aws_sdk_sqs::Client,
    queue_url: String,
    worker: watch::Receiver<Arc<W>>,
    runtime: Runtime,
}

impl<W: Batches> Poller<W> {
    async fn run(self, mut stopped: watch::Receiver<bool>) {
        loop {
            let received = tokio::select! {
                received = self.receive() => received,
                _ = stopped.wait_for(|stop| *stop) => return,
            };
            match received {
                Ok(messages) if messages.is_empty() => {}
                Ok(messages) => self.batch(messages).await,
                Err(error) => {
                    tracing::warn!(function = "local", error, "the queue did not answer");
                    tokio::time::sleep(RECEIVE_PAUSE).await;
                }
            }
        }
    }

    async fn receive(&self) -> Result<Vec<Message>, String> {
        // Longer than a long poll, which exceeds the timeout of other calls.
        let limit = Duration::from_secs(LONG_POLL_S.unsigned_abs().into()) + Duration::from_secs(5);
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(limit).operation_timeout(limit).build();
        let receive = self
            .sqs
            .receive_message()
            .queue_url(&self.queue_url)
            .max_number_of_messages(BATCH_SIZE)
            .wait_time_seconds(LONG_POLL_S)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .customize()
            .config_override(aws_sdk_sqs::config::Builder::new().timeout_config(timeouts));
        let received = receive.send().await.map_err(|error| aws::cause(&error))?;
        Ok(received.messages.unwrap_or_default())
    }

    async fn batch(&self, messages: Vec<Message>) {
        let deadline = self.runtime.now().plus(BATCH_DEADLINE);
        let event = event(&messages);
        let worker = self.worker.borrow().clone();
        // A separate task: a panic is a failed batch, not the end of the process.
        let mut batch = JoinSet::new();
        batch.spawn(async move { worker.handle(event, deadline).await });
        let response = match tokio::time::timeout(BATCH_DEADLINE, batch.join_next()).await {
            Ok(Some(Ok(response))) => response,
            Ok(Some(Err(_)) | None) => return self.failed("the worker panicked; its messages will come back"),
            Err(_) => return self.failed("the worker passed its deadline; its messages will come back"),
        };
        let done = messages.iter().filter(|message| {
            !response
                .batch_item_failures
                .iter()
                .any(|failed| Some(failed.item_identifier.as_str()) == message.message_id())
        });
        self.delete(done).await;
    }

    fn failed(&self, why: &'static str) {
        tracing::error!(function = "local", "{why}");
        self.runtime.measure(&[(Metric::FunctionErrors, 1.0)], &[(Dimension::Function, "worker")]);
    }

    async fn delete(&self, done: impl Iterator<Item = &Message>) {
        let entry = |(place, message): (usize, &Message)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(place.to_string());
            entry.receipt_handle(message.receipt_handle().unwrap_or_default()).build().ok()
        };
        let entries: Vec<_> = done.enumerate().filter_map(entry).collect();
        if entries.is_empty() {
            return;
        }
        let delete = self.sqs.delete_message_batch().queue_url(&self.queue_url).set_entries(Some(entries));
        if let Err(error) = delete.send().await {
            // The messages are delivered again, and the worker finds nothing to do.
            tracing::warn!(function = "local", error = aws::cause(&error), "messages could not be deleted");
        }
    }
}

/// Messages in the event that Lambda would send.
pub fn event(messages: &[Message]) -> SqsEvent {
    let record = |message: &Message| {
        let mut record = SqsMessage::default();
        record.message_id = message.message_id.clone();
        record.receipt_handle = message.receipt_handle.clone();
        record.body = message.body.clone();
        record.event_source = Some("aws:sqs".to_owned());
        let attributes = message.attributes.iter().flatten();
        record.attributes = attributes.map(|(name, value)| (name.as_str().to_owned(), value.clone())).collect();
        record
    };
    let mut event = SqsEvent::default();
    event.records = messages.iter().map(record).collect();
    event
}
