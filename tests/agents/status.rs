//! Reads of clients, and how the service limits them.

use std::time::Duration;

use integration_tests::App;
use serde_json::{Value, json};

mod conversations;
mod steps;
pub(crate) mod turns;

#[tokio::test]
async fn an_etag_that_still_holds_is_304_and_says_when_to_look_again() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    let path = format!("/v1/jobs/{id}");
    let first = alice.get(&path).await;
    assert_eq!(first.header("next-poll-ms"), first.body["next_poll_ms"].to_string());
    let etag = first.header("etag").to_owned();
    for matching in [etag.clone(), format!("W/{etag}"), format!("\"9\", {etag}"), "*".into()] {
        let again = alice.send("GET", &path, &[("if-none-match", &matching)], b"").await;
        assert_eq!((again.status.as_u16(), again.header("etag")), (304, etag.as_str()), "{matching}");
        assert!(!again.header("next-poll-ms").is_empty());
        assert_eq!(again.body, Value::Null);
    }
    app.finish(&alice, &id).await;
    let changed = alice.send("GET", &path, &[("if-none-match", &etag)], b"").await;
    assert_eq!((changed.status.as_u16(), &changed.body["status"]), (200, &json!("succeeded")));
    assert_eq!(changed.header("next-poll-ms"), "", "over: never again");
}

#[tokio::test]
async fn a_long_poll_answers_as_soon_as_something_changes_and_not_later_than_asked() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    let began = std::time::Instant::now();
    assert_eq!(alice.get(&format!("/v1/jobs/{id}?wait=1")).await.body["status"], "queued");
    assert!((900..3000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    let asks = app.submit(&alice, "ledger_pay", json!({"amount": 120, "note": "two coffees"})).await;
    let held =
        tokio::time::timeout(Duration::from_secs(10), async { alice.get(&format!("/v1/jobs/{asks}?wait=20")).await });
    assert_eq!(held.await.unwrap().body["status"], "awaiting_approval", "it waits for the one who waits");
    let etag = alice.get(&format!("/v1/jobs/{id}")).await.header("etag").to_owned();
    let waiting = {
        let (alice, path) = (alice.clone(), format!("/v1/jobs/{id}?wait=20"));
        tokio::spawn(async move { alice.send("GET", &path, &[("if-none-match", &etag)], b"").await })
    };
    app.deliver().await;
    let reply = tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(["running", "succeeded"].contains(&reply.body["status"].as_str().unwrap()), "{}", reply.body);
}

#[tokio::test]
async fn the_list_is_newest_first_and_a_cursor_goes_through_all_of_it_once() {
    let (mut app, alice) = App::start_with("alice").await;
    let mut ids = Vec::new();
    for _ in 0..7 {
        let id = app.submit(&alice, "ledger_read", json!({})).await;
        app.advance(Duration::from_secs(1)).await;
        ids.insert(0, id);
    }
    let mut seen = Vec::new();
    let mut path = "/v1/jobs?limit=3".to_owned();
    for _ in 0..5 {
        let page = alice.get(&path).await.body;
        seen.extend(page["jobs"].as_array().unwrap().iter().map(|job| job["request_id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/jobs?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, ids);
}

#[tokio::test]
async fn the_tools_are_those_that_a_user_may_run_with_an_example_that_works() {
    let (mut app, alice) = App::start_with("alice").await;
    let tools = alice.get("/v1/tools").await.body["tools"].as_array().unwrap().clone();
    let names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["ledger_append", "ledger_append_once", "ledger_fail", "ledger_pay", "ledger_read", "ledger_sleep"]
    );
    for tool in &tools {
        let name = tool["name"].as_str().unwrap();
        let reply = alice.submit(&app.new_id(), name, tool["example"].clone()).await;
        assert_eq!(reply.status, 202, "{name}: {}", reply.body);
        app.advance(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn readiness_says_what_is_missing() {
    let mut app = App::start().await;
    let anonymous = app.anonymous();
    assert_eq!(anonymous.get("/healthz").await.status, 200);
    let before = anonymous.get("/readyz").await;
    assert_eq!((before.status.as_u16(), &before.body["ready"]), (503, &json!(false)), "{}", before.body);
    assert!(before.body["failing"].as_array().unwrap().contains(&json!("heartbeat_missing")), "{}", before.body);
    app.sweep().await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"n"})).await;
    let ready = anonymous.get("/readyz").await;
    assert_eq!((ready.status.as_u16(), &ready.body["gateway"]["fence"]), (200, &json!("proven")), "{}", ready.body);
    app.advance(Duration::from_secs(200)).await;
    let stale = anonymous.get("/readyz").await;
    assert!(stale.body["failing"].as_array().unwrap().contains(&json!("heartbeat_stale")), "{}", stale.body);
    app.gateway().kill().await;
    app.gateway = None;
    app.sweep().await;
    let down = anonymous.get("/readyz").await;
    assert!(down.body["failing"].as_array().unwrap().contains(&json!("gateway_unreachable")), "{}", down.body);
}
