//! Table and queues, on any engine that speaks the protocols of DynamoDB and SQS.

use aws_sdk_sqs::{
    error::{ProvideErrorMetadata, SdkError},
    types::QueueAttributeName,
};
use platform::aws::{AwsSettings, cause};

/// The table's name. DynamoDB streams need a name of eleven characters or more.
pub const TABLE: &str = "openclaw-miniprogram";
/// The queue's name.
pub const QUEUE: &str = "jobs";
/// The dead-letter queue's name.
pub const DLQ: &str = "jobs-dead";
/// How long a received message stays hidden, in seconds: longer than the worker's deadline.
pub const VISIBILITY_S: u64 = 60;
/// After how many receives a message goes to the dead-letter queue.
const MAX_RECEIVES: u32 = 10;
/// How long dead letters are kept, in seconds: 14 days, the maximum of SQS.
const DEAD_RETENTION_S: u32 = 1_209_600;

/// A table and two queues, ready for use.
#[derive(Debug, Clone)]
pub struct Backend {
    /// Endpoints and credentials.
    pub aws: AwsSettings,
    /// The table's name.
    pub table: String,
    /// The queue's URL.
    pub queue_url: String,
    /// The dead-letter queue's URL.
    pub dlq_url: String,
}

/// Table or queue cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("the {what} cannot be made: {detail}")]
pub struct BackendError {
    what: &'static str,
    detail: String,
}

fn failed<E: ProvideErrorMetadata, R>(what: &'static str) -> impl FnOnce(SdkError<E, R>) -> BackendError {
    move |error| BackendError { what, detail: cause(&error) }
}

impl Backend {
    /// Makes what is missing, and keeps what exists.
    pub async fn create(aws: AwsSettings) -> Result<Self, BackendError> {
        let table = store::schema::create(&aws.dynamodb(), TABLE).await;
        table.map_err(|error| BackendError { what: "table", detail: error.to_string() })?;
        let sqs = aws.sqs();
        let dlq_url =
            create_queue(&sqs, DLQ, &[(QueueAttributeName::MessageRetentionPeriod, DEAD_RETENTION_S.to_string())])
                .await?;
        let attributes = sqs.get_queue_attributes().queue_url(&dlq_url).attribute_names(QueueAttributeName::QueueArn);
        let attributes = attributes.send().await.map_err(failed("dead-letter queue"))?;
        let arn = attributes.attributes().and_then(|all| all.get(&QueueAttributeName::QueueArn)).cloned();
        // The embedded queue requires maxReceiveCount as a JSON number; AWS accepts a number or a text.
        let redrive = serde_json::json!({"deadLetterTargetArn": arn, "maxReceiveCount": MAX_RECEIVES});
        let queue_url = create_queue(
            &sqs,
            QUEUE,
            &[
                (QueueAttributeName::VisibilityTimeout, VISIBILITY_S.to_string()),
                (QueueAttributeName::RedrivePolicy, redrive.to_string()),
            ],
        )
        .await?;
        Ok(Self { aws, table: TABLE.to_owned(), queue_url, dlq_url })
    }
}

async fn create_queue(
    sqs: &aws_sdk_sqs::Client,
    name: &'static str,
    attributes: &[(QueueAttributeName, String)],
) -> Result<String, BackendError> {
    let mut create = sqs.create_queue().queue_name(name);
    for (name, value) in attributes {
        create = create.attributes(name.clone(), value);
    }
    let created = create.send().await.map_err(failed("queue"))?;
    created.queue_url.ok_or_else(|| BackendError { what: "queue", detail: "the engine names no address".to_owned() })
}
