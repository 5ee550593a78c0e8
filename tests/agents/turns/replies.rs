//! How a turn without proposals ends.

use std::sync::atomic;

use domain::access::service_mode::Mode;
use integration_tests::{App, Fault, Setup, events};
use serde_json::json;

use super::{TURNS, reply, roomy, say, settle, verdict};

#[tokio::test]
async fn a_turn_replies_and_its_chain_says_what_was_sent_and_what_was_called() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = say(&app, &alice, "[[tool:ledger_read {\"limit\":1}]][[say:hello]]").await;
    let job = settle(&mut app, &alice, &id).await;
    assert_eq!((verdict(&job), reply(&job)), (("succeeded", ""), "hello"), "{job}");
    let records = alice.records(&id).await;
    assert_eq!(events(&records), ["accepted", "turn_sent", "round_ended"]);
    assert_eq!(records[1]["tools"], json!(["ledger_read"]));
    assert_eq!(records[2]["calls"][0]["decision"], "allowed", "{}", records[2]);
    assert_eq!(records[2]["calls_total"], 1);
    let text = serde_json::to_string(&records).unwrap();
    assert!(!text.contains("hello") && !text.contains("limit"), "neither text nor arguments: {text}");
}

#[tokio::test]
async fn each_end_of_a_turn_without_a_reply_has_its_own_code() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    for (text, code) in [
        ("[[status:500]]", "model_failed"),
        ("[[refuse]]", "model_refused"),
        ("[[empty]]", "reply_empty"),
        ("[[loop]][[tool:ledger_read {}]]", "calls_exhausted"),
    ] {
        let id = say(&app, &alice, text).await;
        let job = settle(&mut app, &alice, &id).await;
        assert_eq!(verdict(&job), ("failed", code), "{text}: {job}");
        assert_eq!(job["effect"], "not_run", "{text}");
    }
}

#[tokio::test]
async fn a_long_reply_is_cut_and_says_so() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = say(&app, &alice, "[[long:80]]").await;
    let job = settle(&mut app, &alice, &id).await;
    assert_eq!((verdict(&job), &job["result"]["truncated"]), (("succeeded", ""), &json!(true)));
    assert!(reply(&job).len() <= 60 * 1024 && reply(&job).ends_with('字'));
}

#[tokio::test]
async fn a_turn_whose_answers_are_lost_is_thought_about_once() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    for (action, count) in [("reset_after", 2), ("reset_before", 3), ("status", 4)] {
        let before = app.gateway().model_calls().await;
        app.gateway().next(TURNS, action, (action == "status").then_some(502), count).await;
        let id = say(&app, &alice, "[[say:once]]").await;
        let job = settle(&mut app, &alice, &id).await;
        assert_eq!((verdict(&job), reply(&job)), (("succeeded", ""), "once"), "{action}: {job}");
        assert_eq!(app.gateway().model_calls().await - before, 1, "{action}");
    }
}

#[tokio::test]
async fn in_explain_only_a_turn_runs_with_no_tool_at_all() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    app.mode(Mode::ExplainOnly).await;
    app.new_worker(None);
    app.new_edge(None);
    let text = "[[tool:ledger_read {}]][[tool:ledger_pay {\"amount\":5,\"note\":\"n\"}]][[say:nothing]]";
    let id = say(&app, &alice, text).await;
    let job = settle(&mut app, &alice, &id).await;
    assert_eq!((verdict(&job), reply(&job)), (("succeeded", ""), "nothing"), "{job}");
    assert_eq!((app.effects(&id), job["steps"].as_array().unwrap().len()), (0, 1), "nothing is proposed either");
    let records = alice.records(&id).await;
    assert_eq!((&records[1]["decision"], &records[1]["tools"]), (&json!("explain"), &json!([])));
    let calls = records[2]["calls"].as_array().cloned().unwrap_or_default();
    assert!(calls.iter().all(|call| call["decision"] == "vetoed"), "{calls:?}");
}

#[tokio::test]
async fn without_a_journal_no_turn_begins() {
    let mut app = App::with(Setup { journal: false, unjournaled_writes: true, ..roomy() }).await;
    let alice = app.login("alice").await;
    let id = say(&app, &alice, "[[say:never]]").await;
    let job = app.finish(&alice, &id).await;
    assert_eq!((verdict(&job), &job["effect"]), (("expired", "not_after_passed"), &json!("not_run")), "{job}");
    assert_eq!(app.gateway().model_calls().await, 0);
}

#[tokio::test]
async fn a_turn_takes_the_result_of_a_tool_and_a_tool_the_reply_of_a_turn() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let from = |step: usize, pointer: &str| json!({"$from": {"step": step, "pointer": pointer}});
    let body = json!({"steps": [
        {"tool": "ledger_append", "arguments": {"note": "tea"}},
        {"message": ["I noted: ", from(0, "/content/0/text"), " [[say:well noted]]"]},
        {"tool": "ledger_append", "arguments": {"note": from(1, "/reply")}},
    ]});
    let id = app.submit_body(&alice, &body).await;
    let job = settle(&mut app, &alice, &id).await;
    assert_eq!(
        (&job["status"], &job["approval"]["arguments"]["note"]),
        (&json!("awaiting_approval"), &json!("well noted")),
        "{job}"
    );
    assert_eq!(app.effects(&id), 1, "what a turn came up with is not written unasked");
    app.approve(&alice, "alice", &id).await;
    let job = settle(&mut app, &alice, &id).await;
    assert_eq!((verdict(&job), app.effects(&id)), (("succeeded", ""), 2), "{job}");
}

#[tokio::test]
async fn without_the_record_of_its_intent_no_turn_leaves() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let warm = say(&app, &alice, "[[say:warm]]").await;
    settle(&mut app, &alice, &warm).await;
    let before = app.gateway().model_calls().await;
    let id = say(&app, &alice, "[[say:hi]]").await;
    // A worker's first write is its claim, its second the record of the intent: lost, in each of the SDK's three
    // attempts.
    let puts = atomic::AtomicUsize::new(0);
    app.faults.plan(move |operation, _| {
        let record = operation == "PutItem" && (1..=3).contains(&puts.fetch_add(1, atomic::Ordering::SeqCst));
        record.then_some(Fault::LostBefore)
    });
    app.deliver().await;
    app.faults.none();
    assert_eq!(app.gateway().model_calls().await, before, "no audit, no turn");
    assert_eq!(verdict(&settle(&mut app, &alice, &id).await), ("succeeded", ""));
    assert_eq!(events(&alice.records(&id).await), ["accepted", "turn_sent", "round_ended"]);
}
