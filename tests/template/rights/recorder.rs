//! Records every call of a function to AWS, as the permission that it needs.

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    runtime_components::RuntimeComponents,
};
use platform::aws::AwsSettings;
use serde_json::Value;

use super::Rights;

/// What was noted. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Recorder {
    rights: Arc<Mutex<Rights>>,
    dead_letter_queue: Arc<Mutex<String>>,
}

impl Recorder {
    /// One that knows the dead-letter queue by its address.
    pub(super) fn new(dead_letter_queue_url: &str) -> Self {
        Self { rights: Arc::default(), dead_letter_queue: Arc::new(Mutex::new(dead_letter_queue_url.to_owned())) }
    }

    /// The same settings, with every call noted under the function's name.
    pub(super) fn noting(&self, function: &'static str, mut aws: AwsSettings) -> AwsSettings {
        let inner = aws.http_client.take().expect("the engines have their own client");
        aws.http_client = Some(SharedHttpClient::new(Noting { function, recorder: self.clone(), inner }));
        aws
    }

    pub(super) fn rights(&self) -> Rights {
        self.rights.lock().expect("no panic holds it").clone()
    }

    fn note(&self, function: &'static str, request: &HttpRequest) {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
        let right = match target.split_once('.') {
            Some(("DynamoDB_20120810", operation)) => {
                let index = body["IndexName"].as_str().map_or(String::new(), |name| format!("/index/{name}"));
                format!("dynamodb:{operation} on Table{index}")
            }
            Some(("AmazonSQS", operation)) => {
                let url = body["QueueUrl"].as_str().unwrap_or_default();
                // The right to send one message is the right to send a batch of them.
                let operation = operation.trim_end_matches("Batch");
                format!("sqs:{operation} on {}", if self.is_dead(url) { "DeadLetterQueue" } else { "Queue" })
            }
            Some(("secretsmanager", operation)) => {
                format!("secretsmanager:{operation} on {}", body["SecretId"].as_str().unwrap_or("nothing"))
            }
            _ => format!("an unknown call: {target} {}", request.uri()),
        };
        self.insert(function, right);
    }

    fn is_dead(&self, queue_url: &str) -> bool {
        *self.dead_letter_queue.lock().expect("no panic holds it") == queue_url
    }

    /// Notes a right that was seen elsewhere.
    pub(super) fn insert(&self, function: &'static str, right: String) {
        self.rights.lock().expect("no panic holds it").entry(function.to_owned()).or_default().insert(right);
    }
}

#[derive(Debug, Clone)]
struct Noting<I> {
    function: &'static str,
    recorder: Recorder,
    inner: I,
}

impl HttpClient for Noting<SharedHttpClient> {
    fn http_connector(&self, s: &HttpConnectorSettings, c: &RuntimeComponents) -> SharedHttpConnector {
        let (function, recorder) = (self.function, self.recorder.clone());
        SharedHttpConnector::new(Noting { function, recorder, inner: self.inner.http_connector(s, c) })
    }
}

impl HttpConnector for Noting<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.recorder.note(self.function, &request);
        self.inner.call(request)
    }
}
