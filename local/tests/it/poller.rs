//! Which messages stay on the queue after a batch.

use std::sync::Arc;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use aws_sdk_sqs::types::QueueAttributeName;
use domain::ids::Timestamp;
use local::emulation::{
    backend::Backend,
    connector::InProcess,
    poller::{Batches, Pollers},
};
use platform::runtime::Runtime;
use tokio::sync::{mpsc, watch};

/// Says which bodies it got, fails those named `fail`, and panics on one named `panic`.
struct Fake(mpsc::UnboundedSender<String>);

impl Batches for Fake {
    async fn handle(&self, event: SqsEvent, _: Timestamp) -> SqsBatchResponse {
        let mut response = SqsBatchResponse::default();
        for record in event.records {
            let body = record.body.unwrap_or_default();
            let _ = self.0.send(body.clone());
            assert_ne!(body, "panic", "asked for");
            if body == "fail" {
                let mut failure = BatchItemFailure::default();
                failure.item_identifier = record.message_id.unwrap_or_default();
                response.batch_item_failures.push(failure);
            }
        }
        response
    }
}

/// Sends bodies one after the other, and returns how many messages are left once all were handled.
async fn left_after(bodies: &[&str]) -> String {
    let backend = Backend::create(InProcess::memory().settings()).await.unwrap();
    let sqs = backend.aws.sqs();
    let (tell, mut told) = mpsc::unbounded_channel();
    let pollers = Pollers::start(&backend, &watch::channel(Arc::new(Fake(tell))).1, &Runtime::system(), 2);
    for body in bodies {
        sqs.send_message().queue_url(&backend.queue_url).message_body(*body).send().await.unwrap();
        assert_eq!(told.recv().await.as_deref(), Some(*body));
    }
    pollers.stop().await;
    let hidden = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
    let attributes = sqs.get_queue_attributes().queue_url(&backend.queue_url).attribute_names(hidden.clone());
    attributes.send().await.unwrap().attributes().unwrap()[&hidden].clone()
}

#[tokio::test]
async fn what_did_not_fail_is_deleted_and_what_failed_stays() {
    assert_eq!(left_after(&["a", "b", "c"]).await, "0");
    assert_eq!(left_after(&["a", "fail", "c"]).await, "1");
}

#[tokio::test]
async fn a_panic_is_one_failed_batch_and_the_poller_goes_on() {
    assert_eq!(left_after(&["panic", "panic", "panic", "after"]).await, "3");
}
