//! Metrics of failures of other services.

use std::time::Duration;

use integration_tests::{App, Fault, app::AFTER_A_CRASH};
use platform::metrics::{Dimension, Metric};
use serde_json::json;

use super::{count, state, submitted, unlimited};

#[tokio::test]
async fn a_gateway_that_is_down_shows_and_a_job_that_expires_is_finished() {
    let mut app = unlimited().await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    app.sweep().await;
    assert_eq!(app.metrics.values(Metric::GatewayReady, &[]), [1.0]);
    app.gateway().kill().await;
    let id = submitted(&app, &alice, "ledger_append", json!({"note":"n"})).await;
    assert_eq!(app.finish_unswept(&alice, &id).await["status"], "expired");
    assert_eq!(app.metrics.values(Metric::JobsFinished, &state("expired")), [1.0]);
    let unreachable = app.metrics.sum(Metric::GatewayAnswers, &[(Dimension::Status, "unreachable")]);
    assert!(unreachable >= 1.0);
    assert_eq!(count(&app, Metric::GatewayFailures), unreachable);
    app.sweep().await;
    assert_eq!(app.metrics.values(Metric::GatewayReady, &[]).last(), Some(&0.0));
    // A job that goes again and again is not overdue: a worker takes it on each time.
    assert_eq!(count(&app, Metric::SweepFailures), 0.0);
}

#[tokio::test]
async fn a_failed_or_late_gateway_response_is_counted_by_its_kind() {
    let mut app = unlimited().await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    for (status, name) in [(503, "503"), (401, "401"), (418, "4xx")] {
        app.gateway().next("/miniprogram/v1/invoke", "status", Some(status), 1).await;
        app.run(&alice, "ledger_append", json!({"note":"n"})).await;
        assert_eq!(app.metrics.sum(Metric::GatewayAnswers, &[(Dimension::Status, name)]), 1.0, "{name}");
    }
    app.gateway().next("/miniprogram/v1/invoke", "hang", None, 1).await;
    app.run(&alice, "ledger_append", json!({"note":"n"})).await;
    assert_eq!(app.metrics.sum(Metric::GatewayAnswers, &[(Dimension::Status, "timeout")]), 1.0);
    assert_eq!(count(&app, Metric::GatewayFailures), 3.0, "503, 401 and the timeout");
    let calls = app.metrics.values(Metric::GatewayFailures, &[]).len();
    assert_eq!(calls, app.metrics.values(Metric::GatewayAnswers, &[]).len());
}

#[tokio::test]
async fn a_gateway_restart_is_counted_once() {
    let mut app = unlimited().await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"n"})).await;
    assert_eq!(count(&app, Metric::GatewayRestarts), 0.0, "the first boot is none");
    for restarts in [1.0, 2.0] {
        app.gateway().restart().await;
        for _ in 0..3 {
            app.new_worker(None);
            app.run(&alice, "ledger_append", json!({"note":"n"})).await;
        }
        assert_eq!(count(&app, Metric::GatewayRestarts), restarts);
    }
}

#[tokio::test]
async fn failed_reads_wake_ups_and_audit_records_are_counted() {
    let mut app = unlimited().await;
    let alice = app.login("alice").await;
    app.put_on_queue("no job").await;
    app.deliver().await;
    assert_eq!(count(&app, Metric::UndecodableMessages), 1.0);
    // A wake-up message of edge-auth, and one of `sweep`, cannot be sent.
    app.faults.plan(|operation, _| operation.starts_with("SendMessage").then_some(Fault::LostBefore));
    let id = submitted(&app, &alice, "ledger_append", json!({"note":"n"})).await;
    assert_eq!(count(&app, Metric::WakeUpFailures), 1.0);
    app.advance(AFTER_A_CRASH).await;
    app.sweep().await;
    assert_eq!((count(&app, Metric::WakeUpFailures), count(&app, Metric::SweepFailures)), (2.0, 1.0));
    app.faults.none();
    // The record of an acceptance, of an intent, of a cancel.
    let no_audit = |operation: &str, key: &str| {
        let has_a_record = key.starts_with("A#") || key.starts_with("IN#");
        (operation == "PutItem" && has_a_record).then_some(Fault::LostBefore)
    };
    app.faults.plan_items(no_audit);
    assert_eq!(alice.submit(&app.new_id(), "ledger_append", json!({"note":"n"})).await.status, 503);
    assert_eq!(count(&app, Metric::AuditWriteFailures), 1.0);
    app.wake(&alice, &id).await;
    app.deliver().await;
    assert_eq!(count(&app, Metric::AuditWriteFailures), 2.0);
    app.faults.none();
    app.advance(AFTER_A_CRASH).await;
    assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
    let id = submitted(&app, &alice, "ledger_append", json!({"note":"n"})).await;
    app.faults.plan_items(no_audit);
    assert_eq!(alice.cancel(&id).await.status, 503);
    assert_eq!(count(&app, Metric::AuditWriteFailures), 3.0);
    assert_eq!(app.metrics.sum(Metric::JobsFinished, &state("cancelled")), 0.0);
}

#[tokio::test]
async fn a_job_is_overdue_until_a_worker_claims_it_however_rarely_it_is_woken() {
    let mut app = unlimited().await;
    let alice = app.login("alice").await;
    let id = submitted(&app, &alice, "ledger_append", json!({"note":"n"})).await;
    let last = |app: &App, metric| app.metrics.values(metric, &[]).last().copied().unwrap();
    app.sweep().await;
    assert_eq!(
        (last(&app, Metric::OpenJobs), last(&app, Metric::OverdueJobs), last(&app, Metric::OverdueAge)),
        (1.0, 0.0, 0.0)
    );
    // No worker receives the wake-up messages.
    let mut woken = 0;
    for minutes in 1..=7_u32 {
        app.receive().await;
        app.advance(Duration::from_secs(60)).await;
        woken += app.sweep().await.woken;
        assert_eq!((last(&app, Metric::OpenJobs), last(&app, Metric::OverdueJobs)), (1.0, 1.0), "minute {minutes}");
        let age = last(&app, Metric::OverdueAge);
        assert!((f64::from(minutes * 60)..f64::from(minutes * 60 + 30)).contains(&age), "minute {minutes}: {age}");
    }
    assert!(woken < 7, "it was not woken each time");
    app.wake(&alice, &id).await;
    app.finish(&alice, &id).await;
    app.sweep().await;
    assert_eq!(
        (last(&app, Metric::OpenJobs), last(&app, Metric::OverdueJobs), last(&app, Metric::OverdueAge)),
        (0.0, 0.0, 0.0)
    );
    assert!(app.metrics.values(Metric::ClaimDelay, &[]).last().unwrap() >= &420_000.0);
    app.faults.plan(|operation, _| (operation == "Query").then_some(Fault::LostBefore));
    let (runs, counted) = (count(&app, Metric::SweepRuns), app.metrics.values(Metric::OpenJobs, &[]).len());
    app.sweep().await;
    assert_eq!((count(&app, Metric::SweepRuns), count(&app, Metric::SweepFailures)), (runs + 1.0, 1.0));
    assert_eq!(app.metrics.values(Metric::OpenJobs, &[]).len(), counted, "what is not known is not said");
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_any_more_is_counted_while_the_last_good_one_is_in_use() {
    let app = unlimited().await;
    let function = [(Dimension::Function, "edge-auth")];
    app.login("alice").await;
    assert_eq!(app.metrics.values(Metric::SecretRefreshFailures, &function), [0.0]);
    let age = app.metrics.values(Metric::SecretAge, &function);
    assert!(age.len() == 1 && (0.0..60.0).contains(&age[0]), "{age:?}");
    app.clock.advance(Duration::from_secs(301));
    app.login("alice").await;
    assert!(app.metrics.values(Metric::SecretAge, &function)[1] >= 301.0);
    std::fs::write(&app.secrets_file, "{").unwrap();
    app.clock.advance(Duration::from_secs(301));
    app.login("alice").await;
    assert_eq!(app.metrics.values(Metric::SecretRefreshFailures, &function), [0.0, 0.0, 1.0]);
    assert_eq!(app.metrics.values(Metric::SecretAge, &function).len(), 2);
}

#[tokio::test]
async fn a_sweep_tells_how_old_the_newest_checkpoint_outside_is_and_whether_one_failed() {
    let mut app = unlimited().await;
    app.sweep().await;
    assert!(app.metrics.values(Metric::CheckpointAge, &[])[0] < 5.0);
    std::fs::remove_file(&app.secrets_file).unwrap();
    // A key that was read stays in use; a new instance of `sweep` has none.
    app.sweep = sweep::Sweep::new(app.deployment.sweep(), app.functions.runtime.clone()).unwrap();
    app.advance(Duration::from_secs(301)).await;
    app.sweep().await;
    assert!(app.metrics.values(Metric::CheckpointAge, &[])[1] > 300.0);
    assert_eq!(app.metrics.values(Metric::CheckpointFailures, &[]), [0.0, 1.0]);
    assert_eq!(app.metrics.values(Metric::SweepFailures, &[]), [0.0, 0.0], "jobs are woken all the same");
}
