//! Delays of messages by the manual clock: a message that is sent with a delay is held back until the clock gets there.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    runtime_components::RuntimeComponents,
};
use domain::ids::Timestamp;
use platform::runtime::Clock;

use crate::{clock::ManualClock, faults::operation};

/// Messages that are not due yet. Clones share them.
#[derive(Clone)]
pub struct Delays {
    clock: ManualClock,
    held: Arc<Mutex<Vec<(Timestamp, String)>>>,
    groups: Arc<Mutex<Vec<Option<String>>>>,
}

impl fmt::Debug for Delays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Delays")
    }
}

impl Delays {
    /// Delays by this clock.
    pub fn new(clock: ManualClock) -> Self {
        Self { clock, held: Arc::default(), groups: Arc::default() }
    }

    /// Bodies that are due now.
    pub fn due(&self) -> Vec<String> {
        let now = self.clock.now();
        let mut held = self.held.lock().expect("no panic holds it");
        let (due, rest) = held.drain(..).partition(|(at, _)| *at <= now);
        *held = rest;
        let due: Vec<(Timestamp, String)> = due;
        due.into_iter().map(|(_, body)| body).collect()
    }

    /// How long until the next one is due.
    pub fn next(&self) -> Option<Duration> {
        let now = self.clock.now();
        self.held.lock().expect("no panic holds it").iter().map(|(at, _)| at.since(now)).min()
    }

    /// The message group of every message that was sent.
    pub fn groups(&self) -> Vec<Option<String>> {
        self.groups.lock().expect("no panic holds it").clone()
    }

    /// Drops every message that is held back, like a queue that loses messages.
    pub fn lose_all(&self) {
        self.held.lock().expect("no panic holds it").clear();
    }

    /// An HTTP client that holds delayed messages back.
    pub fn client(&self, inner: SharedHttpClient) -> SharedHttpClient {
        SharedHttpClient::new(Delaying { inner, delays: self.clone() })
    }
}

#[derive(Debug, Clone)]
struct Delaying<I> {
    inner: I,
    delays: Delays,
}

impl HttpClient for Delaying<SharedHttpClient> {
    fn http_connector(&self, s: &HttpConnectorSettings, c: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Delaying { inner: self.inner.http_connector(s, c), delays: self.delays.clone() })
    }
}

impl HttpConnector for Delaying<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if operation(&request) != "SendMessage" {
            return self.inner.call(request);
        }
        let sent: serde_json::Value =
            serde_json::from_slice(request.body().bytes().unwrap_or_default()).expect("the SDK sends JSON");
        let group = sent["MessageGroupId"].as_str().map(str::to_owned);
        self.delays.groups.lock().expect("no panic holds it").push(group);
        let delay = sent["DelaySeconds"].as_u64().unwrap_or(0);
        assert!(delay <= 900, "SQS refuses a delay of {delay} s");
        if delay == 0 {
            return self.inner.call(request);
        }
        let at = self.delays.clock.now().plus(Duration::from_secs(delay));
        let body = sent["MessageBody"].as_str().expect("a message has a body").to_owned();
        self.delays.held.lock().expect("no panic holds it").push((at, body));
        let answer = r#"{"MessageId":"held","MD5OfMessageBody":""}"#;
        let mut response = HttpResponse::new(200.try_into().expect("200 is a status"), answer.into());
        response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
        HttpConnectorFuture::ready(Ok(response))
    }
}
