//! Stored modes: concurrent changes, the initial mode, checkpoints.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU8, Ordering},
    },
    time::Duration,
};

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use domain::{
    access::service_mode::{CheckpointSeen, Controls, Mode, Reason, Setting},
    audit::OperatorActor,
    ids::{OperatorId, Timestamp},
};
use integration_tests::{App, Fault, Setup};
use local::host::initial_mode::begin;
use platform::runtime::{Clock, Runtime, System};
use serde_json::{Value, json};
use service::{
    change_mode::{self, Change},
    controls::{self, ControlsCache},
};
use store::{Applied, Table};
use tokio::task::JoinSet;

fn runtime(app: &App) -> Runtime {
    Runtime::new(Arc::new(app.clock.clone()), Arc::new(System))
}

/// The table, with the app's faults.
fn faulty(app: &App) -> Table {
    app.deployment.open_table()
}

async fn set(app: &App) -> Controls {
    app.inspect().table().controls(app.clock.now(), Duration::from_secs(900)).await.unwrap()
}

fn setting(app: &App, mode: Mode, by: &str) -> Setting {
    Setting { mode, reason: "a test".into(), by: by.into(), at: app.clock.now() }
}

#[tokio::test]
async fn operators_who_change_the_mode_at_once_leave_what_was_recorded_last() {
    let app = App::start().await;
    let runtime = runtime(&app);
    // Some of the items are written late, so that later records come first.
    let table = faulty(&app);
    for round in 0..5_u8 {
        let count = AtomicU8::new(round);
        app.faults.plan_items(move |operation, key| {
            let late = key == "LADDER#SERVICE" && count.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
            (operation == "UpdateItem" && late).then_some(Fault::Late)
        });
        let mut changes = JoinSet::new();
        for (n, mode) in (0..8).zip(Mode::ALL.into_iter().cycle()) {
            let (table, runtime) = (table.clone(), runtime.clone());
            changes.spawn(async move {
                let actor = OperatorActor::Operator(OperatorId::from_random([n; 16]));
                let change = Change::mode(mode, Reason::parse(&format!("change {n}")).unwrap());
                change_mode::change(&table, &runtime, actor, &change, "p").await.unwrap()
            });
        }
        let applied = changes.join_all().await;
        assert!(applied.contains(&Applied::Done));
        app.faults.none();
        let last = app.inspect().table().operator_chain(0, 500).await.unwrap().records.pop().unwrap();
        let service = set(&app).await.service;
        let told = [json!(service.mode.name()), json!(service.by), json!(service.reason)];
        assert_eq!(told, [&last["mode"], &last["actor"], &last["reason"]].map(Value::clone), "round {round}");
    }
}

#[tokio::test]
async fn an_operator_and_an_alarm_that_cross_leave_the_weaker_mode() {
    let app = App::start().await;
    let (alarm, operator) = ("alarm:audit_unwritable", "operator:x");
    // The alarm was recorded later, and its item is written first.
    assert_eq!(
        app.inspect().table().lower_mode(11, &setting(&app, Mode::ReadOnly, alarm)).await.unwrap(),
        Applied::Done
    );
    let raised = app.inspect().table().set_mode(10, &setting(&app, Mode::Full, operator)).await.unwrap();
    assert_eq!((raised, set(&app).await.service.mode), (Applied::Overtaken, Mode::ReadOnly));
    let closed = app.inspect().table().set_mode(9, &setting(&app, Mode::Closed, operator)).await.unwrap();
    assert_eq!((closed, set(&app).await.service.mode), (Applied::Done, Mode::Closed));
    // A change recorded before the alarm's does not undo it now either.
    assert_eq!(
        app.inspect().table().set_mode(10, &setting(&app, Mode::Full, operator)).await.unwrap(),
        Applied::Overtaken
    );
    // The alarm's own repetition finds nothing to lower.
    assert_eq!(
        app.inspect().table().lower_mode(11, &setting(&app, Mode::ReadOnly, alarm)).await.unwrap(),
        Applied::Done
    );
    assert_eq!(set(&app).await.service.mode, Mode::Closed);
    // Nor does a later alarm raise what was closed after it had looked.
    assert_eq!(
        app.inspect().table().lower_mode(12, &setting(&app, Mode::ReadOnly, alarm)).await.unwrap(),
        Applied::Overtaken
    );
    assert_eq!(set(&app).await.service.mode, Mode::Closed);
    assert_eq!(app.inspect().table().set_mode(13, &setting(&app, Mode::Full, operator)).await.unwrap(), Applied::Done);
}

#[tokio::test]
async fn a_mode_that_an_operator_set_while_the_gateway_was_lost_is_the_most_that_sweep_raises_it_to() {
    let (sweep, operator) = ("alarm:gateway_not_ready", "operator:x");
    for (recorded_first, raised_to) in [(Mode::ReadOnly, Some(Mode::ReadOnly)), (Mode::ExplainOnly, None)] {
        let app = App::start().await;
        // The operator's change was recorded first, and its item is written last.
        let lowered = app.inspect().table().lower_mode(11, &setting(&app, Mode::ExplainOnly, sweep)).await.unwrap();
        assert_eq!((lowered, set(&app).await.lowered.unwrap().was), (Applied::Done, Mode::Full));
        app.inspect().table().set_mode(10, &setting(&app, recorded_first, operator)).await.unwrap();
        let controls = set(&app).await;
        assert_eq!(controls.service.mode, Mode::ExplainOnly, "{recorded_first:?}");
        assert_eq!(controls.lowered.map(|lowered| lowered.was), raised_to, "{recorded_first:?}");
        // A higher one that was recorded still earlier changes nothing.
        app.inspect().table().set_mode(9, &setting(&app, Mode::Full, operator)).await.unwrap();
        assert_eq!(set(&app).await.lowered.map(|lowered| lowered.was), raised_to, "{recorded_first:?}");
    }
}

#[tokio::test]
async fn a_new_table_begins_in_full_and_an_old_one_keeps_what_it_says() {
    let app = App::with(Setup { mode: None, ..Setup::default() }).await;
    let runtime = runtime(&app);
    let old = begin(app.inspect().table(), &runtime, false).await.unwrap();
    assert!(!old.is_set() && !set(&app).await.is_set(), "nothing is written to an old table");
    let new = begin(app.inspect().table(), &runtime, true).await.unwrap();
    assert_eq!((new.service.mode, new.service.by.as_str()), (Mode::Full, "command"));
    app.mode(Mode::Closed).await;
    for is_new in [false, true] {
        assert_eq!(
            begin(app.inspect().table(), &runtime, is_new).await.unwrap().service.mode,
            Mode::Closed,
            "{is_new}"
        );
    }
    let records = app.inspect().table().operator_chain(0, 10).await.unwrap().records;
    assert_eq!(records.len(), 2, "the beginning is recorded, once");
    assert_eq!((&records[0]["event"], &records[0]["actor"]), (&json!("mode_set"), &json!("command")));
}

#[tokio::test]
async fn a_checkpoint_never_moves_back() {
    let app = App::start().await;
    let now = app.clock.now();
    let note = async |seq, exported_at| {
        app.inspect().table().note_checkpoint(CheckpointSeen { seq, signed_at: now, exported_at }).await.unwrap();
        let seen = set(&app).await.checkpoint.unwrap();
        (seen.seq, seen.exported_at.is_some())
    };
    assert_eq!(note(2, None).await, (2, false));
    assert_eq!(note(1, None).await, (2, false), "older");
    assert_eq!(note(2, Some(now)).await, (2, true), "exported after it was signed");
    assert_eq!(note(3, None).await, (2, true), "not exported");
    assert_eq!(note(1, Some(now)).await, (2, true), "older");
    assert_eq!(note(2, Some(now)).await, (2, true));
    assert_eq!(note(3, Some(now)).await, (3, true));
}

#[tokio::test]
async fn a_mode_with_an_unknown_name_is_unreadable() {
    let app = App::start().await;
    let cache = ControlsCache::new("test", Duration::ZERO);
    let runtime = runtime(&app);
    app.switch_tool("ledger_append", Mode::Full).await;
    app.checkpoint(true).await;
    assert_eq!(cache.get(app.inspect().table(), &runtime).await.service.mode, Mode::Full);
    for (key, name) in [("SERVICE", "mode"), ("TOOL#ledger_append", "mode"), ("CHECKPOINT", "signed_at")] {
        let before = spoil(&app, &format!("LADDER#{key}"), name).await;
        app.clock.advance(controls::MAX_AGE);
        let seen = cache.get(app.inspect().table(), &runtime).await;
        assert_eq!((seen.service.mode, seen.is_set()), (Mode::ReadOnly, false), "{key}");
        let put = app.aws.dynamodb().put_item().table_name(&app.deployment.backend.table);
        put.set_item(Some(before)).send().await.unwrap();
        app.clock.advance(controls::RETRY_AFTER);
        assert_eq!(cache.get(app.inspect().table(), &runtime).await.service.mode, Mode::Full, "{key}");
    }
}

/// Makes an attribute of an item unreadable; returns the item as it was.
async fn spoil(app: &App, key: &str, name: &str) -> HashMap<String, AttributeValue> {
    let update = app.aws.dynamodb().update_item().table_name(&app.deployment.backend.table);
    let update = update.key("pk", AttributeValue::S("CONTROL".into())).key("sk", AttributeValue::S(key.into()));
    let update = update.update_expression("SET #name = :value").expression_attribute_names("#name", name);
    let update = update.expression_attribute_values(":value", AttributeValue::S("sideways".into()));
    update.return_values(ReturnValue::AllOld).send().await.unwrap().attributes.unwrap()
}

/// A clock that stands still between two advances.
#[derive(Debug)]
struct Still(AtomicI64);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

#[tokio::test]
async fn what_is_set_is_used_for_five_seconds_and_not_a_moment_longer() {
    let app = App::start().await;
    let still = Arc::new(Still(AtomicI64::new(app.clock.now().millis())));
    let runtime = Runtime::new(still.clone(), Arc::new(System));
    let table = faulty(&app);
    let cache = ControlsCache::new("test", Duration::ZERO);
    let after = async |millis: i64| {
        still.0.fetch_add(millis, Ordering::SeqCst);
        cache.get(&table, &runtime).await.service.mode
    };
    assert_eq!(after(0).await, Mode::Full);
    app.mode(Mode::Closed).await;
    assert_eq!(after(4999).await, Mode::Full, "still the old one");
    assert_eq!(after(1).await, Mode::Closed, "five seconds");
    app.mode(Mode::Full).await;
    assert_eq!(after(5000).await, Mode::Full);
    // What cannot be read is not replaced by what was read last, and is tried again after a second.
    app.mode(Mode::Closed).await;
    let unreadable = |operation: &str, _: &str| (operation == "Query").then_some(Fault::Quoted);
    app.faults.plan_items(unreadable);
    assert_eq!(after(4999).await, Mode::Full);
    assert_eq!(after(1).await, Mode::ReadOnly);
    app.faults.none();
    assert_eq!(after(999).await, Mode::ReadOnly);
    assert_eq!(after(1).await, Mode::Closed);
    // Nor does it do more than what was read last.
    app.faults.plan_items(unreadable);
    assert_eq!(after(5000).await, Mode::Closed);
    app.faults.none();
    app.mode(Mode::Full).await;
    assert_eq!(after(1000).await, Mode::Full);
    // A clock that was set back makes nothing younger.
    app.mode(Mode::Closed).await;
    assert_eq!(after(-1).await, Mode::Closed);
}

#[tokio::test]
async fn callers_who_come_at_once_share_one_read() {
    let app = App::start().await;
    let table = faulty(&app);
    let still = Arc::new(Still(AtomicI64::new(app.clock.now().millis())));
    let runtime = Runtime::new(still.clone(), Arc::new(System));
    let cache = Arc::new(ControlsCache::new("test", Duration::ZERO));
    for (fault, mode) in [(None, Mode::Full), (Some(Fault::Quoted), Mode::ReadOnly)] {
        still.0.fetch_add(5000, Ordering::SeqCst);
        app.faults.plan(move |_, _| fault);
        let mut callers = JoinSet::new();
        for _ in 0..20 {
            let (cache, table, runtime) = (cache.clone(), table.clone(), runtime.clone());
            callers.spawn(async move { cache.get(&table, &runtime).await });
        }
        let seen = callers.join_all().await;
        assert!(seen.iter().all(|controls| controls.service.mode == mode));
        assert_eq!(app.faults.seen(), ["Query"], "also when it fails: no request waits for twenty");
        app.faults.none();
    }
}
