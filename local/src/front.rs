//! What API Gateway does in the cloud: takes HTTP, finds the function, hands it the same event, gives back its answer.
//!
//! A request becomes the JSON of an API Gateway event (payload 2.0) and is decoded by `lambda_http`, so that a function sees
//! here what it sees there: the peer's address in the request context, text or base64 bodies, joined headers.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use edge_auth::EdgeAuth;
use http::{header, request::Parts};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as HttpBody, Incoming};
use lambda_http::Body;
use serde_json::{Map, Value, json};
use shared::{
    clock::World,
    http::{Answer, ApiError, Code},
    metrics::OTHER,
    telemetry::{self, Asked},
};
use status::Status;
use tokio::net::TcpListener;

use crate::{
    listener::{self, Server},
    routes::{self, Found, Function, Route},
};

/// The most that is kept of a body before anybody looks at it. Functions take less and say so themselves; API Gateway takes
/// more, but does not keep it in this process.
pub const MAX_BODY: usize = 128 * 1024;
/// How much of a body that is too large is read and thrown away, so that the client gets to read the answer.
const MAX_DRAIN: usize = 1024 * 1024;
/// How long a body may take to arrive.
const BODY_TIME_LIMIT: Duration = Duration::from_secs(15);
/// API Gateway waits no longer for a function.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// The host of every event. `lambda_http` makes a URL of it and panics when that is none, so the client's is not used;
/// nobody reads it.
const HOST: &str = "localhost";

/// The functions behind HTTP.
#[derive(Debug, Clone)]
pub struct Functions {
    /// Every client write.
    pub edge_auth: Arc<EdgeAuth>,
    /// Every client read.
    pub status: Arc<Status>,
    /// Clock and randomness.
    pub world: World,
}

/// Serves the functions on a bound listener.
pub fn serve(listener: TcpListener, functions: Functions) -> Server {
    listener::serve(listener, move |peer| Connection { functions: functions.clone(), peer })
}

/// One client's connection.
struct Connection {
    functions: Functions,
    peer: SocketAddr,
}

impl hyper::service::Service<http::Request<Incoming>> for Connection {
    type Response = http::Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        let (functions, peer) = (self.functions.clone(), self.peer);
        Box::pin(async move {
            let began = Instant::now();
            let (parts, body) = request.into_parts();
            let at_the_front = functions.clone();
            let answer = match read(body, BODY_TIME_LIMIT).await {
                // A task of its own: it runs to its end when the client hangs up, as on Lambda, and a panic is one failed
                // invocation.
                Ok(body) => tokio::spawn(async move { functions.answer(parts, &body, peer).await })
                    .await
                    .unwrap_or_else(|_| at_the_front.refuse(ApiError::new(Code::Internal), None, began)),
                // What is left of the body is not waited for.
                Err(error) => {
                    let mut answer = at_the_front.refuse(error, None, began);
                    shared::http::set(&mut answer, header::CONNECTION, "close");
                    answer
                }
            };
            Ok(answer.map(into_bytes))
        })
    }
}

fn into_bytes(body: Body) -> Full<Bytes> {
    match body {
        Body::Text(text) => Full::new(text.into()),
        Body::Binary(bytes) => Full::new(bytes.into()),
        _ => Full::default(),
    }
}

/// Reads a body up to [`MAX_BODY`], for no longer than `limit`.
async fn read<B>(body: B, limit: Duration) -> Result<Vec<u8>, ApiError>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    tokio::time::timeout(limit, read_all(body)).await.unwrap_or_else(|late| Err(ApiError::unavailable(late)))
}

async fn read_all<B>(mut body: B) -> Result<Vec<u8>, ApiError>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let mut bytes = Vec::new();
    let mut total = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ApiError::new(Code::BodyNotJson).because(error))?;
        let Ok(data) = frame.into_data() else { continue };
        total += data.len();
        if total <= MAX_BODY {
            bytes.extend_from_slice(&data);
        } else if total > MAX_DRAIN {
            break;
        }
    }
    if total > MAX_BODY { Err(ApiError::new(Code::BodyTooLarge)) } else { Ok(bytes) }
}

impl Functions {
    /// Finds the function of a request and lets it answer.
    pub async fn answer(&self, parts: Parts, body: &[u8], peer: SocketAddr) -> Answer {
        let began = Instant::now();
        let (route, open) = match routes::find(parts.method.as_str(), parts.uri.path()) {
            Found::Route(route, open) => (route, open),
            Found::OtherMethods(methods) => {
                let mut answer = self.refuse(ApiError::new(Code::MethodNotAllowed), Some(body.len()), began);
                shared::http::set(&mut answer, header::ALLOW, &methods.join(", "));
                return answer;
            }
            Found::Nothing => return self.refuse(ApiError::new(Code::NotFound), Some(body.len()), began),
        };
        let request =
            match lambda_http::request::from_str(&event(&self.world, route, &open, &parts, body, peer).to_string()) {
                Ok(request) => request,
                Err(error) => return self.refuse(ApiError::new(Code::Internal).because(error), None, began),
            };
        // In a box: the compiler gives up on a future of so many futures.
        let answer = Box::pin(async {
            match route.function {
                Function::EdgeAuth => self.edge_auth.handle(request).await,
                Function::Status => self.status.handle(request).await,
            }
        });
        let timed = tokio::time::timeout(TIME_LIMIT, answer).await;
        timed.unwrap_or_else(|late| self.refuse(ApiError::unavailable(late), None, began))
    }

    /// An answer that no function gave.
    fn refuse(&self, error: ApiError, body: Option<usize>, began: Instant) -> Answer {
        let asked = Asked {
            function: "local",
            route: OTHER,
            request_id: None,
            user_id: None,
            trace: None,
            payload_bytes: body.filter(|len| *len > 0),
            began,
            world: &self.world,
        };
        telemetry::answer(asked, Err(error))
    }
}

/// The event that API Gateway would send.
fn event(world: &World, route: &Route, open: &[(&str, &str)], parts: &Parts, body: &[u8], peer: SocketAddr) -> Value {
    let path = parts.uri.path();
    let agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let mut headers = headers(parts);
    headers.insert("host".to_owned(), HOST.into());
    let mut event = json!({
        "version": "2.0",
        "routeKey": format!("{} {}", route.method, route.path),
        "rawPath": path,
        "rawQueryString": parts.uri.query().unwrap_or_default(),
        "headers": headers,
        "pathParameters": open.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect::<Map<_, _>>(),
        "requestContext": {
            "accountId": "local", "apiId": "local", "stage": "$default",
            "routeKey": format!("{} {}", route.method, route.path),
            "domainName": HOST, "domainPrefix": "local",
            "requestId": world.nonce(),
            "timeEpoch": world.now().millis(),
            "http": {
                "method": route.method, "path": path, "protocol": "HTTP/1.1",
                "sourceIp": peer.ip().to_string(), "userAgent": agent,
            },
        },
        "isBase64Encoded": false,
    });
    if !body.is_empty() {
        let text = std::str::from_utf8(body).ok().filter(|_| is_text(parts));
        event["isBase64Encoded"] = text.is_none().into();
        event["body"] = text.map_or_else(|| STANDARD.encode(body), str::to_owned).into();
    }
    event
}

/// Which bodies API Gateway passes on as text.
fn is_text(parts: &Parts) -> bool {
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/")
        || matches!(kind.as_str(), "application/json" | "application/xml" | "application/javascript")
}

/// Headers as the event carries them: lower case, repeated ones joined by commas. What a proxy says of the request is left
/// out: nobody here believes it, and `lambda_http` would make a URL of it.
fn headers(parts: &Parts) -> Map<String, Value> {
    let mut joined = Map::new();
    for name in parts.headers.keys().filter(|name| !name.as_str().starts_with("x-forwarded-")) {
        let values = parts.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        joined.insert(name.as_str().to_owned(), values.collect::<Vec<_>>().join(",").into());
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::{RequestExt, request::RequestContext};

    const ROUTE: Route = Route { method: "POST", path: "/v1/jobs", function: Function::EdgeAuth };

    fn seen(request: http::request::Builder, body: &[u8]) -> lambda_http::Request {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let peer = "192.0.2.7:4711".parse().unwrap();
        let event = event(&World::system(), &ROUTE, &[("request_id", "some")], &parts, body, peer);
        lambda_http::request::from_str(&event.to_string()).unwrap()
    }

    #[test]
    fn a_function_finds_the_peer_where_api_gateway_puts_it() {
        let request = seen(http::Request::post("/v1/jobs?wait=3&x=%20y"), b"");
        let RequestContext::ApiGatewayV2(context) = request.request_context() else { panic!("another context") };
        assert_eq!(context.http.source_ip.as_deref(), Some("192.0.2.7"));
        assert_eq!(request.uri().path(), "/v1/jobs");
        assert_eq!(request.uri().query(), Some("wait=3&x=%20y"));
        assert_eq!(request.query_string_parameters().first("x"), Some(" y"));
        assert_eq!(request.path_parameters().first("request_id"), Some("some"));
        assert_eq!(request.body(), &Body::Empty);
    }

    #[test]
    fn headers_and_bodies_arrive_as_they_do_in_the_cloud() {
        let request = http::Request::post("/v1/jobs").header("x-a", "1").header("x-a", "2").header("host", "ex.test");
        let text = "{\"n\":\"\u{e9}\"}";
        let json = seen(request.header("content-type", "application/json; charset=utf-8"), text.as_bytes());
        assert_eq!(json.body(), &Body::Text(text.to_owned()));
        assert_eq!(json.headers()["x-a"], "1,2");
        let bytes = seen(http::Request::post("/v1/jobs").header("content-type", "application/json"), b"\xff{");
        assert_eq!(bytes.body(), &Body::Binary(b"\xff{".to_vec()));
    }

    #[test]
    fn neither_a_host_nor_a_proxys_headers_reach_the_event() {
        for host in ["", "a b", "ex.test/../x", "[::1", "a:99999", "%", "ex.test"] {
            let request = seen(http::Request::post("/v1/jobs").header("host", host), b"");
            assert_eq!(request.uri(), "https://localhost/v1/jobs", "{host}");
        }
        for scheme in ["https, http", "", " ", "1", "file"] {
            let request = http::Request::post("/v1/jobs").header("x-forwarded-proto", scheme);
            let request = seen(request.header("X-Forwarded-For", "192.0.2.8").header("x-forwarded-host", "a b"), b"");
            assert_eq!(request.uri(), "https://localhost/v1/jobs", "{scheme}");
            assert_eq!(request.headers().len(), 1, "{:?}", request.headers());
        }
    }

    /// A body of `frames` frames, after which nothing more comes.
    struct Stalled {
        frames: usize,
        size: usize,
    }

    impl HttpBody for Stalled {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
            let Some(left) = self.frames.checked_sub(1) else { return std::task::Poll::Pending };
            self.frames = left;
            std::task::Poll::Ready(Some(Ok(hyper::body::Frame::data(vec![b' '; self.size].into()))))
        }
    }

    #[tokio::test]
    async fn a_body_that_stalls_is_given_up_and_one_without_end_is_not_read_to_it() {
        let code = |stalled| async { read(stalled, Duration::from_millis(50)).await.map_err(|error| error.code) };
        assert_eq!(code(Stalled { frames: 2, size: 10 }).await, Err(Code::Unavailable));
        assert_eq!(code(Stalled { frames: 9, size: MAX_BODY }).await, Err(Code::BodyTooLarge));
        let whole = read(Full::new(Bytes::from(vec![b' '; MAX_BODY])), BODY_TIME_LIMIT).await;
        assert_eq!(whole.unwrap().len(), MAX_BODY);
    }
}
