//! Lambda and SQS between queue and worker, and the metrics that they emit.

use std::time::Duration;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use integration_tests::Fault;
use local::emulation::poller;
use platform::{metrics::Metric, runtime::Clock};

use super::{Hidden, Run};
use crate::samples::series;

/// How long a message is hidden after a worker took it, as in the template.
const VISIBILITY_MS: i64 = 180_000;
const RECEIVES: MessageSystemAttributeName = MessageSystemAttributeName::ApproximateReceiveCount;

impl Run {
    /// Delivers the queue's messages as Lambda does, until it is empty.
    pub(crate) async fn deliver(&mut self) {
        loop {
            let receive = self.app.aws.sqs().receive_message().queue_url(&self.app.deployment.backend.queue_url);
            let receive = receive.message_system_attribute_names(RECEIVES).max_number_of_messages(10);
            let got = receive.wait_time_seconds(0).send().await.expect("the queue answers");
            let messages = got.messages.unwrap_or_default();
            if messages.is_empty() {
                return;
            }
            self.hand_over(&messages).await;
        }
    }

    async fn hand_over(&mut self, batch: &[Message]) {
        let deadline = self.app.clock.now().plus(Duration::from_secs(30));
        let worker = self.app.worker.clone();
        if self.worker_dies {
            self.app.faults.plan(|operation, _| (operation == "GetItem").then_some(Fault::KilledBefore));
        }
        let done = tokio::select! {
            done = worker.handle_batch(poller::event(batch), deadline) => Some(done),
            () = self.app.faults.killed() => None,
        };
        if self.worker_dies {
            self.app.faults.none();
        }
        self.invoked("worker", done.is_none());
        let queue = self.app.deployment.backend.queue_url.clone();
        for message in batch {
            let handle = message.receipt_handle.clone().expect("a message has a handle");
            let failed = done.as_ref().is_none_or(|done| {
                done.batch_item_failures.iter().any(|f| Some(&f.item_identifier) == message.message_id.as_ref())
            });
            if failed {
                let count = message.attributes.as_ref().and_then(|all| all.get(&RECEIVES));
                let receives = count.and_then(|count| count.parse().ok()).expect("a message counts its receives");
                self.hidden.push(Hidden { until: self.now() + VISIBILITY_MS, handle, receives });
            } else {
                let delete = self.app.aws.sqs().delete_message().queue_url(&queue).receipt_handle(handle);
                delete.send().await.expect("the queue answers");
            }
        }
    }

    /// The metrics of SQS: number of dead letters, and age of the oldest other message. A message that stays is the
    /// oldest one, so that is for how long the queue has had any. One that was taken three times in vain counts no
    /// more, as on AWS.
    pub(super) async fn look_at_queues(&mut self) {
        let dead = self.count(&self.app.deployment.backend.dlq_url, false).await;
        let waiting = self.count(&self.app.deployment.backend.queue_url, true).await;
        let in_vain = self.hidden.iter().filter(|message| message.receives >= 3).count();
        let waiting = waiting - f64::from(u32::try_from(in_vain).unwrap_or(u32::MAX));
        let now = self.now();
        self.filled_since = if waiting > 0.0 { self.filled_since.or(Some(now)) } else { None };
        let age_s = self.filled_since.map_or(0, |since| (now - since) / 1000);
        self.measured(series("platform.dead_letters", &[]), dead);
        self.measured_on_the_host(Metric::DeadLetters, dead, &[]);
        let age = f64::from(i32::try_from(age_s).unwrap_or(i32::MAX));
        self.measured(series("platform.oldest_message_s", &[]), age);
    }

    async fn count(&self, queue_url: &str, in_flight_too: bool) -> f64 {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let ask = self.app.aws.sqs().get_queue_attributes().queue_url(queue_url);
        let answer = ask.set_attribute_names(Some(names.to_vec())).send().await.expect("the queue answers");
        let number = |name| answer.attributes().and_then(|all| all.get(name)?.parse::<f64>().ok()).unwrap_or(0.0);
        number(&names[0]) + if in_flight_too { number(&names[1]) } else { 0.0 }
    }
}
