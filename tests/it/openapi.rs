//! `openapi.yaml` is the contract: every route and code of the service is in it, and every answer of a flow fits it.

use std::collections::BTreeSet;

use integration_tests::{App, Reply};
use serde_json::{Value, json};

fn document() -> Value {
    let file = integration_tests::mini_gateway::checkout().join("openapi.yaml");
    serde_yaml_ng::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// Follows one `$ref`.
fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(pointer) => document.pointer(pointer.trim_start_matches('#')).unwrap_or_else(|| panic!("{pointer}")),
        None => value,
    }
}

/// Checks an answer against what the document promises for that route and status.
fn check(document: &Value, method: &str, path: &str, reply: &Reply) {
    let place = format!("{method} {path} {}", reply.status.as_u16());
    let operation = &document["paths"][path][method.to_lowercase()];
    let promised = operation["responses"].get(reply.status.as_str());
    let promised = resolve(document, promised.unwrap_or_else(|| panic!("{place} is not in openapi.yaml")));
    for name in promised["headers"].as_object().into_iter().flat_map(|headers| headers.keys()) {
        let required = resolve(document, &promised["headers"][name])["required"] == true;
        assert!(!required || !reply.header(name).is_empty(), "{place}: header {name}");
    }
    let Some(content) = promised.get("content").and_then(Value::as_object) else {
        assert_eq!(reply.body, Value::Null, "{place}");
        return;
    };
    let media = content.get(reply.header("content-type")).unwrap_or_else(|| panic!("{place}: {:?}", reply.headers));
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "allOf": [media["schema"]],
        "components": document["components"],
    });
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let faults: Vec<String> =
        validator.iter_errors(&reply.body).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "{place}: {faults:?} in {}", reply.body);
}

#[test]
fn every_route_of_the_service_is_in_the_document_and_back() {
    let document = document();
    let served: BTreeSet<(String, String)> =
        local::routes::ROUTES.iter().map(|route| (route.method.to_lowercase(), route.path.to_owned())).collect();
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
    let codes: BTreeSet<&str> = shared::http::Code::ALL.iter().map(|code| code.text()).collect();
    let document = document();
    let listed = document["components"]["schemas"]["Problem"]["properties"]["code"].clone();
    let listed = resolve(&document, &listed)["enum"].as_array().expect("an enum of codes").clone();
    let listed: BTreeSet<&str> = listed.iter().map(|code| code.as_str().unwrap()).collect();
    assert_eq!(listed, codes);
    let api = std::fs::read_to_string(integration_tests::mini_gateway::checkout().join("docs/api.md")).unwrap();
    for code in shared::http::Code::ALL {
        let (text, status) = (format!("`{}`", code.text()), code.status());
        let row = |line: &str| line.starts_with('|') && line.contains(&text) && line.contains(status.as_str());
        assert!(api.lines().any(row), "{text} is not in docs/api.md with its status {status}");
    }
}

#[tokio::test]
async fn every_answer_of_a_flow_fits_the_document() {
    let document = document();
    let mut app = App::start().await;
    let nobody = app.anonymous();
    let login = app.log_in_with("dev-alice").await;
    check(&document, "POST", "/v1/sessions", &login);
    for code in ["made-up", "dev-blocked", "dev-limited", "dev-busy", ""] {
        check(&document, "POST", "/v1/sessions", &app.log_in_with(code).await);
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
        check(&document, "POST", "/v1/jobs", &alice.submit(id, tool, arguments).await);
    }
    check(&document, "POST", "/v1/jobs", &nobody.submit(&ids[0], "ledger_read", json!({})).await);
    check(&document, "POST", "/v1/jobs", &alice.send("POST", "/v1/jobs", &[("idempotency-key", &ids[3])], b"{}").await);
    for id in [&ids[5], &ids[0], &ids[4]] {
        check(&document, "POST", "/v1/jobs/{request_id}/cancel", &alice.cancel(id).await);
    }
    for round in 0..2 {
        for id in &ids {
            let path = format!("/v1/jobs/{id}");
            let reply = alice.get(&path).await;
            check(&document, "GET", "/v1/jobs/{request_id}", &reply);
            let etag = reply.header("etag").to_owned();
            let again = alice.send("GET", &path, &[("if-none-match", &etag)], b"").await;
            check(&document, "GET", "/v1/jobs/{request_id}", &again);
            check(&document, "GET", "/v1/jobs/{request_id}/audit", &alice.get(&format!("{path}/audit")).await);
        }
        for path in ["/v1/jobs", "/v1/jobs?limit=2", "/v1/jobs?limit=x", "/v1/jobs?cursor=x"] {
            check(&document, "GET", "/v1/jobs", &alice.get(path).await);
        }
        for path in ["/v1/tools", "/healthz", "/readyz"] {
            check(&document, "GET", path, &alice.get(path).await);
            check(&document, "GET", path, &nobody.get(path).await);
        }
        if round == 0 {
            for id in [&ids[1], &ids[2]] {
                app.finish(&alice, id).await;
            }
            app.sweep().await;
        }
    }
    check(&document, "GET", "/v1/jobs/{request_id}", &alice.get(&format!("/v1/jobs/{}?wait=99", ids[0])).await);
    check(&document, "DELETE", "/v1/sessions", &alice.send("DELETE", "/v1/sessions", &[], b"").await);
    check(&document, "DELETE", "/v1/sessions", &alice.send("DELETE", "/v1/sessions", &[], b"").await);
    app.stop().await;
}

#[test]
fn cargo_lambda_routes_as_the_service_does() {
    let file = integration_tests::mini_gateway::checkout().join("Cargo.toml");
    let manifest: toml::Table = toml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let router = manifest["workspace"]["metadata"]["lambda"]["watch"]["router"].as_table().unwrap();
    for route in local::routes::ROUTES {
        let function = match route.function {
            local::routes::Function::EdgeAuth => "edge-auth",
            local::routes::Function::Status => "status",
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
    let paths: BTreeSet<&str> = local::routes::ROUTES.iter().map(|route| route.path).collect();
    assert_eq!(router.keys().map(String::as_str).collect::<BTreeSet<_>>(), paths);
}
