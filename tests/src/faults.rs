//! Faults in the SDK's HTTP client: a response lost before or after the effect, a request that arrives twice, a process
//! that is killed just before or just after a request.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::byte_stream::ByteStream;
use tokio::sync::Notify;

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It never arrives.
    LostBefore,
    /// It arrives and takes effect; the response is lost, and the SDK repeats the request.
    LostAfter,
    /// It arrives twice.
    Twice,
    /// The process is killed before it sends the request.
    KilledBefore,
    /// It arrives and takes effect, and the process is killed before the response.
    KilledAfter,
    /// It arrives after a short delay, in which other requests overtake it.
    Late,
    /// It arrives, and the response is slow: 600 ms.
    Slow,
    /// The service refuses it, and quotes the request in the error, as DynamoDB does.
    Quoted,
    /// It is never answered, and the connection stays open: only a timeout ends it.
    Silent,
    /// The queue takes a batch of messages without its first one.
    InPart,
    /// The table leaves the first key of a batch of reads unprocessed.
    Unprocessed,
}

impl Fault {
    /// Every fault that may occur at any request, and that the service must survive.
    pub const ALL: [Self; 5] = [Self::LostBefore, Self::LostAfter, Self::Twice, Self::KilledBefore, Self::KilledAfter];
}

type Plan = Box<dyn Fn(&str, u64) -> Option<Fault> + Send + Sync>;
type ItemPlan = Box<dyn Fn(&str, &str) -> Option<Fault> + Send + Sync>;

/// The planned faults, and the number of requests. Clones share both.
#[derive(Clone, Default)]
pub struct Faults {
    plan: Arc<Mutex<Option<Plan>>>,
    item_plan: Arc<Mutex<Option<ItemPlan>>>,
    count: Arc<AtomicU64>,
    seen: Arc<Mutex<Vec<String>>>,
    killed: Arc<Notify>,
    under_way: Arc<UnderWay>,
}

/// Requests that were sent and not answered yet.
#[derive(Default)]
struct UnderWay {
    now: AtomicU64,
    most: AtomicU64,
}

impl UnderWay {
    fn one_more(self: Arc<Self>) -> Sent {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        Sent(self)
    }
}

/// Counts one request until it is answered or cancelled.
struct Sent(Arc<UnderWay>);

impl Drop for Sent {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faults")
    }
}

impl Faults {
    /// From now on, asks `plan` for each request: its operation, such as `PutItem`, and its number from 0.
    pub fn plan(&self, plan: impl Fn(&str, u64) -> Option<Fault> + Send + Sync + 'static) {
        self.count.store(0, Ordering::SeqCst);
        self.seen.lock().expect("no panic holds it").clear();
        self.under_way.most.store(0, Ordering::SeqCst);
        *self.plan.lock().expect("no panic holds it") = Some(Box::new(plan));
    }

    /// From now on, asks `plan` for each request about one item: its operation, and the item's sort key, or what the
    /// sort keys begin with that a query asks for.
    pub fn plan_items(&self, plan: impl Fn(&str, &str) -> Option<Fault> + Send + Sync + 'static) {
        *self.item_plan.lock().expect("no panic holds it") = Some(Box::new(plan));
    }

    /// From now on, no faults are injected.
    pub fn none(&self) {
        self.plan(|_, _| None);
        *self.item_plan.lock().expect("no panic holds it") = None;
    }

    /// The operations since the plan was made.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no panic holds it").clone()
    }

    /// The most requests that were in progress concurrently since the plan was made.
    pub fn most_at_once(&self) -> u64 {
        self.under_way.most.load(Ordering::SeqCst)
    }

    /// Waits until the process is to be killed. The caller then drops the running handler.
    pub async fn killed(&self) {
        self.killed.notified().await;
    }

    /// An HTTP client with these faults.
    pub fn client(&self, inner: SharedHttpClient) -> SharedHttpClient {
        SharedHttpClient::new(Faulty { inner, faults: self.clone() })
    }

    fn of_item(&self, operation: &str, request: &HttpRequest) -> Option<Fault> {
        let plan = self.item_plan.lock().expect("no panic holds it");
        let plan = plan.as_ref()?;
        let body: serde_json::Value = serde_json::from_slice(request.body().bytes()?).ok()?;
        if let Some(tables) = body["RequestItems"].as_object() {
            let keys = tables.values().filter_map(|of_table| of_table["Keys"].as_array()).flatten();
            return keys.filter_map(|key| key.pointer("/sk/S")?.as_str()).find_map(|key| plan(operation, key));
        }
        let places = ["/Item/sk/S", "/Key/sk/S", "/ExpressionAttributeValues/:prefix/S"];
        let key = places.into_iter().find_map(|place| body.pointer(place))?;
        plan(operation, key.as_str()?)
    }

    fn next(&self, operation: &str) -> Option<Fault> {
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        self.seen.lock().expect("no panic holds it").push(operation.to_owned());
        self.plan.lock().expect("no panic holds it").as_ref().and_then(|plan| plan(operation, number))
    }
}

#[derive(Debug, Clone)]
struct Faulty<I> {
    inner: I,
    faults: Faults,
}

impl HttpClient for Faulty<SharedHttpClient> {
    fn http_connector(&self, s: &HttpConnectorSettings, c: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Faulty { inner: self.inner.http_connector(s, c), faults: self.faults.clone() })
    }
}

impl HttpConnector for Faulty<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = operation(&request);
        let fault = self.faults.next(&operation).or_else(|| self.faults.of_item(&operation, &request));
        let inner = self.inner.clone();
        let killed = self.faults.killed.clone();
        let lost = || ConnectorError::io(format!("injected into {operation}: {fault:?}").into());
        let sent = self.faults.under_way.clone().one_more();
        match fault {
            None => HttpConnectorFuture::new(async move {
                let _sent = sent;
                inner.call(request).await
            }),
            Some(Fault::LostBefore) => HttpConnectorFuture::ready(Err(lost())),
            Some(Fault::LostAfter) => {
                let error = lost();
                HttpConnectorFuture::new(async move {
                    inner.call(request).await?;
                    Err(error)
                })
            }
            Some(Fault::Twice) => HttpConnectorFuture::new(async move {
                if let Some(copy) = request.try_clone() {
                    inner.call(copy).await?;
                }
                inner.call(request).await
            }),
            Some(Fault::KilledBefore) => HttpConnectorFuture::new(async move {
                killed.notify_one();
                std::future::pending().await
            }),
            Some(Fault::KilledAfter) => HttpConnectorFuture::new(async move {
                inner.call(request).await?;
                killed.notify_one();
                std::future::pending().await
            }),
            Some(Fault::Late) => HttpConnectorFuture::new(async move {
                let _sent = sent;
                tokio::time::sleep(Duration::from_millis(30)).await;
                inner.call(request).await
            }),
            Some(Fault::Slow) => HttpConnectorFuture::new(async move {
                tokio::time::sleep(Duration::from_millis(600)).await;
                inner.call(request).await
            }),
            Some(Fault::Silent) => HttpConnectorFuture::new(std::future::pending()),
            Some(Fault::InPart) => HttpConnectorFuture::new(in_part(inner, request)),
            Some(Fault::Unprocessed) => HttpConnectorFuture::new(unprocessed(inner, request)),
            Some(Fault::Quoted) => {
                let sent = String::from_utf8_lossy(request.body().bytes().unwrap_or_default());
                let refusal = serde_json::json!({
                    "__type": "com.amazon.coral.validate#ValidationException",
                    "message": format!("One or more parameter values were invalid: {sent}"),
                });
                let status = 400.try_into().expect("400 is a status");
                HttpConnectorFuture::ready(Ok(HttpResponse::new(status, refusal.to_string().into())))
            }
        }
    }
}

/// Passes a batch of messages on without its first one, and reports that one as failed.
async fn in_part(inner: SharedHttpConnector, mut request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let bytes = request.body().bytes().unwrap_or_default();
    let mut sent: serde_json::Value = serde_json::from_slice(bytes).expect("the SDK sends JSON");
    let entries = sent["Entries"].as_array_mut().expect("a batch has entries");
    let first = entries.remove(0)["Id"].clone();
    let taken =
        entries.iter().map(|entry| serde_json::json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": ""}));
    let answer = serde_json::json!({
        "Successful": taken.collect::<Vec<_>>(),
        "Failed": [{"Id": first, "SenderFault": false, "Code": "InternalError"}],
    });
    if !entries.is_empty() {
        *request.body_mut() = sent.to_string().into();
        inner.call(request).await?;
    }
    Ok(HttpResponse::new(200.try_into().expect("200 is a status"), answer.to_string().into()))
}

/// Passes a batch of reads on without its first key, and reports that one as unprocessed, as DynamoDB does when it is
/// throttled.
async fn unprocessed(inner: SharedHttpConnector, mut request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let bytes = request.body().bytes().unwrap_or_default();
    let mut sent: serde_json::Value = serde_json::from_slice(bytes).expect("the SDK sends JSON");
    let (table, batch) = sent["RequestItems"].as_object_mut().expect("a batch").iter_mut().next().expect("a table");
    assert_eq!(batch["ConsistentRead"], true, "each attempt has to be strongly consistent");
    let left = batch["Keys"].as_array_mut().expect("a batch has keys").remove(0);
    // Without `ConsistentRead`: what is repeated is to say it again.
    let unprocessed = serde_json::json!({ table: { "Keys": [left] } });
    let mut answer = serde_json::json!({ "Responses": { table: [] } });
    if batch["Keys"].as_array().is_some_and(|keys| !keys.is_empty()) {
        let shorter = sent.to_string();
        request.headers_mut().insert("content-length", shorter.len().to_string());
        *request.body_mut() = shorter.into();
        let processed = inner.call(request).await?;
        let body = ByteStream::new(processed.into_body()).collect().await.expect("an engine sends its whole answer");
        answer = serde_json::from_slice(&body.into_bytes()).expect("an engine sends JSON");
    }
    answer["UnprocessedKeys"] = unprocessed;
    Ok(HttpResponse::new(200.try_into().expect("200 is a status"), answer.to_string().into()))
}

/// Whether an operation reads items by their keys: one, or several.
pub fn reads_items(operation: &str) -> bool {
    operation == "GetItem" || operation == "BatchGetItem"
}

/// The operation that a request names, such as `PutItem`.
pub fn operation(request: &HttpRequest) -> String {
    let target = request.headers().get("x-amz-target").unwrap_or_default();
    target.rsplit('.').next().unwrap_or_default().to_owned()
}
