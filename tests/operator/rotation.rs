//! Every secret is rotated under load, in the order of docs/operate/rotation.md, while several instances of each
//! function hold documents of different ages. And careless rotations, which the same load notices.

use std::{sync::Arc, time::Duration};

use domain::ids::{Digest, DigestKey, UserId};
use local::secrets::{
    rekey,
    rotate::RotateError,
    rotation::{Done, Holder, Kind, Phase, Refusal, Request, SPREAD},
    store::SecretStore,
};
use platform::runtime::{Clock, Runtime, System};
use serde_json::Value;
use store::Table;

mod fleet;
mod load;
use fleet::{Fleet, SILENT};

const STEP: Duration = Duration::from_secs(55);
const NOTHING: [&str; 0] = [];

/// The number of values of a kind in each of its documents.
async fn listed(fleet: &Fleet, kind: Kind) -> Vec<usize> {
    let pointer = match kind {
        Kind::SessionKeys => "/sessions/keys",
        Kind::LoginKeys => "/logins",
        Kind::CursorKeys => "/cursors",
        Kind::Wechat => "/wechat/app_secrets",
        Kind::GatewayToken => "/openclaw/tokens",
        Kind::CheckpointKeys => "/checkpoints/keys",
    };
    let documents = fleet.store.read(kind.holders()).await.unwrap();
    documents.values().map(|document| document.pointer(pointer).unwrap().as_array().unwrap().len()).collect()
}

/// Takes a step as early as it is permitted, and proves at once that it is not before.
async fn step_when_due(fleet: &mut Fleet, rounds: u32, kind: Kind, phase: Phase) {
    match fleet.step(kind, phase, None).await {
        Err(RotateError::Refused(Refusal::TooEarly { until, .. })) => {
            let wait = until.since(fleet.now());
            assert_eq!(fleet.pass(wait, wait / rounds).await, NOTHING, "{kind:?} before {phase:?}");
            assert_eq!(fleet.step(kind, phase, None).await.unwrap().done, Done::Changed, "{kind:?} {phase:?}");
        }
        other => {
            panic!("{kind:?} {phase:?} is permitted before every function can have read the last change: {other:?}")
        }
    }
    assert_eq!(fleet.load().await, NOTHING, "{kind:?} at once after {phase:?}");
}

async fn rotates_without_a_failed_request(kind: Kind) {
    let mut fleet = Fleet::start().await;
    assert_eq!(fleet.pass(STEP * 3, STEP).await, NOTHING, "{kind:?} before");
    let value = kind.is_given().then_some("the-second-value");
    fleet.step(kind, Phase::Add, value).await.unwrap();
    assert!(listed(&fleet, kind).await.iter().all(|count| *count == 2));
    assert_eq!(fleet.load().await, NOTHING, "{kind:?} at once after add");
    // WeChat changes while some functions do not know the new value yet, the gateway when all use it first already.
    if let (Kind::Wechat, Some(value)) = (kind, value) {
        change_outside(&mut fleet, kind, value).await;
    }
    step_when_due(&mut fleet, 7, kind, Phase::Activate).await;
    if let (Kind::GatewayToken, Some(value)) = (kind, value) {
        change_outside(&mut fleet, kind, value).await;
    }
    match kind {
        Kind::LoginKeys => {
            assert_eq!(fleet.pass(SPREAD, STEP).await, NOTHING, "while documents differ");
            rekey_logins(&fleet).await;
            assert_eq!(fleet.step(kind, Phase::Retire, None).await.unwrap().done, Done::Changed);
        }
        Kind::Wechat | Kind::GatewayToken | Kind::CheckpointKeys => {
            step_when_due(&mut fleet, 7, kind, Phase::Retire).await
        }
        Kind::SessionKeys | Kind::CursorKeys => {
            assert_eq!(fleet.pass(SPREAD, STEP).await, NOTHING, "{kind:?} while documents differ");
            step_when_due(&mut fleet, 16, kind, Phase::Retire).await;
        }
    }
    assert!(listed(&fleet, kind).await.iter().all(|count| *count == 1));
    assert_eq!(fleet.pass(SPREAD, STEP).await, NOTHING, "{kind:?} after");
    assert_eq!(fleet.log_in_everywhere(&[SILENT.to_owned()]).await, NOTHING, "{kind:?}: who was away is who they were");
    assert_eq!(fleet.settle().await, NOTHING);
    fleet.verify_checkpoints(kind == Kind::CheckpointKeys).await;
    assert!(fleet.jobs() > 50, "there was load: {} jobs", fleet.jobs());
    fleet.stop().await;
}

async fn change_outside(fleet: &mut Fleet, kind: Kind, value: &str) {
    assert_eq!(fleet.pass(STEP, STEP).await, NOTHING, "{kind:?} before the change outside");
    fleet.change_outside(kind, value).await;
    assert_eq!(fleet.load().await, NOTHING, "{kind:?} at once after the change outside");
}

async fn rekey_logins(fleet: &Fleet) {
    let runtime = Runtime::new(Arc::new(fleet.app.clock.clone()), Arc::new(System));
    let early = fleet.step(Kind::LoginKeys, Phase::Retire, None).await;
    assert!(matches!(early, Err(RotateError::Refused(Refusal::NotRekeyed))), "{early:?}");
    let foreign = rekey::run(&fleet.store, fleet.app.inspect().table(), &runtime, "wx-another", false).await;
    assert!(matches!(foreign, Err(rekey::RekeyError::UnknownUsers(_))), "{foreign:?}");
    let done = rekey::run(&fleet.store, fleet.app.inspect().table(), &runtime, "wx-test", false).await.unwrap();
    assert!(done.written > 0 && done.users > done.written, "{done:?}: some had logged in meanwhile, some had not");
}

#[tokio::test]
async fn session_keys_rotate_without_a_failed_request() {
    rotates_without_a_failed_request(Kind::SessionKeys).await;
}

#[tokio::test]
async fn login_keys_rotate_and_every_user_keeps_their_id() {
    rotates_without_a_failed_request(Kind::LoginKeys).await;
}

#[tokio::test]
async fn cursor_keys_rotate_and_cursors_stay_good() {
    rotates_without_a_failed_request(Kind::CursorKeys).await;
}

#[tokio::test]
async fn the_app_secret_rotates_without_a_failed_login() {
    rotates_without_a_failed_request(Kind::Wechat).await;
}

#[tokio::test]
async fn the_gateway_token_rotates_and_no_job_is_lost_or_run_twice() {
    rotates_without_a_failed_request(Kind::GatewayToken).await;
}

#[tokio::test]
async fn checkpoint_keys_rotate_and_trust_in_the_first_extends_to_the_last() {
    rotates_without_a_failed_request(Kind::CheckpointKeys).await;
}

#[tokio::test]
async fn a_rotation_of_session_or_cursor_keys_without_the_wait_fails_requests_of_the_same_load() {
    for (kind, what) in [(Kind::SessionKeys, "session of"), (Kind::CursorKeys, "cursor of")] {
        let mut fleet = Fleet::start().await;
        assert_eq!(fleet.pass(STEP * 3, STEP).await, NOTHING);
        // Activated before every instance has read it.
        fleet.step(kind, Phase::Add, None).await.unwrap();
        fleet.step_when(kind, Phase::Activate, None, true).await.unwrap();
        let faults = fleet.pass(SPREAD, STEP).await;
        assert!(faults.iter().any(|fault| fault.contains(what)), "{kind:?}: {faults:?}");
        fleet.stop().await;
    }
}

#[tokio::test]
async fn a_login_key_that_is_replaced_without_overlap_gives_every_user_a_new_id() {
    let mut fleet = Fleet::start().await;
    assert_eq!(fleet.load().await, NOTHING);
    let mut documents = fleet.store.read(&[Holder::EdgeAuth]).await.unwrap();
    let document = documents.get_mut(&Holder::EdgeAuth).unwrap();
    document["logins"] = serde_json::json!([String::from(DigestKey::from_random([7; 32]))]);
    fleet.store.write(Holder::EdgeAuth, document).await.unwrap();
    let faults = fleet.pass(SPREAD, STEP).await;
    assert!(faults.iter().any(|fault| fault.contains("ann has another user id")), "{faults:?}");
    fleet.stop().await;
}

#[tokio::test]
async fn a_value_that_was_changed_outside_before_it_was_added_delays_until_it_is_added_and_loses_nothing() {
    let mut fleet = Fleet::start().await;
    assert_eq!(fleet.load().await, NOTHING);
    for kind in [Kind::Wechat, Kind::GatewayToken] {
        fleet.change_outside(kind, "a-new-value").await;
    }
    let faults = fleet.pass(STEP, STEP).await;
    assert!(faults.iter().all(|fault| fault.contains("login of")), "{faults:?}");
    assert!(!faults.is_empty(), "no user can log in");
    for kind in [Kind::Wechat, Kind::GatewayToken] {
        fleet.step(kind, Phase::Add, Some("a-new-value")).await.unwrap();
    }
    // A refusal makes each instance read its secret at once, not after five minutes.
    assert_eq!(fleet.pass(STEP, STEP).await, NOTHING);
    assert_eq!(fleet.settle().await, NOTHING);
    fleet.stop().await;
}

#[tokio::test]
async fn what_is_changed_while_users_are_written_under_a_new_login_key_is_not_undone() {
    let app = integration_tests::App::start().await;
    app.login("ann").await;
    let runtime = Runtime::new(Arc::new(app.clock.clone()), Arc::new(System));
    let store = SecretStore::File(app.secrets_file.clone());
    let backend = &app.deployment.backend;
    let table = Table::new(backend.aws.dynamodb(), backend.table.clone(), Duration::from_secs(86_400));
    for phase in [Phase::Add, Phase::Activate] {
        let fresh = Some(local::secrets::random_key(&runtime).into());
        let (kind, now) = (Kind::LoginKeys, app.clock.now());
        let request = Request { kind, phase, fresh, session_lifetime: STEP, at_once: true, now };
        store.rotate(&request).await.unwrap();
    }
    let change_during = |pointer: &'static str| {
        let (file, added) = (app.secrets_file.clone(), local::secrets::random_key(&runtime));
        app.faults.plan(move |operation, _| {
            if operation == "Scan" {
                let mut document: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
                let list = document.pointer_mut(pointer).and_then(Value::as_array_mut).unwrap();
                list.push(added.clone().into());
                std::fs::write(&file, document.to_string()).unwrap();
            }
            None
        });
    };
    let listed = async |pointer: &str| {
        let documents = store.read(&[Holder::EdgeAuth]).await.unwrap();
        documents[&Holder::EdgeAuth].pointer(pointer).and_then(Value::as_array).unwrap().len()
    };
    change_during("/wechat/app_secrets");
    let rekeyed = rekey::run(&store, &table, &runtime, "wx-test", true).await;
    assert_eq!(rekeyed.unwrap().users, 1);
    assert_eq!(listed("/wechat/app_secrets").await, 2);
    change_during("/logins");
    let changed = rekey::run(&store, &table, &runtime, "wx-test", true).await;
    assert!(matches!(changed, Err(rekey::RekeyError::Changed)), "{changed:?}");
    assert_eq!(listed("/logins").await, 3);
    app.faults.none();
}

#[tokio::test]
async fn two_first_logins_at_functions_with_different_documents_make_one_user() {
    let app = integration_tests::App::start().await;
    let table = || {
        let backend = &app.deployment.backend;
        Table::new(backend.aws.dynamodb(), backend.table.clone(), Duration::from_secs(86_400))
    };
    // Both have read before either writes.
    app.faults.plan(|operation, _| {
        matches!(operation, "PutItem" | "TransactWriteItems").then_some(integration_tests::Fault::Late)
    });
    let digest = |person: u8, key: u8| DigestKey::from_random([key; 32]).digest(&[&[person]]);
    let (old, new) = (1, 2);
    let documents: [&[u8]; 4] = [&[old], &[old, new], &[new, old], &[new]];
    let mut person = 0;
    // The last two share no key: that is a rotation without waiting, and shows that both did read first.
    for (one, other) in [(0, 0), (0, 1), (1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 3), (0, 3)] {
        let careless = (one, other) == (0, 3);
        person += 1;
        let logins =
            |which: usize| -> Vec<Digest> { documents[which].iter().map(|key| digest(person, *key)).collect() };
        let (one, other) = (logins(one), logins(other));
        let (first, second) = (UserId::from_random([person; 16]), UserId::from_random([person + 100; 16]));
        let (a, b) = (table(), table());
        let (a, b) = tokio::join!(a.find_or_create_login(&one, first), b.find_or_create_login(&other, second));
        assert_eq!(a.unwrap() == b.unwrap(), !careless, "pair {person}");
    }
    app.faults.none();
}
