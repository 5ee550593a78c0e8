//! Invariant 1, *one effect*, and 13, *always ends*: whatever happens to any one request between the service and its
//! table and queue, for each kind of tool.

use integration_tests::{App, Client, Fault, Sample, Setup};
use serde_json::{Value, json};

/// Claims about a job at its end after every fault.
fn check(job: &Value, effects: usize, idempotent: bool, story: &str) {
    let status = job["status"].as_str().unwrap();
    match status {
        "succeeded" => assert!(effects == 1, "{story}: {effects} effects: {job}"),
        "unknown" => assert!(effects <= 1, "{story}: {effects} effects: {job}"),
        _ => {
            assert_eq!(effects, usize::from(job["effect"] == "ran"), "{story}: {job}");
        }
    }
    assert!(effects <= 1 || idempotent, "{story}: {effects} effects");
}

async fn one(app: &mut App, alice: &Client, tool: &str, fault: Option<(Fault, u64, bool)>) -> (Value, usize, usize) {
    let id = app.new_id();
    // The gateway's view is cached; a new worker requests it, so that those requests get faults too.
    app.new_worker(None);
    if let Some((fault, place, lasting)) = fault {
        // A lasting loss hits every attempt that the SDK makes.
        app.faults.plan(move |_, n| (n == place || (lasting && n > place && n < place + 3)).then_some(fault));
    } else {
        app.faults.none();
    }
    let arguments = if tool == "ledger_read" { json!({}) } else { json!({"note":"n"}) };
    let submitted = tokio::select! {
        reply = alice.submit(&id, tool, arguments.clone()) => reply.status.as_u16(),
        () = app.faults.killed() => 0,
    };
    if submitted != 202 {
        // The phone repeats a request that was not answered, was answered by 503, or came while the mode could not be
        // read.
        assert!([0, 200, 403, 503].contains(&submitted), "{submitted}");
        app.advance(service::controls::RETRY_AFTER).await;
        let again = alice.submit(&id, tool, arguments).await;
        assert!([200, 202].contains(&again.status.as_u16()), "{}", again.body);
    }
    let before = app.faults.seen().len();
    let job = app.finish(alice, &id).await;
    app.faults.none();
    // Late duplicates of all messages change nothing.
    app.wake(alice, &id).await;
    app.sweep().await;
    while app.deliver().await {}
    assert_eq!(alice.job(&id).await["status"], job["status"]);
    (job, app.effects(&id), before)
}

async fn every_place(tool: &'static str) {
    let unlimited = |edge: &mut platform::config::EdgeAuthConfig| {
        edge.limits.submissions = domain::limits::Rate::new(std::time::Duration::from_millis(1), 1000);
    };
    let mut app = App::with(Setup { edge: unlimited, ..Setup::default() }).await;
    let mut alice = app.login("alice").await;
    let (job, effects, _) = one(&mut app, &alice, tool, None).await;
    assert_eq!(job["status"], "succeeded");
    check_tool(tool, &job, effects, "no fault");
    // Those of a write: its accept, a worker with empty caches, and the poll that sees the end.
    let places = 20;
    let sample = Sample::of_this_run();
    let mut case = 0;
    let (mut runs, mut ends) = (0, std::collections::BTreeMap::<String, usize>::new());
    for place in 0..places {
        for fault in Fault::ALL {
            for lasting in [false, true] {
                if lasting && !matches!(fault, Fault::LostBefore | Fault::LostAfter) {
                    continue;
                }
                case += 1;
                if !sample.takes(case, 5) {
                    continue;
                }
                if runs % 10 == 0 {
                    // The clock has moved on: a new session.
                    app.faults.none();
                    alice = app.login("alice").await;
                }
                let (job, effects, _) = one(&mut app, &alice, tool, Some((fault, place, lasting))).await;
                check_tool(tool, &job, effects, &format!("{tool}, {fault:?} at request {place}, lasting: {lasting}"));
                *ends.entry(job["status"].as_str().unwrap().to_owned()).or_default() += 1;
                runs += 1;
            }
        }
    }
    println!("{tool}: {runs} of {case} runs ended {ends:?}");
    // With gateway and journal well, no job needs to end as unknown: the next worker can ask the journal.
    assert_eq!(ends.keys().collect::<Vec<_>>(), ["succeeded"], "{ends:?}");
}

fn check_tool(tool: &str, job: &Value, effects: usize, story: &str) {
    match tool {
        "ledger_read" => assert_eq!((&job["status"], effects), (&json!("succeeded"), 0), "{story}"),
        _ => check(job, effects, false, story),
    }
}

#[tokio::test]
async fn a_fault_at_any_request_leaves_one_effect_of_a_write() {
    every_place("ledger_append").await;
}

#[tokio::test]
async fn a_fault_at_any_request_leaves_one_effect_of_an_idempotent_write() {
    every_place("ledger_append_once").await;
}

#[tokio::test]
async fn a_fault_at_any_request_leaves_a_read_answered() {
    every_place("ledger_read").await;
}

#[tokio::test]
async fn a_late_worker_cannot_overwrite_a_newer_answer() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    let messages = app.receive().await;
    // The first worker's last write is delayed.
    let puts = std::sync::atomic::AtomicUsize::new(0);
    app.faults.plan(move |operation, _| {
        let put = operation == "PutItem" && puts.fetch_add(1, std::sync::atomic::Ordering::SeqCst) >= 4;
        put.then_some(Fault::KilledBefore)
    });
    let before = app.inspect().stored(&alice, &id).await;
    app.hand_over(&messages).await;
    app.faults.none();
    let stuck = app.inspect().stored(&alice, &id).await;
    assert_eq!(stuck.state, domain::job::JobState::Running, "{stuck:?}");
    // Its lease ends, another worker finishes.
    let job = app.finish(&alice, &id).await;
    assert_eq!(job["status"], "succeeded");
    let over = app.inspect().stored(&alice, &id).await;
    // Now the delayed write arrives, based on each state that the worker may have read.
    for late in [before, stuck] {
        let mut after = late.clone();
        after.rev += 1;
        after.state = domain::job::JobState::Failed;
        let commit = app.inspect().table().commit(&late, &after, "late").await.unwrap();
        assert!(matches!(commit, store::Commit::Lost(_)), "{commit:?}");
    }
    assert_eq!(app.inspect().stored(&alice, &id).await, over);
    assert_eq!(app.effects(&id), 1);
}

#[tokio::test]
async fn a_lost_wake_up_message_is_sent_by_the_reconciler() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.new_id();
    app.faults.plan(|operation, _| (operation == "SendMessage").then_some(Fault::LostBefore));
    assert_eq!(alice.submit(&id, "ledger_append", json!({"note":"n"})).await.status, 202);
    app.faults.none();
    assert!(!app.deliver().await, "no wake-up message was sent");
    app.advance(std::time::Duration::from_secs(61)).await;
    assert_eq!(app.sweep().await.woken, 1);
    assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
}

#[tokio::test]
async fn a_clients_retry_replaces_a_lost_wake_up_message() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.new_id();
    app.faults.plan(|operation, _| (operation == "SendMessage").then_some(Fault::LostBefore));
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    app.faults.none();
    assert_eq!(alice.submit(&id, "ledger_append", json!({"note":"n"})).await.status, 200);
    assert!(app.deliver().await);
    assert_eq!(alice.job(&id).await["status"], "succeeded");
}

#[tokio::test]
async fn a_table_that_does_not_answer_is_503_and_the_same_key_completes_the_job() {
    let (mut app, alice) = App::start_with("alice").await;
    for down in ["BatchGetItem", "UpdateItem", "PutItem"] {
        let id = app.new_id();
        app.faults.plan(move |operation, _| (operation == down).then_some(Fault::LostBefore));
        let reply = alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
        assert_eq!(reply.verdict(), (503, "unavailable"), "{down}: {}", reply.body);
        assert_eq!(reply.header("retry-after"), "1");
        app.faults.none();
        assert_eq!(alice.submit(&id, "ledger_append", json!({"note":"n"})).await.status, 202, "{down}");
        assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
        assert_eq!(app.effects(&id), 1);
    }
}
