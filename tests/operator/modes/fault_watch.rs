//! Faults that `sweep` observes: it lowers the mode, with a record, and raises only what it has lowered for the gateway.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use domain::access::{
    fault_watch::{FAILED_CHECKS, GOOD_CHECKS},
    service_mode::{Controls, Lowered, Mode, Setting},
};
use integration_tests::{App, Client, Fault, Setup, sample::Sample};
use platform::{metrics::Metric, runtime::Clock};
use serde_json::{Value, json};
use service::controls;
use store::Applied;
use sweep::Sweep;

const GATEWAY: &str = "alarm:gateway_not_ready";
const AUDIT: &str = "alarm:audit_unwritable";

/// Runs `sweep` once a minute.
async fn minutes(app: &mut App, runs: u32) {
    for _ in 0..runs {
        app.advance(Duration::from_secs(60)).await;
        app.sweep().await;
    }
}

async fn set(app: &App) -> Controls {
    app.inspect().table().controls(app.clock.now(), Duration::ZERO).await.unwrap()
}

async fn mode(app: &App) -> (Mode, String) {
    let service = set(app).await.service;
    (service.mode, service.by)
}

/// The changes of the mode by `sweep` that are in the operators' chain: the mode before, the mode, the author.
async fn changes(app: &App) -> Vec<(String, String, String)> {
    let text = |record: &Value, name: &str| record[name].as_str().unwrap_or_default().to_owned();
    let records = app.inspect().table().operator_chain(0, 500).await.unwrap().records;
    let by_sweep = records.iter().filter(|record| text(record, "actor").starts_with("alarm:"));
    by_sweep.map(|record| (text(record, "was"), text(record, "mode"), text(record, "actor"))).collect()
}

fn change(was: Mode, mode: Mode, by: &str) -> (String, String, String) {
    (was.name().to_owned(), mode.name().to_owned(), by.to_owned())
}

/// An app whose mode was lowered because its gateway is down.
async fn lowered_from(was: Mode) -> App {
    let mut app = App::with(Setup { mode: Some(was), ..Setup::default() }).await;
    app.gateway().kill().await;
    minutes(&mut app, FAILED_CHECKS).await;
    assert_eq!(mode(&app).await, (Mode::ExplainOnly, GATEWAY.to_owned()));
    app
}

/// Submits a write whose audit record cannot be written.
async fn unwritten(app: &mut App, alice: &Client, records: u32) {
    app.faults.plan_items(|operation, key| {
        let holds_a_record = key.starts_with("A#") || key.starts_with("IN#");
        (operation == "PutItem" && holds_a_record).then_some(Fault::LostBefore)
    });
    for _ in 0..records {
        app.advance(Duration::from_secs(1)).await; // within the user's rate
        assert_eq!(alice.submit(&app.new_id(), "ledger_append", json!({"note":"n"})).await.status, 503);
    }
    app.faults.none();
}

async fn write(app: &mut App, alice: &Client) -> String {
    app.advance(controls::MAX_AGE).await;
    let reply = alice.submit(&app.new_id(), "ledger_append", json!({"note":"n"})).await;
    if reply.status.is_success() { reply.body["status"].as_str().unwrap().to_owned() } else { reply.code().to_owned() }
}

#[tokio::test]
async fn a_gateway_that_fails_three_checks_lowers_the_mode_and_five_good_ones_raise_it_again() {
    let (mut app, alice) = App::start_with("alice").await;
    app.gateway().kill().await;
    minutes(&mut app, FAILED_CHECKS - 1).await;
    assert_eq!(mode(&app).await.0, Mode::Full, "two failed checks are a restart");
    minutes(&mut app, 1).await;
    assert_eq!(mode(&app).await, (Mode::ExplainOnly, GATEWAY.to_owned()));
    assert_eq!(app.metrics.values(Metric::Mode, &[]).last(), Some(&1.0), "the run that lowers it reports it");
    assert_eq!(write(&mut app, &alice).await, "explained");

    app.gateway().restart().await;
    minutes(&mut app, GOOD_CHECKS - 1).await;
    assert_eq!(mode(&app).await.0, Mode::ExplainOnly);
    minutes(&mut app, 1).await;
    assert_eq!(mode(&app).await, (Mode::Full, GATEWAY.to_owned()));
    assert_eq!(write(&mut app, &alice).await, "queued");
    let raised = change(Mode::ExplainOnly, Mode::Full, GATEWAY);
    assert_eq!(changes(&app).await, [change(Mode::Full, Mode::ExplainOnly, GATEWAY), raised]);
    assert_eq!(app.metrics.sum(Metric::ModeChanges, &[]), 2.0);
}

#[tokio::test]
async fn a_job_that_waits_for_a_lost_gateway_is_explained_and_not_run() {
    let (mut app, alice) = App::start_with("alice").await;
    app.gateway().kill().await;
    let id = app.new_id();
    assert_eq!(alice.submit(&id, "ledger_append", json!({"note":"n"})).await.body["status"], "queued");
    while app.deliver().await {}
    assert_eq!(alice.job(&id).await["status"], "retrying");
    minutes(&mut app, FAILED_CHECKS).await;
    app.advance(controls::MAX_AGE).await;
    while app.deliver().await {}
    let job = alice.job(&id).await;
    assert_eq!((&job["status"], &job["effect"]), (&json!("explained"), &json!("not_run")), "{job}");
}

#[tokio::test]
async fn a_check_that_fails_between_good_ones_begins_the_count_again() {
    let mut app = lowered_from(Mode::Full).await;
    app.gateway().restart().await;
    minutes(&mut app, GOOD_CHECKS - 1).await;
    app.gateway().kill().await;
    minutes(&mut app, 1).await;
    app.gateway().restart().await;
    minutes(&mut app, GOOD_CHECKS - 1).await;
    assert_eq!(mode(&app).await.0, Mode::ExplainOnly);
    minutes(&mut app, 1).await;
    assert_eq!(mode(&app).await.0, Mode::Full);
}

#[tokio::test]
async fn runs_that_do_not_take_place_and_checks_that_follow_at_once_lower_nothing() {
    let mut app = App::start().await;
    app.gateway().kill().await;
    minutes(&mut app, FAILED_CHECKS - 1).await;
    for _ in 0..5 {
        app.sweep().await;
    }
    assert_eq!(mode(&app).await.0, Mode::Full, "repetitions of one run");
    app.gateway().restart().await;
    // An hour without a run counts as nothing.
    app.advance(Duration::from_secs(3600)).await;
    minutes(&mut app, 1).await;
    assert_eq!((mode(&app).await.0, changes(&app).await), (Mode::Full, vec![]));
}

#[tokio::test]
async fn the_mode_is_raised_to_what_it_was_and_never_lowered_from_below() {
    for was in Mode::ALL {
        let mut app = App::with(Setup { mode: Some(was), ..Setup::default() }).await;
        app.gateway().kill().await;
        minutes(&mut app, FAILED_CHECKS + 1).await;
        assert_eq!(mode(&app).await.0, was.min(Mode::ExplainOnly), "{was:?}");
        app.gateway().restart().await;
        minutes(&mut app, GOOD_CHECKS + 1).await;
        assert_eq!(mode(&app).await.0, was, "{was:?}");
        let recorded = if was > Mode::ExplainOnly { 2 } else { 0 };
        assert_eq!(changes(&app).await.len(), recorded, "{was:?}: what is as low already is not recorded");
    }
}

#[tokio::test]
async fn a_service_that_was_never_opened_is_not_opened_by_a_gateway_that_comes_back() {
    let mut app = App::with(Setup { mode: None, ..Setup::default() }).await;
    app.gateway().kill().await;
    minutes(&mut app, FAILED_CHECKS).await;
    app.gateway().restart().await;
    minutes(&mut app, GOOD_CHECKS).await;
    assert!(!set(&app).await.is_set());
    assert_eq!(changes(&app).await, []);
}

#[tokio::test]
async fn what_a_person_sets_during_the_outage_stays() {
    for chosen in Mode::ALL {
        let mut app = lowered_from(Mode::Full).await;
        app.mode(chosen).await;
        minutes(&mut app, 2).await;
        assert_eq!(mode(&app).await, (chosen, "command".to_owned()), "lowered once for each outage");
        app.gateway().restart().await;
        minutes(&mut app, GOOD_CHECKS + 1).await;
        assert_eq!(mode(&app).await, (chosen, "command".to_owned()));
        assert_eq!(changes(&app).await.len(), 1, "{chosen:?}");
    }
}

#[tokio::test]
async fn a_raise_that_crosses_a_change_by_a_person_is_not_made() {
    let app = App::start().await;
    let setting = |mode, by: &str| Setting { mode, reason: "r".to_owned(), by: by.to_owned(), at: app.clock.now() };
    // A person has set `read_only` after `sweep` had read `full`, and before it writes.
    assert_eq!(
        app.inspect().table().set_mode(10, &setting(Mode::ReadOnly, "operator:x")).await.unwrap(),
        Applied::Done
    );
    assert_eq!(
        app.inspect().table().lower_mode(11, &setting(Mode::ExplainOnly, GATEWAY)).await.unwrap(),
        Applied::Done
    );
    let lowered = set(&app).await.lowered.unwrap();
    assert_eq!(lowered, Lowered { seq: 11, was: Mode::ReadOnly }, "never raised above what the person has set");
    // A person's change was recorded before, and is written last.
    assert_eq!(app.inspect().table().set_mode(9, &setting(Mode::Closed, "operator:x")).await.unwrap(), Applied::Done);
    let raised = app.inspect().table().raise_mode(12, lowered, &setting(Mode::ReadOnly, GATEWAY)).await.unwrap();
    assert_eq!((raised, mode(&app).await.0), (Applied::Overtaken, Mode::Closed));
}

#[tokio::test]
async fn audit_records_that_cannot_be_written_shut_writes_until_a_person_opens_them() {
    let (mut app, alice) = App::start_with("alice").await;
    unwritten(&mut app, &alice, 2).await;
    minutes(&mut app, 1).await;
    assert_eq!(mode(&app).await.0, Mode::Full, "a failure can be transient");
    unwritten(&mut app, &alice, 1).await;
    minutes(&mut app, 1).await;
    assert_eq!(mode(&app).await, (Mode::ReadOnly, AUDIT.to_owned()));
    assert_eq!(write(&mut app, &alice).await, "mode_read_only");
    minutes(&mut app, 2 * GOOD_CHECKS).await;
    assert_eq!(mode(&app).await.0, Mode::ReadOnly, "only a person raises it");
    app.mode(Mode::Full).await;
    minutes(&mut app, 2).await;
    assert_eq!(mode(&app).await.0, Mode::Full, "the same records do not count again");
    assert_eq!(changes(&app).await, [change(Mode::Full, Mode::ReadOnly, AUDIT)]);
}

#[tokio::test]
async fn records_that_fail_during_an_outage_keep_writes_shut_after_it() {
    let (mut app, alice) = App::start_with("alice").await;
    app.gateway().kill().await;
    minutes(&mut app, FAILED_CHECKS).await;
    unwritten(&mut app, &alice, 3).await;
    minutes(&mut app, 1).await;
    assert_eq!(mode(&app).await.0, Mode::ExplainOnly);
    app.gateway().restart().await;
    minutes(&mut app, GOOD_CHECKS).await;
    assert_eq!(mode(&app).await.0, Mode::ReadOnly);
}

#[tokio::test]
async fn two_runs_at_the_same_time_change_the_mode_once() {
    let mut app = App::start().await;
    let other = Sweep::new(app.deployment.sweep(), app.functions.runtime.clone()).unwrap();
    app.faults.plan_items(|_, key| (key == "FAULT_WATCH" || key == "LADDER#SERVICE").then_some(Fault::Late));
    let both = async |app: &mut App, runs: u32| {
        for _ in 0..runs {
            app.advance(Duration::from_secs(60)).await;
            let deadline = app.clock.now().plus(Duration::from_secs(30));
            let (one, two) = tokio::join!(app.sweep.run(deadline), other.run(deadline));
            one.and(two).unwrap();
        }
    };
    app.gateway().kill().await;
    both(&mut app, FAILED_CHECKS - 1).await;
    assert_eq!(mode(&app).await.0, Mode::Full, "two runs of one minute are one check");
    both(&mut app, 1).await;
    assert_eq!(mode(&app).await.0, Mode::ExplainOnly);
    assert_eq!(set(&app).await.lowered.unwrap().was, Mode::Full);
    app.gateway().restart().await;
    both(&mut app, GOOD_CHECKS).await;
    assert_eq!(mode(&app).await.0, Mode::Full);
}

#[tokio::test]
async fn a_run_that_dies_or_loses_an_answer_on_the_way_is_made_good_by_the_next() {
    let (sample, mut case) = (Sample::of_this_run(), 0);
    for fault in Fault::ALL {
        for (operation, key) in [("UpdateItem", "LADDER#SERVICE"), ("PutItem", "FAULT_WATCH")] {
            case += 1;
            if !sample.takes(case, 3) {
                continue;
            }
            let mut app = App::start().await;
            app.gateway().kill().await;
            minutes(&mut app, FAILED_CHECKS - 1).await;
            let once = |app: &App| {
                let hit = AtomicBool::new(false);
                app.faults.plan_items(move |asked, item| {
                    let first = asked == operation && item == key && !hit.swap(true, Ordering::SeqCst);
                    first.then_some(fault)
                });
            };
            once(&app);
            minutes(&mut app, 2).await;
            app.faults.none();
            assert_eq!(mode(&app).await.0, Mode::ExplainOnly, "{fault:?} {key}");
            assert_eq!(set(&app).await.lowered.unwrap().was, Mode::Full, "{fault:?} {key}");
            app.gateway().restart().await;
            minutes(&mut app, GOOD_CHECKS - 1).await;
            assert_eq!(mode(&app).await.0, Mode::ExplainOnly, "{fault:?} {key}");
            once(&app);
            minutes(&mut app, 2).await;
            app.faults.none();
            assert_eq!(mode(&app).await.0, Mode::Full, "{fault:?} {key}");
            minutes(&mut app, 2).await;
            assert_eq!(mode(&app).await.0, Mode::Full, "{fault:?} {key}: lowered once for each outage");
        }
    }
}

#[tokio::test]
async fn a_change_that_cannot_be_recorded_is_not_made_and_comes_again() {
    let mut app = App::start().await;
    app.gateway().kill().await;
    minutes(&mut app, FAILED_CHECKS - 1).await;
    let before = set(&app).await;
    app.faults.plan_items(|operation, key| {
        (operation == "PutItem" && !["FAULT_WATCH", "HEARTBEAT"].contains(&key)).then_some(Fault::Quoted)
    });
    app.advance(Duration::from_secs(60)).await;
    let deadline = app.clock.now().plus(Duration::from_secs(30));
    assert!(app.sweep.run(deadline).await.is_err(), "it is an error of the run");
    assert_eq!(set(&app).await, before, "recorded first, or not at all");
    app.faults.none();
    minutes(&mut app, 1).await;
    assert_eq!(mode(&app).await, (Mode::ExplainOnly, GATEWAY.to_owned()));
}
