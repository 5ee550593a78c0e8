//! A request as an event of API Gateway, payload 2.0.

use std::net::IpAddr;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{header, request::Parts};
use platform::{
    http::routes::{PathParameters, Route},
    runtime::Runtime,
};
use serde_json::{Map, Value, json};

/// The host in every event. No function reads it, so the client's value is not passed on.
const HOST: &str = "localhost";

/// Prefix of the operators' paths.
const OPERATORS: &str = "/v1/operator/";
/// The one route of `template.yaml` for that prefix.
const OPERATOR_ROUTE: &str = "ANY /v1/operator/{proxy+}";

/// The event that API Gateway would send.
pub(crate) fn event(
    runtime: &Runtime,
    route: &Route,
    open: &PathParameters<'_>,
    parts: &Parts,
    body: &[u8],
    client: IpAddr,
) -> Value {
    let path = parts.uri.path();
    let agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let mut headers = headers(parts);
    headers.insert("host".to_owned(), HOST.into());
    let (key, open) = match path.strip_prefix(OPERATORS) {
        // Operators have one route in template.yaml; the function finds the call by the path.
        Some(rest) => (OPERATOR_ROUTE, Map::from_iter([("proxy".to_owned(), json!(rest))])),
        None => (route.name, open.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()),
    };
    let mut event = json!({
        "version": "2.0",
        "routeKey": key,
        "rawPath": path,
        "rawQueryString": parts.uri.query().unwrap_or_default(),
        "headers": headers,
        "pathParameters": open,
        "requestContext": {
            "accountId": "local", "apiId": "local", "stage": "$default",
            "routeKey": key,
            "domainName": HOST, "domainPrefix": "local",
            "requestId": runtime.nonce(),
            "timeEpoch": runtime.now().millis(),
            "http": {
                "method": route.method, "path": path, "protocol": "HTTP/1.1",
                "sourceIp": client.to_string(), "userAgent": agent,
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

/// Whether API Gateway passes the body on as text.
fn is_text(parts: &Parts) -> bool {
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/")
        || matches!(kind.as_str(), "application/json" | "application/xml" | "application/javascript")
}

/// Headers as the event carries them: lower case, repeated ones joined by commas. Forwarding headers are left out,
/// because the service does not trust them.
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
    use lambda_http::Body;
    use lambda_http::{RequestExt, request::RequestContext};
    use platform::{
        http::routes::{self, Found, OperatorCall, Routed},
        http_event::HttpEvent,
    };

    fn seen(request: http::request::Builder, body: &[u8]) -> lambda_http::Request {
        seen_by("POST", "/v1/jobs/some/cancel", request, body)
    }

    fn seen_by(method: &str, path: &str, request: http::request::Builder, body: &[u8]) -> lambda_http::Request {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let peer = "192.0.2.7".parse().unwrap();
        let Found::Route(route, open) = routes::find(method, path) else { panic!("no such route") };
        let event = event(&Runtime::system(), route, &open, &parts, body, peer);
        #[expect(clippy::disallowed_methods, reason = "as the runtime of Lambda reads it: texts only, and no `Value`")]
        let read = serde_json::from_str::<HttpEvent>(&event.to_string());
        read.unwrap().into_request().unwrap()
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
    fn a_call_of_an_operator_arrives_by_the_one_route_and_is_found_by_its_path() {
        let path = "/v1/operator/controls/tools/ledger_pay";
        let request = seen_by("PUT", path, http::Request::put(path), b"");
        let RequestContext::ApiGatewayV2(context) = request.request_context() else { panic!("another context") };
        assert_eq!(context.route_key.as_deref(), Some("ANY /v1/operator/{proxy+}"));
        assert_eq!(request.path_parameters().all("proxy"), Some(vec!["controls/tools/ledger_pay"]));
        let Routed { call, name, open } = routes::route::<OperatorCall>(&request).unwrap();
        assert_eq!(call, OperatorCall::SetTool);
        assert_eq!(name, "PUT /v1/operator/controls/tools/{name}");
        assert_eq!(open.text("name"), "ledger_pay");
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
}
