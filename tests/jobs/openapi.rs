//! `openapi.yaml` is the contract: every route and code of the service is in it, and every answer of a flow fits it.

use std::collections::BTreeSet;

use integration_tests::{App, Client, Contract};
use local::emulation::wechat_events::PushSettings;
use platform::runtime::Clock;
use serde_json::{Value, json};

#[test]
fn every_route_of_the_service_is_in_the_document_and_back() {
    let document = Contract::of_the_checkout().document();
    let served: BTreeSet<(String, String)> = platform::http::routes::ROUTES
        .iter()
        .map(|route| (route.method.to_lowercase(), route.path.to_owned()))
        .collect();
    let mut written = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in
            item.as_object().unwrap().keys().filter(|key| ["get", "post", "put", "delete"].contains(&key.as_str()))
        {
            written.insert((method.clone(), path.clone()));
        }
    }
    assert_eq!(written, served);
}

#[test]
fn every_code_is_in_the_document_and_in_the_table_of_the_docs_and_back() {
    let codes: BTreeSet<&str> = platform::http::Code::ALL.iter().map(|code| code.text()).collect();
    let contract = Contract::of_the_checkout();
    let listed = &contract.document()["components"]["schemas"]["Problem"]["properties"]["code"];
    let listed = contract.resolve(listed)["enum"].as_array().expect("an enum of codes").clone();
    let listed: BTreeSet<&str> = listed.iter().map(|code| code.as_str().unwrap()).collect();
    assert_eq!(listed, codes);
    let api = std::fs::read_to_string(integration_tests::mini_gateway::checkout().join("docs/api/client.md")).unwrap();
    for code in platform::http::Code::ALL {
        let (text, status) = (format!("`{}`", code.text()), code.status());
        let row = |line: &str| line.starts_with('|') && line.contains(&text) && line.contains(status.as_str());
        assert!(api.lines().any(row), "{text} is not in docs/api/client.md with its status {status}");
    }
}

#[test]
fn every_example_fits_its_schema() {
    Contract::of_the_checkout().check_examples();
}

#[tokio::test]
async fn every_answer_of_a_flow_fits_the_document() {
    let contract = Contract::of_the_checkout();
    let mut app = App::start().await;
    let anonymous = app.anonymous();
    let login = app.log_in_with("dev-alice").await;
    contract.check("POST", "/v1/sessions", &login);
    for code in ["made-up", "dev-blocked", "dev-limited", "dev-busy", ""] {
        contract.check("POST", "/v1/sessions", &app.log_in_with(code).await);
    }
    let alice = app.login("alice").await;
    let ids: Vec<String> = (0..6).map(|_| app.new_id()).collect();
    for (id, tool, arguments) in [
        (&ids[0], "ledger_append", json!({"note":"n"})),
        (&ids[0], "ledger_append", json!({"note":"n"})),
        (&ids[0], "ledger_append", json!({"note":"other"})),
        (&ids[1], "ledger_fail", json!({"kind":"throw"})),
        (&ids[2], "ledger_read", json!({})),
        (&ids[3], "ledger_append", json!({"note":7})),
        (&ids[4], "exec", json!({})),
        (&ids[5], "ledger_append", json!({"note":"to be cancelled"})),
        (&"order-17".to_owned(), "ledger_read", json!({})),
        (&"01890000-0000-7000-8000-000000000000".to_owned(), "ledger_read", json!({})),
    ] {
        contract.check("POST", "/v1/jobs", &alice.submit(id, tool, arguments).await);
    }
    contract.check("POST", "/v1/jobs", &anonymous.submit(&ids[0], "ledger_read", json!({})).await);
    contract.check("POST", "/v1/jobs", &alice.send("POST", "/v1/jobs", &[("idempotency-key", &ids[3])], b"{}").await);
    for id in [&ids[5], &ids[0], &ids[4]] {
        contract.check("POST", "/v1/jobs/{request_id}/cancel", &alice.cancel(id).await);
    }
    questions(&app, &alice, contract).await;
    notifications(&mut app, &alice, contract).await;
    for round in 0..2 {
        for id in &ids {
            let path = format!("/v1/jobs/{id}");
            let reply = alice.get(&path).await;
            contract.check("GET", "/v1/jobs/{request_id}", &reply);
            let etag = reply.header("etag").to_owned();
            let again = alice.send("GET", &path, &[("if-none-match", &etag)], b"").await;
            contract.check("GET", "/v1/jobs/{request_id}", &again);
            contract.check("GET", "/v1/jobs/{request_id}/audit", &alice.get(&format!("{path}/audit")).await);
            for place in ["0", "1", "x"] {
                let step = alice.get(&format!("{path}/steps/{place}")).await;
                contract.check("GET", "/v1/jobs/{request_id}/steps/{place}", &step);
            }
        }
        for path in ["/v1/jobs", "/v1/jobs?limit=2", "/v1/jobs?limit=x", "/v1/jobs?cursor=x"] {
            contract.check("GET", "/v1/jobs", &alice.get(path).await);
        }
        for path in ["/v1/tools", "/v1/agents", "/v1/conversations", "/healthz", "/readyz"] {
            contract.check("GET", path, &alice.get(path).await);
            contract.check("GET", path, &anonymous.get(path).await);
        }
        if round == 0 {
            for id in [&ids[1], &ids[2]] {
                app.finish(&alice, id).await;
            }
            app.sweep().await;
        }
    }
    for body in ["{}", "{\"ring\":\"x\"}", "x"] {
        contract.check("POST", "/v1/rings", &anonymous.send("POST", "/v1/rings", &[], body.as_bytes()).await);
    }
    pushes(&app, contract).await;
    contract.check("GET", "/v1/jobs/{request_id}", &alice.get(&format!("/v1/jobs/{}?wait=99", ids[0])).await);
    contract.check("DELETE", "/v1/sessions", &alice.send("DELETE", "/v1/sessions", &[], b"").await);
    contract.check("DELETE", "/v1/sessions", &alice.send("DELETE", "/v1/sessions", &[], b"").await);
    erasure(&mut app, contract, &ids[0]).await;
}

/// Export and erasure, and what a login and a repeated request meet then.
async fn erasure(app: &mut App, contract: &Contract, id: &str) {
    app.advance(std::time::Duration::from_secs(60)).await;
    let alice = app.login("alice").await;
    for path in ["/v1/users/me/export", "/v1/users/me/export?limit=2", "/v1/users/me/export?cursor=x"] {
        contract.check("GET", "/v1/users/me/export", &alice.get(path).await);
    }
    let erase = |reply: &integration_tests::Reply| contract.check("DELETE", "/v1/users/me", reply);
    erase(&alice.erase("").await);
    erase(&app.erase(&alice, "bob").await);
    erase(&app.anonymous().erase("dev-alice").await);
    erase(&app.erase(&alice, "alice").await);
    contract.check("POST", "/v1/sessions", &app.log_in_with("dev-alice").await);
    contract.check("GET", "/v1/users/me/export", &alice.get("/v1/users/me/export").await);
    app.finish_erasure(&alice).await;
    erase(&app.erase(&alice, "alice").await);
    let again = app.login("alice").await;
    contract.check("POST", "/v1/jobs", &again.submit(id, "ledger_append", json!({"note":"n"})).await);
}

/// A job with a notification in each of its states that a flow reaches, and every answer to a report of acceptances.
async fn notifications(app: &mut App, alice: &Client, contract: &Contract) {
    let headers = [("content-type", "application/json")];
    for body in [r#"{"accepted":["job_update"]}"#, r#"{"accepted":["other"]}"#, r#"{"accepted":[]}"#, "x"] {
        let reply = alice.send("POST", "/v1/notifications", &headers, body.as_bytes()).await;
        contract.check("POST", "/v1/notifications", &reply);
    }
    contract.check(
        "POST",
        "/v1/notifications",
        &app.anonymous().send("POST", "/v1/notifications", &headers, b"{}").await,
    );
    contract.check("POST", "/v1/notifications", &alice.send("POST", "/v1/notifications", &[], b"{}").await);
    let body = |name: &str| json!({"tool": "ledger_read", "arguments": {}, "notify": name});
    contract.check("POST", "/v1/jobs", &alice.submit_body(&app.new_id(), &body("other")).await);
    for known_to_wechat in [true, false] {
        if known_to_wechat {
            app.wechat().accept("alice", "hD-ixGOhYmUfjOnI8MCzQMPshzGVeux_2vzyvQu7O68");
        }
        // What came before has used up the user's rate.
        app.advance(std::time::Duration::from_secs(60)).await;
        let id = app.new_id();
        let accepted = alice.submit_body(&id, &body("job_update")).await;
        assert_eq!(accepted.status, 202, "{}", accepted.body);
        contract.check("POST", "/v1/jobs", &accepted);
        let path = format!("/v1/jobs/{id}");
        contract.check("GET", "/v1/jobs/{request_id}", &alice.get(&path).await);
        app.finish(alice, &id).await;
        contract.check("GET", "/v1/jobs/{request_id}", &alice.get(&path).await);
    }
}

/// Every kind of answer to WeChat.
async fn pushes(app: &App, contract: &Contract) {
    let (route, anonymous) = ("/v1/wechat/events", app.anonymous());
    let document: Value = serde_json::from_slice(&std::fs::read(&app.secrets_file).unwrap()).unwrap();
    let settings = PushSettings::of(&document, &app.deployment.wechat_app_id).unwrap();
    let push = settings.push("{}", app.clock.now(), &app.functions.runtime);
    let large = " ".repeat(33 * 1024);
    for (path, body) in [
        (push.path(), push.body.as_str()),
        (route.to_owned(), ""),
        (push.path(), ""),
        (push.path(), &large),
        (format!("{}&nonce=1", push.path()), &push.body),
    ] {
        contract.check("POST", route, &anonymous.send("POST", &path, &[], body.as_bytes()).await);
    }
    for path in [format!("{}&echostr=17", push.path()), push.path(), route.to_owned()] {
        contract.check("GET", route, &anonymous.get(&path).await);
    }
}

/// Every kind of answer to a decision.
async fn questions(app: &App, alice: &Client, contract: &Contract) {
    let route = "/v1/jobs/{request_id}/approval";
    let payments = [120, 120, 501].map(|amount| (app.new_id(), json!({"amount": amount, "note": "two coffees"})));
    for (id, payment) in &payments {
        contract.check("POST", "/v1/jobs", &alice.submit(id, "ledger_pay", payment.clone()).await);
    }
    let refused = alice.submit(&app.new_id(), "ledger_pay", json!({"amount": 10_001, "note": "n"})).await;
    contract.check("POST", "/v1/jobs", &refused);
    let [(yes, _), (no, _), (dear, _)] = &payments;
    for (id, decision, digest, code) in [
        (yes, "approve", alice.digest(no).await, Some(app.fresh_code("alice"))),
        (yes, "approve", alice.digest(yes).await, Some(app.fresh_code("mallory"))),
        (yes, "approve", alice.digest(yes).await, Some("made-up".to_owned())),
        (yes, "approve", alice.digest(yes).await, Some("dev-busy".to_owned())),
        (yes, "approve", alice.digest(yes).await, None),
        (yes, "approve", alice.digest(yes).await, Some(app.fresh_code("alice"))),
        (yes, "reject", alice.digest(yes).await, None),
        (no, "reject", alice.digest(no).await, None),
        (dear, "approve", alice.digest(dear).await, None),
    ] {
        contract.check("POST", route, &alice.decide(id, decision, &digest, code.as_deref()).await);
    }
    contract.check("POST", route, &app.anonymous().decide(yes, "reject", "", None).await);
    contract.check("POST", route, &alice.decide(&app.new_id(), "reject", &alice.digest(yes).await, None).await);
    contract.check("POST", "/v1/jobs/{request_id}/cancel", &alice.cancel(dear).await);
    contract.check("POST", route, &alice.decide(dear, "reject", &alice.digest(dear).await, None).await);
    for (id, _) in &payments {
        let path = format!("/v1/jobs/{id}");
        contract.check("GET", "/v1/jobs/{request_id}", &alice.get(&path).await);
        contract.check("GET", "/v1/jobs/{request_id}/audit", &alice.get(&format!("{path}/audit")).await);
    }
}

#[test]
fn cargo_lambda_routes_as_the_service_does() {
    let file = integration_tests::mini_gateway::checkout().join("Cargo.toml");
    let manifest: toml::Table = toml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let router = manifest["workspace"]["metadata"]["lambda"]["watch"]["router"].as_table().unwrap();
    for route in platform::http::routes::ROUTES {
        let function = match route.function() {
            platform::http::routes::Function::EdgeAuth => "edge-auth",
            platform::http::routes::Function::Status => "status",
            platform::http::routes::Function::Operator => "operator",
        };
        let found = match &router[route.path] {
            toml::Value::String(name) => name.clone(),
            toml::Value::Array(list) => {
                let one = list.iter().find(|one| one["method"].as_str() == Some(route.method)).unwrap();
                one["function"].as_str().unwrap().to_owned()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(found, function, "{} {}", route.method, route.path);
    }
    let paths: BTreeSet<&str> = platform::http::routes::ROUTES.iter().map(|route| route.path).collect();
    assert_eq!(router.keys().map(String::as_str).collect::<BTreeSet<_>>(), paths);
}
