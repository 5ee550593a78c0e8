//! The gateway's part of an erasure: content of the journal, sessions; a gateway that is down delays only this part.

use std::time::Duration;

use integration_tests::{App, Setup};
use serde_json::json;

use super::{PRIVATE, life, request_id};

#[tokio::test]
async fn the_journal_forgets_every_call_and_the_session_of_the_conversation() {
    let mut app = App::with(Setup::roomy()).await;
    let alice = app.login("alice").await;
    Box::pin(life(&mut app, &alice)).await;
    let journal = app.secrets_file.with_file_name("journal.db");
    let has_note = || {
        let files = ["journal.db", "journal.db-wal"].map(|name| std::fs::read(journal.with_file_name(name)));
        files.into_iter().flatten().any(|bytes| bytes.windows(PRIVATE.len()).any(|part| part == PRIVATE.as_bytes()))
    };
    assert!(has_note(), "the journal has results and proposals");
    let before = app.gateway().counts().await;
    app.erase(&alice, "alice").await;
    let report = app.finish_erasure(&alice).await;
    let after = app.gateway().counts().await;
    for path in ["/miniprogram/v1/forget", "/miniprogram/v1/end-session"] {
        let sent = |counts: &serde_json::Value| counts[path].as_u64().unwrap_or_default();
        assert!(sent(&after) > sent(&before), "{path}: {after}");
    }
    assert!(report["gateway_erased_at"].is_string(), "{report}");
    assert!(!has_note(), "nothing of it is in the journal's file");
}

#[tokio::test]
async fn while_the_gateway_is_down_the_table_is_erased_and_the_rest_stays_on_the_list() {
    let mut app = App::with(Setup::roomy()).await;
    let alice = app.login("alice").await;
    let turn = app.new_id();
    alice.submit_body(&turn, &json!({ "message": "[[say:hi]]", "conversation": "trip" })).await;
    app.finish(&alice, &turn).await;
    let done = request_id(&app.run(&alice, "ledger_append", json!({ "note": PRIVATE })).await);
    let out = app.new_id();
    alice.submit(&out, "ledger_sleep", json!({ "ms": 60_000, "note": PRIVATE })).await;
    app.deliver().await;
    app.gateway().kill().await;
    let began = app.erase(&alice, "alice").await;
    assert_eq!(began.body["status"], "running");
    let report = app.erasure_until(&alice, "waiting_for_gateway").await;
    let time = |field: &str| domain::ids::Timestamp::parse(&report[field]).unwrap();
    let took = time("table_erased_at").since(time("requested_at"));
    assert!(took.as_secs() <= 600, "the table has nothing of the user after {took:?}");
    // The call that was out could not be asked for: its job says so.
    let job = app.inspect().stored(&alice, &out).await;
    assert_eq!((job.state.name(), job.error.as_deref()), ("unknown", Some("outcome_unknown")), "{job:?}");
    let items = app.inspect().stored_items().await;
    assert!(!items.iter().any(|item| item.to_string().contains(PRIVATE)));
    assert!(items.iter().any(|item| item["sk"]["S"] == "C#trip"), "the list of what the gateway has to forget");
    assert_ne!(app.login("alice").await.user_id, alice.user_id, "the user can go on as a new one");
    // Hours later it still waits, and the first minutes after the gateway's return end it.
    app.advance(Duration::from_secs(4 * 3600)).await;
    app.sweep().await;
    while app.deliver().await {}
    assert_eq!(app.inspect().erasure(&alice).await["status"], "waiting_for_gateway");
    app.gateway().restart().await;
    let report = app.finish_erasure(&alice).await;
    assert_eq!(report["erased"]["conversations"], 1, "{report}");
    assert!(!app.inspect().stored_items().await.iter().any(|item| item["sk"]["S"] == "C#trip"));
    assert_eq!((app.effects(&done), app.inspect().stored(&alice, &out).await.state.name()), (1, "unknown"));
}

#[tokio::test]
async fn a_turn_that_runs_is_stopped_and_its_conversation_is_deleted() {
    let mut app = App::with(Setup::roomy()).await;
    let alice = app.login("alice").await;
    let id = app.new_id();
    let body = json!({ "message": "[[pause:20]][[say:done]]", "conversation": "trip" });
    assert_eq!(alice.submit_body(&id, &body).await.status, 202);
    app.deliver().await;
    assert_eq!(alice.job(&id).await["status"], "running");
    app.erase(&alice, "alice").await;
    let report = app.finish_erasure(&alice).await;
    assert_eq!(report["erased"]["conversations"], 1, "{report}");
    let job = app.inspect().stored(&alice, &id).await;
    assert!(["cancelled", "failed", "unknown"].contains(&job.state.name()), "{job:?}");
}

#[tokio::test]
async fn a_gateway_without_a_journal_has_nothing_to_forget() {
    let mut app = App::with(Setup { journal: false, ..Setup::default() }).await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_read", json!({})).await;
    app.erase(&alice, "alice").await;
    let report = app.finish_erasure(&alice).await;
    assert_eq!((&report["status"], &report["erased"]["journal_rows"]), (&json!("done"), &json!(0)), "{report}");
}
