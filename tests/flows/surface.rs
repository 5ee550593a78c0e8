//! Routes, methods and headers.

use std::time::Instant;

use serde_json::json;

use crate::{
    caller::{Caller, WAIT_LIMIT, new_id},
    target::flow,
};

#[test]
fn an_unknown_path_is_404_and_another_method_405_in_the_services_own_words() {
    flow(async |target| {
        let anonymous = Caller::anonymous(target);
        for path in ["/", "/v1", "/v2/jobs", "/v1/jobs/", "/V1/jobs", "/healthz/x", "/v1/jobs/a/b/c", "/.env"] {
            assert_eq!(anonymous.get(path).await.verdict(), (404, "not_found"), "{path}");
        }
        for (method, path, allow) in [
            ("PUT", "/v1/jobs", "GET, POST"),
            ("DELETE", "/v1/tools", "GET"),
            ("POST", "/healthz", "GET"),
            ("PATCH", "/v1/jobs/019a8f3c-7e10-7abc-9def-0123456789ab", "GET"),
        ] {
            let reply = anonymous.send(method, path, &[], b"").await;
            assert_eq!(reply.verdict(), (405, "method_not_allowed"), "{method} {path}");
            let mut methods: Vec<&str> = reply.header("allow").split(", ").collect();
            methods.sort_unstable();
            assert_eq!(methods.join(", "), allow, "{method} {path}");
        }
        // On Lambda the reader answers what has no route, and it does not know the writer's own paths.
        for (method, path) in [("PUT", "/v1/sessions"), ("GET", "/v1/jobs/x/cancel")] {
            let reply = anonymous.send(method, path, &[], b"").await;
            assert!([404, 405].contains(&reply.status.as_u16()), "{method} {path}: {}", reply.body);
        }
    });
}

#[test]
fn unknown_headers_change_nothing() {
    flow(async |target| {
        let alice = Caller::log_in(target, "headers").await;
        for traceparent in ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-zz-zz-zz", "x"] {
            let (id, body) = (new_id(), json!({"tool":"ledger_read","arguments":{"limit":1}}).to_string());
            let headers = [
                ("idempotency-key", id.as_str()),
                ("content-type", "application/json; charset=utf-8"),
                ("traceparent", traceparent),
                ("x-forwarded-for", "192.0.2.1"),
                ("x-http-method-override", "DELETE"),
                ("x-user-id", "3f0c9a52-5d5e-4a5f-9f0e-6c1f0d7b2a11"),
            ];
            let reply = alice.send("POST", "/v1/jobs", &headers, body.as_bytes()).await;
            assert_eq!(reply.status, 202, "{traceparent}: {}", reply.body);
            assert_eq!(alice.until_over(&id).await["status"], "succeeded", "{traceparent}");
        }
    });
}

#[test]
fn the_tools_are_those_that_may_be_called_and_each_example_works() {
    flow(async |target| {
        let alice = Caller::log_in(target, "tools").await;
        let tools = alice.get("/v1/tools").await.body["tools"].as_array().unwrap().clone();
        let names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
        assert_eq!(
            names,
            ["ledger_append", "ledger_append_once", "ledger_fail", "ledger_pay", "ledger_read", "ledger_sleep"]
        );
        let mut ids = Vec::new();
        for tool in &tools {
            let id = new_id();
            let reply = alice.submit(&id, tool["name"].as_str().unwrap(), tool["example"].clone()).await;
            assert_eq!(reply.status, 202, "{tool}: {}", reply.body);
            if tool["approval"] == "user" {
                assert_eq!(reply.body["status"], "awaiting_approval");
                assert_eq!(alice.cancel(&id).await.body["status"], "cancelled");
                continue;
            }
            assert_eq!(tool["approval"], "none", "{tool}");
            ids.push((id, if tool["name"] == "ledger_fail" { "failed" } else { "succeeded" }));
        }
        for (id, status) in ids {
            assert_eq!(alice.until_over(&id).await["status"], status);
        }
    });
}

#[test]
fn it_lives_and_becomes_ready() {
    flow(async |target| {
        let alice = Caller::log_in(target, "ready").await;
        let anonymous = Caller::anonymous(target);
        assert_eq!(anonymous.get("/healthz").await.body, json!({"status": "live"}));
        // The first write runs the guard probe; the first sweep, within a minute, writes a heartbeat.
        assert_eq!(alice.run("ledger_append", json!({"note":"n"})).await["status"], "succeeded");
        let began = Instant::now();
        loop {
            let ready = anonymous.get("/readyz").await;
            // A deployment to AWS does not publish it.
            if ready.verdict() == (404, "not_found") {
                assert!(target.deployed, "one host tells it");
                break;
            }
            if ready.status == 200 {
                assert_eq!((&ready.body["ready"], &ready.body["failing"]), (&json!(true), &json!([])));
                assert_eq!(ready.body["gateway"]["fence"], "proven", "{}", ready.body);
                break;
            }
            assert!(began.elapsed() < WAIT_LIMIT, "{}", ready.body);
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    });
}
