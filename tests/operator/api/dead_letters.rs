//! Messages that no worker could handle.

use integration_tests::App;
use serde_json::{Value, json};

use super::{list, told};

async fn bury(app: &App, body: &str) {
    let dead = &app.deployment.backend.dlq_url;
    app.aws.sqs().send_message().queue_url(dead).message_body(body).send().await.unwrap();
}

fn wake_up(user: &str, id: &str) -> String {
    json!({ "user_id": user, "request_id": id }).to_string()
}

#[tokio::test]
async fn dead_letters_are_listed_and_replayed_and_a_replay_has_one_effect() {
    let mut app = App::start().await;
    let (alice, zhang) = (app.login("alice").await, app.operator("zhang", &["admin"]));
    let done = app.run(&alice, "ledger_append", json!({"note": "n"})).await;
    let done = done["request_id"].as_str().unwrap().to_owned();
    // Its wake-up message went to the dead-letter queue.
    let open = app.new_id();
    alice.submit(&open, "ledger_append", json!({"note": "n"})).await;
    for message in app.receive().await {
        let delete = app.aws.sqs().delete_message().queue_url(&app.deployment.backend.queue_url);
        delete.receipt_handle(message.receipt_handle.unwrap()).send().await.unwrap();
    }
    for id in [&done, &open, &open] {
        bury(&app, &wake_up(&alice.user_id, id)).await;
    }
    bury(&app, r#"{"my":"secret"}"#).await;
    for _ in 0..2 {
        let seen = zhang.get("/dead-letters").await.body;
        assert_eq!((list(&seen, "messages").len(), &seen["count"]), (4, &json!(4)), "a look leaves them: {seen}");
        assert!(!seen.to_string().contains("secret"), "nothing of a body but the ids");
    }
    let seen = zhang.get("/dead-letters").await.body;
    let of = |id: &str| list(&seen, "messages").iter().find(|message| message["request_id"] == id).unwrap().clone();
    assert_eq!(of(&open)["job"], alice.job(&open).await["support_code"]);
    let undecodable = list(&seen, "messages").iter().filter(|message| message.get("job").is_none()).count();
    assert_eq!(undecodable, 1);
    let one = json!({"message_id": of(&done)["message_id"], "reason": "the gateway is back"});
    let reply = zhang.post("/dead-letters/replay", one).await;
    assert_eq!((&reply.body["replayed"], &reply.body["left"]), (&json!(1), &json!(3)), "{}", reply.body);
    let all = json!({"all": true, "reason": "the gateway is back"});
    let reply = zhang.post("/dead-letters/replay", all.clone()).await;
    assert_eq!((&reply.body["replayed"], &reply.body["left"]), (&json!(2), &json!(1)), "{}", reply.body);
    let reply = zhang.post("/dead-letters/replay", all).await;
    assert_eq!((&reply.body["replayed"], &reply.body["left"]), (&json!(0), &json!(1)), "{}", reply.body);
    assert_eq!(app.finish(&alice, &open).await["status"], "succeeded");
    while app.deliver().await {}
    assert_eq!((app.effects(&open), app.effects(&done)), (1, 1));
    let records: Vec<Value> = zhang.told().await;
    let replays: Vec<_> = records.iter().filter(|record| record["event"] == "dead_letters_replayed").collect();
    assert_eq!(replays.iter().map(|record| record["count"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
async fn a_replay_names_one_message_or_all() {
    let app = App::start().await;
    let zhang = app.operator("zhang", &["admin"]);
    for bad in [
        json!({"reason": "x"}),
        json!({"all": false, "reason": "x"}),
        json!({"all": true, "message_id": "x", "reason": "x"}),
        json!({"all": true}),
        json!({"all": "true", "reason": "x"}),
        json!({"message_id": 7, "reason": "x"}),
    ] {
        assert_eq!(zhang.post("/dead-letters/replay", bad.clone()).await.verdict(), (400, "body_invalid"), "{bad}");
    }
    let none = zhang.post("/dead-letters/replay", json!({"message_id": "no-such", "reason": "x"})).await;
    assert_eq!(none.verdict(), (404, "not_found"));
    assert_eq!(told(&zhang).await, ["mode_set"], "only what the test itself has set up");
}
