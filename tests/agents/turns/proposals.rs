//! Proposals of agents: decided like any call, with an approval where policy requires one, run as a step of
//! their own.

use std::time::Duration;

use domain::access::service_mode::Mode;
use integration_tests::{App, Contract, Fault, events};
use serde_json::{Value, json};

use super::{outcomes, reply, roomy, say, settle, verdict};

const PAY: &str = "[[tool:ledger_pay {\"amount\":120,\"note\":\"tea\"}]]";

#[tokio::test]
async fn a_proposal_is_approved_run_once_by_the_service_and_its_result_given_to_the_agent() {
    let (mut app, alice) = App::start_with("alice").await;
    let text =
        format!("[[tool:ledger_read {{\"limit\":1}}]]{PAY}[[then]][[tool:ledger_read {{\"limit\":2}}]][[say:paid]]");
    let id = say(&app, &alice, &text).await;
    let job = settle(&mut app, &alice, &id).await;
    assert_eq!((&job["status"], app.effects(&id)), (&json!("awaiting_approval"), 0), "{job}");
    assert_eq!(job["approval"]["arguments"], json!({"amount": 120, "note": "tea"}));
    assert_eq!(app.approve(&alice, "alice", &id).await.status, 200);
    let job = settle(&mut app, &alice, &id).await;
    assert_eq!((verdict(&job), reply(&job), app.effects(&id)), (("succeeded", ""), "paid", 1), "{job}");
    let kinds: Vec<&Value> = job["steps"].as_array().unwrap().iter().map(|step| &step["kind"]).collect();
    assert_eq!(kinds, ["turn", "call", "turn"]);
    assert_eq!(job["steps"][1]["proposed"], true);
    let records = alice.records(&id).await;
    assert_eq!(
        events(&records),
        [
            "accepted",
            "turn_sent",
            "round_ended",
            "approval_asked",
            "approval_decided",
            "intended",
            "ended",
            "turn_sent",
            "round_ended"
        ]
    );
    println!("AUDIT of a turn with three calls, one proposed:\n{}", serde_json::to_string_pretty(&records).unwrap());
}

#[tokio::test]
async fn a_rejection_is_given_to_the_agent_which_answers_its_user() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = say(&app, &alice, PAY).await;
    settle(&mut app, &alice, &id).await;
    let rejected = alice.reject(&id).await;
    Contract::of_the_checkout().check("POST", "/v1/jobs/{request_id}/approval", &rejected);
    assert_eq!((rejected.status.as_u16(), &rejected.body["status"]), (200, &json!("queued")), "{}", rejected.body);
    let job = settle(&mut app, &alice, &id).await;
    assert_eq!((verdict(&job), app.effects(&id)), (("succeeded", ""), 0), "{job}");
    assert_eq!(job["steps"][1]["error"]["code"], "approval_rejected", "{job}");
    assert!(reply(&job).contains("not run (approval_rejected)"), "{job}");
    assert_eq!(outcomes(&job), ["succeeded", "refused", "succeeded"]);
}

#[tokio::test]
async fn an_undecided_proposal_ends_the_job_unrun() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = say(&app, &alice, PAY).await;
    settle(&mut app, &alice, &id).await;
    let job = app.finish(&alice, &id).await;
    assert_eq!((verdict(&job), app.effects(&id)), (("expired", "approval_expired"), 0), "{job}");
}

#[tokio::test]
async fn a_forbidden_proposal_is_refused_without_an_approval_request() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    for (call, code) in [
        ("exec {\"command\":\"curl http://127.0.0.1:18789\"}", "tool_unknown"),
        ("ledger_pay {\"amount\":\"a lot\",\"note\":\"tea\"}", "arguments_invalid"),
        ("ledger_pay {\"amount\":5,\"note\":\"tea\",\"to\":\"me\"}", "arguments_invalid"),
        ("ledger_delete {}", "tool_not_opened"),
    ] {
        let id = say(&app, &alice, &format!("[[tool:{call}]]")).await;
        let job = settle(&mut app, &alice, &id).await;
        assert_eq!((verdict(&job), app.effects(&id)), (("succeeded", ""), 0), "{call}: {job}");
        assert!(reply(&job).contains(&format!("not run ({code})")), "{call}: {job}");
        assert_eq!(job["steps"][1]["error"]["code"], code);
        let records = alice.records(&id).await;
        assert_eq!(events(&records), ["accepted", "turn_sent", "round_ended", "turn_sent", "round_ended"], "{call}");
        assert_eq!(records[2]["proposals"][0]["decision"], code);
    }
}

#[tokio::test]
async fn two_proposals_are_two_approval_requests_and_the_same_one_twice_is_one() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let other = "[[tool:ledger_pay {\"amount\":121,\"note\":\"tea\"}]]";
    let id = say(&app, &alice, &format!("{PAY}{PAY}{other}[[then]][[say:both]]")).await;
    let mut asked = Vec::new();
    for amount in [120, 121] {
        let job = settle(&mut app, &alice, &id).await;
        assert_eq!(job["approval"]["arguments"]["amount"], amount, "{job}");
        assert_eq!(app.effects(&id), asked.len(), "one approval runs one call");
        asked.push(alice.digest(&id).await);
        assert_eq!(app.approve(&alice, "alice", &id).await.status, 200);
    }
    let job = settle(&mut app, &alice, &id).await;
    assert_eq!((verdict(&job), reply(&job), app.effects(&id)), (("succeeded", ""), "both", 2), "{job}");
}

#[tokio::test]
async fn an_approval_in_one_turn_does_not_hold_in_the_next_turn_or_round() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let body = json!({"message": format!("{PAY}[[then]]{PAY}[[then]][[say:done]]"), "conversation": "trip"});
    let id = app.submit_body(&alice, &body).await;
    settle(&mut app, &alice, &id).await;
    let first = alice.digest(&id).await;
    app.approve(&alice, "alice", &id).await;
    let job = settle(&mut app, &alice, &id).await;
    assert_eq!(
        (&job["status"], app.effects(&id)),
        (&json!("awaiting_approval"), 1),
        "the same call again asks again: {job}"
    );
    assert_ne!(alice.digest(&id).await, first);
    alice.reject(&id).await;
    assert_eq!(verdict(&settle(&mut app, &alice, &id).await).0, "succeeded");
    let second = app.submit_body(&alice, &body).await;
    let job = settle(&mut app, &alice, &second).await;
    assert_eq!((&job["status"], app.effects(&second)), (&json!("awaiting_approval"), 0), "{job}");
}

#[tokio::test]
async fn rounds_and_proposals_are_capped() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let for_ever = "[[tool:exec {}]]".to_owned() + &"[[then]][[tool:exec {}]]".repeat(9);
    let many: String = (0..5).map(|n| format!("[[tool:exec {{\"n\":{n}}}]]")).collect();
    for (text, turns) in [(for_ever, 5), (many, 1)] {
        let before = app.gateway().counts().await["/miniprogram/v1/turns"].as_u64().unwrap_or(0);
        let id = say(&app, &alice, &text).await;
        let job = settle(&mut app, &alice, &id).await;
        assert_eq!((verdict(&job), app.effects(&id)), (("failed", "rounds_exhausted"), 0), "{job}");
        let sent = app.gateway().counts().await["/miniprogram/v1/turns"].as_u64().unwrap_or(0) - before;
        assert_eq!(sent, turns, "{text}");
    }
}

#[tokio::test]
async fn a_mode_that_was_lowered_after_the_approval_stops_the_call_and_not_the_turn() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    for (mode, code) in [(Mode::ReadOnly, "mode_read_only"), (Mode::ExplainOnly, "mode_explain_only")] {
        app.mode(Mode::Full).await;
        app.advance(Duration::from_secs(60)).await;
        let id = say(&app, &alice, PAY).await;
        settle(&mut app, &alice, &id).await;
        assert_eq!(app.approve(&alice, "alice", &id).await.status, 200);
        app.mode(mode).await;
        app.new_worker(None);
        let job = settle(&mut app, &alice, &id).await;
        assert_eq!((verdict(&job), app.effects(&id)), (("succeeded", ""), 0), "{job}");
        assert_eq!(job["steps"][1]["error"]["code"], code, "{job}");
        assert!(reply(&job).contains(code), "{job}");
    }
}

#[tokio::test]
async fn a_proposed_call_that_fails_is_reported_to_the_agent() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = say(&app, &alice, "[[tool:ledger_fail {\"kind\":\"result\"}]]").await;
    let job = settle(&mut app, &alice, &id).await;
    assert_eq!(job["status"], "awaiting_approval", "a derived write asks, whatever the policies say: {job}");
    app.approve(&alice, "alice", &id).await;
    let job = settle(&mut app, &alice, &id).await;
    assert_eq!(outcomes(&job), ["succeeded", "failed", "succeeded"], "{job}");
    assert!(reply(&job).contains("it ran and failed (tool_failed)"), "{job}");
}

#[tokio::test]
async fn a_worker_that_dies_anywhere_leaves_a_proposal_one_effect() {
    let mut app = App::with(roomy()).await;
    for place in (1..34).step_by(5) {
        let alice = app.login("alice").await;
        let id = say(&app, &alice, &format!("{PAY}[[then]][[say:paid]]")).await;
        app.faults.plan(move |_, n| (n == place).then_some(Fault::KilledAfter));
        app.deliver().await;
        app.faults.none();
        let job = settle(&mut app, &alice, &id).await;
        assert_eq!((&job["status"], app.effects(&id)), (&json!("awaiting_approval"), 0), "{place}: {job}");
        let alice = app.login("alice").await;
        app.approve(&alice, "alice", &id).await;
        app.faults.plan(move |_, n| (n == place).then_some(Fault::KilledBefore));
        while app.deliver().await {}
        app.faults.none();
        let job = settle(&mut app, &alice, &id).await;
        assert_eq!((verdict(&job), app.effects(&id)), (("succeeded", ""), 1), "{place}: {job}");
    }
}
