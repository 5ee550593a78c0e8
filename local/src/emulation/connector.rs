//! The engines without a socket: an HTTP client for the SDK that calls them directly.
//!
//! The service reaches its table and queue this way, so no other process can. The checks of fields that the table
//! engine's HTTP server makes before decoding are skipped: the SDK's requests are typed, and a request that cannot be
//! decoded is a `SerializationException` here, too.

use std::{fmt, net::Ipv4Addr, sync::Arc};

use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
            SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use bytes::Bytes;
use dynoxide::{Database, DynoxideError};
use http_body_util::BodyExt;
use platform::aws::AwsSettings;
use rustack_sqs_core::{config::SqsConfig, handler::RustackSqsHandler, provider::RustackSqs};
use rustack_sqs_http::{dispatch::SqsHandler, response::error_to_response, router::resolve_operation};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{runtime::Handle, task::JoinError};

/// The content type of every response.
pub(crate) const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
/// The header in which SQS repeats an error in its older spelling.
pub(crate) const QUERY_ERROR: &str = "x-amzn-query-error";

/// Both engines behind one HTTP client. Clones share the engines.
#[derive(Clone)]
pub struct InProcess {
    /// The table engine.
    pub database: Database,
    queue: Arc<RustackSqsHandler>,
    /// The threads on which the table engine blocks. `None`: it blocks the caller's thread.
    threads: Option<Handle>,
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}

/// The response of an engine to one operation.
#[derive(Debug)]
pub(crate) struct EngineResponse {
    pub(crate) status: u16,
    pub(crate) json: Vec<u8>,
    /// The value of [`QUERY_ERROR`].
    pub(crate) query_error: Option<String>,
}

impl InProcess {
    /// Wraps the given table engine and a new queue engine.
    pub fn new(database: Database) -> Self {
        Self::with_queue_port(database, 0)
    }

    /// The same, with a queue engine that puts this port into its queues' URLs.
    pub(crate) fn with_queue_port(database: Database, port: u16) -> Self {
        let config = SqsConfig { host: Ipv4Addr::LOCALHOST.to_string(), port, ..SqsConfig::default() };
        let queue = Arc::new(RustackSqsHandler::new(Arc::new(RustackSqs::new(config))));
        Self { database, queue, threads: None }
    }

    /// Both engines in memory. Calls run on the caller's thread, so that tests can use a paused tokio clock.
    pub fn memory() -> Self {
        Self::new(Database::memory().expect("SQLite opens in memory"))
    }

    /// The same engines, with the table's calls on these threads.
    #[must_use]
    pub(crate) fn on(self, threads: Handle) -> Self {
        Self { threads: Some(threads), ..self }
    }

    /// The HTTP client in the SDK's type.
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    /// AWS settings that lead to these engines. Tests wrap `http_client` to inject faults.
    pub fn settings(&self) -> AwsSettings {
        let mut aws = AwsSettings::loopback("http://table.in-process", "http://queue.in-process");
        aws.http_client = Some(self.http_client());
        aws
    }

    /// Passes one operation to the engine that its `x-amz-target` names. An error means that the table engine panicked
    /// or was stopped.
    pub(crate) async fn respond(&self, target: String, body: Bytes) -> Result<EngineResponse, JoinError> {
        let Some(operation) = target.strip_prefix("DynamoDB_20120810.") else {
            return Ok(queue_call(self.queue.as_ref(), &target, body).await);
        };
        let (database, operation) = (self.database.clone(), operation.to_owned());
        match &self.threads {
            None => Ok(table(&database, &operation, &body)),
            Some(threads) => threads.spawn(async move { table(&database, &operation, &body) }).await,
        }
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
        let engines = self.clone();
        HttpConnectorFuture::new(async move {
            let response = engines.respond(target, body).await;
            response.map(into_sdk).map_err(|gone| ConnectorError::other(gone.into(), None))
        })
    }
}

fn into_sdk(response: EngineResponse) -> HttpResponse {
    let status = StatusCode::try_from(response.status).expect("the engines answer with real status codes");
    let mut answer = HttpResponse::new(status, response.json.into());
    answer.headers_mut().insert("content-type", CONTENT_TYPE);
    if let Some(error) = response.query_error {
        answer.headers_mut().insert(QUERY_ERROR, error);
    }
    answer
}

async fn queue_call(queue: &RustackSqsHandler, target: &str, body: Bytes) -> EngineResponse {
    let mut headers = http::HeaderMap::new();
    // The value came from a header, so it is valid in one.
    if let Ok(target) = http::HeaderValue::from_str(target) {
        headers.insert("x-amz-target", target);
    }
    let answered = match resolve_operation(&headers) {
        Ok(operation) => queue.handle_operation(operation, body).await,
        Err(error) => Err(error),
    };
    let (parts, body) = answered.unwrap_or_else(|error| error_to_response(&error, "in-process")).into_parts();
    let json = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    let query_error = parts.headers.get(QUERY_ERROR).and_then(|value| value.to_str().ok()).map(str::to_owned);
    EngineResponse { status: parts.status.as_u16(), json, query_error }
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

fn table(db: &Database, operation: &str, body: &[u8]) -> EngineResponse {
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
    let (status, json) = match result {
        Ok(json) => (200, json),
        Err(error) => (error.status_code(), error.to_json()),
    };
    EngineResponse { status, json: json.into_bytes(), query_error: None }
}
