//! Turns and workflows, on the real gateway.

use domain::access::service_mode::Mode;
use integration_tests::{Setup, mini_gateway};
use serde_json::{Value, json};

use crate::{
    ledger_reconciliation,
    real::{finish, with_gateway},
    talk::{asks, calls_of, chain, delete, over, proposals, records, reply, run, say, say_in, until, verdicts},
};

#[test]
fn an_agent_answers_and_what_it_reads_by_itself_is_recorded() {
    with_gateway(async |real| {
        let mut app = real.app(Setup::default()).await;
        let alice = app.login("alice").await;
        let (job, _) = run(&mut app, &alice, say("[[say:good morning]]")).await;
        assert_eq!((&job["status"], reply(&job)), (&json!("succeeded"), "good morning"), "{job}");
        let (job, id) = run(&mut app, &alice, say("[[tool:ledger_read {\"limit\":1}]] [[say:read it]]")).await;
        assert_eq!((&job["status"], reply(&job)), (&json!("succeeded"), "read it"), "{job}");
        let chain = chain(&alice, &id).await;
        assert_eq!(calls_of(&chain), [("ledger_read".to_owned(), "allowed".to_owned())], "{chain}");
        assert_eq!(records(&chain, "intended").len(), 0, "a turn writes nothing: {chain}");
        ledger_reconciliation::close("turns", app).await;
    });
}

#[test]
fn a_conversation_is_remembered_in_order_until_its_user_deletes_it() {
    with_gateway(async |real| {
        let mut app = real.app(Setup::default()).await;
        let alice = app.login("alice").await;
        let first = app.submit_body(&alice, &say_in("trip", "we go to Dali [[pause:1]] [[say:noted]]")).await;
        let second = app.submit_body(&alice, &say_in("trip", "[[remember]]")).await;
        // The second job is woken first, and waits nevertheless.
        app.wake(&alice, &second).await;
        let job = over(&mut app, &alice, &second).await;
        assert!(reply(&job).starts_with("1 before: we go to Dali"), "{job}");
        let before = alice.job(&first).await;
        assert_eq!((&before["status"], reply(&before)), (&json!("succeeded"), "noted"), "{before}");
        let listed = alice.get("/v1/conversations").await;
        assert_eq!(listed.status, 200, "{}", listed.body);
        let listed = &listed.body["conversations"];
        assert_eq!((&listed[0]["conversation"], &listed[0]["agent"]), (&json!("trip"), &json!("main")), "{listed}");

        let job = delete(&mut app, &alice, "trip").await;
        assert_eq!(job["status"], "succeeded", "{job}");
        assert_eq!(alice.send("DELETE", "/v1/conversations/trip", &[], b"").await.status, 404);
        let (job, _) = run(&mut app, &alice, say_in("trip", "[[remember]]")).await;
        assert_eq!(reply(&job), "0 before: none", "{job}");
        ledger_reconciliation::close("turns", app).await;
    });
}

#[test]
fn what_an_agent_does_is_seen_while_it_does_it() {
    with_gateway(async |real| {
        let mut app = real.app(Setup::default()).await;
        let alice = app.login("alice").await;
        let message =
            "[[tool:ledger_read {\"limit\":1}]] [[pause:6]] [[say:a reply that comes in pieces]] [[stream:8]]";
        let id = app.submit_body(&alice, &say(message)).await;
        let has_read = |job: &Value| {
            let progress = job["steps"][0]["progress"].as_array().cloned().unwrap_or_default();
            progress.iter().any(|line| line["tool"] == "ledger_read" && line["state"] == "done")
        };
        let job = until(&mut app, &alice, &id, has_read).await;
        assert_eq!(job["status"], "running", "{job}");
        assert!(!job["steps"].to_string().contains("limit"), "arguments are not shown: {job}");
        let job = until(&mut app, &alice, &id, |job| job["steps"][0]["partial"].is_string()).await;
        assert!("a reply that comes in pieces".starts_with(job["steps"][0]["partial"].as_str().unwrap()), "{job}");
        let job = over(&mut app, &alice, &id).await;
        assert_eq!(reply(&job), "a reply that comes in pieces", "{job}");
        ledger_reconciliation::close("turns", app).await;
    });
}

#[test]
fn what_a_model_or_its_provider_does_wrong_ends_in_a_clear_state() {
    with_gateway(async |real| {
        let mut app = real.app(Setup::default()).await;
        let alice = app.login("alice").await;
        // The gateway asks a provider that fails for a minute before it gives up: meanwhile the others run.
        let failing = app.submit_body(&alice, &say("[[status:500]]")).await;
        for (message, code) in [("[[refuse]]", "model_refused"), ("[[empty]]", "reply_empty")] {
            let (job, _) = run(&mut app, &alice, say(message)).await;
            assert_eq!((&job["status"], &job["error"]["code"]), (&json!("failed"), &json!(code)), "{job}");
        }
        let (job, _) = run(&mut app, &alice, say("[[long:80]]")).await;
        assert_eq!((&job["status"], &job["result"]["truncated"]), (&json!("succeeded"), &json!(true)), "{job}");
        assert!((60_000..=61_440).contains(&reply(&job).len()), "{}", reply(&job).len());
        let job = finish(&mut app, &alice, &failing).await;
        assert_eq!((&job["status"], &job["error"]["code"]), (&json!("failed"), &json!("model_failed")), "{job}");
        ledger_reconciliation::close("turns", app).await;
    });
}

#[test]
fn three_calls_of_a_turn_one_of_them_a_write_leave_this_chain() {
    with_gateway(async |real| {
        let mut app = real.app(Setup::default()).await;
        let alice = app.login("alice").await;
        let message = "Pay for the coffee. [[tool:ledger_read {\"limit\":2}]] \
                       [[tool:ledger_pay {\"amount\":120,\"note\":\"two coffees\"}]] [[say:I have asked for the payment]] \
                       [[then]] [[tool:ledger_read {\"limit\":1}]] [[say:paid]]";
        let id = app.submit_body(&alice, &say(message)).await;
        let job = until(&mut app, &alice, &id, asks).await;
        assert_eq!(real.effects(&id), 0, "nothing was written yet: {job}");
        assert_eq!((&job["approval"]["title"], &job["approval"]["proposed"]), (&json!("Pay"), &json!(true)), "{job}");
        assert_eq!(app.approve(&alice, "alice", &id).await.status, 200);
        let job = over(&mut app, &alice, &id).await;
        assert_eq!((&job["status"], reply(&job), real.effects(&id)), (&json!("succeeded"), "paid", 1), "{job}");
        assert_eq!(verdicts(&job), [("ledger_pay".into(), "succeeded".into(), String::new())]);

        let chain = chain(&alice, &id).await;
        let events: Vec<&str> =
            chain["records"].as_array().unwrap().iter().filter_map(|record| record["event"].as_str()).collect();
        let expected = [
            "accepted",
            "turn_sent",
            "round_ended",
            "approval_asked",
            "approval_decided",
            "intended",
            "ended",
            "turn_sent",
            "round_ended",
        ];
        assert_eq!(events, expected, "{chain}");
        let calls = calls_of(&chain);
        let calls: Vec<(&str, &str)> = calls.iter().map(|(tool, said)| (tool.as_str(), said.as_str())).collect();
        assert_eq!(calls, [("ledger_read", "allowed"), ("ledger_pay", "proposed"), ("ledger_read", "allowed")]);
        let kept = mini_gateway::checkout().join(".local/tmp/audit-chain-of-a-turn.json");
        let text = serde_json::to_string_pretty(&chain).unwrap();
        std::fs::write(&kept, &text).expect("the checkout is writable");
        println!("CHAIN OF A TURN\n{text}");
        ledger_reconciliation::close("turns", app).await;
    });
}

#[test]
fn while_the_service_only_explains_a_turn_has_no_tool_at_all() {
    with_gateway(async |real| {
        let mut app = real.app(Setup { mode: Some(Mode::ExplainOnly), ..Setup::default() }).await;
        let alice = app.login("alice").await;
        let lines = real.lines();
        let message =
            "explain-only-turn [[tool:ledger_read {}]] [[tool:ledger_append {\"note\":\"n\"}]] [[say:no tool]]";
        let (job, id) = run(&mut app, &alice, say(message)).await;
        assert_eq!((&job["status"], reply(&job)), (&json!("succeeded"), "no tool"), "{job}");
        let chain = chain(&alice, &id).await;
        assert!(calls_of(&chain).iter().all(|(_, decision)| decision == "vetoed"), "{chain}");
        assert_eq!((proposals(&job), real.lines()), (vec![], lines), "{job}");
        let asked = real.asked_about("explain-only-turn").await;
        assert!(asked.iter().all(|asked| asked["tools"] == json!([])), "no tool is offered: {asked:?}");
        ledger_reconciliation::close("turns", app).await;
    });
}

#[test]
fn a_workflow_takes_results_on_and_asks_before_it_writes_with_them() {
    with_gateway(async |real| {
        let mut app = real.app(Setup::default()).await;
        let alice = app.login("alice").await;
        let steps = json!({"steps": [
            {"message": "[[say:from the agent]]"},
            {"tool": "ledger_append", "arguments": {"note": {"$from": {"step": 0, "pointer": "/reply"}}}},
            {"message": ["You wrote: ", {"$from": {"step": 1, "pointer": "/details/written"}}, " [[say:done]]"]},
        ]});
        let id = app.submit_body(&alice, &steps).await;
        let job = until(&mut app, &alice, &id, asks).await;
        assert!(job["approval"].to_string().contains("from the agent"), "what it would write is shown: {job}");
        assert_eq!(real.effects(&id), 0);
        assert_eq!(app.approve(&alice, "alice", &id).await.status, 200);
        let job = over(&mut app, &alice, &id).await;
        assert_eq!((&job["status"], reply(&job), real.effects(&id)), (&json!("succeeded"), "done", 1), "{job}");
        ledger_reconciliation::close("turns", app).await;
    });
}
