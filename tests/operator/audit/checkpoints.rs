//! The heads of the audit chains are signed, stored and exported under all faults; a chain that a checkpoint covers
//! cannot be truncated or rewritten undetected.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use domain::{
    audit::{
        AuditHead, ChainName, OperatorActor, OperatorEvent, RefusalEvent,
        checkpoint::{Checkpoint, CheckpointVerifier, End, JobEnd, MOST_ENDS, PublicKey},
    },
    ids::{Digest, OperatorId, Timestamp, UserId, support_code},
    job::{Job, JobState, NewJob, Start, Step},
};
use integration_tests::{App, Client, Fault, clock::ManualClock, sample::Sample};
use platform::{
    metrics::Metric,
    runtime::{Clock, Runtime, System},
};
use serde_json::{Value, json};

mod bucket;
mod notes;

const SETTLED: Duration = Duration::from_secs(181);

fn runtime(app: &App) -> Runtime {
    Runtime::new(std::sync::Arc::new(app.clock.clone()), std::sync::Arc::new(System))
}

fn files(app: &App) -> Vec<PathBuf> {
    let directory = std::fs::read_dir(app.deployment.checkpoints());
    let mut files: Vec<PathBuf> = directory.map_or_else(|_| Vec::new(), |all| all.map(|e| e.unwrap().path()).collect());
    files.sort();
    files
}

/// What was exported, and verified with the key that the service began with.
fn exported(app: &App) -> Vec<Checkpoint> {
    let secrets: Value = serde_json::from_slice(&std::fs::read(&app.secrets_file).unwrap()).unwrap();
    let key: PublicKey = serde_json::from_value(secrets["checkpoints"]["keys"][0].clone()).unwrap();
    let mut verifier = CheckpointVerifier::new(&[key]).unwrap();
    let read = |file: &PathBuf| serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let all: Vec<Checkpoint> = files(app).iter().map(|file| verifier.next(&read(file)).unwrap()).collect();
    for (place, checkpoint) in (1..).zip(&all) {
        assert_eq!(checkpoint.statement.seq, place);
    }
    all
}

/// The last end that was signed of each job.
fn ends(all: &[Checkpoint]) -> BTreeMap<String, AuditHead> {
    all.iter().flat_map(|one| &one.statement.heads).map(|head| (head.job.clone(), head.end.into())).collect()
}

async fn code_and_head(app: &App, alice: &Client, job: &Value) -> (String, AuditHead) {
    let stored = app.inspect().stored(alice, job["request_id"].as_str().unwrap()).await;
    (support_code(stored.user_id, stored.request_id), stored.audit)
}

fn refusal() -> RefusalEvent {
    RefusalEvent { tool: Some("ledger_pay".into()), code: "policy_denied".into(), policies: vec![], request_id: None }
}

fn closed() -> OperatorEvent {
    OperatorEvent::ToolClosed { tool: "ledger_wipe".into(), reason: "over".into() }
}

#[tokio::test]
async fn every_end_is_signed_once_it_is_settled_and_exported_and_an_idle_service_signs_too() {
    let (mut app, alice) = App::start_with("alice").await;
    let user: UserId = alice.user_id.parse().unwrap();
    let job = app.run(&alice, "ledger_append", json!({"note":"n"})).await;
    let read = app.run(&alice, "ledger_read", json!({})).await;
    app.inspect().table().append_refusal(&runtime(&app), user, refusal(), "p").await.unwrap();
    let operator = OperatorActor::Operator(OperatorId::from_random([7; 16]));
    let operators = app.inspect().table().append_operator(&runtime(&app), operator, closed(), "p").await.unwrap();
    app.sweep().await;
    assert!(exported(&app).iter().all(|one| one.statement.heads.is_empty()), "nothing is settled yet");
    let before = exported(&app).len();
    app.advance(Duration::from_secs(300) + SETTLED).await;
    app.sweep().await;
    let all = exported(&app);
    assert_eq!(all.len(), before + 1);
    let expected = BTreeMap::from([code_and_head(&app, &alice, &job).await, code_and_head(&app, &alice, &read).await]);
    assert_eq!(ends(&all), expected);
    let statement = &all.last().unwrap().statement;
    assert_eq!(AuditHead::from(statement.operators), operators);
    let refusals = app.inspect().table().chain_head(ChainName::Refusals(user)).await.unwrap();
    assert_eq!((statement.refusals[0].user, AuditHead::from(statement.refusals[0].end)), (user, refusals));
    let seen =
        app.inspect().table().controls(app.clock.now(), Duration::from_secs(900)).await.unwrap().checkpoint.unwrap();
    assert_eq!(seen.seq, statement.seq);
    assert!(seen.exported_at.is_some_and(|at| at >= seen.signed_at && at <= app.clock.now()));
    // Not again before it is time, and then without anything to say.
    app.advance(Duration::from_secs(270)).await;
    app.sweep().await;
    assert_eq!(exported(&app).len(), before + 1);
    assert!(app.metrics.values(Metric::CheckpointAge, &[]).last().is_some_and(|age| (270.0..299.0).contains(age)));
    app.advance(Duration::from_secs(30)).await;
    app.sweep().await;
    let idle = exported(&app).pop().unwrap();
    assert!(idle.statement.heads.is_empty() && idle.statement.seq == statement.seq + 1);
    assert_eq!(app.metrics.sum(Metric::CheckpointFailures, &[]), 0.0);
}

#[tokio::test]
async fn a_sweep_that_is_killed_at_any_request_or_loses_any_response_leaves_no_end_unsigned() {
    let mut app = App::start().await;
    let mut expected = BTreeMap::new();
    let sample = Sample::of_this_run();
    for place in 0..16 {
        // The clock has moved on: a new session.
        let alice = app.login("alice").await;
        for (case, fault) in (place..).zip([Fault::KilledBefore, Fault::KilledAfter, Fault::LostAfter, Fault::Twice]) {
            if !sample.takes(case, 4) {
                continue;
            }
            let job = app.run(&alice, "ledger_read", json!({})).await;
            expected.extend([code_and_head(&app, &alice, &job).await]);
            app.advance(Duration::from_secs(301)).await;
            app.faults.plan(move |_, n| (n == place).then_some(fault));
            app.sweep().await;
            app.faults.none();
        }
    }
    app.advance(Duration::from_secs(301)).await;
    app.sweep().await;
    assert_eq!(ends(&exported(&app)), expected);
    let kept = app.inspect().table().checkpoints_after(0, 1000).await.unwrap();
    assert!(kept.iter().all(|kept| kept.exported_at.is_some()));
}

/// Another machine's clock.
#[derive(Debug)]
struct Ahead(ManualClock);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        self.0.now().plus(Duration::from_millis(1500))
    }
}

#[tokio::test]
async fn two_sweeps_at_once_sign_each_number_once() {
    let (mut app, alice) = App::start_with("alice").await;
    let ahead = Runtime::new(std::sync::Arc::new(Ahead(app.clock.clone())), std::sync::Arc::new(System));
    let other = sweep::Sweep::new(app.deployment.sweep(), ahead).unwrap();
    // Of the two that are written each time, one is written after the other has been exported.
    let puts = AtomicUsize::new(0);
    app.faults.plan_items(move |operation, sk| {
        let checkpoint = operation == "PutItem" && sk.len() == 12 && sk.bytes().all(|byte| byte.is_ascii_digit());
        (checkpoint && puts.fetch_add(1, Ordering::SeqCst).is_multiple_of(2)).then_some(Fault::Late)
    });
    let mut expected = BTreeMap::new();
    for _ in 0..5 {
        let job = app.run(&alice, "ledger_read", json!({})).await;
        expected.extend([code_and_head(&app, &alice, &job).await]);
        app.advance(Duration::from_secs(301)).await;
        let deadline = app.clock.now().plus(Duration::from_secs(30));
        let (one, two) = tokio::join!(app.sweep.run(deadline), other.run(deadline));
        one.and(two).unwrap();
    }
    app.advance(Duration::from_secs(301)).await;
    app.sweep().await;
    assert_eq!(ends(&exported(&app)), expected);
    assert_eq!(app.metrics.sum(Metric::CheckpointFailures, &[]), 0.0);
}

#[tokio::test]
async fn a_note_whose_change_was_never_made_does_no_harm_and_an_end_that_moves_on_is_signed_again() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.submit(&alice, "ledger_read", json!({})).await;
    // The worker dies between the note of the end and the end.
    app.faults.plan_items(|operation, sk| {
        (operation == "PutItem" && sk.starts_with("J#") && sk.len() == 45).then_some(Fault::KilledAfter)
    });
    app.deliver().await;
    app.faults.none();
    let open = app.inspect().stored(&alice, &id).await;
    assert!(!open.state.is_over());
    app.clock.advance(SETTLED);
    app.sweep().await;
    let code = support_code(open.user_id, open.request_id);
    let early = ends(&exported(&app));
    assert_eq!(early.get(&code), Some(&open.audit), "where its chain ended then");
    app.finish(&alice, &id).await;
    app.advance(Duration::from_secs(301) + SETTLED).await;
    app.sweep().await;
    let over = app.inspect().stored(&alice, &id).await;
    assert_eq!(ends(&exported(&app)).get(&code), Some(&over.audit));
    assert!(over.audit.length > open.audit.length);
}

#[tokio::test]
async fn more_ends_than_one_checkpoint_takes_are_signed_in_several_and_none_is_left() {
    let mut app = App::start().await;
    let mut config = app.deployment.sweep();
    config.ends_per_checkpoint = 4;
    app.sweep = sweep::Sweep::new(config, runtime(&app)).unwrap();
    let user = UserId::from_random([3; 16]);
    let job = |app: &App| {
        let new = NewJob {
            user_id: user,
            request_id: app.new_id().parse().unwrap(),
            steps: vec![Step::new("ledger_read".into(), domain::catalogue::ToolEffect::Read)],
            fingerprint: Digest::ZERO,
            audit: AuditHead { length: 1, digest: Digest::sha256(b"record") },
            not_after: app.clock.now(),
            deadline: None,
            trace: None,
            start: Start::Queued,
        };
        Job { state: JobState::Cancelled, sweep_at: None, ..Job::accepted(new, app.clock.now()) }
    };
    // Nine in one minute, and then exactly as many as one takes in each of two.
    for (count, wait) in [(9, 60), (4, 60), (4, 0)] {
        for n in 0..count {
            app.inspect().table().create_job(&job(&app), &format!("{count}-{n}-{wait}")).await.unwrap();
        }
        app.advance(Duration::from_secs(wait)).await;
    }
    app.advance(SETTLED).await;
    app.sweep().await;
    let all = exported(&app);
    assert!(all.iter().all(|one| one.statement.heads.len() <= 4));
    assert_eq!(all.iter().map(|one| one.statement.heads.len()).sum::<usize>(), 17, "each once");
    assert_eq!(ends(&all).len(), 17);
}

#[test]
fn the_largest_checkpoint_fits_an_item() {
    let end = End { length: u64::MAX, digest: Digest::ZERO };
    let job = support_code(UserId::from_random([1; 16]), "019a8f3c-7e10-7abc-9def-0123456789ab".parse().unwrap());
    let size = serde_json::to_vec(&JobEnd { job, end }).unwrap().len() + 1;
    assert!(size * MOST_ENDS < 350_000, "{size} bytes each, and an item has 409,600");
}

#[tokio::test]
async fn a_failed_export_is_reported_blocks_nothing_else_and_is_made_up_in_order() {
    let (mut app, alice) = App::start_with("alice").await;
    let directory = app.deployment.checkpoints();
    app.sweep().await;
    std::fs::rename(&directory, directory.with_extension("away")).unwrap();
    std::fs::write(&directory, "no directory").unwrap();
    for _ in 0..3 {
        app.advance(Duration::from_secs(301)).await;
        let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
        assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
        app.sweep().await;
    }
    assert!(app.metrics.sum(Metric::CheckpointFailures, &[]) >= 3.0);
    // The exported checkpoint grows older, and the metric shows its age.
    assert!(app.metrics.values(Metric::CheckpointAge, &[]).last().is_some_and(|age| *age >= 903.0));
    let seen = app.inspect().table().controls(app.clock.now(), Duration::from_secs(900)).await.unwrap();
    assert!(!seen.audit_proven(app.clock.now()), "what stands outside is too old");
    std::fs::remove_file(&directory).unwrap();
    std::fs::rename(directory.with_extension("away"), &directory).unwrap();
    app.sweep().await;
    let kept = app.inspect().table().checkpoints_after(0, 100).await.unwrap();
    assert_eq!(exported(&app).len(), kept.len());
    let seen = app.inspect().table().controls(app.clock.now(), Duration::from_secs(900)).await.unwrap();
    assert!(seen.audit_proven(app.clock.now()));
}

#[tokio::test]
async fn what_was_exported_is_never_overwritten() {
    let mut app = App::start().await;
    app.sweep().await;
    let next = app.deployment.checkpoints().join("000000000002.json");
    std::fs::write(&next, "somebody else's").unwrap();
    app.advance(Duration::from_secs(301)).await;
    app.sweep().await;
    assert_eq!(std::fs::read(&next).unwrap(), b"somebody else's");
    assert_eq!(app.metrics.values(Metric::CheckpointFailures, &[]), [0.0, 1.0]);
    // Nothing after it goes out, either: outside, they are a chain.
    app.advance(Duration::from_secs(301)).await;
    app.sweep().await;
    assert_eq!(files(&app).len(), 2);
}
