//! Dead letters: messages that SQS has moved to another queue after the worker failed to process them several times.
//!
//! A message names a job and has no work, so sending one again is safe, and losing one loses nothing. Of its body
//! only the two ids are shown.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    aws::{self, AwsSettings},
    queue::WakeUpMessage,
};
use aws_sdk_sqs::{
    config::timeout::TimeoutConfig,
    types::{Message, MessageSystemAttributeName, QueueAttributeName},
};
use domain::{ids::Timestamp, json};

/// Seconds for which a received letter is hidden. After a crash it becomes visible again.
const HIDDEN_S: i32 = 120;
/// Maximum number of messages in one SQS response.
const AT_ONCE: i32 = 10;
/// Seconds that an empty receive waits.
const WAIT_S: i32 = 1;
/// Number of successive receives without a new letter that ends a listing: a single one may have queried an empty
/// part of the queue.
const IDLE_RECEIVES: u32 = 2;

/// The dead-letter queue.
#[derive(Debug)]
pub struct DeadLetters {
    sqs: aws_sdk_sqs::Client,
    url: String,
}

/// The queue did not answer or refused.
#[derive(Debug, thiserror::Error)]
#[error("{queue} did not {done} a message: {detail}")]
pub struct QueueFault {
    queue: &'static str,
    done: &'static str,
    detail: String,
}

/// One dead letter.
#[derive(Debug, Clone)]
pub struct Letter {
    /// SQS's id of the message.
    pub id: String,
    /// When it was first sent.
    pub sent_at: Option<Timestamp>,
    /// How often it was received, including listings of dead letters.
    pub receives: u64,
    /// The job that it names; `None` when the body is not a wake-up message.
    pub wake_up: Option<WakeUpMessage>,
    body: String,
    group: Option<String>,
    handle: String,
}

impl Letter {
    fn new(message: Message) -> Self {
        let attribute = |name| message.attributes.as_ref().and_then(|all| all.get(&name)).cloned();
        let number = |name| attribute(name).and_then(|text| text.parse::<u64>().ok());
        let body = message.body.unwrap_or_default();
        let millis = number(MessageSystemAttributeName::SentTimestamp).and_then(|ms| i64::try_from(ms).ok());
        Self {
            sent_at: millis.map(Timestamp::from_millis),
            receives: number(MessageSystemAttributeName::ApproximateReceiveCount).unwrap_or_default(),
            wake_up: json::kept(&body).ok(),
            group: attribute(MessageSystemAttributeName::MessageGroupId),
            id: message.message_id.unwrap_or_default(),
            handle: message.receipt_handle.unwrap_or_default(),
            body,
        }
    }
}

/// What a listing searches.
#[derive(Debug, Clone)]
pub struct Look {
    /// Seconds for which it hides letters, unless they are released before.
    pub hidden_s: i32,
    /// Number of letters after which it ends.
    pub enough: usize,
    /// Id of the letter after which it ends.
    pub until: Option<String>,
}

impl DeadLetters {
    /// The queue at `url`.
    pub fn new(aws: &AwsSettings, url: String) -> Self {
        Self { sqs: aws.sqs(), url }
    }

    /// Receives every letter, oldest first. They are hidden from other listings until they are
    /// [released](Self::release).
    pub async fn receive_all(&self) -> Result<Vec<Letter>, QueueFault> {
        self.receive(&Look { hidden_s: HIDDEN_S, enough: usize::MAX, until: None }).await
    }

    /// Approximate number of letters, including hidden ones.
    pub async fn count(&self) -> Result<u64, QueueFault> {
        use QueueAttributeName::{ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible};
        let names = [ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible];
        let asked = self.sqs.get_queue_attributes().queue_url(&self.url).set_attribute_names(Some(names.to_vec()));
        let attributes = asked.send().await.map_err(|error| fault("count", aws::cause(&error)))?;
        let number = |name| attributes.attributes().and_then(|all| all.get(&name)?.parse::<u64>().ok());
        Ok(names.into_iter().filter_map(number).sum())
    }

    /// Receives until the listing is complete or the queue is empty, oldest first; may return a few letters more.
    pub async fn receive(&self, look: &Look) -> Result<Vec<Letter>, QueueFault> {
        // Longer than the receive's own wait, unlike the timeout of other operations.
        let limit = Duration::from_secs(10);
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(limit).operation_timeout(limit * 2).build();
        let mut letters = BTreeMap::new();
        let mut idle = 0;
        let found = |letters: &BTreeMap<String, Letter>| look.until.as_ref().is_some_and(|id| letters.contains_key(id));
        while idle < IDLE_RECEIVES && letters.len() < look.enough && !found(&letters) {
            let receive = self
                .sqs
                .receive_message()
                .queue_url(&self.url)
                .max_number_of_messages(AT_ONCE)
                .wait_time_seconds(WAIT_S)
                .visibility_timeout(look.hidden_s)
                .message_system_attribute_names(MessageSystemAttributeName::All)
                .customize()
                .config_override(aws_sdk_sqs::config::Builder::new().timeout_config(timeouts.clone()));
            let received = receive.send().await.map_err(|error| fault("give", aws::cause(&error)))?;
            let messages = received.messages.unwrap_or_default();
            let before = letters.len();
            // A standard queue may deliver a message twice: the later receipt handle is the valid one.
            letters.extend(messages.into_iter().map(Letter::new).map(|letter| (letter.id.clone(), letter)));
            // In a long queue the first letters may become visible again before the last ones have been received.
            idle = if letters.len() == before { idle + 1 } else { 0 };
        }
        let mut letters: Vec<Letter> = letters.into_values().collect();
        letters.sort_by_key(|letter| letter.sent_at);
        Ok(letters)
    }

    /// Makes letters visible to the next listing at once. A failure for one does not stop the others: it becomes
    /// visible when its time is over.
    pub async fn release<'a>(&self, letters: impl IntoIterator<Item = &'a Letter>) -> Result<(), QueueFault> {
        let mut released = Ok(());
        for letter in letters {
            let visible = self.sqs.change_message_visibility().queue_url(&self.url).receipt_handle(&letter.handle);
            let shown = visible.visibility_timeout(0).send().await;
            released = released.and(shown.map(drop).map_err(|error| fault("give back", aws::cause(&error))));
        }
        released
    }

    /// Sends a letter unchanged to `queue_url`, and deletes it here once the queue has accepted it. A letter that
    /// names no job is left, since it would come back.
    pub async fn replay(&self, letter: &Letter, queue_url: &str) -> Result<(), QueueFault> {
        if letter.wake_up.is_none() {
            return Err(fault("replay", "it names no job".to_owned()));
        }
        let send = self.sqs.send_message().queue_url(queue_url).message_body(&letter.body);
        let sent = send.set_message_group_id(letter.group.clone()).send().await;
        sent.map_err(|error| QueueFault { queue: "the queue", done: "take", detail: aws::cause(&error) })?;
        self.discard(letter).await
    }

    /// Deletes a letter.
    pub async fn discard(&self, letter: &Letter) -> Result<(), QueueFault> {
        let delete = self.sqs.delete_message().queue_url(&self.url).receipt_handle(&letter.handle);
        delete.send().await.map(drop).map_err(|error| fault("delete", aws::cause(&error)))
    }
}

fn fault(done: &'static str, detail: String) -> QueueFault {
    QueueFault { queue: "the dead-letter queue", done, detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_runtime_api::client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
        orchestrator::{HttpRequest, HttpResponse},
    };
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    /// A queue so long that its first messages become visible again before its last ones are received.
    #[derive(Debug, Clone, Default)]
    struct Long {
        receives: Arc<AtomicUsize>,
    }

    impl HttpConnector for Long {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            let receive = self.receives.fetch_add(1, Ordering::SeqCst);
            let message = |place: usize| {
                let id = (receive % 3) * 10 + place;
                serde_json::json!({ "MessageId": id.to_string(), "ReceiptHandle": format!("{id} {receive}"), "Body": "{}" })
            };
            // Bounded, so that the test ends.
            let some = if receive < 60 { 0..10 } else { 0..0 };
            let messages = serde_json::json!({ "Messages": some.map(message).collect::<Vec<_>>() });
            let answer = HttpResponse::new(200.try_into().unwrap(), messages.to_string().into());
            HttpConnectorFuture::ready(Ok(answer))
        }
    }

    #[tokio::test]
    async fn a_look_ends_once_it_sees_the_same_letters_again() {
        let queue = Long::default();
        let connector = SharedHttpConnector::new(queue.clone());
        let mut aws = AwsSettings::loopback("http://127.0.0.1:1", "http://127.0.0.1:1");
        aws.http_client = Some(http_client_fn(move |_, _| connector.clone()));
        let letters = DeadLetters::new(&aws, "http://127.0.0.1:1/q".to_owned()).receive_all().await.unwrap();
        assert_eq!(letters.len(), 30);
        assert!(queue.receives.load(Ordering::SeqCst) <= 5);
        assert!(letters.iter().any(|letter| letter.handle == "0 3"), "the later handle counts");
    }
}
