//! Wake-up messages. A message has the key of a job and a trace context, no work: a lost or repeated message loses or
//! repeats no work.

use std::time::Duration;

use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::aws;
use domain::ids::{RequestId, TraceParent, UserId};

/// Maximum delay of a message in SQS.
pub const MAX_DELAY: Duration = Duration::from_secs(900);

/// The body of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WakeUpMessage {
    /// The user who owns the job.
    pub user_id: UserId,
    /// The request id of the job.
    pub request_id: RequestId,
    /// Trace context of the request that caused the message.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub traceparent: Option<String>,
    /// Whether `request_id` names the erasure of the user instead of a job. A worker of an earlier version finds no job,
    /// and acknowledges the message; `sweep` sends another one.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub erasure: bool,
}

/// The queue did not accept a message.
#[derive(Debug, thiserror::Error)]
#[error("the queue did not answer: {0}")]
pub struct QueueError(String);

/// The queue of wake-up messages.
#[derive(Debug, Clone)]
pub struct Queue {
    client: aws_sdk_sqs::Client,
    url: String,
    /// Whether messages have their user as message group, so that a user with many messages delays only their own.
    /// The embedded queue does not support groups on a standard queue, so it is a setting.
    fair: bool,
}

impl Queue {
    /// The queue at `url`.
    pub fn new(client: aws_sdk_sqs::Client, url: String, fair: bool) -> Self {
        Self { client, url, fair }
    }

    /// Sends one message with a delay of at most [`MAX_DELAY`]. For a longer one the reconciler sends the message
    /// that is needed later.
    pub async fn wake(&self, wake_up: &WakeUpMessage, after: Duration) -> Result<(), QueueError> {
        let body = serde_json::to_string(wake_up).expect("ids and text always serialise");
        let delay = after.min(MAX_DELAY).as_millis().div_ceil(1000);
        self.client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .delay_seconds(i32::try_from(delay).unwrap_or(900).min(900))
            .set_message_group_id(self.fair.then(|| wake_up.user_id.to_string()))
            .send()
            .await
            .map(drop)
            .map_err(|e| QueueError(aws::cause(&e)))
    }
}

/// The queue of messages that no worker could process.
#[derive(Debug)]
pub struct DeadLetterQueue {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl DeadLetterQueue {
    /// The queue at `url`.
    pub fn new(client: aws_sdk_sqs::Client, url: String) -> Self {
        Self { client, url }
    }

    /// Approximate number of messages, including those that a receiver holds at the moment.
    pub async fn count(&self) -> Result<u64, QueueError> {
        use QueueAttributeName::{ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible};
        let names = [ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible];
        let asked = self.client.get_queue_attributes().queue_url(&self.url).set_attribute_names(Some(names.to_vec()));
        let answer = asked.send().await.map_err(|error| QueueError(aws::cause(&error)))?;
        let number = |name| answer.attributes().and_then(|all| all.get(&name)?.parse::<u64>().ok());
        Ok(names.into_iter().filter_map(number).sum())
    }
}

/// Maximum number of messages in one SQS request.
const BATCH: usize = 10;
/// Number of concurrent batch requests.
const BATCHES_AT_ONCE: usize = 8;

impl Queue {
    /// Sends many wake-up messages without a delay, ten in a request. Returns those that the queue did not accept,
    /// with the reason. SQS may accept a part of a batch: the rest is sent once more, since the job has been
    /// rescheduled already and would otherwise wait until then.
    pub async fn wake_many(&self, messages: Vec<WakeUpMessage>) -> Vec<(WakeUpMessage, QueueError)> {
        let (failed, again) = self.send_batches(messages).await;
        let again = again.into_iter().map(|(message, _)| message).collect();
        let (refused, failed_again) = self.send_batches(again).await;
        [failed, refused, failed_again].into_iter().flatten().collect()
    }

    /// Returns first the messages whose failure is final or outlasted the SDK's retries, then those that SQS rejected
    /// from an accepted batch.
    async fn send_batches(&self, messages: Vec<WakeUpMessage>) -> (Vec<NotSent>, Vec<NotSent>) {
        let mut left = messages.into_iter();
        let batches = std::iter::from_fn(|| {
            let batch: Vec<WakeUpMessage> = left.by_ref().take(BATCH).collect();
            (!batch.is_empty()).then_some(batch)
        });
        let sent = stream::iter(batches).map(|batch| self.send_batch(batch)).buffer_unordered(BATCHES_AT_ONCE);
        sent.fold((Vec::new(), Vec::new()), |(mut refused, mut failed), (one, other)| async {
            refused.extend(one);
            failed.extend(other);
            (refused, failed)
        })
        .await
    }

    async fn send_batch(&self, batch: Vec<WakeUpMessage>) -> (Vec<NotSent>, Vec<NotSent>) {
        let entry = |(place, wake_up): (usize, &WakeUpMessage)| {
            SendMessageBatchRequestEntry::builder()
                .id(place.to_string())
                .message_body(serde_json::to_string(wake_up).expect("ids and text always serialise"))
                .set_message_group_id(self.fair.then(|| wake_up.user_id.to_string()))
                .build()
                .expect("id and body are set")
        };
        let entries = batch.iter().enumerate().map(entry).collect();
        let sent = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries)).send().await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(error) => {
                let cause = aws::cause(&error);
                return (batch.into_iter().map(|wake_up| (wake_up, QueueError(cause.clone()))).collect(), Vec::new());
            }
        };
        let (mut refused, mut failed) = (Vec::new(), Vec::new());
        for entry in answer.failed {
            let Some(wake_up) = entry.id.parse().ok().and_then(|place: usize| batch.get(place)) else { continue };
            let not_sent = (wake_up.clone(), QueueError(format!("not taken with its batch ({})", entry.code)));
            if entry.sender_fault { refused.push(not_sent) } else { failed.push(not_sent) }
        }
        (refused, failed)
    }
}

/// A message that the queue did not accept, and the reason.
type NotSent = (WakeUpMessage, QueueError);

impl WakeUpMessage {
    /// The wake-up message of a job.
    pub fn new(user_id: UserId, request_id: RequestId, trace: Option<&TraceParent>) -> Self {
        Self { user_id, request_id, traceparent: trace.map(ToString::to_string), erasure: false }
    }

    /// The wake-up message of the erasure of a user.
    pub const fn of_erasure(user_id: UserId, erasure: RequestId) -> Self {
        Self { user_id, request_id: erasure, traceparent: None, erasure: true }
    }
}
