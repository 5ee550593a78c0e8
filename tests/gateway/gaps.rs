//! The gateway is killed between steps of a workflow, in every gap or in a few. One turn is open at the last kill.

use std::time::{Duration, Instant};

use integration_tests::{App, Client, Setup, app::notes_in, mini_gateway};
use serde_json::{Value, json};

use crate::{
    ledger_reconciliation,
    real::{Real, finish, with_gateway},
    talk::{chain, records, reply, say},
};

pub(crate) const STEPS: usize = 20;
const GAPS: usize = STEPS - 1;

/// The setting of how many of the gaps have a kill; all of them without it. Each costs a restart of the real gateway,
/// 15 to 60 s.
const SETTING: &str = "GATEWAY_KILLS";

#[expect(clippy::disallowed_methods, reason = "a test has no configuration of its own")]
fn kills() -> usize {
    let Ok(asked) = std::env::var(SETTING) else { return GAPS };
    let kills = asked.parse().ok().filter(|kills| (1..=GAPS).contains(kills));
    kills.unwrap_or_else(|| panic!("{SETTING} must be 1 to {GAPS}, not {asked:?}"))
}

/// So many gaps, evenly spread; a gap is called by how many steps are done before it.
fn gaps(kills: usize) -> impl Iterator<Item = usize> {
    (1..=kills).map(move |kill| kill * STEPS / (kills + 1))
}

/// Twenty steps: every fifth one is a turn.
pub(crate) fn twenty_steps() -> Value {
    let step = |n: usize| match n % 5 {
        4 => json!({"message": format!("[[say:turn {n}]]")}),
        _ => json!({"tool": "ledger_append", "arguments": {"note": format!("step {n}")}}),
    };
    json!({"steps": (0..STEPS).map(step).collect::<Vec<Value>>()})
}

fn done(job: &Value) -> usize {
    job["steps"].as_array().map_or(0, |steps| steps.iter().filter(|step| step["outcome"] == "succeeded").count())
}

/// Takes a workflow on until so many of its steps are done and nothing of the next one has begun.
pub(crate) async fn to_gap(app: &mut App, client: &Client, id: &str, steps: usize) {
    for _ in 0..3000 {
        let job = client.job(id).await;
        if done(&job) >= steps {
            return;
        }
        app.advance(Duration::ZERO).await;
        app.deliver().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the workflow does not come so far: {}", client.job(id).await);
}

/// A workflow comes to its end, with each of its writes once.
pub(crate) async fn all_done(real: &mut Real, app: &mut App, client: &Client, id: &str) {
    let job = finish(app, client, id).await;
    assert_eq!((&job["status"], done(&job)), (&json!("succeeded"), STEPS), "{job}");
    let wanted: Vec<String> = (0..STEPS).filter(|n| n % 5 != 4).map(|n| format!("step {n}")).collect();
    let ledger = mini_gateway::ledger(real.gateway().ledger());
    assert_eq!(notes_in(&ledger, id), wanted, "each write once, in their order");
    assert_eq!(records(&chain(client, id).await, "turn_sent").len(), STEPS / 5, "each turn was sent once");
}

/// Brings a turn of another user to where its model has been asked and does not answer yet.
async fn in_the_call(real: &mut Real, app: &mut App, client: &Client) -> String {
    let id = app.submit_body(client, &say("open-in-the-gap [[sleep:30]] [[say:survived it]]")).await;
    // Once only: the worker may also run at most one step of the workflow.
    app.deliver().await;
    real.model_has("open-in-the-gap", 1).await;
    id
}

/// The only turn that was open when the gateway died is resumed by it and found again, and was not sent twice. Of
/// several open turns the gateway resumes one.
async fn resumed(real: &mut Real, app: &mut App, client: &Client, id: &str) {
    let job = finish(app, client, id).await;
    assert_eq!((&job["status"], reply(&job)), (&json!("succeeded"), "survived it"), "{job}");
    let sent = records(&chain(client, id).await, "turn_sent");
    assert_eq!(sent.len(), 1, "{job}");
    let (_, outcome) = real.post("/miniprogram/v1/outcome", &json!({"key": sent[0]["key"]})).await;
    assert_eq!(outcome["entry"]["resumed"], true, "it was cut off: {outcome}");
}

#[test]
#[ignore = "a fault sweep, for `make soak`; kills.rs has two of the gaps"]
fn twenty_steps_run_once_each_though_the_gateway_is_killed_between_them() {
    with_gateway(async |real| {
        let kills = kills();
        let gaps: Vec<usize> = gaps(kills).collect();
        let last = gaps[kills - 1];
        println!("KILLS {kills} of {GAPS}: after the steps {gaps:?}");
        let mut app = real.app(Setup::default()).await;
        let (alice, bob) = (app.login("alice").await, app.login("bob").await);
        let id = app.submit_body(&alice, &twenty_steps()).await;
        let mut open = String::new();
        for gap in gaps {
            // A turn that another kill followed could be lost.
            if gap == last {
                to_gap(&mut app, &alice, &id, gap - 1).await;
                open = in_the_call(real, &mut app, &bob).await;
            }
            to_gap(&mut app, &alice, &id, gap).await;
            real.gateway().kill().await.expect("it was running");
            assert_eq!(done(&alice.job(&id).await), gap, "it was killed in this gap");
            assert!(gap != last || bob.job(&open).await["status"] == "running", "its model was still asked");
            // Down: the next step is tried, and waits.
            while app.deliver().await {}
            let job = alice.job(&id).await;
            assert_eq!((done(&job), &job["next_poll_ms"].is_null()), (gap, &false), "nothing ends: {job}");
            let began = Instant::now();
            real.ensure(true).await;
            println!("KILLS after step {gap}: back after {:.1} s", began.elapsed().as_secs_f64());
        }
        all_done(real, &mut app, &alice, &id).await;
        resumed(real, &mut app, &bob, &open).await;
        ledger_reconciliation::close("gaps", app).await;
    });
}
