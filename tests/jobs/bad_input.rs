//! Responses to invalid input: status and code, and that nothing is stored. `docs/api/client.md` has the same table.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use integration_tests::{App, Client};
use platform::runtime::Clock;
use serde_json::{Value, json};

/// Items of a user's partition but the user item itself.
async fn stored(app: &App, client: &Client) -> usize {
    let query = app.aws.dynamodb().query().table_name(&app.deployment.backend.table);
    let pk = AttributeValue::S(format!("U#{}", client.user_id));
    let answer =
        query.key_condition_expression("pk = :pk").expression_attribute_values(":pk", pk).send().await.unwrap();
    // Neither the user item nor the user's side chain of refusals contains a request.
    let told = |item: &&HashMap<String, AttributeValue>| {
        !["USER", "RH", "R#"].iter().any(|prefix| item["sk"].as_s().unwrap().starts_with(prefix))
    };
    answer.items().iter().filter(told).count()
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn an_invalid_submission_is_answered_with_its_errors_and_stores_nothing() {
    let (app, alice) = App::start_with("alice").await;
    let fine = json!({"tool":"ledger_append","arguments":{"note":"n"}}).to_string();
    let with = |change: Value| {
        let mut body: Value = serde_json::from_str(&fine).unwrap();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body.to_string()
    };
    let deep = format!(r#"{{"tool":"ledger_append","arguments":{{"note":{}{}}}}}"#, "[".repeat(40), "]".repeat(40));
    let past = app.clock.now().minus(Duration::from_secs(1)).to_string();
    let far = app.clock.now().plus(Duration::from_secs(25 * 3600)).to_string();
    for (name, body, verdict) in [
        ("over the cap", format!("{fine}{}", " ".repeat(32 * 1024)), (413, "body_too_large")),
        ("nothing", String::new(), (400, "body_not_json")),
        ("not JSON", "{".into(), (400, "body_not_json")),
        ("two values", format!("{fine}{fine}"), (400, "body_not_json")),
        ("too deep", deep, (400, "body_too_deep")),
        ("a key twice", r#"{"tool":"a","tool":"b","arguments":{}}"#.into(), (400, "body_duplicate_key")),
        (
            "no I-JSON number",
            r#"{"tool":"ledger_sleep","arguments":{"ms":9007199254740993}}"#.into(),
            (400, "body_number"),
        ),
        ("an array", "[]".into(), (400, "body_invalid")),
        ("an unknown field", with(json!({"dryRun":true})), (400, "body_invalid")),
        ("no tool", r#"{"arguments":{}}"#.into(), (400, "body_invalid")),
        ("no arguments", r#"{"tool":"ledger_read"}"#.into(), (400, "body_invalid")),
        ("arguments as text", r#"{"tool":"ledger_read","arguments":"{}"}"#.into(), (400, "body_invalid")),
        ("sent_at unreadable", with(json!({"sent_at":"yesterday"})), (400, "body_invalid")),
        ("not_after unreadable", with(json!({"not_after":"soon"})), (400, "body_invalid")),
        ("not_after in the past", with(json!({"not_after":past})), (422, "not_after_invalid")),
        ("not_after too far ahead", with(json!({"not_after":far})), (422, "not_after_invalid")),
        ("an unknown tool", with(json!({"tool":"exec"})), (403, "tool_unknown")),
        ("another case", with(json!({"tool":"LEDGER_APPEND"})), (403, "tool_unknown")),
        ("the guard probe's tool", with(json!({"tool":"miniprogram_canary","arguments":{}})), (403, "tool_unknown")),
        ("a destructive tool", with(json!({"tool":"ledger_delete","arguments":{}})), (403, "tool_not_opened")),
        ("an argument missing", with(json!({"arguments":{}})), (422, "arguments_invalid")),
        ("an argument too many", with(json!({"arguments":{"note":"n","x":1}})), (422, "arguments_invalid")),
        ("an argument of another type", with(json!({"arguments":{"note":7}})), (422, "arguments_invalid")),
    ] {
        let id = app.new_id();
        let reply = alice.send("POST", "/v1/jobs", &[JSON, ("idempotency-key", &id)], body.as_bytes()).await;
        assert_eq!(reply.verdict(), verdict, "{name}: {}", reply.body);
        assert_eq!(reply.header("content-type"), "application/problem+json", "{name}");
        assert_eq!(alice.get(&format!("/v1/jobs/{id}")).await.status, 404, "{name}");
    }
    assert_eq!(stored(&app, &alice).await, 0);
    assert!(app.receive().await.is_empty(), "no wake-up message was sent");
}

#[tokio::test]
async fn faults_in_arguments_are_named_by_pointer_and_never_quote_the_value() {
    let (app, alice) = App::start_with("alice").await;
    let reply = alice.submit(&app.new_id(), "ledger_append", json!({"note":["my secret"]})).await;
    assert_eq!(reply.body["errors"][0]["pointer"], "/note", "{}", reply.body);
    assert!(!reply.body.to_string().contains("my secret"));
}

#[tokio::test]
async fn a_request_id_must_be_one_and_of_today() {
    let (app, alice) = App::start_with("alice").await;
    let body = json!({"tool":"ledger_read","arguments":{}}).to_string();
    let at = |ms: i64| {
        let ms = u64::try_from(app.clock.now().millis() + ms).unwrap();
        uuid::Builder::from_unix_timestamp_millis(ms, &[7; 10]).into_uuid().to_string()
    };
    let (week, tomorrow) = (at(-7 * 86_400_000), at(86_400_000));
    for (name, headers, verdict) in [
        ("none", vec![JSON], (400, "idempotency_key_missing")),
        ("empty", vec![JSON, ("idempotency-key", "")], (400, "idempotency_key_malformed")),
        ("malformed", vec![JSON, ("idempotency-key", "order-17")], (400, "idempotency_key_malformed")),
        (
            "v4",
            vec![JSON, ("idempotency-key", "7c9e6679-7425-40de-944b-e07fc1f90ae7")],
            (400, "idempotency_key_malformed"),
        ),
        ("last week", vec![JSON, ("idempotency-key", &week)], (410, "request_id_expired")),
        ("tomorrow", vec![JSON, ("idempotency-key", &tomorrow)], (400, "request_id_in_future")),
        (
            "another type",
            vec![("content-type", "text/plain"), ("idempotency-key", &week)],
            (415, "content_type_unsupported"),
        ),
        ("no type", vec![("idempotency-key", &week)], (415, "content_type_unsupported")),
    ] {
        let reply = alice.send("POST", "/v1/jobs", &headers, body.as_bytes()).await;
        assert_eq!(reply.verdict(), verdict, "{name}: {}", reply.body);
    }
    let reply = alice.submit(&week, "ledger_read", json!({})).await;
    assert!(reply.body["server_time"].is_string(), "the error tells the server's time: {}", reply.body);
    assert_eq!(stored(&app, &alice).await, 0);
}

#[tokio::test]
async fn the_same_key_with_other_arguments_is_422_and_the_first_stands() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"first"})).await;
    for other in [
        json!({"tool":"ledger_append","arguments":{"note":"second"}}),
        json!({"tool":"ledger_append_once","arguments":{"note":"first"}}),
        json!({"tool":"ledger_append","arguments":{"note":"first"},"not_after":app.clock.now().plus(Duration::from_secs(60)).to_string()}),
    ] {
        assert_eq!(alice.submit_body(&id, &other).await.verdict(), (422, "idempotency_key_reused"), "{other}");
    }
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], app.effects(&id)), (&json!("succeeded"), 1));
    let other = alice.submit(&id, "ledger_append", json!({"note":"second"})).await;
    assert_eq!(other.verdict(), (422, "idempotency_key_reused"), "for ever");
}

#[tokio::test]
async fn a_known_id_outlives_its_window_and_is_never_run_again() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    app.finish(&alice, &id).await;
    app.advance(Duration::from_secs(3 * 86_400)).await;
    let alice = app.login("alice").await;
    let replay = alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    assert_eq!((replay.status.as_u16(), &replay.body["status"]), (200, &json!("succeeded")));
    assert_eq!(app.effects(&id), 1);
}

#[tokio::test]
async fn an_invalid_read_is_answered_with_its_errors() {
    let app = App::start().await;
    let (alice, bob) = (app.login("alice").await, app.login("bob").await);
    for _ in 0..3 {
        alice.submit(&app.new_id(), "ledger_read", json!({})).await;
    }
    let cursor = alice.get("/v1/jobs?limit=1").await.body["next_cursor"].as_str().unwrap().to_owned();
    let id = app.new_id();
    for (path, verdict) in [
        (format!("/v1/jobs/{id}"), (404, "not_found")),
        ("/v1/jobs/order-17".into(), (404, "not_found")),
        (format!("/v1/jobs/{id}?wait=21"), (400, "parameter_invalid")),
        (format!("/v1/jobs/{id}?wait=-1"), (400, "parameter_invalid")),
        (format!("/v1/jobs/{id}?wait=soon"), (400, "parameter_invalid")),
        ("/v1/jobs?limit=0".into(), (400, "parameter_invalid")),
        ("/v1/jobs?limit=1000".into(), (400, "parameter_invalid")),
        ("/v1/jobs?cursor=forged".into(), (400, "cursor_invalid")),
        (format!("/v1/jobs?cursor={}", &cursor[..cursor.len() - 2]), (400, "cursor_invalid")),
        ("/v1/nothing".into(), (404, "not_found")),
    ] {
        assert_eq!(alice.get(&path).await.verdict(), verdict, "{path}");
    }
    assert_eq!(bob.get(&format!("/v1/jobs?cursor={cursor}")).await.verdict(), (400, "cursor_invalid"), "foreign");
    assert_eq!(alice.get(&format!("/v1/jobs?cursor={cursor}")).await.status, 200);
    assert_eq!(alice.send("PUT", "/v1/jobs", &[], b"").await.verdict(), (405, "method_not_allowed"));
}

#[tokio::test]
async fn an_invalid_login_is_answered_with_its_errors() {
    let app = App::start().await;
    let anonymous = app.anonymous();
    for (body, verdict) in [
        ("", (400, "body_not_json")),
        ("{}", (400, "body_invalid")),
        (r#"{"code":7}"#, (400, "body_invalid")),
        (r#"{"code":""}"#, (400, "body_invalid")),
        (r#"{"code":"dev-alice","appid":"x"}"#, (400, "body_invalid")),
    ] {
        let reply = anonymous.send("POST", "/v1/sessions", &[JSON], body.as_bytes()).await;
        assert_eq!(reply.verdict(), verdict, "{body}");
    }
}

#[tokio::test]
async fn a_message_that_makes_no_sense_blocks_no_other() {
    let (mut app, alice) = App::start_with("alice").await;
    let done = app.run(&alice, "ledger_append", json!({"note":"n"})).await;
    let done = done["request_id"].as_str().unwrap().to_owned();
    let id = app.new_id();
    app.put_on_queue("not JSON").await;
    app.put_on_queue(r#"{"user_id":"u"}"#).await;
    app.wake(&alice, &app.new_id()).await;
    app.wake(&alice, &done).await;
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    let messages = app.receive().await;
    assert_eq!(messages.len(), 5);
    let deadline = app.clock.now().plus(Duration::from_secs(30));
    let answer = app.worker.handle_batch(local::emulation::poller::event(&messages), deadline).await;
    assert_eq!(
        answer.batch_item_failures.len(),
        2,
        "the two that cannot be decoded come back, and end as dead letters"
    );
    assert_eq!(alice.job(&id).await["status"], "succeeded");
    assert_eq!((app.effects(&id), app.effects(&done)), (1, 1));
}

/// serde's derive also accepts a struct as an array of its fields.
#[tokio::test]
async fn a_body_that_is_an_array_logs_no_user_in() {
    let app = App::start().await;
    for body in [r#"["dev-alice"]"#, "[]", r#""dev-alice""#, "null"] {
        let reply = app.anonymous().send("POST", "/v1/sessions", &[JSON], body.as_bytes()).await;
        assert_eq!(reply.verdict(), (400, "body_invalid"), "{body}: {}", reply.body);
    }
}
