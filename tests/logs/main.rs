//! Invariant 12, *silent logs*: one whole flow, every line of it. A process of its own, because a subscriber that sees
//! every line is one for the whole process.
#![allow(missing_docs, clippy::unwrap_used, reason = "in a test an unwrap is a failure")]

use std::{
    collections::BTreeSet,
    io::Write,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use domain::job::{JobWakeUp, WakeUpToken};
use integration_tests::{App, Client, Setup, WAIT_LIMIT};
use local::emulation::{
    wechat_events::{Format, Kind, PushSettings},
    wechat_stub::{PlannedAnswer, PlannedCall},
};
use platform::runtime::Clock;
use serde_json::{Value, json};
use tracing_subscriber::{fmt::MakeWriter, prelude::*};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn one_trace_goes_through(lines: &[Value]) {
    let of_it = lines.iter().filter(|line| line["trace_id"] == TRACE_ID);
    let functions: BTreeSet<&str> = of_it.filter_map(|line| line["function"].as_str()).collect();
    assert_eq!(functions, BTreeSet::from(["edge-auth", "status", "worker"]));
}

/// The fields by which the runbook finds a job's end.
fn a_job_that_ends_leaves_a_line_with_its_state(lines: &[Value], id: &str) {
    let ends: Vec<&Value> =
        lines.iter().filter(|line| line["message"] == "handled" && !line["state"].is_null()).collect();
    let of_it = ends.iter().filter(|line| line["request_id"] == id).map(|line| &line["state"]);
    assert_eq!(of_it.collect::<Vec<_>>(), ["succeeded"], "once, however often it is woken");
    assert!(ends.iter().any(|line| line["state"] == "failed"));
}

/// The fields of the Contributor Insights rules.
fn a_line_about_a_request_says_whose_it_was(lines: &[Value], user: &str, size: usize) {
    let answers: Vec<&Value> = lines.iter().filter(|line| line["message"] == "answered").collect();
    let find = |route: &str, code: Option<&str>| {
        let is_it = |line: &&&Value| line["route"] == route && line["code"].as_str() == code;
        *answers.iter().find(is_it).unwrap_or_else(|| panic!("no line about {route} {code:?}"))
    };
    let accepted = find("POST /v1/jobs", None);
    assert_eq!(accepted["function"], "edge-auth");
    assert_eq!((&accepted["status"], &accepted["payload_bytes"]), (&json!(202), &json!(size)));
    for line in [
        accepted,
        find("POST /v1/jobs", Some("arguments_invalid")),
        find("POST /v1/jobs", Some("tool_unknown")),
        find("POST /v1/jobs", Some("unavailable")),
        find("DELETE /v1/sessions", None),
        find("GET /v1/jobs/{request_id}", None),
        find("POST /v1/sessions", None),
    ] {
        assert_eq!(line["user_id"], user, "{line}");
    }
    assert!(find("POST /v1/sessions", Some("wechat_unavailable"))["user_id"].is_null());
}

/// WeChat reports what the user did, once with a signature that does not fit.
async fn pushes(app: &App, document: &Value) {
    let settings = PushSettings::of(document, "wx-test").unwrap();
    for (kind, status) in [(Kind::Accept, 200), (Kind::Cancel, 200), (Kind::Cancel, 403)] {
        let message = kind.message(Format::Json, "wx-test", "alice-in-the-logs", app.clock.now());
        let push = settings.push(&message, app.clock.now(), &app.functions.runtime);
        let path = if status == 200 { push.path() } else { push.path().replace("signature=", "signature=0") };
        assert_eq!(app.anonymous().send("POST", &path, &[], push.body.as_bytes()).await.status, status, "{kind:?}");
    }
}

/// Submits, approves every approval request, and brings the job to its end.
async fn approved(app: &mut App, client: &Client, id: &str, body: &Value) -> Value {
    assert_eq!(client.submit_body(id, body).await.status, 202);
    let began = Instant::now();
    loop {
        app.advance(Duration::from_millis(450)).await;
        while app.deliver().await {}
        let job = client.job(id).await;
        if job["next_poll_ms"].is_null() {
            return job;
        }
        if job["status"] == "awaiting_approval" {
            assert_eq!(app.approve(client, "alice-in-the-logs", id).await.status, 200);
        }
        assert!(began.elapsed() < WAIT_LIMIT, "it does not end: {job}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A turn whose progress is reported by webhook and that proposes a write, and a workflow that passes an agent's reply
/// on. Returns the texts of messages, calls and results, which no log line may contain.
async fn an_agent_is_talked_to(app: &mut App, alice: &Client) -> Vec<(&'static str, String)> {
    let [message, proposal, reply, handed_on] =
        ["message", "proposal", "reply", "handed-on"].map(|what| format!("{what}-that-may-not-be-logged"));
    // The webhook while a round is running: with a wrong token, with the right one, and the journal's own.
    let out = app.new_id();
    let said = json!({ "message": format!("{message} [[sleep:1]] [[say:{reply}]]") });
    assert_eq!(alice.submit_body(&out, &said).await.status, 202);
    app.deliver().await;
    let right = app.inspect().stored(alice, &out).await.wake_up().expect("a round is out");
    let wrong = JobWakeUp { secret: WakeUpToken::from_random([7; 16]), ..right.clone() };
    for (wake, status) in [(&wrong, 410), (&right, 204)] {
        let body = json!({ "ring": wake.text() }).to_string();
        let json = [("content-type", "application/json")];
        assert_eq!(app.anonymous().send("POST", "/v1/rings", &json, body.as_bytes()).await.status, status);
    }
    let job = app.finish_in_real_time(alice, &out, Duration::from_secs(30)).await;
    assert_eq!(job["result"]["reply"], reply.as_str(), "{job}");

    let script = format!("[[tool:ledger_append {{\"note\":\"{proposal}\"}}]] [[say:asked]] [[then]] [[say:{reply}]]");
    let id = app.new_id();
    let job = approved(app, alice, &id, &json!({ "message": format!("{message} {script}") })).await;
    assert_eq!((&job["status"], app.effects(&id)), (&json!("succeeded"), 1), "{job}");

    let from = json!({"$from": {"step": 0, "pointer": "/reply"}});
    let steps = json!({"steps": [
        {"message": format!("[[say:{handed_on}]]")},
        {"tool": "ledger_append", "arguments": {"note": from}},
        {"message": ["Say it again: ", from]},
        // A text where a number is wanted.
        {"tool": "ledger_pay", "arguments": {"amount": from, "note": "n"}},
    ]});
    let id = app.new_id();
    let job = approved(app, alice, &id, &steps).await;
    assert_eq!((&job["error"]["code"], app.effects(&id)), (&json!("derived_invalid"), 1), "{job}");
    vec![
        ("message", message),
        ("arguments of a proposal", proposal),
        ("reply", reply),
        ("value that was handed on", handed_on),
        ("session", format!(":miniprogram:{}", alice.user_id)),
        ("ring", String::from(right.secret)),
        ("wrong wake-up token", String::from(wrong.secret)),
    ]
}

/// One that WeChat refuses, one whose answer is lost, and one that it takes.
async fn notifications(app: &mut App, alice: &Client) {
    const TEMPLATE: &str = "hD-ixGOhYmUfjOnI8MCzQMPshzGVeux_2vzyvQu7O68";
    app.wechat().plan(PlannedCall::Send, PlannedAnswer::Errcode(47003));
    app.wechat().plan(PlannedCall::Send, PlannedAnswer::Lost);
    for state in ["not_sent", "unknown", "sent"] {
        app.wechat().accept("alice-in-the-logs", TEMPLATE);
        let headers = [("content-type", "application/json")];
        alice.send("POST", "/v1/notifications", &headers, br#"{"accepted":["job_update"]}"#).await;
        let id = app.new_id();
        let body = json!({"tool": "ledger_read", "arguments": {}, "notify": "job_update"});
        alice.submit_body(&id, &body).await;
        app.finish(alice, &id).await;
        assert_eq!(alice.job(&id).await["notification"]["status"], state);
    }
}

#[tokio::test]
async fn a_whole_flow_logs_no_token_openid_argument_or_result_and_only_known_fields() {
    let lines = Lines::default();
    let layer = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(true)
        .with_writer(lines.clone());
    let filter = tracing_subscriber::filter::LevelFilter::TRACE;
    // Everything, the libraries' own lines included.
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer.with_filter(filter))).unwrap();

    let mut app = App::with(Setup { webhook: true, ..Setup::default() }).await;
    let alice = app.login("alice-in-the-logs").await;
    let secret_argument = "argument-that-may-not-be-read";
    let id = app.new_id();
    let body = json!({"tool":"ledger_append","arguments":{"note":secret_argument}}).to_string();
    let traced = [("idempotency-key", id.as_str()), ("content-type", "application/json"), ("traceparent", TRACEPARENT)];
    alice.send("POST", "/v1/jobs", &traced, body.as_bytes()).await;
    alice.submit(&id, "ledger_append", json!({"note":secret_argument})).await;
    app.finish(&alice, &id).await;
    alice.send("GET", &format!("/v1/jobs/{id}"), &traced[2..], b"").await;
    app.run(&alice, "ledger_read", json!({})).await;
    app.run(&alice, "ledger_fail", json!({"kind":"throw"})).await;
    alice.submit(&app.new_id(), "ledger_append", json!({"note":7, "extra":secret_argument})).await;
    alice.submit(&app.new_id(), "exec", json!({"cmd":secret_argument})).await;
    app.log_in_with("dev-busy").await;
    app.log_in_with("dev-html").await;
    app.faults.plan(|operation, _| (operation == "BatchGetItem").then_some(integration_tests::Fault::LostBefore));
    alice.submit(&app.new_id(), "ledger_append", json!({"note":secret_argument})).await;
    // A table that refuses a write and quotes it, and a message that is none: neither is repeated in a line.
    app.faults.plan(|operation, _| (operation == "PutItem").then_some(integration_tests::Fault::Quoted));
    alice.submit(&app.new_id(), "ledger_append", json!({"note":secret_argument})).await;
    app.faults.none();
    app.put_on_queue(&format!(r#"{{"note":"{secret_argument}"}}"#)).await;
    app.deliver().await;
    let of_turns = an_agent_is_talked_to(&mut app, &alice).await;
    notifications(&mut app, &alice).await;
    // Name, texts and token of an operator are in no line, and neither are the displayed jobs.
    let zhang = app.operator("zhang-in-the-logs", &["approver"]);
    let dear = app.new_id();
    alice.submit(&dear, "ledger_pay", json!({"amount": 501, "note": secret_argument})).await;
    let question = zhang.get("/approvals").await.body["approvals"][0].clone();
    let path = format!("/jobs/{}/approval", question["job"].as_str().unwrap());
    let words = "words-that-may-not-be-logged";
    zhang.post(&path, json!({"decision": "approve", "digest": question["digest"], "note": words})).await;
    zhang.put("/controls/mode", json!({"mode": "closed", "reason": words})).await;
    integration_tests::OperatorClient(alice.clone()).get("/me").await;
    alice.get("/v1/jobs").await;
    alice.send("DELETE", "/v1/sessions", &[], b"").await;
    app.sweep().await;
    let document: Value = serde_json::from_slice(&std::fs::read(&app.secrets_file).unwrap()).unwrap();
    pushes(&app, &document).await;

    let openid = local::emulation::wechat_stub::openid("wx-test", "alice-in-the-logs");
    let access_token = app.inspect().table().access_token().await.unwrap().unwrap().token;
    let mut forbidden = vec![
        ("access token", access_token),
        ("argument or result", secret_argument.to_owned()),
        ("session token", alice.token.clone()),
        ("signature of the session", alice.token.rsplit('.').next().unwrap().to_owned()),
        ("openid", openid),
        ("login code", "dev-alice-in-the-logs".to_owned()),
        ("operator's token", zhang.0.token.clone()),
        ("operator's name", "zhang-in-the-logs".to_owned()),
        ("operator's words", words.to_owned()),
        ("gateway token", integration_tests::mini_gateway::TOKEN.to_owned()),
    ];
    forbidden.extend(of_turns);
    forbidden
        .push(("token of pushed messages", document["wechat"]["events"]["tokens"][0].as_str().unwrap().to_owned()));
    forbidden.push(("app secret", document["wechat"]["app_secrets"][0].as_str().unwrap().to_owned()));
    forbidden.push(("login key", document["logins"][0].as_str().unwrap().to_owned()));
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let ours = ["edge_auth", "worker", "status", "sweep", "operator", "domain", "platform", "store", "service"];
    let mut own = Vec::new();
    for line in text.lines() {
        let fields: Value = serde_json::from_str(line).unwrap();
        let target = fields["target"].as_str().unwrap_or_default();
        let level = fields["level"].as_str().unwrap_or_default();
        // Libraries may say more at debug and trace, which no deployment turns on; ours may not at any level.
        let is_ours = ours.iter().any(|name| target.starts_with(name));
        if !is_ours && ["DEBUG", "TRACE"].contains(&level) {
            continue;
        }
        for (what, value) in &forbidden {
            assert!(!line.contains(value.as_str()), "{what} in: {line}");
        }
        if is_ours {
            own.push(fields.clone());
            assert!(fields["function"].is_string(), "no function in: {line}");
            for field in fields.as_object().unwrap().keys() {
                let known = platform::telemetry::FIELDS.contains(&field.as_str());
                assert!(
                    known || ["timestamp", "level", "target"].contains(&field.as_str()),
                    "field {field} in: {line}"
                );
            }
        }
    }
    assert!(own.len() >= 10, "the flow was logged: {} lines", own.len());
    one_trace_goes_through(&own);
    a_job_that_ends_leaves_a_line_with_its_state(&own, &id);
    a_line_about_a_request_says_whose_it_was(&own, &alice.user_id, body.len());
    // Metrics documents must contain even less than log lines: no id.
    forbidden.extend([("user id", alice.user_id.clone()), ("request id", id.clone())]);
    let documents = app.metrics.documents();
    assert!(documents.len() >= 20, "the flow was measured: {} lines", documents.len());
    for document in documents.iter().map(Value::to_string) {
        for (what, value) in &forbidden {
            assert!(!document.contains(value.as_str()), "{what} in: {document}");
        }
    }
}
