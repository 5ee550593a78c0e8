//! Replaces API Gateway: accepts HTTP, finds the function, passes it the same event, and returns its response.
//!
//! A request becomes the JSON of an API Gateway event (payload 2.0) and is parsed as on Lambda
//! ([`platform::http_event`]). So a function gets the same input as there: the peer's address in the request context,
//! text or base64 bodies, joined headers.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use edge_auth::EdgeAuth;
use http::{Method, header, request::Parts};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as HttpBody, Incoming};
use lambda_http::Body;
use operator::Operator;
use platform::{
    http::{
        ApiError, Code, Response,
        routes::{self, Found, Function},
    },
    http_event::HttpEvent,
    metrics::{Dimension, Metric},
    runtime::Runtime,
    telemetry::{self, RequestLog},
};
use status::Status;
use tokio::{
    net::{TcpListener, UnixListener},
    sync::watch,
};

use crate::{
    disk::DiskGuard,
    emulation::{
        console::Console,
        event::event,
        listener::{self, Running, Server},
        loopback_guard::Hosts,
    },
};

mod low_disk;

/// How much of a body is kept before a function sees it. The functions' own limits are lower and answer with their own
/// errors; API Gateway's limit is higher, but that memory is not in this process.
pub const MAX_BODY: usize = 128 * 1024;
/// How much of a body that is too large is read and discarded, so that the client receives the response.
const MAX_DRAIN: usize = 1024 * 1024;
/// How long a body may take to arrive.
const BODY_TIME_LIMIT: Duration = Duration::from_secs(15);
/// API Gateway's timeout for a function.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// The functions behind HTTP.
#[derive(Debug, Clone)]
pub struct Functions {
    /// Writes of clients.
    pub edge_auth: Arc<EdgeAuth>,
    /// Reads of clients.
    pub status: Arc<Status>,
    /// All requests of operators.
    pub operator: Arc<Operator>,
    /// The operator's console, if there is one.
    pub console: Option<Arc<Console>>,
    /// Clock and randomness.
    pub runtime: Runtime,
    /// Refuses new jobs while the disk is nearly full.
    pub disk: DiskGuard,
}

/// Serves the functions on a bound listener, for requests whose host is one of `hosts`. Each request is answered by the
/// functions that are current when it begins.
pub fn serve(listener: TcpListener, functions: watch::Receiver<Functions>, hosts: Hosts) -> Server {
    listener::serve(listener, move |peer| Connection {
        functions: functions.clone(),
        client: Client::Peer(peer),
        hosts,
    })
}

/// Serves the functions to a reverse proxy on this host, over a unix socket.
pub fn serve_proxy(listener: UnixListener, functions: watch::Receiver<Functions>) -> Running {
    listener::serve_socket(listener, move || Connection {
        functions: functions.clone(),
        client: Client::Forwarded,
        hosts: Hosts::Any,
    })
}

/// Routes that a proxy does not publish: the webhook of the gateway on this host, and readiness, which shows what fails
/// and reads the table for every caller.
const UNPUBLISHED: [&str; 2] = ["/v1/rings", "/readyz"];

/// How the client of a connection's requests is known.
#[derive(Debug, Clone, Copy)]
enum Client {
    /// It is the peer of the connection. A client can write any address into a header.
    Peer(SocketAddr),
    /// The peer is the reverse proxy, which appends the client's address to `X-Forwarded-For`.
    Forwarded,
}

impl Client {
    /// The client's address; an error if a proxy did not name it.
    fn address<B>(self, request: &http::Request<B>) -> Result<IpAddr, ApiError> {
        match self {
            Self::Peer(peer) => Ok(peer.ip()),
            Self::Forwarded if UNPUBLISHED.contains(&request.uri().path()) => Err(ApiError::new(Code::NotFound)),
            Self::Forwarded => forwarded_for(request.headers()).ok_or_else(|| {
                ApiError::new(Code::RequestMalformed).detail("The proxy must name the client in X-Forwarded-For.")
            }),
        }
    }
}

/// The last address in `X-Forwarded-For`. The proxy has appended it; a client may have sent the ones before it.
fn forwarded_for(headers: &http::HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    last.rsplit(',').next()?.trim().parse().ok()
}

/// One client's connection.
struct Connection {
    functions: watch::Receiver<Functions>,
    client: Client,
    hosts: Hosts,
}

impl hyper::service::Service<http::Request<Incoming>> for Connection {
    type Response = http::Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        let functions = self.functions.borrow().clone();
        let admitted = match self.hosts.admit(&request) {
            true => self.client.address(&request),
            false => Err(ApiError::new(Code::HostNotAllowed)),
        };
        Box::pin(async move {
            let began = Instant::now();
            let (parts, body) = request.into_parts();
            let at_the_front = functions.clone();
            let read = match admitted {
                Ok(client) => read(body, BODY_TIME_LIMIT).await.map(|body| (body, client)),
                Err(error) => Err(error),
            };
            let answer = match read {
                // A separate task: as on Lambda, the function runs to its end when the client disconnects, and a panic
                // is one failed invocation.
                Ok((body, client)) => {
                    let function = function_of(&parts);
                    let answer = tokio::spawn(async move { functions.answer(parts, &body, client).await });
                    answer.await.unwrap_or_else(|_| at_the_front.panicked(function, began))
                }
                // The rest of the body is not read.
                Err(error) => {
                    let mut answer = at_the_front.refuse(error, None, began);
                    platform::http::set(&mut answer, header::CONNECTION, "close");
                    answer
                }
            };
            Ok(answer.map(into_bytes))
        })
    }
}

/// The name of the function that a request is for; `local` for one that no function answers.
fn function_of(parts: &Parts) -> &'static str {
    match routes::find(parts.method.as_str(), parts.uri.path()) {
        Found::Route(route, _) => match route.function() {
            Function::EdgeAuth => "edge-auth",
            Function::Status => "status",
            Function::Operator => "operator",
        },
        Found::OtherMethods(_) | Found::Nothing => "local",
    }
}

fn into_bytes(body: Body) -> Full<Bytes> {
    match body {
        Body::Text(text) => Full::new(text.into()),
        Body::Binary(bytes) => Full::new(bytes.into()),
        _ => Full::default(),
    }
}

/// Reads a body up to [`MAX_BODY`] bytes, for at most `limit`.
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
    /// Finds the function of a request, and returns its response.
    pub async fn answer(&self, parts: Parts, body: &[u8], client: IpAddr) -> Response {
        let began = Instant::now();
        if let Some(page) = self.console.as_ref().and_then(|it| it.answer(&parts.method, parts.uri.path())) {
            return page;
        }
        let (route, open) = match routes::find(parts.method.as_str(), parts.uri.path()) {
            Found::Route(route, open) => (route, open),
            Found::OtherMethods(methods) => {
                return self.refuse(ApiError::other_method(methods), Some(body.len()), began);
            }
            Found::Nothing => return self.refuse(ApiError::new(Code::NotFound), Some(body.len()), began),
        };
        let is_low = low_disk::concerns(&parts.method, parts.uri.path()) && self.disk.is_low();
        if is_low && parts.method == Method::POST {
            return self.refuse(low_disk::refusal(), Some(body.len()), began);
        }
        let event = event(&self.runtime, route, &open, &parts, body, client).to_string();
        #[expect(clippy::disallowed_methods, reason = "as the runtime of Lambda reads it: texts only, and no `Value`")]
        let read = serde_json::from_str::<HttpEvent>(&event);
        let request = match read.map_err(|error| ApiError::new(Code::Internal).because(error)) {
            Ok(event) => event.into_request(),
            Err(error) => Err(error),
        };
        let request = match request {
            Ok(request) => request,
            Err(error) => return self.refuse(error, Some(body.len()), began),
        };
        // Boxed: the compiler cannot handle so deeply nested a future otherwise.
        let answer = Box::pin(async {
            match route.function() {
                Function::EdgeAuth => self.edge_auth.handle(request).await,
                Function::Status => self.status.handle(request).await,
                Function::Operator => self.operator.handle(request).await,
            }
        });
        let timed = tokio::time::timeout(TIME_LIMIT, answer).await;
        let answer = timed.unwrap_or_else(|late| self.refuse(ApiError::unavailable(late), None, began));
        if is_low { low_disk::not_ready(answer) } else { answer }
    }

    /// The response after a function has panicked.
    fn panicked(&self, function: &'static str, began: Instant) -> Response {
        self.runtime.measure(&[(Metric::FunctionErrors, 1.0)], &[(Dimension::Function, function)]);
        self.refuse(ApiError::new(Code::Internal), None, began)
    }

    /// A response that no function gave.
    fn refuse(&self, error: ApiError, body: Option<usize>, began: Instant) -> Response {
        let payload_bytes = body.filter(|len| *len > 0);
        let log = RequestLog { payload_bytes, began, ..RequestLog::new("local", &self.runtime) };
        telemetry::answer(log, Err(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body of `frames` frames that then never continues.
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

    #[test]
    fn a_proxy_is_believed_about_the_last_address_and_about_no_other() {
        let headers = |values: &[&'static str]| {
            let value = |value: &&'static str| ("x-forwarded-for".parse().unwrap(), value.parse().unwrap());
            values.iter().map(value).collect::<http::HeaderMap>()
        };
        for (values, address) in [
            (&["192.0.2.1"][..], Some("192.0.2.1")),
            (&["198.51.100.9, 192.0.2.1"], Some("192.0.2.1")),
            (&["198.51.100.9", "192.0.2.1"], Some("192.0.2.1")),
            (&["2001:db8::1"], Some("2001:db8::1")),
            (&["192.0.2.1, unknown"], None),
            (&["192.0.2.1,"], None),
            (&[], None),
        ] {
            assert_eq!(forwarded_for(&headers(values)), address.map(|text| text.parse().unwrap()), "{values:?}");
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
