//! The same engines without a socket: an HTTP client for the SDK that calls them directly.
//!
//! Flow tests use it: a tenth of the time, no port, and a paused tokio clock works. It skips the field checks that the table
//! engine's HTTP server does before it decodes, so `make run` and one conformance test keep the sockets.

use std::{fmt, sync::Arc};

use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
            SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use bytes::Bytes;
use dynoxide::{Database, DynoxideError};
use http_body_util::BodyExt;
use platform::aws::AwsSettings;
use rustack_sqs_core::handler::RustackSqsHandler;
use rustack_sqs_http::{dispatch::SqsHandler, response::error_to_response, router::resolve_operation};
use serde::{Serialize, de::DeserializeOwned};

use crate::emulation::engines::sqs_engine;

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// Both engines behind one HTTP client. Clones share them.
#[derive(Clone)]
pub struct InProcess {
    /// The table engine.
    pub database: Database,
    queue: Arc<RustackSqsHandler>,
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}

impl InProcess {
    /// Over a given table engine and a new queue engine.
    pub fn new(database: Database) -> Self {
        Self { database, queue: Arc::new(sqs_engine(0)) }
    }

    /// Everything in memory.
    pub fn memory() -> Self {
        Self::new(Database::memory().expect("SQLite opens in memory"))
    }

    /// As the SDK takes it.
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    /// Settings that reach these engines. Wrap `http_client` to inject faults.
    pub fn settings(&self) -> AwsSettings {
        let mut aws = AwsSettings::loopback("http://table.in-process", "http://queue.in-process");
        aws.http_client = Some(self.http_client());
        aws
    }
}

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        let body = Bytes::copy_from_slice(request.body().bytes().unwrap_or_default());
        if let Some(operation) = target.strip_prefix("DynamoDB_20120810.") {
            let (status, json) = table(&self.database, operation, &body);
            return HttpConnectorFuture::ready(Ok(answer(status, json.into_bytes(), None)));
        }
        let queue = self.queue.clone();
        HttpConnectorFuture::new(async move { Ok(queue_call(queue.as_ref(), &target, body).await) })
    }
}

fn answer(status: u16, json: Vec<u8>, query_error: Option<String>) -> HttpResponse {
    let status = StatusCode::try_from(status).expect("the engines answer with real status codes");
    let mut answer = HttpResponse::new(status, json.into());
    answer.headers_mut().insert("content-type", CONTENT_TYPE);
    if let Some(error) = query_error {
        answer.headers_mut().insert("x-amzn-query-error", error);
    }
    answer
}

async fn queue_call(queue: &RustackSqsHandler, target: &str, body: Bytes) -> HttpResponse {
    let mut headers = http::HeaderMap::new();
    headers.insert("x-amz-target", http::HeaderValue::from_str(target).expect("the SDK names operations in ASCII"));
    let answered = match resolve_operation(&headers) {
        Ok(operation) => queue.handle_operation(operation, body).await,
        Err(error) => Err(error),
    };
    let (parts, body) = answered.unwrap_or_else(|error| error_to_response(&error, "in-process")).into_parts();
    let json = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    let error = parts.headers.get("x-amzn-query-error").and_then(|value| value.to_str().ok()).map(str::to_owned);
    answer(parts.status.as_u16(), json, error)
}

#[expect(clippy::disallowed_methods, reason = "the wire of the embedded table: its own types, and no `Value`")]
fn run<I: DeserializeOwned, O: Serialize>(
    body: &[u8],
    call: impl FnOnce(I) -> dynoxide::Result<O>,
) -> dynoxide::Result<String> {
    let input = serde_json::from_slice(body).map_err(|e| DynoxideError::SerializationException(e.to_string()))?;
    let output = call(input)?;
    serde_json::to_string(&output).map_err(|e| DynoxideError::InternalServerError(e.to_string()))
}

fn table(db: &Database, operation: &str, body: &[u8]) -> (u16, String) {
    let result = match operation {
        "GetItem" => run(body, |input| db.get_item(input)),
        "PutItem" => run(body, |input| db.put_item(input)),
        "UpdateItem" => run(body, |input| db.update_item(input)),
        "DeleteItem" => run(body, |input| db.delete_item(input)),
        "Query" => run(body, |input| db.query(input)),
        "Scan" => run(body, |input| db.scan(input)),
        "BatchGetItem" => run(body, |input| db.batch_get_item(input)),
        "BatchWriteItem" => run(body, |input| db.batch_write_item(input)),
        "TransactWriteItems" => run(body, |input| db.transact_write_items(input)),
        "TransactGetItems" => run(body, |input| db.transact_get_items(input)),
        "CreateTable" => run(body, |input| db.create_table(input)),
        "DeleteTable" => run(body, |input| db.delete_table(input)),
        "DescribeTable" => run(body, |input| db.describe_table(input)),
        "UpdateTimeToLive" => run(body, |input| db.update_time_to_live(input)),
        "DescribeTimeToLive" => run(body, |input| db.describe_time_to_live(input)),
        other => Err(DynoxideError::ValidationException(format!("the in-process connector does not know {other}"))),
    };
    match result {
        Ok(json) => (200, json),
        Err(error) => (error.status_code(), error.to_json()),
    }
}
