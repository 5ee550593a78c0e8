//! Invariant 12, *silent logs*: one whole flow, every line of it. A process of its own, because a subscriber that sees every
//! line is one for the whole process.
#![allow(missing_docs, clippy::unwrap_used, reason = "in a test an unwrap is a failure")]

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use integration_tests::App;
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

    let mut app = App::start().await;
    let alice = app.login("alice-in-the-logs").await;
    let secret_argument = "argument-that-nobody-may-read";
    let id = app.new_id();
    alice.submit(&id, "ledger_append", json!({"note":secret_argument})).await;
    alice.submit(&id, "ledger_append", json!({"note":secret_argument})).await;
    app.finish(&alice, &id).await;
    app.run(&alice, "ledger_read", json!({})).await;
    app.run(&alice, "ledger_fail", json!({"kind":"throw"})).await;
    alice.submit(&app.new_id(), "ledger_append", json!({"note":7, "extra":secret_argument})).await;
    alice.submit(&app.new_id(), "exec", json!({"cmd":secret_argument})).await;
    app.log_in_with("dev-busy").await;
    app.log_in_with("dev-html").await;
    app.faults.plan(|operation, _| (operation == "GetItem").then_some(integration_tests::Fault::LostBefore));
    alice.submit(&app.new_id(), "ledger_append", json!({"note":secret_argument})).await;
    // A table that refuses a write and quotes it, and a message that is none: neither is repeated in a line.
    app.faults.plan(|operation, _| (operation == "PutItem").then_some(integration_tests::Fault::Quoted));
    alice.submit(&app.new_id(), "ledger_append", json!({"note":secret_argument})).await;
    app.faults.none();
    app.put_on_queue(&format!(r#"{{"note":"{secret_argument}"}}"#)).await;
    app.deliver().await;
    alice.get("/v1/jobs").await;
    alice.send("DELETE", "/v1/sessions", &[], b"").await;
    app.sweep().await;

    let openid = local::wechat_stub::openid("wx-test", "alice-in-the-logs");
    let document: Value = serde_json::from_slice(&std::fs::read(&app.secrets_file).unwrap()).unwrap();
    let mut forbidden = vec![
        ("argument or result", secret_argument.to_owned()),
        ("session token", alice.token.clone()),
        ("signature of the session", alice.token.rsplit('.').next().unwrap().to_owned()),
        ("openid", openid),
        ("login code", "dev-alice-in-the-logs".to_owned()),
        ("gateway token", integration_tests::mini_gateway::TOKEN.to_owned()),
    ];
    forbidden.push(("app secret", document["wechat"]["app_secrets"][0].as_str().unwrap().to_owned()));
    forbidden.push(("login key", document["logins"][0].as_str().unwrap().to_owned()));
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let ours = ["edge_auth", "worker", "status", "sweep", "shared"];
    let mut own = 0;
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
            own += 1;
            for field in fields.as_object().unwrap().keys() {
                let known = shared::telemetry::FIELDS.contains(&field.as_str());
                assert!(
                    known || ["timestamp", "level", "target"].contains(&field.as_str()),
                    "field {field} in: {line}"
                );
            }
        }
    }
    assert!(own >= 10, "the flow was logged: {own} lines");
    app.stop().await;
}
