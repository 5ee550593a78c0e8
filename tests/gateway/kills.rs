//! The gateway is killed under turns and workflows: in the model's call, in a tool, between tool and reply, in a write
//! that was approved, between the steps of a workflow, while it resumes, and with its journal lost. One story, so that
//! it takes three restarts and no more.

use std::path::PathBuf;

use integration_tests::{App, Client};
use serde_json::{Value, json};

use crate::{
    agents::{to, with_agents},
    gaps::{all_done, to_gap, twenty_steps},
    ledger_reconciliation,
    real::{CLERK, Real, finish, with_gateway},
    talk::{asks, chain, proposals, records, reply, run, say, say_in, until},
};

fn uses(job: &Value, tool: &str, state: &str) -> bool {
    let progress = job["steps"][0]["progress"].as_array().cloned().unwrap_or_default();
    progress.iter().any(|line| line["tool"] == tool && line["state"] == state)
}

/// Reads of the ledger do not return while this file is there.
fn hold(real: &mut Real) -> PathBuf {
    let mut file = real.gateway().ledger().to_owned().into_os_string();
    file.push(".hold");
    std::fs::write(&file, "").expect("it is writable");
    file.into()
}

async fn kill(real: &mut Real) {
    real.gateway().kill().await.expect("it was running");
}

/// Every job that was open, and what it was doing.
struct Open {
    in_the_call: String,
    in_the_tool: String,
    before_the_reply: String,
    in_the_write: String,
    workflow: String,
}

/// Brings turns to each of the points at which the gateway is to die.
async fn open(real: &mut Real, app: &mut App, [alice, bob, carol]: [&Client; 3]) -> Open {
    let write = "[[tool:ledger_sleep {\"ms\":600000}]] [[say:asked]] [[then]] [[say:after the write]]";
    let in_the_write = app.submit_body(bob, &say(write)).await;
    until(app, bob, &in_the_write, asks).await;
    assert_eq!(app.approve(bob, "bob", &in_the_write).await.status, 200);
    real.begin(app, &in_the_write).await;
    let message = "before-reply [[tool:ledger_read {\"limit\":1}]] [[pause:20]] [[say:survived it]]";
    let before_the_reply = app.submit_body(alice, &say_in("reply", message)).await;
    until(app, alice, &before_the_reply, |job| uses(job, "ledger_read", "done")).await;
    let in_the_call = say_in("call", "in-call [[sleep:20]] [[say:survived it]]");
    let in_the_call = app.submit_body(alice, &to(CLERK, in_the_call)).await;
    real.deliver_until_model_has(app, "in-call").await;
    let held = hold(real);
    let message = "in-tool [[tool:ledger_read {\"limit\":1}]] [[say:survived it]]";
    let in_the_tool = app.submit_body(alice, &say_in("tool", message)).await;
    until(app, alice, &in_the_tool, |job| uses(job, "ledger_read", "running")).await;
    let workflow = app.submit_body(carol, &twenty_steps()).await;
    to_gap(app, carol, &workflow, 3).await;
    kill(real).await;
    std::fs::remove_file(held).expect("it was there");
    Open { in_the_call, in_the_tool, before_the_reply, in_the_write, workflow }
}

/// Asserts that an interrupted turn ended with its reply or as lost.
fn ended(job: &Value) -> &'static str {
    match (job["status"].as_str(), job["error"]["code"].as_str()) {
        (Some("succeeded"), None) if reply(job) == "survived it" => "resumed",
        (Some("failed"), Some("turn_lost")) => "lost",
        _ => panic!("neither resumed nor lost: {job}"),
    }
}

#[test]
fn whatever_a_kill_cuts_off_is_resumed_lost_or_unknown_and_nothing_is_done_twice() {
    with_gateway(async |real| {
        let mut app = with_agents(real).await;
        let (alice, bob, carol) = (app.login("alice").await, app.login("bob").await, app.login("carol").await);
        let open = open(real, &mut app, [&alice, &bob, &carol]).await;
        // While the gateway is down, no job ends and none is lost.
        while app.deliver().await {}
        assert_eq!(alice.job(&open.in_the_call).await["status"], "running");
        real.ensure(true).await;

        // Another kill while the gateway resumes.
        real.model_has("in-call", 1).await;
        to_gap(&mut app, &carol, &open.workflow, 9).await;
        kill(real).await;
        real.ensure(true).await;
        let job = finish(&mut app, &bob, &open.in_the_write).await;
        assert_eq!((&job["status"], real.effects(&open.in_the_write)), (&json!("unknown"), 1), "{job}");
        assert_eq!(records(&chain(&bob, &open.in_the_write).await, "turn_sent").len(), 1, "no round follows: {job}");
        for (id, place, conversation, agent) in [
            (&open.in_the_tool, "in the tool, then while resuming", "tool", "main"),
            (&open.before_the_reply, "between tool and reply, then while resuming", "reply", "main"),
            (&open.in_the_call, "in the model's call, then while resuming it", "call", CLERK),
        ] {
            let job = finish(&mut app, &alice, id).await;
            let ended = ended(&job);
            assert_eq!(records(&chain(&alice, id).await, "turn_sent").len(), 1, "{job}");
            let (job, _) = run(&mut app, &alice, to(agent, say_in(conversation, "[[remember]]"))).await;
            println!("KILLED {place}, with {agent}: {ended}, and then: {}", reply(&job));
            let says = reply(&job).starts_with("1 before: ");
            assert!(says, "the conversation goes on after a turn that was {ended}, which was sent once: {job}");
        }
        // Before the journal goes: a turn of it that is open then would be lost.
        all_done(real, &mut app, &carol, &open.workflow).await;
        let other = lost(real, &mut app, &alice, &bob).await;
        all_done(real, &mut app, &bob, &other).await;
        ledger_reconciliation::close("kills", app).await;
    });
}

/// The journal is wiped under an open turn, and under a workflow between two steps, which is returned.
async fn lost(real: &mut Real, app: &mut App, alice: &Client, bob: &Client) -> String {
    let message = "from-before-the-wipe [[sleep:10]] [[tool:ledger_append {\"note\":\"from a lost turn\"}]] [[say:x]]";
    let id = app.submit_body(alice, &say_in("wiped", message)).await;
    real.deliver_until_model_has(app, "from-before-the-wipe").await;
    let workflow = app.submit_body(bob, &twenty_steps()).await;
    to_gap(app, bob, &workflow, 4).await;
    kill(real).await;
    real.gateway().wipe_journal();
    real.ensure(true).await;
    let job = finish(app, alice, &id).await;
    assert_eq!((&job["status"], &job["error"]["code"]), (&json!("failed"), &json!("turn_lost")), "{job}");
    assert_eq!(proposals(&job), [] as [Value; 0], "{job}");
    // The gateway resumes the turn by itself, but its result is not accepted: the journal has no record of it.
    let resumed = real.model_is_asked("from-before-the-wipe", 2).await;
    println!("KILLED in the model's call, journal lost: turn_lost, resumed by the gateway alone: {resumed}");
    let (job, _) = run(app, alice, say_in("wiped", "[[remember]]")).await;
    assert!(reply(&job).starts_with("1 before: from-before-the-wipe"), "it was sent once: {job}");
    assert_eq!(real.effects(&id), 0);
    let ledger = std::fs::read_to_string(real.gateway().ledger()).expect("there is one");
    assert!(!ledger.contains("from a lost turn"));
    workflow
}
