//! Responses to invalid input, and that nothing is stored.

use std::time::Duration;

use platform::runtime::{Clock, System};
use serde_json::{Value, json};

use crate::{
    caller::{Caller, new_id},
    target::flow,
};

const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn an_invalid_submission_is_answered_with_its_errors_and_stores_nothing() {
    flow(async |target| {
        let alice = Caller::log_in(target, "wrong").await;
        let call = |tool: &str, arguments: Value| json!({"tool": tool, "arguments": arguments}).to_string();
        let fine = call("ledger_append", json!({"note":"n"}));
        let not_after = |at: String| json!({"tool":"ledger_read","arguments":{},"not_after":at}).to_string();
        let (past, far) =
            (System.now().minus(Duration::from_secs(600)), System.now().plus(Duration::from_secs(90_000)));
        for (name, body, verdict) in [
            ("over the cap", format!("{fine}{}", " ".repeat(33 * 1024)), (413, "body_too_large")),
            ("far over the cap", format!("{fine}{}", " ".repeat(400 * 1024)), (413, "body_too_large")),
            ("nothing", String::new(), (400, "body_not_json")),
            ("not JSON", "{\"tool\":".into(), (400, "body_not_json")),
            ("a key twice", r#"{"tool":"a","tool":"b","arguments":{}}"#.into(), (400, "body_duplicate_key")),
            ("too deep", format!("{}{}", "[".repeat(40), "]".repeat(40)), (400, "body_too_deep")),
            ("an array", "[]".into(), (400, "body_invalid")),
            ("an unknown field", r#"{"tool":"ledger_read","arguments":{},"x":1}"#.into(), (400, "body_invalid")),
            ("in the past", not_after(past.to_string()), (422, "not_after_invalid")),
            ("too far ahead", not_after(far.to_string()), (422, "not_after_invalid")),
            ("an unknown tool", call("exec", json!({})), (403, "tool_unknown")),
            ("a destructive tool", call("ledger_delete", json!({})), (403, "tool_not_opened")),
            ("a bad argument", call("ledger_append", json!({"note":7})), (422, "arguments_invalid")),
        ] {
            let id = new_id();
            let reply = alice.send("POST", "/v1/jobs", &[JSON, ("idempotency-key", &id)], body.as_bytes()).await;
            assert_eq!(reply.verdict(), verdict, "{name}: {}", reply.body);
            assert_eq!(alice.look(&id).await.verdict(), (404, "not_found"), "{name}");
        }
        let id = new_id();
        let typed = [("content-type", "text/plain"), ("idempotency-key", id.as_str())];
        let reply = alice.send("POST", "/v1/jobs", &typed, fine.as_bytes()).await;
        assert_eq!(reply.verdict(), (415, "content_type_unsupported"));
        assert_eq!(alice.look(&id).await.verdict(), (404, "not_found"));
        assert_eq!(alice.get("/v1/jobs").await.body, json!({"jobs": []}));
    });
}

#[test]
fn faults_in_arguments_are_named_by_pointer_and_never_quoted() {
    flow(async |target| {
        let alice = Caller::log_in(target, "pointer").await;
        for (arguments, pointer) in [
            (json!({"note": ["my secret"]}), "/note"),
            (json!({"note": "x".repeat(2001)}), "/note"),
            (json!({"note": "n", "my secret": 1}), ""),
            (json!({}), ""),
        ] {
            let reply = alice.submit(&new_id(), "ledger_append", arguments).await;
            assert_eq!(reply.verdict(), (422, "arguments_invalid"));
            assert_eq!(reply.body["errors"].as_array().unwrap().len(), 1, "{}", reply.body);
            assert_eq!(reply.body["errors"][0]["pointer"], pointer, "{}", reply.body);
            assert!(!reply.body.to_string().contains("xxx"), "{}", reply.body);
        }
    });
}

#[test]
fn a_request_id_must_be_one_and_of_today() {
    flow(async |target| {
        let alice = Caller::log_in(target, "key").await;
        let at = |ms: i64| {
            let ms = u64::try_from(System.now().millis() + ms).unwrap();
            uuid::Builder::from_unix_timestamp_millis(ms, &[7; 10]).into_uuid().to_string()
        };
        let (stale, ahead) = (at(-86_400_000 - 60_000), at(20 * 60_000));
        let body = json!({"tool":"ledger_read","arguments":{}}).to_string();
        for (key, verdict) in [
            (None, (400, "idempotency_key_missing")),
            (Some("order-17"), (400, "idempotency_key_malformed")),
            (Some("7c9e6679-7425-40de-944b-e07fc1f90ae7"), (400, "idempotency_key_malformed")),
            (Some(stale.as_str()), (410, "request_id_expired")),
            (Some(ahead.as_str()), (400, "request_id_in_future")),
        ] {
            let mut headers = vec![JSON];
            headers.extend(key.map(|key| ("idempotency-key", key)));
            let reply = alice.send("POST", "/v1/jobs", &headers, body.as_bytes()).await;
            assert_eq!(reply.verdict(), verdict, "{key:?}: {}", reply.body);
        }
        for id in [&stale, &ahead] {
            assert_eq!(alice.look(id).await.verdict(), (404, "not_found"), "nothing is stored");
        }
        assert_eq!(alice.look("order-17").await.verdict(), (404, "not_found"));
    });
}
