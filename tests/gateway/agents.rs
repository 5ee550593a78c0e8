//! Several agents on one gateway: each has its own sessions and its own list of reads, and the tool guard applies to
//! all.

use domain::policy::{Policy, PolicyFiles};
use integration_tests::{App, Setup};
use serde_json::{Value, json};

use crate::{
    ledger_reconciliation,
    real::{CLERK, Real, with_gateway},
    talk::{asks, calls_of, chain, delete, over, records, reply, run, say, say_in, until, verdicts},
};

/// The agent that the policy knows and the gateway does not have.
const GHOST: &str = "ghost";

/// The policy of the repository, with an agent that may read nothing by itself, and one that the gateway does not have.
fn policy() -> Policy {
    let agent = |name: &str| format!("[[agent]]\nname = \"{name}\"\ntitle = \"Another\"\n\n");
    let first = "[[agent]]\nname = \"main\"";
    let more = format!("{}{}{first}", agent(CLERK), agent(GHOST));
    Policy::parse(&PolicyFiles::built_in().replacing("tools.toml", first, &more).expect("it lists main"))
        .expect("sound")
}

/// The service in front of the gateway, knowing these agents.
pub(crate) async fn with_agents(real: &mut Real) -> App {
    let mut app = real.app(Setup::default()).await;
    app.new_edge(Some(policy()));
    app.new_worker(Some(policy()));
    app
}

/// The same body, for another agent than `main`.
pub(crate) fn to(agent: &str, mut body: Value) -> Value {
    body["agent"] = json!(agent);
    body
}

/// The keys of the sessions that the gateway keeps for a user.
async fn sessions_of(real: &mut Real, user: &str) -> Vec<String> {
    let answer = real.sessions().await;
    let sessions = answer["result"]["details"]["sessions"].as_array().cloned().unwrap_or_default();
    let keys = sessions.iter().filter_map(|session| session["key"].as_str().map(str::to_owned));
    keys.filter(|key| key.contains(user)).collect()
}

#[test]
fn a_turn_runs_as_the_agent_that_it_names_and_agents_share_no_memory() {
    with_gateway(async |real| {
        let mut app = with_agents(real).await;
        let alice = app.login("alice").await;
        let (job, _) = run(&mut app, &alice, to(CLERK, say_in("trip", "we go to Dali [[say:noted]]"))).await;
        assert_eq!((&job["status"], reply(&job)), (&json!("succeeded"), "noted"), "{job}");
        let asked = real.asked_about("we go to Dali").await;
        assert!(!asked.is_empty() && asked.iter().all(|asked| asked["agent"] == CLERK), "{asked:?}");
        let key = format!("agent:{CLERK}:miniprogram:{}:c.trip", alice.user_id);
        assert_eq!(sessions_of(real, &alice.user_id).await, [key]);

        let other = alice.submit_body(&app.new_id(), &say_in("trip", "[[remember]]")).await;
        assert_eq!(other.verdict(), (409, "conversation_other_agent"));
        let (job, _) = run(&mut app, &alice, say_in("elsewhere", "main-asks [[remember]]")).await;
        assert_eq!(reply(&job), "0 before: none", "another agent knows nothing of it: {job}");
        assert!(real.asked_about("main-asks").await.iter().all(|asked| asked["agent"] == "main"));
        let (job, _) = run(&mut app, &alice, to(CLERK, say_in("trip", "[[remember]]"))).await;
        assert!(reply(&job).starts_with("1 before: we go to Dali"), "{job}");

        // Once the conversation is deleted, another agent may use its name, and has no memory of it.
        assert_eq!(delete(&mut app, &alice, "trip").await["status"], "succeeded");
        let (job, _) = run(&mut app, &alice, say_in("trip", "[[remember]]")).await;
        assert_eq!(reply(&job), "0 before: none", "{job}");
        let mut keys = sessions_of(real, &alice.user_id).await;
        keys.sort();
        let main = |name: &str| format!("agent:main:miniprogram:{}:c.{name}", alice.user_id);
        assert_eq!(keys, [main("elsewhere"), main("trip")], "and nothing is left of the first one");
        ledger_reconciliation::close("agents", app).await;
    });
}

#[test]
fn the_tool_guard_permits_each_agent_its_own_reads_only() {
    with_gateway(async |real| {
        let mut app = with_agents(real).await;
        let alice = app.login("alice").await;
        let message = "[[tool:ledger_read {\"limit\":1}]] [[tool:ledger_pay {\"amount\":120,\"note\":\"ink\"}]] \
                       [[tool:exec {\"command\":\"true\"}]] [[say:asked]] [[then]] [[say:paid]]";
        for (agent, read) in [(CLERK, "proposed"), ("main", "allowed")] {
            let id = app.submit_body(&alice, &to(agent, say(message))).await;
            let job = until(&mut app, &alice, &id, asks).await;
            assert_eq!((&job["approval"]["title"], real.effects(&id)), (&json!("Pay"), 0), "{agent}: {job}");
            assert_eq!(app.approve(&alice, "alice", &id).await.status, 200);
            let job = over(&mut app, &alice, &id).await;
            assert_eq!((&job["status"], reply(&job), real.effects(&id)), (&json!("succeeded"), "paid", 1), "{job}");
            let verdicts = verdicts(&job);
            assert!(verdicts.contains(&("exec".into(), "refused".into(), "tool_unknown".into())), "{job}");
            let calls = calls_of(&chain(&alice, &id).await);
            let decided: Vec<&str> = calls.iter().map(|(_, decision)| decision.as_str()).collect();
            assert_eq!(decided, [read, "proposed", "proposed"], "{agent}");
        }
        let lines = real.lines();
        let direct = json!({"tool": "ledger_append", "args": {"note": "x"}, "idempotencyKey": "x", "agentId": CLERK});
        let (status, answer) = real.post("/tools/invoke", &direct).await;
        assert_eq!((status, real.lines()), (403, lines), "a call around the journal, as another agent: {answer}");
        ledger_reconciliation::close("agents", app).await;
    });
}

#[test]
fn an_agent_that_the_gateway_does_not_have_is_reported_as_unknown() {
    with_gateway(async |real| {
        let mut app = with_agents(real).await;
        let alice = app.login("alice").await;
        let nobody = alice.submit_body(&app.new_id(), &to("nobody", say("hi"))).await;
        assert_eq!(nobody.verdict(), (403, "agent_unknown"));

        let (job, id) = run(&mut app, &alice, to(GHOST, say_in("seance", "is anybody there? [[say:yes]]"))).await;
        assert_eq!((&job["status"], &job["error"]["code"]), (&json!("failed"), &json!("agent_unknown")), "{job}");
        assert_eq!(records(&chain(&alice, &id).await, "turn_sent").len(), 1, "it is not sent again: {job}");
        assert!(real.asked_about("is anybody there?").await.is_empty(), "and no other agent gets what was said to it");
        let job = delete(&mut app, &alice, "seance").await;
        assert_eq!(job["status"], "succeeded", "its conversation can be deleted: {job}");

        let steps = json!({"steps": [say("[[say:one]]"), to(GHOST, say("two")), to(CLERK, say("three"))]});
        let (job, _) = run(&mut app, &alice, steps).await;
        let outcomes: Vec<&Value> = (0..3).map(|n| &job["steps"][n]["outcome"]).collect();
        assert_eq!(outcomes, ["succeeded", "failed", "not_run"], "{job}");
        ledger_reconciliation::close("agents", app).await;
    });
}
