//! Attempts of a foreign page in a browser.

use integration_tests::{App, OperatorClient};
use serde_json::json;

use super::list;

fn no_cors(reply: &integration_tests::Reply) {
    for name in reply.headers.keys() {
        assert!(!name.as_str().starts_with("access-control"), "{name}");
    }
    assert!(reply.headers.get("set-cookie").is_none());
}

#[tokio::test]
async fn no_cookie_and_no_other_site_gets_in() {
    let app = App::start().await;
    let zhang = app.operator("zhang", &["admin"]);
    let anonymous = app.anonymous();
    let (token, path) = (zhang.0.token.clone(), "/v1/operator/controls/mode");
    let body = json!({"mode": "closed", "reason": "forged"}).to_string();
    let json_type = ("content-type", "application/json");
    for headers in [
        vec![("cookie", format!("token={token}; authorization=Bearer {token}")), (json_type.0, json_type.1.into())],
        vec![("authorization", format!("Basic {token}")), (json_type.0, json_type.1.into())],
        vec![("x-authorization", format!("Bearer {token}")), (json_type.0, json_type.1.into())],
        vec![("origin", "https://attacker.example".to_owned()), (json_type.0, json_type.1.into())],
    ] {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let reply = anonymous.send("PUT", path, &headers, body.as_bytes()).await;
        assert_eq!(reply.verdict(), (401, "no_operator"), "{headers:?}");
        assert_eq!(reply.header("www-authenticate"), "Bearer");
        no_cors(&reply);
    }
    let in_the_query = anonymous.get(&format!("/v1/operator/me?access_token={token}&token={token}")).await;
    assert_eq!(in_the_query.verdict(), (401, "no_operator"));
    // What a form of another site can send without asking first is not read.
    for content_type in ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain", ""] {
        let reply = zhang.0.send("PUT", path, &[("content-type", content_type)], body.as_bytes()).await;
        assert_eq!(reply.verdict(), (415, "content_type_unsupported"), "{content_type}");
    }
    for path in ["/v1/operator/me", path, "/v1/operator/approvals"] {
        let asks = [("origin", "https://attacker.example"), ("access-control-request-method", "PUT")];
        let reply = anonymous.send("OPTIONS", path, &asks, b"").await;
        assert_eq!(reply.verdict(), (405, "method_not_allowed"), "{path}");
        no_cors(&reply);
    }
    let with_origin = zhang.0.send("GET", "/v1/operator/me", &[("origin", "https://attacker.example")], b"").await;
    assert_eq!(with_origin.status, 200);
    no_cors(&with_origin);
    assert_eq!(zhang.get("/controls").await.body["service"]["mode"], "full");
}

#[tokio::test]
async fn a_users_session_is_no_operators_token_and_the_other_way_round() {
    let app = App::start().await;
    let (alice, zhang) = (app.login("alice").await, app.operator("zhang", &["admin"]));
    assert_eq!(OperatorClient(alice).get("/me").await.verdict(), (401, "no_operator"));
    assert_eq!(zhang.0.get("/v1/jobs").await.verdict(), (401, "no_session"));
    let reply = zhang.0.submit(&app.new_id(), "ledger_read", json!({})).await;
    assert_eq!(reply.verdict(), (401, "no_session"));
}

#[tokio::test]
async fn what_looks_like_a_page_comes_as_data() {
    let app = App::start().await;
    let (alice, zhang) = (app.login("alice").await, app.operator("zhang", &["viewer"]));
    let hostile = "<img src=x onerror=alert(1)>\u{202e}</script>";
    app.submit(&alice, "ledger_pay", json!({"amount": 501, "note": hostile})).await;
    let reply = zhang.get("/approvals").await;
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert_eq!(reply.header("cache-control"), "no-store");
    let question = &list(&reply.body, "approvals")[0];
    assert_eq!(question["arguments"]["note"], "<img src=x onerror=alert(1)>\\u202e</script>");
    assert!(!reply.body.to_string().contains('\u{202e}'), "nothing that is not seen");
    let problem = zhang.get("/jobs/%3Cscript%3E").await;
    assert_eq!(problem.header("x-content-type-options"), "nosniff");
    assert!(!problem.body.to_string().contains("script"), "{}", problem.body);
}

#[tokio::test]
async fn a_body_has_a_size_and_a_shape() {
    let app = App::start().await;
    let zhang = app.operator("zhang", &["admin"]);
    let json_type = [("content-type", "application/json")];
    let path = "/v1/operator/controls/mode";
    let large = json!({"mode": "full", "reason": "x".repeat(40_000)}).to_string();
    let deep = format!("{{\"mode\":{}1{}}}", "[".repeat(40), "]".repeat(40));
    for (body, verdict) in [
        (large.as_str(), (413, "body_too_large")),
        (deep.as_str(), (400, "body_too_deep")),
        ("", (400, "body_not_json")),
        ("mode=full", (400, "body_not_json")),
        (r#"{"mode":"full","mode":"closed","reason":"x"}"#, (400, "body_duplicate_key")),
        (r#"{"mode":"full","reason":"x","\u0000":1}"#, (400, "body_invalid")),
    ] {
        assert_eq!(zhang.0.send("PUT", path, &json_type, body.as_bytes()).await.verdict(), verdict, "{body:.40}");
    }
}

#[tokio::test]
async fn each_path_takes_its_methods_and_no_other() {
    let app = App::start().await;
    let zhang = app.operator("zhang", &["admin"]);
    for route in platform::http::routes::ROUTES.iter().filter(|route| route.path.starts_with("/v1/operator/")) {
        let path = route.path.replace("{job}", &"A".repeat(43)).replace("{user_id}", "x").replace("{name}", "x");
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
            let taken =
                platform::http::routes::ROUTES.iter().any(|other| other.path == route.path && other.method == method);
            let reply = zhang.0.send(method, &path, &[("content-type", "application/json")], b"{}").await;
            assert_eq!(reply.status.as_u16() == 405, !taken, "{method} {path}: {}", reply.body);
            assert!(taken || !reply.header("allow").is_empty());
        }
    }
    for nowhere in ["/v1/operator", "/v1/operator/", "/v1/operator/me/", "/v1/operator/x", "/v1/operator/jobs/a/b/c"] {
        assert_eq!(zhang.0.get(nowhere).await.verdict(), (404, "not_found"), "{nowhere}");
    }
}
