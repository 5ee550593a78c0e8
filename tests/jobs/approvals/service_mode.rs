//! Changes of the service mode during a job: the job is explained or refused, and never runs in part.

use std::time::Duration;

use domain::access::service_mode::Mode;
use integration_tests::{App, Fault, Setup, events};
use serde_json::json;
use service::controls::MAX_AGE;

use super::{COFFEES, pay, payment, payments, refusals};

async fn seen_by_all(app: &mut App) {
    app.advance(MAX_AGE + Duration::from_millis(1)).await;
}

#[tokio::test]
async fn explain_only_answers_what_a_submission_would_do_and_sends_no_message() {
    let (mut app, alice) = App::start_with("alice").await;
    app.mode(Mode::ExplainOnly).await;
    seen_by_all(&mut app).await;
    for (tool, arguments, decision, summary) in [
        ("ledger_pay", payment(COFFEES), "run_if_user_approves", "Pay 120: \"two coffees\""),
        ("ledger_append", json!({"note": "n"}), "run", "Append a note"),
        ("ledger_read", json!({"limit": 1}), "run", "Read the notes"),
        ("ledger_delete", json!({}), "run_if_operator_approves", "Delete every note of the ledger"),
    ] {
        let id = app.new_id();
        let reply = alice.submit(&id, tool, arguments.clone()).await;
        assert_eq!((reply.status.as_u16(), &reply.body["status"]), (202, &json!("explained")), "{}", reply.body);
        assert!(!app.deliver().await, "no wake-up message was sent");
        let job = alice.job(&id).await;
        let told = &job["result"];
        assert_eq!(
            (&told["decision"], &told["summary"], &told["arguments"], &told["why"]),
            (&json!(decision), &json!(summary), &arguments, &json!("mode_explain_only"))
        );
        assert_eq!((&job["error"]["code"], &job["effect"]), (&json!("mode_explain_only"), &json!("not_run")), "{job}");
        assert_eq!((job.get("approval"), job.get("next_poll_ms")), (None, None));
        let again = alice.submit(&id, tool, arguments).await;
        assert_eq!((again.status.as_u16(), &again.body["result"]), (200, told));
        let chain = alice.records(&id).await;
        assert_eq!(events(&chain), ["accepted", "explained"]);
        assert_eq!((&chain[0]["decision"], &chain[1]["code"]), (&json!("explain"), &json!("mode_explain_only")));
        assert_eq!(app.effects(&id), 0);
        assert_eq!(alice.cancel(&id).await.verdict(), (409, "job_over"));
    }
    // What policy refuses is not explained.
    assert_eq!(alice.submit(&app.new_id(), "ledger_pay", payment(10_001)).await.verdict(), (403, "policy_denied"));
}

#[tokio::test]
async fn a_large_explanation_is_kept_apart() {
    let (mut app, alice) = App::start_with("alice").await;
    app.mode(Mode::ExplainOnly).await;
    seen_by_all(&mut app).await;
    let id = app.new_id();
    let note = "x".repeat(1500);
    let reply = alice.submit(&id, "ledger_append", json!({ "note": note })).await;
    assert_eq!((reply.status.as_u16(), &reply.body["result"]["arguments"]["note"]), (202, &json!(note)));
    assert_eq!(alice.job(&id).await["result"], reply.body["result"]);
}

#[tokio::test]
async fn the_service_mode_is_decided_again_at_the_claim() {
    let mut app = App::start().await;
    for (mode, tool, status, code) in [
        (Mode::ExplainOnly, false, "explained", "mode_explain_only"),
        (Mode::ReadOnly, false, "refused", "mode_read_only"),
        (Mode::Closed, false, "refused", "mode_closed"),
        (Mode::Closed, true, "refused", "tool_closed"),
        (Mode::ReadOnly, true, "refused", "mode_read_only"),
    ] {
        app.mode(Mode::Full).await;
        app.switch_tool("ledger_pay", Mode::Full).await;
        seen_by_all(&mut app).await;
        let alice = app.login("alice").await;
        let id = pay(&app, &alice, COFFEES).await;
        // The call is approved; then an operator lowers the mode.
        assert_eq!(app.approve(&alice, "alice", &id).await.status, 200);
        if tool {
            app.switch_tool("ledger_pay", mode).await;
        } else {
            app.mode(mode).await;
        }
        seen_by_all(&mut app).await;
        while app.deliver().await {}
        let job = alice.job(&id).await;
        assert_eq!((job["status"].as_str(), job["error"]["code"].as_str()), (Some(status), Some(code)), "{job}");
        assert_eq!((&job["effect"], payments(&app, &id).len()), (&json!("not_run"), 0));
        let last = alice.records(&id).await.pop().unwrap();
        if status == "explained" {
            assert_eq!(
                (&last["event"], &job["result"]["summary"]),
                (&json!("explained"), &json!("Pay 120: \"two coffees\""))
            );
        } else {
            assert_eq!(
                (&last["event"], &last["code"], &last["status"]),
                (&json!("ended"), &json!(code), &json!("refused"))
            );
        }
    }
}

#[tokio::test]
async fn a_refusal_by_service_mode_is_charged_and_recorded() {
    let edge = |edge: &mut platform::config::EdgeAuthConfig| {
        edge.limits.submissions = domain::limits::Rate::new(Duration::from_secs(600), 4);
    };
    let mut app = App::with(Setup { edge, ..Setup::default() }).await;
    let alice = app.login("alice").await;
    app.mode(Mode::ReadOnly).await;
    seen_by_all(&mut app).await;
    let mut verdicts = Vec::new();
    for _ in 0..6 {
        let reply = alice.submit(&app.new_id(), "ledger_append", json!({"note":"n"})).await;
        verdicts.push(reply.code().to_owned());
    }
    assert_eq!(verdicts, [vec!["mode_read_only"; 4], vec!["rate_limited"; 2]].concat());
    assert_eq!(refusals(&app, &alice).await, ["mode_read_only"; 4]);
    app.advance(Duration::from_secs(3000)).await;
    seen_by_all(&mut app).await;
    assert_eq!(app.run(&alice, "ledger_read", json!({})).await["status"], "succeeded", "reads go on");
}

#[tokio::test]
async fn the_tool_list_says_who_must_approve_each_tool() {
    let (mut app, alice) = App::start_with("alice").await;
    let listed = async || {
        let tools = alice.get("/v1/tools").await.body["tools"].as_array().unwrap().clone();
        let pair = |tool: &serde_json::Value| {
            format!("{}:{}", tool["name"].as_str().unwrap(), tool["approval"].as_str().unwrap())
        };
        tools.iter().map(pair).collect::<Vec<_>>()
    };
    let full = listed().await;
    assert!(full.contains(&"ledger_pay:user".to_owned()) && full.contains(&"ledger_read:none".to_owned()), "{full:?}");
    assert!(!full.iter().any(|tool| tool.starts_with("ledger_delete")), "{full:?}");
    app.switch_tool("ledger_pay", Mode::Closed).await;
    seen_by_all(&mut app).await;
    assert!(!listed().await.iter().any(|tool| tool.starts_with("ledger_pay")));
    app.mode(Mode::ReadOnly).await;
    seen_by_all(&mut app).await;
    assert_eq!(listed().await, ["ledger_read:none"]);
}

#[tokio::test]
async fn while_the_mode_cannot_be_read_nothing_is_sent_and_nothing_ends() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = pay(&app, &alice, COFFEES).await;
    assert_eq!(app.approve(&alice, "alice", &id).await.status, 200);
    app.new_worker(None);
    app.faults.plan_items(|operation, key| (operation == "Query" && key == "LADDER#").then_some(Fault::Quoted));
    app.deliver().await;
    assert_eq!((&alice.job(&id).await["status"], payments(&app, &id).len()), (&json!("retrying"), 0));
    app.faults.none();
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], payments(&app, &id).len()), (&json!("succeeded"), 1), "{job}");
}
