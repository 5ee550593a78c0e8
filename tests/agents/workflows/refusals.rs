//! Faulty submissions of steps: the error has the step's index, and nothing is recorded of any step.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use integration_tests::{App, Client};
use platform::{
    metrics::{Dimension, Metric},
    runtime::Clock,
};
use serde_json::{Value, json};

use super::{from, note, one_of_two, say, say_in, steps};

/// Items of a user's partition but the user item, and the chain of what they were refused.
async fn stored(app: &App, client: &Client) -> Vec<String> {
    let query = app.aws.dynamodb().query().table_name(&app.deployment.backend.table);
    let pk = AttributeValue::S(format!("U#{}", client.user_id));
    let answer =
        query.key_condition_expression("pk = :pk").expression_attribute_values(":pk", pk).send().await.unwrap();
    let key = |item: &HashMap<String, AttributeValue>| item["sk"].as_s().unwrap().clone();
    let told = |sk: &String| !["USER", "RH", "R#"].iter().any(|prefix| sk.starts_with(prefix));
    answer.items().iter().map(key).filter(told).collect()
}

fn using(value: Value) -> Value {
    json!({ "tool": "ledger_append", "arguments": { "note": value } })
}

/// What is wrong before anything is decided: name, body, number of the step, pointer.
fn faulty() -> Vec<(&'static str, Value, Option<u64>, Option<&'static str>)> {
    let long = "x".repeat(16 * 1024 + 1);
    let nearly = |value: Value| steps(&[note("a"), using(value)]);
    vec![
        ("no step", steps(&[]), None, None),
        ("21 steps", steps(&vec![note("a"); 21]), None, None),
        ("steps that are none", json!({"steps":{"0":note("a")}}), None, None),
        ("a step that is none", steps(&[json!("note")]), None, None),
        ("steps and a tool", json!({"steps":[note("a")],"tool":"ledger_read"}), None, None),
        ("steps within steps", steps(&[note("a"), steps(&[note("a")])]), Some(1), None),
        ("a step of nothing", steps(&[note("a"), json!({})]), Some(1), None),
        ("a tool and a message", steps(&[json!({"tool":"ledger_read","arguments":{},"message":"m"})]), Some(0), None),
        ("a time inside a step", steps(&[json!({"message":"m","not_after":"2026-11-22T10:00:00Z"})]), Some(0), None),
        ("the end of a conversation", steps(&[json!({"end_conversation":"c","agent":"main"})]), Some(0), None),
        ("the end of a conversation, alone", json!({"end_conversation":"c","agent":"main"}), None, None),
        ("no message", say(""), None, None),
        ("a message of blanks", steps(&[say("a"), say(" \n\t")]), Some(1), None),
        ("a message over the cap", say(&long), None, None),
        ("a message over the cap, in steps", steps(&[say("a"), say(&long)]), Some(1), None),
        ("a message that is a number", json!({"message":7}), None, None),
        ("a message of parts, alone", json!({"message":["a", "b"]}), None, None),
        (
            "a message of nothing but a reference, bare",
            steps(&[note("a"), json!({"message":from(0, "")})]),
            Some(1),
            None,
        ),
        ("an agent that is none", json!({"message":"a","agent":7}), None, None),
        ("a conversation in upper case", say_in("Trip", "a"), None, None),
        ("a conversation of another shape", say_in("trip/../other", "a"), None, None),
        ("a conversation with a session's separator", say_in("trip:main", "a"), None, None),
        ("a conversation without a name", say_in("", "a"), None, None),
        ("a conversation with too long a name", say_in(&"c".repeat(65), "a"), None, None),
        ("two conversations", steps(&[say_in("a", "a"), say_in("b", "a")]), None, None),
        ("a deadline of nothing", steps(&[json!({"message":"a","deadline_s":0})]), Some(0), None),
        ("a deadline of more than a day", json!({"message":"a","deadline_s":86_401}), None, None),
        ("a deadline that is no time", json!({"message":"a","deadline":"soon"}), None, None),
        ("a reference in a first step", steps(&[using(from(0, ""))]), Some(0), Some("/note")),
        ("a reference to itself", steps(&[note("a"), using(from(1, ""))]), Some(1), Some("/note")),
        ("a reference to a later step", steps(&[note("a"), using(from(2, "")), note("b")]), Some(1), Some("/note")),
        ("a reference to no step", steps(&[note("a"), using(from(20, ""))]), Some(1), Some("/note")),
        ("a circle", steps(&[using(from(1, "")), using(from(0, ""))]), Some(0), Some("/note")),
        (
            "a reference to a later step, in a message",
            steps(&[json!({"message":["a", from(1, "")]}), note("b")]),
            Some(0),
            Some("/1"),
        ),
        ("nearly: no pointer", nearly(json!({"$from":{"step":0}})), Some(1), Some("/note")),
        ("nearly: no object", nearly(json!({"$from":0})), Some(1), Some("/note")),
        ("nearly: no pointer's shape", nearly(from(0, "note")), Some(1), Some("/note")),
        ("nearly: a bad escape", nearly(from(0, "/a~2")), Some(1), Some("/note")),
        (
            "nearly: with a further field",
            nearly(json!({"$from":{"step":0,"pointer":""},"or":"b"})),
            Some(1),
            Some("/note"),
        ),
        ("nearly: more inside it", nearly(json!({"$from":{"step":0,"pointer":"","or":"b"}})), Some(1), Some("/note")),
        ("nearly: a number as text", nearly(json!({"$from":{"step":"0","pointer":""}})), Some(1), Some("/note")),
        ("nearly: a number below nought", nearly(json!({"$from":{"step":-1,"pointer":""}})), Some(1), Some("/note")),
        ("a secret", nearly(json!({"$from":{"secret":"gateway_token"}})), Some(1), Some("/note")),
        ("a variable", nearly(json!({"$from":{"env":"HOME","pointer":""}})), Some(1), Some("/note")),
        ("deep inside", nearly(json!({"a/b":[1, {"$from":"x"}]})), Some(1), Some("/note/a~1b/1")),
    ]
}

#[tokio::test]
async fn invalid_steps_have_their_own_codes_and_store_nothing() {
    let (app, alice) = App::start_with("alice").await;
    for (name, body, step, pointer) in faulty() {
        let reply = alice.submit_body(&app.new_id(), &body).await;
        assert_eq!(reply.verdict(), (400, "body_invalid"), "{name}: {}", reply.body);
        assert_eq!(reply.body["step"].as_u64(), step, "{name}: {}", reply.body);
        assert_eq!(reply.body["pointer"].as_str(), pointer, "{name}: {}", reply.body);
        assert!(!reply.body.to_string().contains("gateway_token"), "{name} quotes: {}", reply.body);
    }
    assert_eq!(stored(&app, &alice).await, [""; 0]);
    assert!(app.receive().await.is_empty(), "no wake-up message was sent");
}

/// Invariant 9, *default deny*: one refused step refuses the submission, at any index.
#[tokio::test]
async fn a_refused_step_refuses_all_with_its_number() {
    let mut app = App::start().await;
    app.new_edge(Some(one_of_two()));
    let alice = app.login("alice").await;
    let call = |tool: &str, arguments: Value| json!({"tool":tool,"arguments":arguments});
    let large = "x".repeat(5000);
    let cases = [
        ("an unknown tool", call("exec", json!({})), (403, "tool_unknown")),
        (
            "an unknown tool whose arguments come later",
            call("exec", json!({"command":from(0, "")})),
            (403, "tool_unknown"),
        ),
        ("a tool in another case", call("LEDGER_READ", json!({})), (403, "tool_unknown")),
        ("the guard probe's tool", call("miniprogram_canary", json!({})), (403, "tool_unknown")),
        ("a destructive tool", call("ledger_delete", json!({})), (403, "tool_not_opened")),
        ("what no policy permits", call("ledger_pay", json!({"amount":10_001,"note":"n"})), (403, "policy_denied")),
        ("arguments that do not fit", call("ledger_append", json!({"note":7})), (422, "arguments_invalid")),
        (
            "arguments that cannot be shown",
            call("ledger_pay", json!({"amount":1,"note":large})),
            (422, "arguments_invalid"),
        ),
        ("an unknown agent", json!({"message":"a","agent":"nobody"}), (403, "agent_unknown")),
        ("an agent in another case", json!({"message":"a","agent":"Main"}), (403, "agent_unknown")),
        ("a tool as an agent", json!({"message":"a","agent":"ledger_read"}), (403, "agent_unknown")),
        ("an agent that no user may talk to", json!({"message":"a","agent":"other"}), (403, "policy_denied")),
        ("the same, with more to come", json!({"message":["a", from(0, "")],"agent":"other"}), (403, "policy_denied")),
    ];
    for (name, bad, verdict) in cases {
        for place in [1, 2] {
            let mut all = vec![note("a"), say("b"), note("c")];
            all[place] = bad.clone();
            let reply = alice.submit_body(&app.new_id(), &steps(&all)).await;
            assert_eq!(reply.verdict(), verdict, "{name}: {}", reply.body);
            assert_eq!(reply.body["step"], place, "{name}: {}", reply.body);
        }
        app.advance(Duration::from_secs(2)).await;
    }
    let alone = alice.submit_body(&app.new_id(), &json!({"message":"a","agent":"nobody"})).await;
    assert_eq!((alone.verdict(), &alone.body["step"]), ((403, "agent_unknown"), &Value::Null));
    assert_eq!(stored(&app, &alice).await, [""; 0], "not even of the steps before it");
    assert!(app.receive().await.is_empty(), "no wake-up message was sent");
    let refusals = app.inspect().table().refusals_of(alice.user_id.parse().unwrap()).await.unwrap();
    let last = refusals.records.iter().rev().find(|record| record["code"] == "policy_denied").unwrap();
    assert_eq!((&last["tool"], &last["policies"]), (&json!("other"), &json!(["not-with-the-other"])));
}

#[tokio::test]
async fn times_that_cannot_be_kept_are_refused() {
    let (app, alice) = App::start_with("alice").await;
    let now = app.clock.now();
    let day = Duration::from_secs(86_400);
    for (field, code) in [("deadline", "deadline_invalid"), ("not_after", "not_after_invalid")] {
        for at in [now, now.minus(Duration::from_secs(1)), now.plus(day + Duration::from_secs(60))] {
            for mut body in [say("a"), steps(&[note("a"), say("b")])] {
                body[field] = at.to_string().into();
                let reply = alice.submit_body(&app.new_id(), &body).await;
                assert_eq!(reply.verdict(), (422, code), "{body}: {}", reply.body);
                assert!(reply.body["server_time"].is_string(), "{}", reply.body);
            }
        }
        let mut body = say("a");
        body[field] = now.plus(day).to_string().into();
        assert_eq!(alice.submit_body(&app.new_id(), &body).await.status, 202, "{body}");
    }
}

/// Every step is validated before a policy is evaluated for any: a faulty submission is
/// cheap to refuse.
#[tokio::test]
async fn no_policy_is_asked_about_a_submission_with_a_faulty_step() {
    let mut app = App::start().await;
    app.new_edge(Some(one_of_two()));
    let alice = app.login("alice").await;
    let denied = json!({"message":"hello","agent":"other"});
    let shut = json!({"tool":"ledger_delete","arguments":{}});
    let faulty = json!({"tool":"ledger_append","arguments":{"note":7}});
    for (name, body, verdict, step) in [
        ("alone", steps(&[note("a"), denied.clone()]), (403, "policy_denied"), 1),
        ("before a faulty one", steps(&[denied.clone(), faulty.clone()]), (422, "arguments_invalid"), 1),
        ("a tool that is shut", steps(&[shut, note("a"), faulty]), (422, "arguments_invalid"), 2),
        ("an unknown tool", steps(&[denied.clone(), json!({"tool":"exec","arguments":{}})]), (403, "tool_unknown"), 1),
        ("an unknown agent", steps(&[denied, json!({"message":"a","agent":"none"})]), (403, "agent_unknown"), 1),
    ] {
        let before = app.metrics.sum(Metric::PolicyRefusals, &[(Dimension::Reason, "policy_denied")]);
        let reply = alice.submit_body(&app.new_id(), &body).await;
        assert_eq!((reply.verdict(), reply.body["step"].as_u64()), (verdict, Some(step)), "{name}: {}", reply.body);
        let asked = app.metrics.sum(Metric::PolicyRefusals, &[(Dimension::Reason, "policy_denied")]) > before;
        assert_eq!(asked, name == "alone", "{name}");
    }
}
