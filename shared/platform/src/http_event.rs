//! Converts an event of API Gateway (HTTP API, payload 2.0) into a request, and a response into Lambda's format.
//!
//! `lambda_http` builds a URL from `Host`, `X-Forwarded-Proto`, path and query, and panics before any code of this
//! service when that is invalid: a proxy that joins two headers would make each request a failed invocation. This
//! module ignores the two headers, which no code reads, and answers 400 to an invalid request.

use std::future::Future;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::Uri;
use lambda_http::{
    Body, Error, Request, RequestExt,
    aws_lambda_events::{
        apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse},
        query_map::QueryMap,
    },
    lambda_runtime::{self, LambdaEvent},
    request::RequestContext,
    service_fn,
};
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    http::{ApiError, Code, Response},
    runtime::Runtime,
    telemetry::{self, RequestLog},
};

/// Version of the payload format.
const VERSION: &str = "2.0";
/// Placeholder for the host, which no code reads.
const ORIGIN: &str = "https://localhost";

/// The event of a function behind HTTP. Parsing it never fails.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum HttpEvent {
    /// A request, as API Gateway sends it.
    Request(Box<ApiGatewayV2httpRequest>),
    /// Any other event.
    Other(IgnoredAny),
}

impl HttpEvent {
    /// The request, checked.
    pub fn into_request(self) -> Result<Request, ApiError> {
        let malformed = |what: &str| ApiError::new(Code::RequestMalformed).detail(what);
        let event = match self {
            Self::Request(event) if event.version.as_deref() == Some(VERSION) => *event,
            Self::Request(_) | Self::Other(_) => return Err(malformed("This is no request of an HTTP API.")),
        };
        let path = event.raw_path.unwrap_or_default();
        let query = event.raw_query_string.unwrap_or_default();
        let uri = uri(&path, &query).ok_or_else(|| malformed("The query has a character that has to be escaped."))?;
        let body = match event.body {
            None => Body::Empty,
            Some(text) if event.is_base64_encoded => {
                let bytes = STANDARD.decode(text).map_err(|_| malformed("The body is not the base64 that it says."))?;
                Body::Binary(bytes)
            }
            Some(text) => Body::Text(text),
        };
        let mut request = Request::new(body);
        request.method_mut().clone_from(&event.request_context.http.method);
        *request.uri_mut() = uri;
        *request.headers_mut() = event.headers;
        // Parsing a query accepts any text.
        let query = query.parse::<QueryMap>().unwrap_or_default();
        Ok(request
            .with_raw_http_path(path)
            .with_query_string_parameters(query)
            .with_path_parameters(event.path_parameters)
            .with_request_context(RequestContext::ApiGatewayV2(event.request_context)))
    }
}

/// URI of a request, with invalid characters of the path escaped: routes are matched by the raw path. `None` for an
/// invalid query, which is used unescaped.
fn uri(path: &str, query: &str) -> Option<Uri> {
    if !query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return None;
    }
    let mut text = ORIGIN.to_owned();
    if !path.starts_with('/') {
        text.push('/');
    }
    for byte in path.bytes() {
        match byte {
            b'?' | b'#' => text.push_str(&format!("%{byte:02X}")),
            _ if byte.is_ascii_graphic() => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    if !query.is_empty() {
        text.push('?');
        text.push_str(query);
    }
    text.parse().ok()
}

/// A response in the format that Lambda returns to API Gateway.
pub fn response(answer: Response) -> ApiGatewayV2httpResponse {
    let (parts, body) = answer.into_parts();
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = parts.status.as_u16().into();
    response.headers = parts.headers;
    response.is_base64_encoded = matches!(body, Body::Binary(_));
    response.body = Some(body).filter(|body| !matches!(body, Body::Empty));
    response
}

/// Serves a function behind HTTP until the platform ends it.
pub async fn serve<F>(function: &'static str, runtime: &Runtime, handle: impl Fn(Request) -> F) -> Result<(), Error>
where
    F: Future<Output = Response>,
{
    let handle = &handle;
    let serve = service_fn(|event: LambdaEvent<HttpEvent>| async move {
        let answer = match event.payload.into_request() {
            Ok(request) => handle(request).await,
            Err(error) => telemetry::answer(RequestLog::new(function, runtime), Err(error)),
        };
        Ok::<_, Error>(response(answer))
    });
    lambda_runtime::run(serve).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, Response, header};
    use serde_json::json;

    #[test]
    fn an_answer_becomes_what_lambda_returns() {
        let answer = |body: Body| {
            let mut answer = Response::new(body);
            answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            serde_json::to_value(response(answer)).unwrap()
        };
        let text = answer(Body::Text("a".into()));
        assert_eq!(
            (&text["statusCode"], &text["body"], &text["isBase64Encoded"]),
            (&json!(200), &json!("a"), &json!(false))
        );
        assert_eq!(text["headers"]["content-type"], "text/plain");
        let bytes = answer(Body::Binary(vec![255]));
        assert_eq!((&bytes["body"], &bytes["isBase64Encoded"]), (&json!("/w=="), &json!(true)));
        assert!(answer(Body::Empty).get("body").is_none());
    }

    #[test]
    fn a_path_is_escaped_and_a_query_is_taken_as_it_is_or_not_at_all() {
        for (path, query, expected) in [
            ("/v1/jobs", "wait=3&x=%20y", Some("https://localhost/v1/jobs?wait=3&x=%20y")),
            ("/a b/\u{e9}?#", "", Some("https://localhost/a%20b/%C3%A9%3F%23")),
            ("", "", Some("https://localhost/")),
            ("v1", "", Some("https://localhost/v1")),
            ("/", "a=b c", None),
            ("/", "a=\u{e9}", None),
            ("/", "a#b", None),
        ] {
            assert_eq!(uri(path, query).map(|uri| uri.to_string()).as_deref(), expected, "{path} {query}");
        }
    }
}
