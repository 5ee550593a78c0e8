//! The engines on loopback, for functions that run in other processes (`local engines`).
//!
//! Every local user can reach loopback, and so can every web page in a browser on this host. So a request is passed on
//! only if it comes from no page, is addressed to exactly this port, and is signed (AWS Signature Version 4) with the
//! credential that was generated at the start. Every other request gets a 403 without CORS headers.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, service::service_fn};
use platform::{aws::AwsSettings, runtime::Runtime};
use rustack_auth::{StaticCredentialProvider, hash_payload, verify_sigv4};
use tokio::net::TcpListener;

use crate::emulation::{
    backend::Backend,
    connector::{CONTENT_TYPE, EngineResponse, InProcess, QUERY_ERROR},
    engines::Engines,
    listener::{self, BindError, Server},
    loopback_guard,
};

/// The limit of DynamoDB's request bodies.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// Ports that are bound before the engines start.
#[derive(Debug)]
pub struct EnginePorts {
    table: TcpListener,
    queue: TcpListener,
}

/// Engines that other processes can reach.
#[derive(Debug)]
pub struct ServedEngines {
    /// What other processes need: endpoints, and the only valid credential.
    pub backend: Backend,
    table: Server,
    queue: Server,
}

impl EnginePorts {
    /// Binds both ports on loopback; 0 takes a free port.
    pub async fn bind(table_port: u16, queue_port: u16) -> Result<Self, BindError> {
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let table = listener::bind(loopback(table_port), "--table-port").await?;
        let queue = listener::bind(loopback(queue_port), "--queue-port").await?;
        Ok(Self { table, queue })
    }

    /// The queue's port, which its engine puts into the queues' URLs.
    pub fn queue_port(&self) -> u16 {
        listener::address(&self.queue).port()
    }

    /// Serves the engines to holders of the credential that is generated here.
    pub fn serve(self, engines: &Engines, runtime: &Runtime) -> ServedEngines {
        let key_id = format!("LOCAL{:016X}", runtime.number());
        let secret = format!("{:016x}{:016x}{:016x}", runtime.number(), runtime.number(), runtime.number());
        let credential = Arc::new(StaticCredentialProvider::new([(key_id.clone(), secret.clone())]));
        let serve = |listener: TcpListener| {
            let port = Port {
                own: listener::address(&listener),
                credential: credential.clone(),
                engines: engines.in_process(),
            };
            listener::serve(listener, move |_| {
                let port = port.clone();
                service_fn(move |request| {
                    let port = port.clone();
                    async move { Ok::<_, Infallible>(port.answer(request).await) }
                })
            })
        };
        let (table, queue) = (serve(self.table), serve(self.queue));
        let mut aws = AwsSettings::loopback(&table.base_url(), &queue.base_url());
        aws.credentials = aws_sdk_dynamodb::config::Credentials::new(key_id, secret, None, None, "loopback");
        aws.http_client = Some(aws_smithy_http_client::Builder::new().build_http());
        ServedEngines { backend: Backend { aws, ..engines.backend.clone() }, table, queue }
    }
}

impl ServedEngines {
    /// Lets open requests finish, then stops listening.
    pub async fn stop(self) {
        self.table.stop().await;
        self.queue.stop().await;
    }
}

/// The service behind one port.
#[derive(Clone)]
struct Port {
    own: SocketAddr,
    credential: Arc<StaticCredentialProvider>,
    engines: InProcess,
}

impl Port {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if !loopback_guard::is_for(&request, self.own) {
            return refused("this port answers no web page, and no other name than its own");
        }
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
            return empty(StatusCode::PAYLOAD_TOO_LARGE);
        };
        let body = body.to_bytes();
        if verify_sigv4(&parts, &hash_payload(&body), self.credential.as_ref()).is_err() {
            return refused("only the credential that was made at the start of these engines is taken");
        }
        let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        match self.engines.respond(target.unwrap_or_default().to_owned(), body).await {
            Ok(response) => passed_on(response),
            Err(_) => empty(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

fn passed_on(response: EngineResponse) -> Response<Full<Bytes>> {
    let mut answer = json(response.status, response.json);
    if let Some(error) = response.query_error.and_then(|error| HeaderValue::from_str(&error).ok()) {
        answer.headers_mut().insert(QUERY_ERROR, error);
    }
    answer
}

/// The response of a refusal, as an AWS error that an SDK displays.
fn refused(why: &str) -> Response<Full<Bytes>> {
    let body = serde_json::json!({"__type": "com.amazon.coral.service#AccessDeniedException", "message": why});
    let mut answer = json(403, body.to_string().into_bytes());
    // The body of a refused request is not read, so the connection cannot be used again.
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

fn json(status: u16, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    answer
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    json(status.as_u16(), Vec::new())
}
