//! The claims of the embedded flows, on the real gateway.

use std::time::Duration;

use integration_tests::{App, Client, Setup};
use serde_json::{Value, json};

use crate::{
    ledger_reconciliation,
    real::{Real, finish, with_gateway},
};

async fn run(app: &mut App, client: &Client, tool: &str, arguments: Value) -> (Value, String) {
    let id = app.submit(client, tool, arguments).await;
    (finish(app, client, &id).await, id)
}

#[test]
fn every_kind_of_tool_runs_and_ends_as_it_should() {
    with_gateway(async |real| {
        let mut app = real.app(Setup::default()).await;
        let alice = app.login("alice").await;
        let (job, id) = run(&mut app, &alice, "ledger_append", json!({"note":"on the real gateway"})).await;
        assert_eq!((&job["status"], real.effects(&id)), (&json!("succeeded"), 1), "{job}");
        assert_eq!(job["result"]["details"]["written"], true, "{job}");
        let (job, id) = run(&mut app, &alice, "ledger_append_once", json!({"note":"once"})).await;
        assert_eq!((&job["status"], real.effects(&id)), (&json!("succeeded"), 1), "{job}");
        let (job, _) = run(&mut app, &alice, "ledger_read", json!({"limit":5})).await;
        assert!(job["status"] == "succeeded" && job["result"].to_string().contains("real gateway"), "{job}");
        let (job, id) = run(&mut app, &alice, "ledger_sleep", json!({"ms":1200})).await;
        assert_eq!((&job["status"], real.effects(&id)), (&json!("succeeded"), 2), "{job}");
        for kind in ["throw", "input", "result"] {
            let (job, id) = run(&mut app, &alice, "ledger_fail", json!({"kind":kind})).await;
            assert_eq!((&job["status"], &job["effect"]), (&json!("failed"), &json!("ran")), "{kind}: {job}");
            assert_eq!(real.effects(&id), 1, "{kind}");
            assert!(!job.to_string().contains("secret-detail"), "{job}");
        }
        ledger_reconciliation::close("claims", app).await;
    });
}

#[test]
fn a_payment_runs_once_its_user_has_approved_exactly_it() {
    with_gateway(async |real| {
        let mut app = real.app(Setup::default()).await;
        let alice = app.login("alice").await;
        let id = app.submit(&alice, "ledger_pay", json!({"amount": 120, "note": "two coffees"})).await;
        while app.deliver().await {}
        assert_eq!((&alice.job(&id).await["status"], real.effects(&id)), (&json!("awaiting_approval"), 0));
        assert_eq!(app.approve(&alice, "alice", &id).await.status, 200);
        for _ in 0..3 {
            app.wake(&alice, &id).await;
        }
        let job = finish(&mut app, &alice, &id).await;
        assert_eq!((&job["status"], real.effects(&id)), (&json!("succeeded"), 1), "{job}");
        assert_eq!(job["result"]["details"]["paid"], 120, "{job}");
        ledger_reconciliation::close("claims", app).await;
    });
}

#[test]
fn eight_submissions_and_eight_wake_up_messages_at_once_are_one_effect() {
    with_gateway(async |real| {
        let mut app = real.app(Setup::default()).await;
        let alice = app.login("alice").await;
        let id = app.new_id();
        let submissions: Vec<_> = (0..8)
            .map(|_| {
                let (alice, id) = (alice.clone(), id.clone());
                tokio::spawn(
                    async move { alice.submit(&id, "ledger_append", json!({"note":"n"})).await.status.as_u16() },
                )
            })
            .collect();
        for submission in submissions {
            assert!([200, 202].contains(&submission.await.expect("no panic")));
        }
        for _ in 0..8 {
            app.wake(&alice, &id).await;
        }
        let job = finish(&mut app, &alice, &id).await;
        assert_eq!((&job["status"], real.effects(&id)), (&json!("succeeded"), 1), "{job}");
        ledger_reconciliation::close("claims", app).await;
    });
}

/// A job whose tool is running.
async fn running(real: &mut Real, app: &mut App, alice: &Client) -> String {
    let id = app.submit(alice, "ledger_sleep", json!({"ms":60_000})).await;
    real.begin(app, &id).await;
    id
}

#[test]
fn a_gateway_that_is_killed_remembers_a_call_that_has_just_ended_and_leaves_the_one_that_runs_unknown() {
    with_gateway(async |real| {
        let mut app = real.app(Setup::default()).await;
        let alice = app.login("alice").await;
        let id = running(real, &mut app, &alice).await;
        let ended = app.submit(&alice, "ledger_sleep", json!({"ms":1000})).await;
        real.begin(&mut app, &ended).await;
        real.leaves(&ended, 2).await;
        // The tool has ended; the journal commits its outcome right after.
        tokio::time::sleep(Duration::from_secs(1)).await;
        real.gateway().kill().await.expect("it was running");
        let meanwhile = app.submit(&alice, "ledger_append", json!({"note":"while it was down"})).await;
        app.deliver().await;
        assert_eq!(alice.job(&meanwhile).await["status"], "retrying");
        real.ensure(true).await;
        let job = finish(&mut app, &alice, &id).await;
        assert_eq!((&job["status"], &job["effect"]), (&json!("unknown"), &json!("unknown")), "{job}");
        let job = finish(&mut app, &alice, &ended).await;
        assert_eq!((&job["status"], real.effects(&ended)), (&json!("succeeded"), 2), "{job}");
        let job = finish(&mut app, &alice, &meanwhile).await;
        assert_eq!((&job["status"], real.effects(&meanwhile)), (&json!("succeeded"), 1), "{job}");
        for _ in 0..3 {
            app.clock.advance(Duration::from_secs(600));
            app.sweep().await;
            while app.deliver().await {}
        }
        assert_eq!(real.effects(&id), 1, "the line of its start, and no other");
        ledger_reconciliation::close("claims", app).await;
    });
}

#[test]
fn a_gateway_that_drains_finishes_what_runs_and_what_is_new_waits_for_the_next() {
    with_gateway(async |real| {
        let mut app = real.app(Setup::default()).await;
        let alice = app.login("alice").await;
        let (_, _) = run(&mut app, &alice, "ledger_append", json!({"note":"warm"})).await;
        let slow = app.submit(&alice, "ledger_sleep", json!({"ms":4000})).await;
        real.begin(&mut app, &slow).await;
        real.signal("TERM").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let new = app.submit(&alice, "ledger_append", json!({"note":"while draining"})).await;
        app.deliver().await;
        // A 503 without the journal's body may be of a proxy that has forwarded the call, so the call may be running.
        assert_eq!((alice.job(&new).await["status"].as_str(), real.effects(&new)), (Some("running"), 0));
        tokio::time::sleep(Duration::from_secs(5)).await;
        real.gateway().restart().await.expect("the gateway comes up again");
        let job = finish(&mut app, &alice, &slow).await;
        assert_eq!((&job["status"], real.effects(&slow)), (&json!("succeeded"), 2), "{job}");
        let job = finish(&mut app, &alice, &new).await;
        assert_eq!((&job["status"], real.effects(&new)), (&json!("succeeded"), 1), "{job}");
        ledger_reconciliation::close("claims", app).await;
    });
}

#[test]
fn a_gateway_that_hangs_delays_and_loses_nothing() {
    with_gateway(async |real| {
        let mut app = real.app(Setup::default()).await;
        let alice = app.login("alice").await;
        run(&mut app, &alice, "ledger_append", json!({"note":"warm"})).await;
        real.signal("STOP").await;
        let id = app.submit(&alice, "ledger_append", json!({"note":"into the void"})).await;
        app.deliver().await;
        assert_eq!(alice.job(&id).await["status"], "running", "it may be out");
        real.signal("CONT").await;
        let job = finish(&mut app, &alice, &id).await;
        assert_eq!((&job["status"], real.effects(&id)), (&json!("succeeded"), 1), "{job}");
        ledger_reconciliation::close("claims", app).await;
    });
}

#[test]
fn a_worker_that_is_killed_in_a_call_is_followed_by_one_that_asks() {
    with_gateway(async |real| {
        let mut app = real.app(Setup::default()).await;
        let alice = app.login("alice").await;
        run(&mut app, &alice, "ledger_append", json!({"note":"warm"})).await;
        for millis in [5, 15, 25, 40, 60, 100] {
            let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
            let messages = app.receive().await;
            let deadline = platform::runtime::Clock::now(&app.clock).plus(Duration::from_secs(30));
            let batch = app.worker.handle_batch(local::emulation::poller::event(&messages), deadline);
            let _killed_or_done = tokio::time::timeout(Duration::from_millis(millis), batch).await;
            app.clock.advance(Duration::from_secs(61));
            app.wake(&alice, &id).await;
            let job = finish(&mut app, &alice, &id).await;
            assert_eq!((&job["status"], real.effects(&id)), (&json!("succeeded"), 1), "after {millis} ms: {job}");
        }
        ledger_reconciliation::close("claims", app).await;
    });
}

#[test]
fn a_journal_that_was_wiped_makes_what_was_out_unknown_and_nothing_else() {
    with_gateway(async |real| {
        let mut app = real.app(Setup::default()).await;
        let alice = app.login("alice").await;
        let out = running(real, &mut app, &alice).await;
        let fresh = app.submit(&alice, "ledger_append", json!({"note":"not sent yet"})).await;
        real.gateway().kill().await.expect("it was running");
        real.gateway().wipe_journal();
        real.ensure(true).await;
        let job = finish(&mut app, &alice, &out).await;
        assert_eq!((&job["status"], real.effects(&out)), (&json!("unknown"), 1), "{job}");
        let job = finish(&mut app, &alice, &fresh).await;
        assert_eq!((&job["status"], real.effects(&fresh)), (&json!("succeeded"), 1), "{job}");
        ledger_reconciliation::close("claims", app).await;
    });
}

#[test]
fn without_a_journal_reads_run_writes_wait_and_allowed_writes_may_end_as_unknown() {
    with_gateway(async |real| {
        real.ensure(false).await;
        let mut app = real.app(Setup::default()).await;
        let alice = app.login("alice").await;
        let (job, _) = run(&mut app, &alice, "ledger_read", json!({"limit":1})).await;
        assert_eq!(job["status"], "succeeded", "{job}");
        let shut = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
        app.deliver().await;
        assert_eq!((alice.job(&shut).await["status"].as_str(), real.effects(&shut)), (Some("retrying"), 0));
        ledger_reconciliation::close("claims", app).await;

        let mut app = real.app(Setup { unjournaled_writes: true, ..Setup::default() }).await;
        let alice = app.login("alice").await;
        let (job, id) = run(&mut app, &alice, "ledger_append", json!({"note":"n"})).await;
        assert_eq!((&job["status"], real.effects(&id)), (&json!("succeeded"), 1), "{job}");
        // Killed during the call: the journal has no outcome, so the call's effect is unknown.
        let id = app.submit(&alice, "ledger_sleep", json!({"ms":20_000})).await;
        let (delivered, ()) = tokio::join!(app.deliver(), async {
            real.begun(&id).await;
            real.gateway().kill().await.expect("it was running");
        });
        assert!(delivered);
        let job = finish(&mut app, &alice, &id).await;
        assert_eq!((&job["status"], &job["effect"]), (&json!("unknown"), &json!("unknown")), "{job}");
        real.ensure(true).await;
        app.clock.advance(Duration::from_secs(600));
        app.sweep().await;
        while app.deliver().await {}
        assert_eq!(real.effects(&id), 1, "the line of its start, and no other");
        ledger_reconciliation::close("claims", app).await;
    });
}
