//! The doorbell. A message names a job and its trace, nothing else: losing or repeating one loses or repeats no work.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::aws;
use domain::ids::{RequestId, TraceParent, UserId};

/// SQS delays no message longer.
pub const MAX_DELAY: Duration = Duration::from_secs(900);

/// The body of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bell {
    /// Whose job.
    pub user_id: UserId,
    /// Which.
    pub request_id: RequestId,
    /// Trace context of the request that caused it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub traceparent: Option<String>,
}

/// The queue did not take a message.
#[derive(Debug, thiserror::Error)]
#[error("the queue did not answer: {0}")]
pub struct QueueError(String);

/// The queue.
#[derive(Debug, Clone)]
pub struct Queue {
    client: aws_sdk_sqs::Client,
    url: String,
    /// Whether messages carry their user as message group, so that one user's flood delays only that user. The embedded
    /// queue refuses groups on a standard queue, hence a setting.
    fair: bool,
}

impl Queue {
    /// The queue at `url`.
    pub fn new(client: aws_sdk_sqs::Client, url: String, fair: bool) -> Self {
        Self { client, url, fair }
    }

    /// Rings once, `after` a delay of at most [`MAX_DELAY`]; beyond that the sweeper rings.
    pub async fn ring(&self, bell: &Bell, after: Duration) -> Result<(), QueueError> {
        let body = serde_json::to_string(bell).expect("ids and text always serialise");
        let delay = after.min(MAX_DELAY).as_millis().div_ceil(1000);
        self.client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .delay_seconds(i32::try_from(delay).unwrap_or(900).min(900))
            .set_message_group_id(self.fair.then(|| bell.user_id.to_string()))
            .send()
            .await
            .map(drop)
            .map_err(|e| QueueError(aws::cause(&e)))
    }
}

impl Bell {
    /// The bell of a job.
    pub fn new(user_id: UserId, request_id: RequestId, trace: Option<&TraceParent>) -> Self {
        Self { user_id, request_id, traceparent: trace.map(ToString::to_string) }
    }
}
