//! Two items that are read by one request: what the engines answer, and keys that they leave unprocessed.

use std::sync::atomic::{AtomicUsize, Ordering};

use domain::ids::UserId;
use integration_tests::{App, Fault, faults::reads_items};
use serde_json::json;
use store::Stored;

/// On both engines, also for items that do not exist.
#[tokio::test]
async fn a_batch_returns_what_single_reads_return() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.run(&alice, "ledger_append", json!({"note":"n"})).await["request_id"].as_str().unwrap().to_owned();
    let job = app.inspect().stored(&alice, &id).await;
    let (user, absent_job) = (job.user_id, app.new_id().parse().unwrap());
    let absent_user = UserId::from_random([7; 16]);
    for (user, id) in [(user, job.request_id), (user, absent_job), (absent_user, job.request_id)] {
        let both = app.inspect().table().user_and_job(user, id).await.unwrap();
        assert_eq!(both.user, app.inspect().table().user(user).await.unwrap());
        assert_eq!(both.job.unwrap(), app.inspect().table().job(user, id).await.unwrap());
    }
    let both = app.inspect().table().payload_and_user(&job).await.unwrap();
    assert_eq!(both.user, app.inspect().table().user(user).await.unwrap());
    let alone = app.inspect().table().payload(user, job.request_id, job.fingerprint).await.unwrap().unwrap();
    let payload = both.payload.unwrap();
    assert_eq!((payload.steps, String::from(payload.digest_key)), (alone.steps, String::from(alone.digest_key)));
    assert!(matches!(app.inspect().table().job(user, job.request_id).await.unwrap(), Some(Stored::Job(_))));
}

/// The first `times` batches leave their first key unprocessed. Each attempt asks for what is left, until both are here.
fn leave_unprocessed(app: &App, times: usize) {
    let left = AtomicUsize::new(times);
    let one_less = move || left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
    app.faults.plan(move |operation, _| (operation == "BatchGetItem" && one_less()).then_some(Fault::Unprocessed));
}

fn batches(app: &App) -> usize {
    app.faults.seen().iter().filter(|operation| *operation == "BatchGetItem").count()
}

#[tokio::test]
async fn a_key_that_was_left_unprocessed_is_read_again_until_both_items_are_there() {
    let (mut app, alice) = App::start_with("alice").await;
    for times in 1..=3 {
        let id = app.new_id();
        leave_unprocessed(&app, times);
        assert_eq!(alice.submit(&id, "ledger_append", json!({"note":"n"})).await.status, 202, "{times}");
        assert_eq!(batches(&app), times + 1);
        leave_unprocessed(&app, times);
        assert_eq!(alice.job(&id).await["status"], "queued", "{times}");
        leave_unprocessed(&app, times);
        assert!(app.deliver().await);
        app.faults.none();
        assert_eq!((&alice.job(&id).await["status"], app.effects(&id)), (&json!("succeeded"), 1), "{times}");
    }
}

/// What is unprocessed is not absent: neither is the session refused, nor the job unknown, nor its payload missing.
#[tokio::test]
async fn keys_that_stay_unprocessed_are_a_503_and_are_not_taken_for_absent_items() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    let path = format!("/v1/jobs/{id}");
    leave_unprocessed(&app, usize::MAX);
    assert_eq!(alice.submit(&app.new_id(), "ledger_append", json!({"note":"n"})).await.verdict(), (503, "unavailable"));
    assert_eq!(batches(&app), 4, "the repetitions are bounded");
    for path in [path.clone(), format!("{path}/steps/0"), format!("{path}/audit")] {
        assert_eq!(alice.get(&path).await.verdict(), (503, "unavailable"), "{path}");
    }
    assert_eq!(alice.cancel(&id).await.verdict(), (503, "unavailable"));
    // The worker has claimed the job, and cannot tell whether it has a payload.
    assert!(app.deliver().await);
    assert!(app.faults.seen().iter().any(|operation| reads_items(operation)));
    app.faults.none();
    assert_eq!((alice.job(&id).await["status"].as_str(), app.effects(&id)), (Some("running"), 0));
    assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
    assert_eq!(app.effects(&id), 1);
}

#[tokio::test]
async fn a_revoked_session_learns_nothing_by_a_batch_that_also_reads_the_job() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.run(&alice, "ledger_append", json!({"note":"n"})).await["request_id"].as_str().unwrap().to_owned();
    assert_eq!(alice.send("DELETE", "/v1/sessions", &[], b"").await.status, 204);
    for id in [id, app.new_id(), "not-an-id".to_owned()] {
        let path = format!("/v1/jobs/{id}");
        for path in [path.clone(), format!("{path}/steps/0"), format!("{path}/audit")] {
            assert_eq!(alice.get(&path).await.verdict(), (401, "no_session"), "{path}");
        }
        assert_eq!(alice.cancel(&id).await.verdict(), (401, "no_session"));
        if id.contains("not") {
            continue;
        }
        let again = alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
        assert_eq!(again.verdict(), (401, "no_session"), "{}", again.body);
    }
}
