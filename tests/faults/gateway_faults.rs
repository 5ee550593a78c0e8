//! Faults of the gateway during a call, with its journal, with another one, and without one.

use std::time::Duration;

use domain::job::JobState;
use integration_tests::{App, Setup, app::AFTER_A_CRASH};
use platform::runtime::Clock;
use serde_json::json;

const INVOKE: &str = "/miniprogram/v1/invoke";

#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_again() {
    for action in ["reset_before", "reset_after", "hang"] {
        for count in [1, 2, 5] {
            let (mut app, alice) = App::start_with("alice").await;
            app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
            app.gateway().next(INVOKE, action, None, count).await;
            let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
            let job = app.finish(&alice, &id).await;
            assert_eq!(job["status"], "succeeded", "{action} x {count}: {job}");
            assert_eq!(app.effects(&id), 1, "{action} x {count}");
        }
    }
}

#[tokio::test]
async fn a_call_that_did_not_start_is_sent_again_without_counting() {
    for status in [503, 401, 404] {
        let (mut app, alice) = App::start_with("alice").await;
        app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
        app.gateway().next(INVOKE, "status", Some(status), 3).await;
        let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
        let job = app.finish(&alice, &id).await;
        assert_eq!(job["status"], "succeeded", "{status}: {job}");
        assert_eq!(app.effects(&id), 1);
        assert_eq!(app.inspect().stored(&alice, &id).await.steps[0].attempts, 1, "{status}");
    }
}

#[tokio::test]
async fn a_gateway_that_is_down_delays_and_one_that_stays_down_expires() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    app.gateway().kill().await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    let job = app.finish_unswept(&alice, &id).await;
    assert_eq!((&job["status"], &job["effect"]), (&json!("expired"), &json!("not_run")), "{job}");
    assert_eq!(job["error"]["code"], "not_after_passed");
}

#[tokio::test]
async fn a_gateway_that_drains_delays() {
    let (mut app, alice) = App::start_with("alice").await;
    app.gateway().drain(true).await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    for _ in 0..4 {
        app.deliver().await;
        app.advance(Duration::from_secs(30)).await;
    }
    assert_eq!(alice.job(&id).await["status"], "retrying");
    app.gateway().drain(false).await;
    assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
    assert_eq!(app.effects(&id), 1);
}

/// A job whose tool is running when the gateway is killed. The tool has left its first line.
async fn killed_in_a_call(app: &mut App) -> (integration_tests::Client, String) {
    let alice = app.login("alice").await;
    let id = app.submit(&alice, "ledger_sleep", json!({"ms":20_000})).await;
    app.deliver().await;
    app.begun(&id).await;
    app.gateway().kill().await;
    (alice, id)
}

#[tokio::test]
async fn a_write_that_was_running_when_the_gateway_died_is_unknown_and_never_sent_again() {
    let mut app = App::start().await;
    let (alice, id) = killed_in_a_call(&mut app).await;
    app.gateway().restart().await;
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], &job["effect"]), (&json!("unknown"), &json!("unknown")), "{job}");
    assert_eq!(job["error"]["code"], "outcome_unknown");
    for _ in 0..3 {
        app.advance(Duration::from_secs(7200)).await;
        app.sweep().await;
        app.wake(&alice, &id).await;
        while app.deliver().await {}
    }
    assert_eq!(app.effects(&id), 1, "the line of its start, and no other");
}

#[tokio::test]
async fn a_read_or_idempotent_write_whose_answer_is_doubtful_goes_again_under_another_n() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    for tool in ["ledger_read", "ledger_append_once"] {
        let id = app.new_id();
        let arguments = if tool == "ledger_read" { json!({}) } else { json!({"note":"n"}) };
        // The journal's own call to the gateway breaks after the effect: the journal says 410.
        app.gateway().next("/tools/invoke", "reset_after", None, 1).await;
        alice.submit(&id, tool, arguments).await;
        let job = app.finish(&alice, &id).await;
        assert_eq!(job["status"], "succeeded", "{tool}: {job}");
        assert_eq!(app.inspect().stored(&alice, &id).await.steps[0].n, 1, "{tool}");
        assert!(app.effects(&id) <= 1, "{tool}");
    }
    let id = app.new_id();
    app.gateway().next("/tools/invoke", "reset_after", None, 1).await;
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    assert_eq!(app.finish(&alice, &id).await["status"], "unknown");
    assert_eq!((app.inspect().stored(&alice, &id).await.steps[0].n, app.effects(&id)), (0, 1));
}

#[tokio::test]
async fn a_journal_that_was_wiped_makes_what_was_sent_unknown_and_nothing_else() {
    let mut app = App::start().await;
    let (alice, sent) = killed_in_a_call(&mut app).await;
    let fresh = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    app.gateway().lose_journal().await;
    assert_eq!(app.finish(&alice, &sent).await["status"], "unknown");
    assert_eq!(app.finish(&alice, &fresh).await["status"], "succeeded");
    assert_eq!((app.effects(&sent), app.effects(&fresh)), (1, 1));
}

#[tokio::test]
async fn a_restored_snapshot_of_the_journal_is_another_journal() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"before"})).await;
    app.gateway().snapshot_journal().await;
    // After the snapshot: a call whose outcome the worker has not heard of, and the high-water mark.
    let id = app.submit(&alice, "ledger_sleep", json!({"ms":1500})).await;
    app.deliver().await;
    app.has_written(&id, 2).await;
    app.clock.advance(Duration::from_secs(70));
    app.run(&alice, "ledger_append", json!({"note":"after"})).await;
    app.gateway().restore_snapshot().await;
    app.new_worker(None);
    let job = app.finish(&alice, &id).await;
    assert_eq!(app.effects(&id), 2, "its start and its end, once: {job}");
    assert!(["unknown", "succeeded"].contains(&job["status"].as_str().unwrap()), "{job}");
    // New calls run with the journal's new id.
    assert_eq!(app.run(&alice, "ledger_append", json!({"note":"new"})).await["status"], "succeeded");
}

#[tokio::test]
async fn without_a_journal_reads_run_and_writes_wait_until_they_expire() {
    let mut app = App::with(Setup { journal: false, ..Setup::default() }).await;
    let alice = app.login("alice").await;
    assert_eq!(app.run(&alice, "ledger_read", json!({})).await["status"], "succeeded");
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], &job["effect"]), (&json!("expired"), &json!("not_run")), "{job}");
    assert_eq!(app.effects(&id), 0);
}

#[tokio::test]
async fn without_a_journal_a_write_that_the_operator_allows_is_unknown_after_any_doubt() {
    let mut app = App::with(Setup { journal: false, unjournaled_writes: true, ..Setup::default() }).await;
    let alice = app.login("alice").await;
    assert_eq!(app.run(&alice, "ledger_append", json!({"note":"n"})).await["status"], "succeeded");
    for (action, effects) in [("reset_after", 1), ("reset_before", 0)] {
        app.gateway().next("/tools/invoke", action, None, 1).await;
        let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
        let job = app.finish(&alice, &id).await;
        assert_eq!((&job["status"], app.effects(&id)), (&json!("unknown"), effects), "{action}: {job}");
    }
    // A draining gateway proves that the call was not started.
    app.gateway().next("/tools/invoke", "status", Some(503), 1).await;
    assert_eq!(app.run(&alice, "ledger_append", json!({"note":"n"})).await["status"], "succeeded");
}

#[tokio::test]
async fn a_job_whose_intent_names_a_journal_is_never_sent_any_other_way() {
    let mut app = App::with(Setup { unjournaled_writes: true, ..Setup::default() }).await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    let id = app.new_id();
    app.gateway().next(INVOKE, "reset_before", None, 2).await;
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    app.deliver().await;
    assert!(app.inspect().journaled(&alice, &id).await);
    app.gateway().restart_with_journal(false).await;
    for _ in 0..5 {
        app.advance(AFTER_A_CRASH).await;
        app.wake(&alice, &id).await;
        while app.deliver().await {}
    }
    assert_eq!(app.effects(&id), 0);
    app.gateway().restart_with_journal(true).await;
    assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
    assert_eq!(app.effects(&id), 1);
}

#[tokio::test]
async fn an_unknown_outcome_that_becomes_known_is_a_resolution_and_leaves_the_status() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    for (action, happened) in [("reset_after", true), ("reset_before", false)] {
        let alice = app.login("alice").await;
        // The gateway is unreachable until the worker stops polling.
        app.gateway().next(INVOKE, action, None, 1).await;
        app.gateway().next(INVOKE, "status", Some(503), 1000).await;
        app.gateway().next("/miniprogram/v1/revoke", "status", Some(503), 1000).await;
        let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
        let job = app.finish(&alice, &id).await;
        assert_eq!(job["status"], "unknown", "{job}");
        assert!(job.get("resolution").is_none());
        app.gateway().restart().await;
        app.advance(Duration::from_secs(60)).await;
        for _ in 0..3 {
            app.advance(Duration::from_secs(3600)).await;
            app.sweep().await;
            while app.deliver().await {}
        }
        let alice = app.login("alice").await;
        let job = alice.job(&id).await;
        assert_eq!((&job["status"], &job["effect"]), (&json!("unknown"), &json!("unknown")), "one answer");
        assert_eq!(job["resolution"]["happened"], happened, "{action}: {job}");
        assert_eq!(app.effects(&id), usize::from(happened));
    }
}

#[tokio::test]
async fn writes_wait_until_the_tool_guard_is_proven_once_per_boot() {
    let (mut app, alice) = App::start_with("alice").await;
    // A gateway whose guard lets a guarded tool through: the guard probe returns 200.
    app.gateway().next("/tools/invoke", "status", Some(200), 1).await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    app.deliver().await;
    assert_eq!((alice.job(&id).await["status"].as_str(), app.effects(&id)), (Some("retrying"), 0));
    assert_eq!(app.run(&alice, "ledger_read", json!({})).await["status"], "succeeded", "reads go on");
    let job = app.finish(&alice, &id).await;
    assert_eq!(job["status"], "succeeded", "after the pause the next guard probe proves it: {job}");
    let before = app.gateway().counts().await["/tools/invoke"].as_u64().unwrap();
    for _ in 0..5 {
        app.new_worker(None);
        app.run(&alice, "ledger_append", json!({"note":"n"})).await;
    }
    let after = app.gateway().counts().await["/tools/invoke"].as_u64().unwrap();
    assert_eq!(after - before, 5, "five calls, no further guard probe");
}

#[tokio::test]
async fn a_tool_past_its_timeout_is_unknown_until_it_ends() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    let id = app.new_id();
    // The journal's own call hangs: for every caller the tool is still running.
    app.gateway().next("/tools/invoke", "hang", None, 1).await;
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    let job = app.finish(&alice, &id).await;
    assert_eq!(job["status"], "unknown", "{job}");
}

/// A proxy may send any `Retry-After`: at most a minute of it is used, and never beyond the time after which nothing
/// starts.
#[tokio::test]
async fn no_answer_of_the_gateway_keeps_a_job_waiting_for_more_than_a_minute_or_beyond_its_not_after() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    for retry_after in ["86400", "50", "18446744073709551615", "18446744073709551616", "-1", "soon"] {
        for not_after_s in [900, 20] {
            app.gateway().next_unavailable(INVOKE, retry_after).await;
            let (id, not_after) = (app.new_id(), app.clock.now().plus(Duration::from_secs(not_after_s)));
            let body = json!({"tool":"ledger_read","arguments":{},"not_after":not_after.to_string()});
            assert_eq!(alice.submit_body(&id, &body).await.status, 202);
            app.deliver().await;
            let job = app.inspect().stored(&alice, &id).await;
            assert_eq!(job.state, JobState::Retrying, "{retry_after}");
            let due = job.check_at.unwrap();
            assert!(due <= job.not_after, "{retry_after}: due at {due}, not to start after {}", job.not_after);
            let wait = due.since(app.clock.now());
            assert!(wait <= Duration::from_secs(60), "{retry_after}: {wait:?}");
            assert!(job.sweep_at.unwrap() <= job.not_after.plus(Duration::from_secs(120)), "{retry_after}");
            let over = app.finish(&alice, &id).await;
            // Nothing starts after `not_after`, so a job that is due at that moment may run or expire.
            assert!(over["status"] == "succeeded" || not_after_s == 20, "{retry_after}: {over}");
        }
    }
}
