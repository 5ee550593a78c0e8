//! Messages that no worker could process: their number, their jobs, and records of the replays of earlier versions.

use std::{sync::Arc, time::Duration};

use domain::{
    audit::{AuditHead, ChainName, OperatorActor, OperatorEvent, Owner, verify},
    json,
};
use integration_tests::App;
use platform::runtime::{Runtime, System};
use serde_json::json;

async fn bury(app: &App, body: &str) {
    let dead = &app.deployment.backend.dlq_url;
    app.aws.sqs().send_message().queue_url(dead).message_body(body).send().await.unwrap();
}

#[tokio::test]
async fn dead_letters_are_counted_and_stay_in_their_queue() {
    let app = App::start().await;
    let vera = app.operator("vera", &["viewer"]);
    assert_eq!(vera.get("/dead-letters").await.body, json!({"count": 0}));
    for body in ["{}", r#"{"my":"secret"}"#] {
        bury(&app, body).await;
    }
    for _ in 0..2 {
        assert_eq!(vera.get("/dead-letters").await.body, json!({"count": 2}));
    }
}

#[tokio::test]
async fn a_job_whose_message_is_a_dead_letter_is_woken_by_the_reconciler_and_a_message_moved_back_changes_nothing() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.submit(&alice, "ledger_append", json!({"note": "n"})).await;
    let queue = app.deployment.backend.queue_url.clone();
    for message in app.receive().await {
        bury(&app, message.body().unwrap()).await;
        let delete = app.aws.sqs().delete_message().queue_url(&queue);
        delete.receipt_handle(message.receipt_handle.unwrap()).send().await.unwrap();
    }
    app.advance(Duration::from_secs(600)).await;
    assert_eq!(app.sweep().await.woken, 1);
    let done = app.finish(&alice, &id).await;
    assert_eq!(done["status"], "succeeded", "{done}");
    let wake_up = json!({"user_id": alice.user_id, "request_id": id}).to_string();
    app.aws.sqs().send_message().queue_url(&queue).message_body(wake_up).send().await.unwrap();
    while app.deliver().await {}
    assert_eq!((app.effects(&id), alice.job(&id).await), (1, done));
}

#[tokio::test]
async fn the_record_of_a_replay_by_an_earlier_version_is_listed_and_its_chain_verifies() {
    let app = App::start().await;
    let zhang = app.operator("zhang", &["admin"]);
    // As that version wrote it.
    let written = r#"{"event":"dead_letters_replayed","count":2,"message_id":"m-1","reason":"the gateway is back"}"#;
    let event: OperatorEvent = json::kept(written).unwrap();
    let runtime = Runtime::new(Arc::new(app.clock.clone()), Arc::new(System));
    let actor: OperatorActor = "operator:11111111-2222-4333-8444-555555555555".parse().unwrap();
    app.inspect().table().append_operator(&runtime, actor, event, "policy-tests").await.unwrap();
    let reply = zhang.get("/audit?limit=100").await;
    let records = reply.body["records"].as_array().unwrap();
    let record = records.last().unwrap();
    assert_eq!(
        (&record["event"], &record["count"], &record["message_id"], &record["reason"]),
        (&json!("dead_letters_replayed"), &json!(2), &json!("m-1"), &json!("the gateway is back"))
    );
    let head = &reply.body["head"];
    let digest = head["digest"].as_str().unwrap().to_owned().try_into().unwrap();
    let head = AuditHead { length: head["length"].as_u64().unwrap(), digest };
    verify(records, Owner::Chain(ChainName::Operators), head).unwrap();
}
