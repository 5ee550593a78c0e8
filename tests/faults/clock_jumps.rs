//! Jumps of a host's clock: no record is deleted early, and nothing runs twice.

use std::time::Duration;

use domain::limits::RetentionClock;
use integration_tests::App;
use platform::runtime::Clock;
use serde_json::json;

const A_DAY: Duration = Duration::from_secs(86_400);
const FORTY_DAYS: Duration = Duration::from_secs(40 * 86_400);

/// A job that has run, and the id that it has run under.
async fn job_that_ran(app: &mut App) -> String {
    let alice = app.login("alice").await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"once"})).await;
    assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
    app.expired_items().read_clock().await.unwrap();
    id
}

/// Sends the same id again: the stored job is the answer, and there is one effect.
async fn is_replayed(app: &mut App, id: &str) {
    let alice = app.login("alice").await;
    let again = alice.submit(id, "ledger_append", json!({"note":"once"})).await;
    assert_eq!((again.status.as_u16(), &again.body["status"]), (200, &json!("succeeded")), "{}", again.body);
    while app.deliver().await {}
    assert_eq!(app.effects(id), 1);
}

#[tokio::test]
async fn an_id_that_is_sent_again_after_a_jump_and_after_its_correction_has_no_second_effect() {
    let mut app = App::start().await;
    let id = job_that_ran(&mut app).await;
    app.clock.advance(FORTY_DAYS);
    assert_eq!(app.expired_items().delete().await.unwrap(), 0, "nothing is deleted by a clock that has jumped");
    is_replayed(&mut app, &id).await;
    for _ in 0..48 {
        app.clock.advance(Duration::from_secs(3600));
        assert_eq!(app.expired_items().delete().await.unwrap(), 0, "nor in the days that follow");
    }
    app.clock.go_back(FORTY_DAYS + 2 * A_DAY);
    assert_eq!(app.expired_items().delete().await.unwrap(), 0);
    is_replayed(&mut app, &id).await;
}

#[tokio::test]
async fn what_is_recorded_while_the_clock_is_behind_is_there_when_it_is_right_again() {
    let mut app = App::start().await;
    app.expired_items().read_clock().await.unwrap();
    app.jump(-40).await;
    let id = job_that_ran(&mut app).await;
    app.clock.advance(FORTY_DAYS);
    assert_eq!(app.expired_items().delete().await.unwrap(), 0);
    is_replayed(&mut app, &id).await;
}

#[tokio::test]
async fn a_job_is_deleted_once_its_retention_has_been_seen_to_pass() {
    let mut app = App::start().await;
    let id = job_that_ran(&mut app).await;
    let mut deleted = Vec::new();
    for _ in 0..62 {
        app.clock.advance(A_DAY / 2);
        deleted.push(app.expired_items().delete().await.unwrap());
    }
    assert!(deleted.iter().sum::<usize>() > 0, "{deleted:?}");
    let alice = app.login("alice").await;
    assert_eq!(alice.get(&format!("/v1/jobs/{id}")).await.status, 404);
}

#[tokio::test]
async fn after_a_jump_that_is_confirmed_what_has_expired_is_deleted() {
    let mut app = App::start().await;
    let id = job_that_ran(&mut app).await;
    app.clock.advance(FORTY_DAYS);
    let jumped = app.expired_items().read_clock().await.unwrap();
    assert!(jumped.late_by().is_some_and(|late| late >= FORTY_DAYS), "{jumped:?}");
    let confirmed = RetentionClock::confirmed(app.clock.now());
    assert!(app.inspect().table().set_retention_clock(Some(jumped), confirmed).await.unwrap());
    assert!(app.expired_items().delete().await.unwrap() > 0);
    let alice = app.login("alice").await;
    assert_eq!(alice.get(&format!("/v1/jobs/{id}")).await.status, 404);
}

#[tokio::test]
async fn a_table_of_an_earlier_version_takes_its_sweepers_heartbeat_for_the_last_reading() {
    let (mut app, alice) = App::start_with("alice").await;
    assert_eq!(app.run(&alice, "ledger_append", json!({"note":"n"})).await["status"], "succeeded");
    app.sweep().await;
    app.clock.advance(FORTY_DAYS);
    assert_eq!(app.expired_items().delete().await.unwrap(), 0);
}

#[tokio::test]
async fn a_clock_that_is_set_right_again_leaves_no_job_asleep_and_no_user_shut_out() {
    let mut app = App::start().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let alice = app.login("alice").await;
        let id = app.submit(&alice, "ledger_append", json!({"note":"once"})).await;
        // Its wake-up message is lost, so that only `sweep` can wake it.
        app.receive().await;
        ids.push(id);
        app.jump(if ids.len() == 1 { 40 } else { -40 }).await;
    }
    app.sweep().await;
    let alice = app.login("alice").await;
    for id in &ids {
        let status = app.finish(&alice, id).await["status"].clone();
        assert!(["succeeded", "expired"].contains(&status.as_str().unwrap()), "{status}");
        assert!(app.effects(id) <= 1);
    }
    assert_eq!(app.run(&alice, "ledger_append", json!({"note":"next"})).await["status"], "succeeded");
}

/// Why the gateway keeps a job waiting.
#[derive(Debug, Clone, Copy)]
enum Gateway {
    /// It is draining and starts nothing: the job is rescheduled.
    Drains,
    /// A proxy answers 503, so the call may run: the job is polled.
    IsUnavailable,
}

/// A job that the gateway keeps waiting.
async fn kept_waiting(app: &mut App, gateway: Gateway) -> String {
    let alice = app.login("alice").await;
    let waits = match gateway {
        Gateway::Drains => {
            app.gateway().drain(true).await;
            "retrying"
        }
        Gateway::IsUnavailable => {
            app.gateway().next("/miniprogram/v1/invoke", "status", Some(503), 1).await;
            "running"
        }
    };
    let id = app.submit(&alice, "ledger_append", json!({"note":"once"})).await;
    app.deliver().await;
    assert_eq!(alice.job(&id).await["status"], waits, "{gateway:?}");
    app.gateway().drain(false).await;
    id
}

#[tokio::test]
async fn a_job_that_began_to_wait_while_the_clock_ran_ahead_ends_within_minutes_of_its_correction() {
    const HALF_AN_HOUR: i64 = 1800;
    const TWELVE_HOURS: i64 = 12 * 3600;
    for (jump, gateway) in [
        (TWELVE_HOURS, Gateway::Drains),
        (TWELVE_HOURS, Gateway::IsUnavailable),
        (HALF_AN_HOUR, Gateway::Drains),
        (HALF_AN_HOUR, Gateway::IsUnavailable),
    ] {
        let (mut app, alice) = App::start_with("alice").await;
        app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
        app.jump_seconds(jump).await;
        let id = kept_waiting(&mut app, gateway).await;
        app.jump_seconds(-jump).await;
        let alice = app.login("alice").await;
        // The queue counts seconds and has no clock, so it delivers the message of a short jump in time. After a long
        // one the message is lost, and `sweep` has to find the job.
        if jump == HALF_AN_HOUR {
            app.wake(&alice, &id).await;
        }
        for _ in 0..5 {
            app.advance(Duration::from_secs(61)).await;
            app.sweep().await;
            while app.deliver().await {}
        }
        let job = alice.job(&id).await;
        assert_eq!((&job["status"], app.effects(&id)), (&json!("succeeded"), 1), "{gateway:?} after {jump} s: {job}");
    }
}

#[tokio::test]
async fn after_an_hour_ahead_a_user_and_an_address_may_log_in_and_submit() {
    for jump in [3590, 600] {
        let mut app = App::start().await;
        app.jump_seconds(jump).await;
        let alice = app.login("alice").await;
        assert_eq!(app.run(&alice, "ledger_append", json!({"note":"ahead"})).await["status"], "succeeded");
        app.jump_seconds(-jump).await;
        assert_eq!(app.log_in_with("dev-alice").await.status, 201, "{jump} s");
        let alice = app.login("alice").await;
        assert_eq!(app.run(&alice, "ledger_append", json!({"note":"right"})).await["status"], "succeeded", "{jump} s");
    }
}

#[tokio::test]
async fn a_guard_probe_that_failed_while_the_clock_ran_ahead_is_repeated_after_its_correction() {
    for days in [40, 1] {
        let mut app = App::start().await;
        app.jump(days).await;
        // The guard of this gateway lets a guarded tool through, once.
        app.gateway().next("/tools/invoke", "status", Some(200), 1).await;
        let alice = app.login("alice").await;
        let id = app.submit(&alice, "ledger_append", json!({"note":"ahead"})).await;
        app.deliver().await;
        assert_eq!((alice.job(&id).await["status"].as_str(), app.effects(&id)), (Some("retrying"), 0));
        app.jump(-days).await;
        let alice = app.login("alice").await;
        let job = app.run(&alice, "ledger_append", json!({"note":"right"})).await;
        assert_eq!(job["status"], "succeeded", "after {days} days: {job}");
        assert!(app.effects(&id) <= 1);
    }
}

#[tokio::test]
async fn a_journal_that_was_seen_while_the_clock_ran_ahead_is_seen_again_after_its_correction() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"before"})).await;
    app.jump(40).await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"ahead"})).await;
    app.jump(-40).await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"right"})).await;
    let seen = app.anonymous().get("/readyz").await.body["gateway"]["seen_at"].clone();
    assert!(seen.as_str().is_some_and(|at| at <= app.clock.now().to_string().as_str()), "{seen}");
}
