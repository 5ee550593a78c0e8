//! Sessions, groups and refusals of a user; modes and switches.

use std::time::Duration;

use integration_tests::App;
use serde_json::json;
use service::controls;

use super::{list, told};

const NOBODY: &str = "3f0c9a52-5d5e-4a5f-9f0e-6c1f0d7b2a11";

#[tokio::test]
async fn a_revocation_ends_the_sessions_of_that_user_alone_at_once() {
    let app = App::start().await;
    let zhang = app.operator("zhang", &["admin"]);
    let (alice, again, bob) = (app.login("alice").await, app.login("alice").await, app.login("bob").await);
    app.clock.advance(Duration::from_secs(1));
    let path = format!("/users/{}/revocation", alice.user_id);
    let reply = zhang.post(&path, json!({"reason": "the phone was lost"})).await;
    assert_eq!((reply.status.as_u16(), &reply.body["user_id"]), (200, &json!(alice.user_id)));
    for client in [&alice, &again] {
        assert_eq!(client.get("/v1/jobs").await.verdict(), (401, "no_session"));
    }
    assert_eq!(bob.get("/v1/jobs").await.status, 200);
    app.clock.advance(Duration::from_secs(1));
    let alice = app.login("alice").await;
    assert_eq!(alice.get("/v1/jobs").await.status, 200, "she may log in again");
    for (user, reason, verdict) in [
        (NOBODY, json!({"reason": "x"}), (404, "not_found")),
        ("x", json!({"reason": "x"}), (404, "not_found")),
        (alice.user_id.as_str(), json!({}), (400, "body_invalid")),
        (alice.user_id.as_str(), json!({"reason": "two\nlines"}), (400, "body_invalid")),
        (alice.user_id.as_str(), json!({"reason": " "}), (400, "body_invalid")),
    ] {
        assert_eq!(zhang.post(&format!("/users/{user}/revocation"), reason).await.verdict(), verdict, "{user}");
    }
    assert_eq!(told(&zhang).await.iter().filter(|event| *event == "user_revoked").count(), 1);
}

#[tokio::test]
async fn groups_are_kept_exactly_and_are_names() {
    let app = App::start().await;
    let (zhang, alice) = (app.operator("zhang", &["admin"]), app.login("alice").await);
    let path = format!("/users/{}/groups", alice.user_id);
    for groups in [json!(["testers", "staff"]), json!(["testers"]), json!([]), json!(["a_b-1"])] {
        let reply = zhang.put(&path, json!({"groups": groups, "reason": "a test"})).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let user = app.inspect().table().user(alice.user_id.parse().unwrap()).await.unwrap().unwrap();
        let mut expected: Vec<String> = serde_json::from_value(groups).unwrap();
        expected.sort();
        assert_eq!(user.groups.into_iter().collect::<Vec<_>>(), expected);
        assert_eq!(reply.body["groups"], json!(expected));
    }
    // The same again is not recorded again.
    zhang.put(&path, json!({"groups": ["a_b-1"], "reason": "again"})).await;
    assert_eq!(told(&zhang).await.iter().filter(|event| *event == "groups_set").count(), 4);
    for bad in [
        json!({"groups": ["A"], "reason": "x"}),
        json!({"groups": [""], "reason": "x"}),
        json!({"groups": ["x".repeat(41)], "reason": "x"}),
        json!({"groups": (0..17).map(|n| format!("g{n}")).collect::<Vec<_>>(), "reason": "x"}),
        json!({"groups": "testers", "reason": "x"}),
        json!({"groups": ["testers"]}),
    ] {
        assert_eq!(zhang.put(&path, bad.clone()).await.verdict(), (400, "body_invalid"), "{bad}");
    }
    let nobody = zhang.put(&format!("/users/{NOBODY}/groups"), json!({"groups": [], "reason": "x"})).await;
    assert_eq!(nobody.verdict(), (404, "not_found"));
    assert_eq!(alice.get("/v1/jobs").await.status, 200, "a session is none the wiser");
}

#[tokio::test]
async fn what_a_user_was_refused_is_there_to_be_read() {
    let app = App::start().await;
    let (zhang, alice) = (app.operator("zhang", &["viewer"]), app.login("alice").await);
    let reply = alice.submit(&app.new_id(), "ledger_pay", json!({"amount": 10_001, "note": "a car"})).await;
    assert_eq!(reply.verdict(), (403, "policy_denied"));
    let seen = zhang.get(&format!("/users/{}/refusals", alice.user_id)).await.body;
    let records = list(&seen, "records");
    assert_eq!(
        (records.len(), &records[0]["code"], &records[0]["tool"]),
        (1, &json!("policy_denied"), &json!("ledger_pay"))
    );
    assert_eq!(seen["head"]["length"], 1);
    assert!(!seen.to_string().contains("a car"), "no argument");
    let nobody = zhang.get(&format!("/users/{NOBODY}/refusals")).await.body;
    assert!(list(&nobody, "records").is_empty());
}

#[tokio::test]
async fn a_mode_is_set_with_a_reason_once_however_often_it_is_sent() {
    let mut app = App::start().await;
    let (zhang, alice) = (app.operator("zhang", &["admin"]), app.login("alice").await);
    let body = json!({"mode": "read_only", "reason": "the gateway moves"});
    for _ in 0..3 {
        let reply = zhang.put("/controls/mode", body.clone()).await;
        assert_eq!((reply.status.as_u16(), &reply.body["service"]["mode"]), (200, &json!("read_only")));
    }
    // Once by the test's setup, and once by the request.
    assert_eq!(told(&zhang).await, ["mode_set", "mode_set"]);
    let shown = zhang.get("/controls").await.body;
    let me = zhang.get("/me").await.body["operator_id"].as_str().unwrap().to_owned();
    assert_eq!(shown["service"]["by"], format!("operator:{me}"));
    assert_eq!(shown["service"]["reason"], "the gateway moves");
    app.advance(controls::MAX_AGE).await;
    let refused = alice.submit(&app.new_id(), "ledger_append", json!({"note": "n"})).await;
    assert_eq!(refused.verdict(), (403, "mode_read_only"));
    for bad in [
        json!({"mode": "off", "reason": "x"}),
        json!({"mode": "full"}),
        json!({"mode": "full", "reason": ""}),
        json!({"mode": "full", "reason": "x", "force": true}),
        json!({"reason": "x"}),
    ] {
        assert_eq!(zhang.put("/controls/mode", bad.clone()).await.verdict(), (400, "body_invalid"), "{bad}");
    }
}

#[tokio::test]
async fn one_tool_is_switched_off_and_a_destructive_one_is_opened_for_a_while() {
    let mut app = App::start().await;
    let (zhang, alice) = (app.operator("zhang", &["admin"]), app.login("alice").await);
    let of = |body: &serde_json::Value, name: &str| {
        list(body, "tools").iter().find(|tool| tool["name"] == name).unwrap().clone()
    };
    let reply = zhang.put("/controls/tools/ledger_pay", json!({"mode": "closed", "reason": "wrong amounts"})).await;
    let pay = of(&reply.body, "ledger_pay");
    assert_eq!(
        (&pay["mode"], &pay["effective"], &pay["reason"]),
        (&json!("closed"), &json!("closed"), &json!("wrong amounts"))
    );
    let append = of(&reply.body, "ledger_append");
    assert_eq!((&append["mode"], append.get("by")), (&json!("full"), None));
    app.advance(controls::MAX_AGE).await;
    let refused = alice.submit(&app.new_id(), "ledger_pay", json!({"amount": 1, "note": "n"})).await;
    assert_eq!(refused.verdict(), (403, "tool_closed"));
    let opening = |minutes: u32| json!({"minutes": minutes, "reason": "the yearly clean-up"});
    let path = "/controls/tools/ledger_delete/opening";
    let delete = of(&zhang.put(path, opening(10)).await.body, "ledger_delete");
    assert!(delete["opened_until"].is_string(), "{delete}");
    app.advance(Duration::from_secs(600)).await;
    assert!(of(&zhang.get("/controls").await.body, "ledger_delete").get("opened_until").is_none(), "it ends by itself");
    zhang.put(path, opening(10)).await;
    assert!(of(&zhang.put(path, opening(0)).await.body, "ledger_delete").get("opened_until").is_none(), "0 shuts it");
    assert_eq!(zhang.put("/controls/tools/ledger_pay/opening", opening(1)).await.verdict(), (422, "arguments_invalid"));
    assert_eq!(zhang.put("/controls/tools/nothing/opening", opening(1)).await.verdict(), (404, "not_found"));
    assert_eq!(
        zhang.put("/controls/tools/nothing", json!({"mode": "full", "reason": "x"})).await.verdict(),
        (404, "not_found")
    );
    for minutes in [json!(1441), json!(-1), json!(1.5), json!("10"), json!(null)] {
        let reply = zhang.put(path, json!({"minutes": minutes, "reason": "x"})).await;
        assert_eq!(reply.verdict(), (400, "body_invalid"), "{minutes}");
    }
    assert_eq!(told(&zhang).await[1..], ["tool_set", "tool_opened", "tool_opened", "tool_closed"]);
}
