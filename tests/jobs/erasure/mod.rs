//! `DELETE /v1/users/me`: what is erased, what stays, and what races with it.

mod gateway;
mod races;

use std::{collections::BTreeSet, time::Duration};

use integration_tests::{App, Client, Setup};
use serde_json::{Value, json};

/// A text that only the user has written.
const PRIVATE: &str = "a-note-that-only-alice-knows";

/// Every kind of item that a user can have: a write, a result of its own record, a request that is worked out, an
/// approval request that was rejected, a turn of a conversation, and a refused call.
async fn life(app: &mut App, alice: &Client) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..3 {
        let note = format!("{PRIVATE}{}", "x".repeat(1800));
        ids.push(request_id(&app.run(alice, "ledger_append", json!({ "note": note })).await));
    }
    ids.push(request_id(&app.run(alice, "ledger_read", json!({})).await));
    let rejected = app.new_id();
    alice.submit(&rejected, "ledger_pay", json!({ "amount": 120, "note": PRIVATE })).await;
    assert_eq!(alice.reject(&rejected).await.status, 200);
    ids.push(rejected);
    let turn = app.new_id();
    let said = json!({ "message": format!("[[say:{PRIVATE}]]"), "conversation": "private-trip" });
    let sum_up = json!({ "message": ["[[say:all of ", { "$from": { "step": 0, "pointer": "/reply" } }, "]]"] });
    assert_eq!(alice.submit_body(&turn, &json!({ "steps": [said, sum_up] })).await.status, 202);
    assert_eq!(app.finish(alice, &turn).await["status"], "succeeded");
    ids.push(turn);
    assert_eq!(alice.submit(&app.new_id(), "exec", json!({})).await.status, 403);
    ids
}

fn request_id(job: &Value) -> String {
    job["request_id"].as_str().expect("a job").to_owned()
}

/// The items of a user's partition, by the kind in their sort keys.
fn kinds(items: &[Value], client: &Client) -> BTreeSet<String> {
    let own = items.iter().filter(|item| item["pk"]["S"] == format!("U#{}", client.user_id));
    own.map(|item| item["sk"]["S"].as_str().unwrap().split('#').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_erasure_leaves_the_listed_items_and_nothing_that_the_user_has_written() {
    let mut app = App::with(Setup::roomy()).await;
    let (alice, bob) = (app.login("alice").await, app.login("bob").await);
    // Boxed: the future of the whole flow would not fit on the stack of a test's thread.
    let ids = Box::pin(life(&mut app, &alice)).await;
    app.run(&bob, "ledger_append", json!({ "note": "of bob" })).await;
    let before = app.inspect().stored_items().await;
    let openid =
        before.iter().find(|item| item["pk"]["S"] == format!("U#{}", alice.user_id) && item["sk"]["S"] == "USER");
    let openid = openid.unwrap()["openid"]["S"].as_str().unwrap().to_owned();
    let all = ["A", "C", "CN", "IN", "J", "OUT", "R", "RH", "SEND", "USER"].map(str::to_owned);
    assert_eq!(kinds(&before, &alice), BTreeSet::from(all), "the life has every kind");
    let of_bob = kinds(&before, &bob);

    let reply = app.erase(&alice, "alice").await;
    assert_eq!((reply.status.as_u16(), &reply.body["status"]), (202, &json!("running")), "{}", reply.body);
    assert_eq!(alice.get("/v1/jobs").await.verdict(), (401, "no_session"), "at once");
    let report = Box::pin(app.finish_erasure(&alice)).await;

    let after = app.inspect().stored_items().await;
    let stays = ["A", "ERASURE", "IN", "J", "RH", "USER"].map(str::to_owned);
    assert_eq!(kinds(&after, &alice), BTreeSet::from(stays));
    for item in &after {
        let text = item.to_string();
        for private in [PRIVATE, &openid, "private-trip"] {
            assert!(!text.contains(private), "{private}: {text}");
        }
        let leads_to_alice = item["pk"]["S"].as_str().unwrap().starts_with("LOGIN#") && text.contains(&alice.user_id);
        assert!(!leads_to_alice, "{text}");
        if item["sk"]["S"].as_str().unwrap().starts_with("IN#") && item["pk"]["S"] == format!("U#{}", alice.user_id) {
            let names: BTreeSet<&str> = item.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(names, BTreeSet::from(["pk", "rd", "rec", "sk", "ttl"]), "only the first audit record");
        }
    }
    assert_eq!(kinds(&after, &bob), of_bob, "another user's data stays");
    let erased = &report["erased"];
    assert_eq!((&erased["jobs"], &erased["conversations"]), (&json!(ids.len()), &json!(1)), "{report}");
    assert_eq!(
        (&erased["submissions"], &erased["refusals"], &erased["logins"]),
        (&json!(ids.len()), &json!(1), &json!(1))
    );
    assert!(erased["results"].as_u64() >= Some(2) && erased["journal_rows"].as_u64() >= Some(5), "{report}");
    assert_eq!(report["erasure_id"], reply.body["erasure_id"]);
    // Every job keeps its id, its state and a chain that verifies.
    for id in &ids {
        let job = app.inspect().stored(&alice, id).await;
        assert!(job.state.is_over() && !job.has_content(), "{job:?}");
        let chain = app.inspect().table().audit_chain(job.user_id, job.request_id, job.audit).await.unwrap();
        let owner = domain::audit::Owner::Job(job.request_id);
        assert_eq!(domain::audit::verify(&chain, owner, job.audit), Ok(()), "{id}");
    }
    while app.deliver().await {}
    assert_eq!(app.sweep().await.woken, 0, "nothing is left to wake");
}

#[tokio::test]
async fn a_login_afterwards_is_a_new_user_whose_resent_requests_do_not_run_again() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = request_id(&app.run(&alice, "ledger_append", json!({ "note": "once" })).await);
    assert_eq!(app.erase(&alice, "alice").await.status, 202);
    // Until every request id is stored as used, a new user could repeat one.
    let early = app.log_in_with("dev-alice").await;
    assert_eq!((early.verdict(), early.header("retry-after")), ((503, "erasure_open"), "5"), "{}", early.body);
    app.deliver().await;
    let again = app.login("alice").await;
    assert_ne!(again.user_id, alice.user_id);
    let resent = again.submit(&id, "ledger_append", json!({ "note": "once" })).await;
    assert_eq!(resent.verdict(), (410, "request_id_erased"), "{}", resent.body);
    assert_eq!(again.job(&id).await["code"], "not_found");
    app.finish_erasure(&alice).await;
    assert_eq!(again.submit(&id, "ledger_append", json!({ "note": "once" })).await.status, 410);
    while app.deliver().await {}
    assert_eq!(app.effects(&id), 1);
    assert_eq!(app.run(&again, "ledger_append", json!({ "note": "new" })).await["status"], "succeeded");
    // After a day the id is too old to start anything.
    app.advance(Duration::from_secs(86_401)).await;
    let again = app.login("alice").await;
    assert_eq!(again.submit(&id, "ledger_append", json!({ "note": "once" })).await.status, 410);
}

#[tokio::test]
async fn an_erasure_needs_a_fresh_login_code_of_the_user_and_a_repetition_gets_the_same_report() {
    let (mut app, alice) = App::start_with("alice").await;
    app.login("mallory").await;
    let headers = [("content-type", "application/json")];
    for body in ["", "{}", r#"{"code":7}"#, r#"{"code":"x","force":true}"#] {
        let reply = alice.send("DELETE", "/v1/users/me", &headers, body.as_bytes()).await;
        assert_eq!(reply.status, 400, "{body}: {}", reply.body);
    }
    assert_eq!(app.anonymous().erase(&app.fresh_code("alice")).await.verdict(), (401, "no_session"));
    assert_eq!(app.erase(&alice, "mallory").await.verdict(), (403, "erasure_other_user"), "a stolen session");
    assert_eq!(alice.erase("not-a-code").await.verdict(), (401, "login_code_rejected"));
    assert_eq!(alice.get("/v1/jobs").await.status, 200, "nothing was erased");
    let first = app.erase(&alice, "alice").await;
    // The phone repeats a request whose answer was lost: its session is over, and its code is used.
    let asked = app.wechat_asked();
    let second = app.erase(&alice, "alice").await;
    assert_eq!((second.status, &second.body["erasure_id"]), (first.status, &first.body["erasure_id"]));
    app.finish_erasure(&alice).await;
    let third = app.erase(&alice, "alice").await;
    assert_eq!((third.status.as_u16(), &third.body["status"]), (202, &json!("done")), "{}", third.body);
    assert_eq!(third.body["erasure_id"], first.body["erasure_id"]);
    assert_eq!(app.wechat_asked(), asked);
    assert_eq!(app.inspect().stored_items().await.iter().filter(|item| item["pk"]["S"] == "ERASURES#OPEN").count(), 0);
}

#[tokio::test]
async fn a_lost_message_is_sent_again_by_sweep_which_measures_the_oldest_erasure() {
    let (mut app, alice) = App::start_with("alice").await;
    app.faults.plan(|operation, _| (operation == "SendMessage").then_some(integration_tests::Fault::LostBefore));
    assert_eq!(app.erase(&alice, "alice").await.status, 202);
    app.faults.none();
    assert!(!app.deliver().await, "no message was sent");
    app.advance(Duration::from_secs(60)).await;
    app.sweep().await;
    let ages = |app: &App| app.metrics.values(platform::metrics::Metric::ErasureAge, &[]);
    assert!(ages(&app).last().is_some_and(|age| (60.0..62.0).contains(age)), "{:?}", ages(&app));
    assert_eq!(app.metrics.values(platform::metrics::Metric::ErasuresOpen, &[]), [1.0]);
    assert!(app.deliver().await);
    app.finish_erasure(&alice).await;
    let measured = ages(&app).len();
    app.sweep().await;
    assert_eq!(ages(&app).len(), measured, "there is no erasure that is not finished");
}
