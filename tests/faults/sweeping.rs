//! `sweep` wakes jobs whose wake-up message was lost, and changes nothing else.

use std::time::{Duration, Instant};

use domain::{
    audit::AuditHead,
    catalogue::ToolEffect,
    ids::{Digest, UserId},
    job::{Job, NewJob, Start, Step},
    limits::Rate,
};
use integration_tests::{App, Client, Fault, Setup, faults::reads_items, sample::Sample};
use platform::{metrics::Metric, runtime::Clock};
use serde_json::json;

#[tokio::test]
async fn a_queue_that_lost_everything_loses_no_job() {
    let (mut app, alice) = App::start_with("alice").await;
    let mut ids = Vec::new();
    for tool in ["ledger_append", "ledger_read", "ledger_sleep"] {
        let id = app.new_id();
        let arguments = if tool == "ledger_append" {
            json!({"note":"n"})
        } else if tool == "ledger_read" {
            json!({})
        } else {
            json!({"ms":10})
        };
        alice.submit(&id, tool, arguments).await;
        ids.push(id);
    }
    drop(app.receive().await); // received from the queue and discarded
    app.advance(Duration::from_secs(59)).await;
    assert_eq!(app.sweep().await.woken, 0, "bells get their chance first");
    app.clock.advance(Duration::from_secs(2));
    assert_eq!(app.sweep().await.woken, 3);
    for id in &ids {
        assert_eq!(app.finish(&alice, id).await["status"], "succeeded");
    }
}

#[tokio::test]
async fn what_is_over_is_never_swept_again() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"n"})).await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    alice.cancel(&id).await;
    while app.deliver().await {}
    app.advance(Duration::from_secs(7200)).await;
    let report = app.sweep().await;
    assert_eq!((report.woken, report.skipped), (0, 0), "the index holds open jobs only");
}

#[tokio::test]
async fn a_job_that_does_not_progress_is_woken_more_and_more_rarely() {
    let (mut app, alice) = App::start_with("alice").await;
    app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    drop(app.receive().await);
    let mut woken = 0;
    for _ in 0..60 {
        app.clock.advance(Duration::from_secs(60));
        woken += app.sweep().await.woken;
        drop(app.receive().await);
    }
    assert!((5..=8).contains(&woken), "in an hour: {woken}");
}

#[tokio::test]
async fn a_running_job_is_left_to_its_worker() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    app.clock.advance(Duration::from_secs(61));
    // A worker claims it and dies.
    app.faults.plan(|operation, n| (reads_items(operation) && n > 0).then_some(integration_tests::Fault::KilledBefore));
    app.deliver().await;
    app.faults.none();
    let held = app.inspect().stored(&alice, &id).await;
    assert_eq!(held.state, domain::job::JobState::Running);
    assert_eq!(app.sweep().await.woken, 0);
    assert_eq!(app.inspect().stored(&alice, &id).await, held, "its revision is its worker's fence");
    app.clock.advance(Duration::from_secs(36));
    assert_eq!(app.sweep().await.woken, 1, "the lease is over");
    assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
}

/// An app whose users may have many jobs, and so many of them whose wake-up messages were all lost.
async fn with_lost_wake_ups(jobs: usize) -> (App, Client) {
    let app = App::with(Setup {
        edge: |edge| {
            edge.limits.submissions = Rate::new(Duration::from_millis(1), 1000);
            edge.limits.in_flight = 1000;
        },
        ..Setup::default()
    })
    .await;
    let alice = app.login("alice").await;
    for _ in 0..jobs {
        assert_eq!(alice.submit(&app.new_id(), "ledger_read", json!({})).await.status, 202);
    }
    drop(app.receive().await);
    app.clock.advance(Duration::from_secs(61));
    (app, alice)
}

#[tokio::test]
async fn a_backlog_is_woken_many_jobs_at_once_and_ten_to_a_request() {
    let (mut app, _) = with_lost_wake_ups(100).await;
    // Every request takes a while, as it does over a network.
    app.faults.plan(|_, _| Some(Fault::Late));
    let report = app.sweep().await;
    let (most, seen) = (app.faults.most_at_once(), app.faults.seen());
    app.faults.none();
    assert_eq!((report.woken, app.receive().await.len()), (100, 100));
    let sent = |name: &str| seen.iter().filter(|operation| *operation == name).count();
    assert_eq!(sent("SendMessage"), 0);
    assert!((10..=20).contains(&sent("SendMessageBatch")), "{}", sent("SendMessageBatch"));
    assert!((8..=48).contains(&most), "{most} requests at the same time");
}

#[tokio::test]
async fn a_message_that_the_queue_did_not_take_with_its_batch_is_sent_again_in_the_same_run() {
    let (mut app, _) = with_lost_wake_ups(12).await;
    let batches = std::sync::atomic::AtomicUsize::new(0);
    app.faults.plan(move |operation, _| {
        let first = || batches.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        (operation == "SendMessageBatch" && first()).then_some(Fault::InPart)
    });
    assert_eq!(app.sweep().await.woken, 12);
    app.faults.none();
    assert_eq!(app.receive().await.len(), 12);
    assert_eq!(app.metrics.sum(Metric::WakeUpFailures, &[]), 0.0);
}

#[tokio::test]
async fn messages_that_the_queue_never_takes_are_counted_one_by_one_and_their_jobs_are_woken_later() {
    let (mut app, _) = with_lost_wake_ups(5).await;
    app.faults.plan(|operation, _| (operation == "SendMessageBatch").then_some(Fault::LostBefore));
    let deadline = app.clock.now().plus(Duration::from_secs(30));
    let error = app.sweep.run(deadline).await.unwrap_err();
    app.faults.none();
    assert!(error.to_string().starts_with("5 jobs or shards could not be swept"), "{error}");
    assert_eq!(app.metrics.sum(Metric::WakeUpFailures, &[]), 5.0);
    assert_eq!(app.receive().await.len(), 0);
    app.clock.advance(Duration::from_secs(61));
    assert_eq!((app.sweep().await.woken, app.receive().await.len()), (5, 5));
}

/// Measures how long the loss of all messages delays jobs, for docs/design/numbers.md.
#[tokio::test]
async fn a_backlog_costs_two_table_requests_a_job_and_a_tenth_of_a_queue_request() {
    let jobs = Sample::of_this_run().share(2000, 4);
    for fault in [None, Some(Fault::Late)] {
        let app = App::start().await;
        for n in 0..jobs {
            let new = NewJob {
                user_id: UserId::from_random([3; 16]),
                request_id: app.new_id().parse().unwrap(),
                steps: vec![Step::new("ledger_read".into(), ToolEffect::Read)],
                fingerprint: Digest::ZERO,
                audit: AuditHead { length: 1, digest: Digest::ZERO },
                not_after: app.clock.now().plus(Duration::from_secs(900)),
                deadline: None,
                trace: None,
                start: Start::Queued,
            };
            app.inspect().table().create_job(&Job::accepted(new, app.clock.now()), &format!("{n}")).await.unwrap();
        }
        app.clock.advance(Duration::from_secs(61));
        app.faults.plan(move |_, _| fault);
        let began = Instant::now();
        let woken = app.sweep.run(app.clock.now().plus(Duration::from_secs(600))).await.unwrap().woken;
        let took = began.elapsed();
        let seen = app.faults.seen();
        app.faults.none();
        let sent = |name: &str| seen.iter().filter(|operation| *operation == name).count();
        let rate = woken as f64 / took.as_secs_f64();
        println!(
            "RATE wake-ups {rate:.0} a second, 100,000 in {:.0} s, without the cap of a run; each request takes {} ms more",
            100_000.0 / rate,
            if fault.is_some() { 30 } else { 0 },
        );
        assert_eq!(woken, jobs);
        // In addition, a run reads the oldest open jobs, and signs a checkpoint.
        assert!(
            sent("GetItem") <= jobs + 50 && sent("PutItem") <= jobs + 50,
            "{}, {}",
            sent("GetItem"),
            sent("PutItem")
        );
        // The last batch of each shard of the index may be a small one.
        let batches = sent("SendMessageBatch");
        assert!((jobs / 10..=jobs / 10 + 8).contains(&batches), "{batches}");
    }
}
