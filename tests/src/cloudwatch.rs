//! CloudWatch in a test: takes requests that are signed with the engines' credential, remembers them, and answers what a
//! test says.

use std::{
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use local::emulation::listener::{self, Server};
use platform::aws::AwsSettings;
use rustack_auth::{StaticCredentialProvider, hash_payload, verify_sigv4};
use serde_json::{Value, json};

/// Status and body for one request.
type Answer = Box<dyn FnMut(&Value) -> (u16, String) + Send>;

struct State {
    credential: StaticCredentialProvider,
    operations: Vec<String>,
    asked: Vec<Value>,
    answer: Answer,
}

/// A fake CloudWatch. It has no metrics until a test adds some.
pub struct CloudWatch {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for CloudWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudWatch").field("server", &self.server).finish_non_exhaustive()
    }
}

impl CloudWatch {
    /// One on loopback; the settings name it from now on.
    pub async fn beside(aws: &mut AwsSettings) -> Self {
        let listener = listener::bind(([127, 0, 0, 1], 0).into(), "no flag").await.expect("loopback has a port");
        let known = (aws.credentials.access_key_id().to_owned(), aws.credentials.secret_access_key().to_owned());
        let state = Arc::new(Mutex::new(State {
            credential: StaticCredentialProvider::new([known]),
            operations: Vec::new(),
            asked: Vec::new(),
            answer: Box::new(|_| (200, json!({"MetricDataResults": [], "Messages": []}).to_string())),
        }));
        let shared = state.clone();
        let server = listener::serve(listener, move |_| {
            let shared = shared.clone();
            service_fn(move |request| {
                let shared = shared.clone();
                async move { Ok::<_, Infallible>(respond(&shared, request).await) }
            })
        });
        aws.cloudwatch_endpoint = Some(server.base_url());
        Self { server, state }
    }

    /// What the next requests get: status and body, from the request.
    pub fn answer(&self, answer: impl FnMut(&Value) -> (u16, String) + Send + 'static) {
        self.state().answer = Box::new(answer);
    }

    /// The bodies of all requests since the last call.
    pub fn asked(&self) -> Vec<Value> {
        std::mem::take(&mut self.state().asked)
    }

    /// The operations of all requests.
    pub fn operations(&self) -> Vec<String> {
        self.state().operations.clone()
    }

    /// Stops answering.
    pub async fn stop(self) {
        self.server.stop().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn respond(state: &Mutex<State>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let is_signed = verify_sigv4(&parts, &hash_payload(&body), &state.credential).is_ok()
        && header("authorization").contains("/us-east-1/monitoring/aws4_request");
    let operation = header("x-amz-target").strip_prefix("GraniteServiceVersion20100801.");
    let (status, text) = match operation {
        _ if !is_signed => (403, json!({"__type": "com.amazonaws#IncompleteSignature"}).to_string()),
        Some(operation) if header("content-type") == "application/x-amz-json-1.0" => {
            let asked: Value = serde_json::from_slice(&body).expect("a request is JSON");
            state.operations.push(operation.to_owned());
            let answer = (state.answer)(&asked);
            state.asked.push(asked);
            answer
        }
        _ => (400, json!({"__type": "com.amazonaws#UnknownOperationException"}).to_string()),
    };
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = http::StatusCode::from_u16(status).expect("a test answers with a status");
    response
}
