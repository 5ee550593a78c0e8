//! `/v1/wechat/events`: what WeChat pushes is received once, and nothing else is.

use std::{collections::BTreeSet, time::Duration};

use integration_tests::{App, Capture, Fault, Reply};
use local::emulation::wechat_events::{Format, Kind, Push, PushSettings};
use platform::{
    metrics::{Dimension, Metric},
    runtime::Clock,
    wechat::events::{envelope, signature},
};
use serde_json::{Value, json};

const RECEIVED: (u16, &str) = (200, "success");

fn document(app: &App) -> Value {
    serde_json::from_slice(&std::fs::read(&app.secrets_file).unwrap()).unwrap()
}

fn settings(app: &App) -> PushSettings {
    PushSettings::of(&document(app), &app.deployment.wechat_app_id).unwrap()
}

/// Changes `wechat.events` before the first request reads it.
fn reconfigure(app: &App, change: impl FnOnce(&mut Value)) {
    let mut document = document(app);
    change(&mut document["wechat"]);
    std::fs::write(&app.secrets_file, document.to_string()).unwrap();
}

fn push_of(app: &App, settings: &PushSettings, message: &str) -> Push {
    settings.push(message, app.clock.now(), &app.functions.runtime)
}

fn message(app: &App, kind: Kind, format: Format) -> String {
    kind.message(format, &app.deployment.wechat_app_id, "alice", app.clock.now())
}

async fn send(app: &App, push: &Push) -> Reply {
    app.anonymous().send("POST", &push.path(), &[("content-type", "text/xml")], push.body.as_bytes()).await
}

fn answer(reply: &Reply) -> (u16, &str) {
    (reply.status.as_u16(), reply.text.as_str())
}

fn counted(metrics: &Capture, event: &str) -> f64 {
    metrics.sum(Metric::WechatEvents, &[(Dimension::Event, event)])
}

fn counted_at_all(metrics: &Capture) -> usize {
    metrics.documents().iter().filter(|document| document.get("wechat_events").is_some()).count()
}

/// The markers of received messages.
async fn remembered(app: &App) -> Vec<Value> {
    let scan = app.aws.dynamodb().scan().table_name(&app.deployment.backend.table).send().await.unwrap();
    let items = scan.items().iter().filter(|item| item["pk"].as_s().unwrap().starts_with("EVENT#"));
    items.map(|item| json!({"ttl": item["ttl"].as_n().unwrap().parse::<i64>().unwrap()})).collect()
}

#[tokio::test]
async fn every_kind_of_message_is_received_and_counted_in_json_and_in_xml() {
    for format in [Format::Json, Format::Xml] {
        let app = App::start().await;
        for (kind, event) in [
            (Kind::Accept, "subscribe_accepted"),
            (Kind::Reject, "subscribe_refused"),
            (Kind::Sent, "message_delivered"),
            (Kind::Revoke, "authorization_revoked"),
            (Kind::Cancel, "authorization_cancelled"),
            (Kind::Media, "media_passed"),
            (Kind::Unknown, "unknown"),
        ] {
            let reply = send(&app, &push_of(&app, &settings(&app), &message(&app, kind, format))).await;
            assert_eq!(answer(&reply), RECEIVED, "{kind:?} {format:?}");
            assert_eq!(counted(&app.metrics, event), 1.0, "{kind:?} {format:?}");
        }
        send(&app, &push_of(&app, &settings(&app), &message(&app, Kind::Change, format))).await;
        assert_eq!(counted(&app.metrics, "subscribe_refused"), 2.0, "{format:?}");
        assert_eq!(counted_at_all(&app.metrics), 8);
    }
}

#[tokio::test]
async fn a_message_that_comes_again_is_answered_and_counted_as_a_duplicate() {
    let mut app = App::start().await;
    let message = message(&app, Kind::Accept, Format::Json);
    let first = push_of(&app, &settings(&app), &message);
    for _ in 0..2 {
        assert_eq!(answer(&send(&app, &first).await), RECEIVED);
    }
    let (now, kept) = (app.clock.now(), remembered(&app).await);
    let ttl = kept[0]["ttl"].as_i64().unwrap();
    // The first of them came some time before `now`.
    assert!(
        kept.len() == 1 && (0..=10).contains(&(now.plus(Duration::from_secs(86_400)).seconds_ceil() - ttl)),
        "{kept:?}"
    );
    // WeChat signs and encrypts a repetition anew.
    app.advance(Duration::from_secs(5)).await;
    let again = push_of(&app, &settings(&app), &message);
    assert_ne!(again.body, first.body);
    assert_eq!(answer(&send(&app, &again).await), RECEIVED);
    assert_eq!((counted(&app.metrics, "subscribe_accepted"), counted(&app.metrics, "duplicate")), (1.0, 2.0));
    assert_eq!(remembered(&app).await.len(), 1);
}

#[tokio::test]
async fn a_push_that_is_not_wechats_is_refused_and_leaves_nothing() {
    let mut app = App::start().await;
    let (right, message) = (settings(&app), message(&app, Kind::Cancel, Format::Json));
    let other = PushSettings { app_id: "wx-another".to_owned(), ..settings(&app) };
    let plain = PushSettings { key: None, ..settings(&app) };
    let guessed = PushSettings { token: "guessed".to_owned(), ..settings(&app) };
    let fine = push_of(&app, &right, &message);
    let wrong = |change: &dyn Fn(&mut Push)| {
        let mut push = fine.clone();
        change(&mut push);
        push
    };
    let signed = |change: &dyn Fn(String) -> String| {
        let encrypted: Value = serde_json::from_str(&fine.body).unwrap();
        let encrypted = change(encrypted["Encrypt"].as_str().unwrap().to_owned());
        let own = signature::sign(&right.token, &[&fine.timestamp, &fine.nonce, &encrypted]);
        Push { msg_signature: Some(own), body: json!({ "Encrypt": encrypted }).to_string(), ..fine.clone() }
    };
    let refused = (403, "event_refused");
    let unreadable = (400, "body_invalid");
    let mut answers = BTreeSet::new();
    let bomb = r#"<!DOCTYPE xml [<!ENTITY a "aa"><!ENTITY b "&a;&a;&a;">]><xml><Encrypt>&b;</Encrypt></xml>"#;
    let file = r#"<!DOCTYPE xml [<!ENTITY a SYSTEM "file:///etc/hostname">]><xml><Encrypt>&a;</Encrypt></xml>"#;
    for (name, push, verdict) in [
        ("another token", push_of(&app, &guessed, &message), refused),
        ("another app", push_of(&app, &other, &message), refused),
        ("not encrypted", push_of(&app, &plain, &message), refused),
        ("the signature of plain mode", wrong(&|push| push.msg_signature = Some(push.signature.clone())), refused),
        ("no signature", wrong(&|push| push.msg_signature = None), refused),
        ("another time", wrong(&|push| push.timestamp = (app.clock.now().millis() / 1000 + 1).to_string()), refused),
        ("another nonce", wrong(&|push| push.nonce.push('1')), refused),
        ("no time", wrong(&|push| push.timestamp = String::new()), refused),
        ("another message", wrong(&|push| push.body = push_of(&app, &guessed, &message).body), refused),
        ("cut within a block", signed(&|text| text[..text.len() - 4].to_owned()), refused),
        ("cut to one block", signed(&|text| text[..24].to_owned()), refused),
        ("nothing encrypted", signed(&|_| String::new()), refused),
        ("no base64", signed(&|text| format!("{text}~")), refused),
        ("no body", wrong(&|push| push.body.clear()), unreadable),
        ("neither JSON nor XML", wrong(&|push| push.body = "Encrypt=1".to_owned()), unreadable),
        ("an XML bomb", wrong(&|push| push.body = bomb.to_owned()), unreadable),
        ("an external entity", wrong(&|push| push.body = file.to_owned()), unreadable),
        ("1 MB", wrong(&|push| push.body = " ".repeat(1 << 20)), (413, "body_too_large")),
        ("a parameter twice", wrong(&|push| push.nonce.push_str("&nonce=2")), refused),
    ] {
        let reply = send(&app, &push).await;
        assert_eq!(reply.verdict(), verdict, "{name}");
        answers.insert((verdict, reply.text));
    }
    assert_eq!(answers.len(), 3, "a refusal does not say what did not match: {answers:?}");
    app.advance(Duration::from_secs(301)).await;
    assert_eq!(send(&app, &fine).await.verdict(), refused, "a copy that is five minutes old");
    assert_eq!((counted_at_all(&app.metrics), remembered(&app).await.len()), (0, 0));
}

#[tokio::test]
async fn an_encrypted_message_that_cannot_be_read_is_not_asked_for_again() {
    let app = App::start().await;
    let bomb = r#"<!DOCTYPE xml [<!ENTITY a "aa">]><xml><Event>&a;</Event></xml>"#;
    for message in ["no message", bomb, r#"{"Event":"subscribe_msg_popup_event","List":7}"#] {
        assert_eq!(answer(&send(&app, &push_of(&app, &settings(&app), message)).await), RECEIVED, "{message}");
    }
    assert_eq!(counted(&app.metrics, "malformed"), 3.0);
}

#[tokio::test]
async fn without_a_key_messages_come_in_plain_mode() {
    let app = App::start().await;
    reconfigure(&app, |wechat| wechat["events"]["encoding_aes_keys"] = json!([]));
    for format in [Format::Json, Format::Xml] {
        let push = push_of(&app, &settings(&app), &message(&app, Kind::Accept, format));
        assert_eq!(push.msg_signature, None);
        assert_eq!(answer(&send(&app, &push).await), RECEIVED, "{format:?}");
        let forged = Push { signature: "0".repeat(40), ..push };
        assert_eq!(send(&app, &forged).await.verdict(), (403, "event_refused"), "{format:?}");
    }
    assert_eq!(counted(&app.metrics, "subscribe_accepted"), 2.0);
}

#[tokio::test]
async fn a_service_without_the_secret_has_no_such_address() {
    let app = App::start().await;
    let push = push_of(&app, &settings(&app), "{}");
    reconfigure(&app, |wechat| drop(wechat.as_object_mut().unwrap().remove("events")));
    assert_eq!(send(&app, &push).await.verdict(), (404, "not_found"));
    assert_eq!(app.anonymous().get(&push.path()).await.verdict(), (404, "not_found"));
    assert_eq!(app.log_in_with("dev-alice").await.status, 201);
}

#[tokio::test]
async fn the_console_of_wechat_verifies_the_address() {
    let app = App::start().await;
    let path = push_of(&app, &settings(&app), "{}").path();
    let get = async |query: &str| app.anonymous().get(&format!("{path}{query}")).await;
    let reply = get("&echostr=4375120948345356249").await;
    assert_eq!(answer(&reply), (200, "4375120948345356249"));
    assert_eq!((reply.header("content-type"), reply.header("x-content-type-options")), ("text/plain", "nosniff"));
    for echo in ["", "&echostr=", "&echostr=%3Cscript%3E", &format!("&echostr={}", "1".repeat(129))] {
        assert_eq!(get(echo).await.verdict(), (403, "event_refused"), "{echo}");
    }
    let forged = path.replace("signature=", "signature=0");
    assert_eq!(app.anonymous().get(&format!("{forged}&echostr=1")).await.verdict(), (403, "event_refused"));
    assert_eq!(app.anonymous().get("/v1/wechat/events").await.verdict(), (403, "event_refused"));
}

#[tokio::test]
async fn a_message_costs_one_write_and_one_that_is_refused_costs_nothing() {
    let app = App::start().await;
    let consumed = app.functions.edge_auth.table().consumed();
    let push = push_of(&app, &settings(&app), &message(&app, Kind::Media, Format::Json));
    let forged = Push { msg_signature: Some("0".repeat(40)), ..push.clone() };
    assert_eq!(send(&app, &forged).await.status, 403);
    assert_eq!((consumed.write_units(), consumed.read_units()), (0.0, 0.0));
    assert_eq!(send(&app, &push).await.status, 200);
    assert_eq!((consumed.write_units(), consumed.read_units()), (1.0, 0.0));
    let leaving = push_of(&app, &settings(&app), &message(&app, Kind::Cancel, Format::Json));
    assert_eq!(send(&app, &leaving).await.status, 200);
    assert_eq!(consumed.write_units(), 2.0);
    assert!((1.0..=2.0).contains(&consumed.read_units()), "the marker and the login: {}", consumed.read_units());
}

#[tokio::test]
async fn a_message_that_could_not_be_remembered_is_taken_when_it_comes_again() {
    let app = App::start().await;
    app.log_in_with("dev-alice").await;
    let push = push_of(&app, &settings(&app), &message(&app, Kind::Cancel, Format::Json));
    for operation in ["GetItem", "PutItem"] {
        app.faults.plan(move |name, _| (name == operation).then_some(Fault::Quoted));
        assert_eq!(send(&app, &push).await.verdict(), (503, "unavailable"), "{operation}");
    }
    // The SDK repeats the put; its own marker is no duplicate.
    app.faults.plan(|name, n| (name == "PutItem" && n < 2).then_some(Fault::LostAfter));
    assert_eq!(answer(&send(&app, &push).await), RECEIVED);
    app.faults.none();
    assert_eq!((counted(&app.metrics, "authorization_cancelled"), counted(&app.metrics, "duplicate")), (1.0, 0.0));
}

#[tokio::test]
async fn a_user_who_closes_the_wechat_account_is_erased() {
    let mut app = App::start().await;
    let (alice, bob) = (app.login("alice").await, app.login("bob").await);
    let push = push_of(&app, &settings(&app), &message(&app, Kind::Cancel, Format::Json));
    assert_eq!(answer(&send(&app, &push).await), RECEIVED);
    assert_eq!(alice.get("/v1/jobs").await.status, 401, "at once");
    let unknown_user = Kind::Cancel.message(Format::Json, &app.deployment.wechat_app_id, "mallory", app.clock.now());
    assert_eq!(answer(&send(&app, &push_of(&app, &settings(&app), &unknown_user)).await), RECEIVED, "never logged in");
    let report = app.finish_erasure(&alice).await;
    assert_eq!((&report["reason"], &report["status"]), (&json!("authorization_cancelled"), &json!("done")), "{report}");
    assert_eq!(bob.get("/v1/jobs").await.status, 200);
}

#[tokio::test]
async fn a_user_who_withdraws_one_permission_keeps_the_account() {
    let app = App::start().await;
    let alice = app.login("alice").await;
    let push = push_of(&app, &settings(&app), &message(&app, Kind::Revoke, Format::Json));
    assert_eq!(answer(&send(&app, &push).await), RECEIVED);
    assert_eq!(alice.get("/v1/jobs").await.status, 200);
}

#[tokio::test]
async fn a_message_whose_signature_does_not_cover_its_body_erases_no_user() {
    let app = App::start().await;
    reconfigure(&app, |wechat| wechat["events"]["encoding_aes_keys"] = json!([]));
    let alice = app.login("alice").await;
    let push = push_of(&app, &settings(&app), &message(&app, Kind::Cancel, Format::Json));
    assert_eq!(answer(&send(&app, &push).await), RECEIVED);
    assert_eq!(alice.get("/v1/jobs").await.status, 200);
}

#[tokio::test]
async fn an_event_that_comes_again_does_not_erase_the_user_who_has_logged_in_since() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    let message = message(&app, Kind::Cancel, Format::Json);
    let push = push_of(&app, &settings(&app), &message);
    // The marker is written, and the answer is lost: WeChat sends the message again.
    app.faults.plan_items(|name, key| (name == "PutItem" && key == "EVENT").then_some(Fault::LostAfter));
    send(&app, &push).await;
    app.faults.none();
    app.finish_erasure(&alice).await;
    let again = app.login("alice").await;
    assert_ne!(again.user_id, alice.user_id);
    assert_eq!(answer(&send(&app, &push_of(&app, &settings(&app), &message)).await), RECEIVED);
    assert_eq!(again.get("/v1/jobs").await.status, 200);
}

#[tokio::test]
async fn a_message_sealed_for_another_key_is_refused() {
    let app = App::start().await;
    let right = settings(&app);
    let other = platform::wechat::events::EncodingAesKey::try_from("Q".repeat(43)).unwrap();
    let sealed = envelope::seal(b"{}", &right.app_id, [7; 16], &other);
    let fine = push_of(&app, &right, "{}");
    let own = signature::sign(&right.token, &[&fine.timestamp, &fine.nonce, &sealed]);
    let push = Push { msg_signature: Some(own), body: json!({ "Encrypt": sealed }).to_string(), ..fine };
    assert_eq!(send(&app, &push).await.verdict(), (403, "event_refused"));
}
