//! The rules for text and JSON at every boundary: client, tool, agent, table, and the handling
//! of invalid content. `docs/design/text.md` has the rules.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use integration_tests::{App, Client, Setup};
use serde_json::{Value, json};

const INVOKE: &str = "/miniprogram/v1/invoke";
const TOOL_LAYER: &str = "/tools/invoke";
const OUTCOME: &str = "/miniprogram/v1/outcome";
const TURNS: &str = "/miniprogram/v1/turns";
const JSON: (&str, &str) = ("content-type", "application/json");

const RAW_VALUE: &str = r#"{"$serde_json::private::RawValue":"nope"}"#;

fn roomy() -> Setup {
    let edge = |edge: &mut platform::config::EdgeAuthConfig| {
        edge.limits.submissions = domain::limits::Rate::new(Duration::from_millis(1), 100_000);
        edge.limits.in_flight = 1000;
        edge.limits.in_flight_long = 1000;
    };
    Setup { edge, ..Setup::default() }
}

async fn send(client: &Client, id: &str, body: &str) -> integration_tests::Reply {
    client.send("POST", "/v1/jobs", &[JSON, ("idempotency-key", id)], body.as_bytes()).await
}

/// Changes one attribute of the items of a user that have it, as an earlier version or a faulty restore might have left
/// them.
async fn plant(app: &App, client: &Client, id: &str, attribute: &str, value: AttributeValue) {
    let table = &app.deployment.backend.table;
    let pk = AttributeValue::S(format!("U#{}", client.user_id));
    let query = app.aws.dynamodb().query().table_name(table).key_condition_expression("pk = :pk");
    let items = query.expression_attribute_values(":pk", pk).send().await.unwrap().items.unwrap();
    let mut planted = 0;
    for mut item in items {
        let of_job = item["sk"].as_s().is_ok_and(|sk| sk.contains(id));
        if of_job && item.contains_key(attribute) {
            item.insert(attribute.to_owned(), value.clone());
            app.aws.dynamodb().put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
            planted += 1;
        }
    }
    assert_eq!(planted, 1, "{attribute} of {id}");
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

#[tokio::test]
async fn what_a_tool_returns_never_hides_that_it_ran() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    let deep = format!("{}{}", "[".repeat(150), "]".repeat(150));
    let omitted = |why: &str| json!({ "omitted": why });
    for (content, shown) in [
        (r#""half \ud83d""#.as_bytes(), json!("half \u{fffd}")),
        (deep.as_bytes(), omitted("too_deep")),
        (RAW_VALUE.as_bytes(), omitted("unreadable")),
        (br#"{"a":[{"__proto__":{"x":1}}]}"#, omitted("unreadable")),
        (b"\"\xff\xfe\"", json!("\u{fffd}\u{fffd}")),
    ] {
        // What the tool layer says, kept by the journal; and what the journal says, each time it is asked.
        for (path, count) in [(TOOL_LAYER, 1), (INVOKE, 3)] {
            app.gateway().next_content(path, content, count).await;
            let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
            let job = app.finish(&alice, &id).await;
            let story = format!("{path} {:.60}: {job}", String::from_utf8_lossy(content));
            assert_eq!((&job["status"], app.effects(&id)), (&json!("succeeded"), 1), "{story}");
            assert_eq!(job["result"], shown, "{story}");
            let (list, step) =
                (alice.get("/v1/jobs?limit=1").await, alice.get(&format!("/v1/jobs/{id}/steps/0")).await);
            assert_eq!((list.status.as_u16(), step.status.as_u16()), (200, 200), "{story}");
            assert_eq!(step.body["result"], shown, "{story}");
            app.gateway().forget_orders().await;
        }
    }
}

#[tokio::test]
async fn a_failure_whose_result_cannot_be_read_is_still_a_failure() {
    let (mut app, alice) = App::start_with("alice").await;
    let content = br#"{"isError":true,"details":{"__proto__":1}}"#;
    app.gateway().next_content(INVOKE, content, 3).await;
    let job = app.run(&alice, "ledger_append", json!({"note":"n"})).await;
    assert_eq!((&job["status"], &job["error"]["code"]), (&json!("failed"), &json!("tool_failed")), "{job}");
    assert_eq!((&job["effect"], &job["result"]), (&json!("ran"), &json!({"omitted":"unreadable"})), "{job}");
}

#[tokio::test]
async fn a_reply_with_half_a_pair_is_taken_at_once() {
    let (mut app, alice) = App::start_with("alice").await;
    for (content, result) in [
        (&br#""half \ud83d""#[..], json!({"reply":"half \u{fffd}","ai_generated":true})),
        (br#"{"__proto__":"no text"}"#, json!({"omitted":"unreadable"})),
    ] {
        for path in [TURNS, OUTCOME] {
            app.gateway().next_content(path, content, 50).await;
        }
        let id = app.new_id();
        alice.submit_body(&id, &json!({"message":"[[say:hello]]"})).await;
        let began = app.clock.ahead_ms();
        let mut job = Value::Null;
        while !job["next_poll_ms"].is_null() || job.is_null() {
            while app.deliver().await {}
            job = alice.job(&id).await;
            // The agent runs by the real clock.
            tokio::time::sleep(Duration::from_millis(30)).await;
            let wait = app.delays.next().unwrap_or(Duration::from_secs(1)).max(Duration::from_millis(10));
            app.advance(wait).await;
            assert!(app.clock.ahead_ms() - began < 300_000, "the reply was there all the time: {job}");
        }
        assert_eq!((&job["status"], &job["result"]), (&json!("succeeded"), &result), "{job}");
        app.gateway().forget_orders().await;
    }
}

#[tokio::test]
async fn a_key_that_a_parser_takes_for_something_else_is_refused_at_the_edge() {
    let app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    for key in ["$serde_json::private::RawValue", "$serde_json::private::Number", "__proto__", "\\u005f_proto__"] {
        for body in [
            format!(r#"{{"tool":"ledger_append","arguments":{{"note":"n","{key}":"1"}}}}"#),
            format!(r#"{{"tool":"ledger_append","arguments":{{"note":{{"{key}":"nope"}}}}}}"#),
            format!(r#"{{"{key}":"1","tool":"ledger_append","arguments":{{"note":"n"}}}}"#),
            format!(r#"{{"steps":[{{"message":["hi",{{"{key}":"nope"}}]}}]}}"#),
            format!(
                r#"{{"steps":[{{"tool":"ledger_read","arguments":{{}}}},{{"tool":"ledger_append","arguments":
                {{"note":{{"$from":{{"step":0,"pointer":""}}}},"x":{{"{key}":"nope"}}}}}}]}}"#
            ),
        ] {
            let id = app.new_id();
            let reply = send(&alice, &id, &body).await;
            assert_eq!(reply.verdict(), (400, "body_invalid"), "{body}: {}", reply.body);
            assert_eq!(alice.get(&format!("/v1/jobs/{id}")).await.status, 404);
        }
    }
}

#[tokio::test]
async fn a_stored_payload_that_cannot_be_read_ends_its_job() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    for calls in [
        format!(r#"[{{"tool":"ledger_append","arguments":{{"note":{RAW_VALUE}}}}}]"#),
        format!(r#"[{{"message":["hi",{RAW_VALUE}],"agent":"main"}}]"#),
        "[{".to_owned(),
    ] {
        let id = app.new_id();
        if calls.contains("message") {
            alice.submit_body(&id, &json!({"message":"hi","conversation":"pits"})).await;
        } else {
            alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
        }
        plant(&app, &alice, &id, "calls", text(&calls)).await;
        let job = app.finish(&alice, &id).await;
        let ended = (&job["status"], &job["effect"], &job["error"]["code"]);
        assert_eq!(ended, (&json!("failed"), &json!("not_run"), &json!("payload_unreadable")), "{calls}: {job}");
        assert_eq!(app.effects(&id), 0);
        // Its chain verifies, and its digests can be checked with its key.
        assert_eq!(alice.records(&id).await.len(), 2, "{calls}");
        // A repetition of the request returns the ended job.
        let again = alice.get(&format!("/v1/jobs/{id}")).await;
        assert_eq!(again.status, 200, "{}", again.body);
    }
    // The conversation goes on behind it.
    let id = app.new_id();
    alice.submit_body(&id, &json!({"message":"[[say:on]]","conversation":"pits"})).await;
    for _ in 0..40 {
        while app.deliver().await {}
        if alice.job(&id).await["status"] == "succeeded" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
        app.advance(app.delays.next().unwrap_or(Duration::from_secs(1)).max(Duration::from_millis(10))).await;
    }
    assert_eq!(alice.job(&id).await["result"], json!({"reply":"on","ai_generated":true}));
    assert!(app.receive().await.is_empty(), "nothing comes back to be decided again");
}

#[tokio::test]
async fn one_approval_that_cannot_be_read_hides_no_other() {
    let mut app = App::with(roomy()).await;
    let (alice, bob, zhang) = (app.login("alice").await, app.login("bob").await, app.operator("zhang", &["approver"]));
    let (bad, good) = (app.new_id(), app.new_id());
    alice.submit(&bad, "ledger_pay", json!({"amount":600,"note":"x"})).await;
    bob.submit(&good, "ledger_pay", json!({"amount":700,"note":"y"})).await;
    let code = alice.job(&bad).await["support_code"].as_str().unwrap().to_owned();
    let digest = alice.digest(&bad).await;
    let calls = format!(r#"[{{"tool":"ledger_pay","arguments":{{"amount":600,"note":{RAW_VALUE}}}}}]"#);
    plant(&app, &alice, &bad, "calls", text(&calls)).await;

    let list = zhang.get("/approvals").await;
    assert_eq!(list.status, 200, "{}", list.body);
    let shown: Vec<&Value> = list.body["approvals"].as_array().unwrap().iter().map(|one| &one["request_id"]).collect();
    assert_eq!((shown, &list.body["unreadable"]), (vec![&json!(good)], &json!([code])), "{}", list.body);
    let state = zhang.get("/jobs?state=awaiting_approval").await;
    assert_eq!(state.body["jobs"].as_array().map(Vec::len), Some(2), "{}", state.body);

    // Operator and owner see that it cannot be read; its chain can be read.
    assert_eq!(zhang.get(&format!("/jobs/{code}")).await.verdict(), (409, "job_unreadable"));
    assert_eq!(alice.get(&format!("/v1/jobs/{bad}")).await.verdict(), (409, "job_unreadable"));
    assert_eq!(alice.records(&bad).await.len(), 2);
    assert_eq!(alice.get("/v1/jobs").await.status, 200);

    // An approval of it ends the job, and nothing runs.
    let decided = zhang.decide(&code, "approve", &digest).await;
    assert_eq!(decided.status, 200, "{}", decided.body);
    let job = app.finish(&alice, &bad).await;
    assert_eq!((&job["status"], &job["error"]["code"]), (&json!("failed"), &json!("payload_unreadable")), "{job}");
    assert_eq!((app.effects(&bad), zhang.get(&format!("/jobs/{code}")).await.status.as_u16()), (0, 200));
}

#[tokio::test]
async fn a_stored_result_that_cannot_be_read_is_omitted_and_the_job_is_shown() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let deep = format!("{}{}", "[".repeat(150), "]".repeat(150));
    for (stored, why) in [(RAW_VALUE, "unreadable"), ("{", "unreadable"), (&deep, "too_deep")] {
        let job = app.run(&alice, "ledger_append", json!({"note":"n"})).await;
        let id = job["request_id"].as_str().unwrap().to_owned();
        let inline = AttributeValue::M([("i".to_owned(), text(stored))].into());
        plant(&app, &alice, &id, "rs", inline).await;
        let job = alice.job(&id).await;
        assert_eq!((&job["status"], &job["result"]), (&json!("succeeded"), &json!({"omitted": why})), "{job}");
        let list = alice.get("/v1/jobs").await;
        assert_eq!((list.status.as_u16(), &list.body["jobs"][0]["result"]), (200, &job["result"]), "{}", list.body);
    }
}

#[tokio::test]
async fn line_separators_are_escaped_in_every_answer() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"one\u{2028}two\u{2029}three"})).await;
    let job = app.run(&alice, "ledger_read", json!({})).await;
    let id = job["request_id"].as_str().unwrap();
    let refused = alice.submit_body(&app.new_id(), &json!({"tool":"t","arguments":{},"\u{2028}":1})).await;
    for reply in [alice.get(&format!("/v1/jobs/{id}")).await, alice.get("/v1/jobs").await, refused] {
        assert!(!reply.text.contains(['\u{2028}', '\u{2029}']), "{}", reply.text);
        assert!(reply.text.contains("\\u2028"), "{}", reply.text);
        assert!(reply.body.is_object());
    }
}

#[tokio::test]
async fn a_message_of_nothing_to_be_seen_is_refused_at_the_edge() {
    let app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    for blank in ["", " ", "\u{feff}", "\u{200b}\u{2060}", "\u{85}\u{ad}", "\u{3000}\n\u{0}", "\u{e0020}", "\u{180e}"] {
        for body in [json!({"message": blank}), json!({"steps":[{"message": [blank, blank]}]})] {
            let reply = alice.submit_body(&app.new_id(), &body).await;
            assert_eq!(reply.verdict(), (400, "body_invalid"), "{body}: {}", reply.body);
        }
    }
    for seen in ["\u{200b}a", "\u{300}", "\u{3164}", "\u{2800}", "."] {
        let reply = alice.submit_body(&app.new_id(), &json!({"message": seen})).await;
        assert_eq!(reply.status, 202, "{seen:?}: {}", reply.body);
    }
}

#[tokio::test]
async fn a_part_of_a_message_is_a_text_or_a_reference() {
    let app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let step = json!({"tool":"ledger_read","arguments":{}});
    for part in [json!({"x":[1]}), json!({}), json!(1), json!(null), json!(["a"]), json!({"text":"a"})] {
        for body in [json!({"steps":[{"message":["a", part]}]}), json!({"steps":[step, {"message":["a", part]}]})] {
            let reply = alice.submit_body(&app.new_id(), &body).await;
            assert_eq!(reply.verdict(), (400, "body_invalid"), "{body}: {}", reply.body);
        }
    }
    let reference = json!({"$from":{"step":0,"pointer":""}});
    let body = json!({"steps":[step, {"message":["a", reference]}]});
    assert_eq!(alice.submit_body(&app.new_id(), &body).await.status, 202);
}
