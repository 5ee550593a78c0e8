//! The invariants of `docs/invariants.md`, where no other flow would notice that one is broken: each test here was written
//! after a deliberate break that every other test had let pass.

use std::{sync::atomic, time::Duration};

use integration_tests::{App, Client, Fault, Setup, app::AFTER_A_CRASH};
use serde_json::json;
use shared::{clock::Clock, job::JobState, table::Commit};

const INVOKE: &str = "/miniprogram/v1/invoke";

/// A worker that claims what is on the queue, and dies.
async fn claim_and_die(app: &mut App) {
    app.faults.plan(|operation, n| (operation == "GetItem" && n > 0).then_some(Fault::KilledBefore));
    assert!(app.deliver().await, "it was rung");
    app.faults.none();
}

/// A job that another worker has taken over from one that died: as the first one left it, and as it is now.
async fn taken_over(app: &mut App) -> (Client, String, shared::job::Job, shared::job::Job) {
    let alice = app.login("alice").await;
    let id = app.new_id();
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    claim_and_die(app).await;
    let first = app.stored(&alice, &id).await;
    app.advance(AFTER_A_CRASH).await;
    app.ring(&alice, &id).await;
    claim_and_die(app).await;
    let second = app.stored(&alice, &id).await;
    assert_eq!((first.state, second.state), (JobState::Running, JobState::Running));
    (alice, id, first, second)
}

#[tokio::test]
async fn a_late_write_is_refused_even_when_the_state_is_the_same() {
    let mut app = App::start().await;
    let (_, _, first, second) = taken_over(&mut app).await;
    assert!(second.rev > first.rev, "each write has a revision of its own");
    let mut late = first.clone();
    late.rev += 1;
    let commit = app.table.commit(&first, &late, "late").await.unwrap();
    assert!(matches!(commit, Commit::Lost(_)), "{commit:?}");
    app.stop().await;
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_changes_nothing_when_its_answer_comes_at_last() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    let id = app.new_id();
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    app.gateway().next(INVOKE, "hang", None, 1).await;
    let before = app.gateway().counts().await[INVOKE].clone();
    let messages = app.receive().await;
    let (slow, deadline) = (app.worker.clone(), app.clock.now().plus(Duration::from_secs(30)));
    let slow = tokio::spawn(async move { slow.handle_batch(local::poller::event(&messages), deadline).await });
    while app.gateway().counts().await[INVOKE] == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // It waits for the gateway, its lease runs out, and another worker claims the job.
    app.advance(AFTER_A_CRASH).await;
    app.new_worker(None);
    app.ring(&alice, &id).await;
    claim_and_die(&mut app).await;
    let held = app.stored(&alice, &id).await;
    assert_eq!(held.state, JobState::Running);
    slow.await.unwrap();
    assert_eq!(app.stored(&alice, &id).await, held, "the job is the other worker's");
    assert_eq!((app.finish(&alice, &id).await["status"].as_str(), app.effects(&id)), (Some("succeeded"), 1));
    app.stop().await;
}

#[tokio::test]
async fn a_worker_that_still_has_time_is_not_replaced() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    let id = app.new_id();
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    claim_and_die(&mut app).await;
    let held = app.stored(&alice, &id).await;
    // The function's deadline is 30 s; until then, and a little longer, nobody knows that it is dead.
    for seconds in [15, 15, 3] {
        app.advance(Duration::from_secs(seconds)).await;
        app.ring(&alice, &id).await;
        app.deliver().await;
        assert_eq!(app.stored(&alice, &id).await, held);
    }
    app.advance(Duration::from_secs(3)).await;
    app.ring(&alice, &id).await;
    app.deliver().await;
    assert_eq!((alice.job(&id).await["status"].as_str(), app.effects(&id)), (Some("succeeded"), 1));
    app.stop().await;
}

#[tokio::test]
async fn a_call_ends_before_the_function_must() {
    let mut app = App::with(Setup { journal: false, unjournaled_writes: true, ..Setup::default() }).await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_read", json!({})).await;
    let id = app.new_id();
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    app.gateway().next("/tools/invoke", "hang", None, 1).await;
    let messages = app.receive().await;
    let began = std::time::Instant::now();
    let deadline = app.clock.now().plus(Duration::from_secs(14));
    let done = app.worker.handle_batch(local::poller::event(&messages), deadline).await;
    // With room for a slow machine, and far less than the 30 s that the tool may take.
    assert!(began.elapsed() < Duration::from_secs(22), "the function has 14 s: {:?}", began.elapsed());
    assert!(done.batch_item_failures.is_empty());
    assert_eq!(alice.job(&id).await["status"], "unknown");
    app.stop().await;
}

#[tokio::test]
async fn without_the_record_of_its_intent_alone_no_write_leaves() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    let id = app.new_id();
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    // A worker's first put is its claim, its second the record of the intent: lost, in each of the SDK's three attempts.
    let puts = atomic::AtomicUsize::new(0);
    app.faults.plan(move |operation, _| {
        let record = operation == "PutItem" && (1..=3).contains(&puts.fetch_add(1, atomic::Ordering::SeqCst));
        record.then_some(Fault::LostBefore)
    });
    app.deliver().await;
    assert_eq!(app.effects(&id), 0, "no audit, no call");
    app.faults.none();
    assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
    assert_eq!(alice.get(&format!("/v1/jobs/{id}/audit")).await.status, 200, "the chain is whole");
    app.stop().await;
}

#[tokio::test]
async fn eight_different_requests_that_race_under_one_id_are_one_and_seven_are_told() {
    let mut app = App::with(Setup {
        edge: |edge| edge.limits.submissions = shared::rate_limit::Rate::new(Duration::from_millis(1), 1000),
        ..Setup::default()
    })
    .await;
    let alice = app.login("alice").await;
    let id = app.new_id();
    // Each request to the table takes a while, so that all eight find no job of that id.
    app.faults.plan(|_, _| Some(Fault::Late));
    let submissions = (0..8).map(|n| {
        let (alice, id) = (alice.clone(), id.clone());
        tokio::spawn(async move { alice.submit(&id, "ledger_append", json!({"note":format!("{n}")})).await })
    });
    let mut verdicts = Vec::new();
    for submission in submissions.collect::<Vec<_>>() {
        let reply = submission.await.unwrap();
        verdicts.push((reply.status.as_u16(), reply.code().to_owned()));
    }
    app.faults.none();
    verdicts.sort();
    assert_eq!(verdicts[0], (202, String::new()), "{verdicts:?}");
    assert!(verdicts[1..].iter().all(|v| *v == (422, "idempotency_key_reused".to_owned())), "{verdicts:?}");
    assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
    assert_eq!(app.effects(&id), 1);
    app.stop().await;
}

#[tokio::test]
async fn a_write_goes_under_one_key_however_often_it_did_not_start() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    app.gateway().next("/tools/invoke", "status", Some(503), 3).await;
    let id = app.new_id();
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    app.finish(&alice, &id).await;
    let records = alice.get(&format!("/v1/jobs/{id}/audit")).await.body["records"].clone();
    let keys: Vec<_> = records.as_array().unwrap().iter().filter_map(|record| record["key"].as_str()).collect();
    assert_eq!(keys, vec![format!("{}.{id}.0.0.0", alice.user_id); 5], "four intents and the end");
    assert_eq!(app.stored(&alice, &id).await.steps[0].attempts, 1, "what did not start was no attempt");
    app.stop().await;
}

#[tokio::test]
async fn a_result_over_the_cap_is_not_kept_by_a_gateway_without_a_journal_either() {
    let mut app = App::with(Setup {
        journal: false,
        unjournaled_writes: true,
        edge: |edge| edge.limits.submissions = shared::rate_limit::Rate::new(Duration::from_millis(1), 1000),
        ..Setup::default()
    })
    .await;
    let alice = app.login("alice").await;
    for _ in 0..40 {
        app.run(&alice, "ledger_append", json!({"note":"x".repeat(1900)})).await;
        app.advance(Duration::from_millis(10)).await;
    }
    let job = app.run(&alice, "ledger_read", json!({})).await;
    assert_eq!((&job["status"], &job["result"]), (&json!("succeeded"), &json!({"omitted":"too_large"})));
    app.stop().await;
}

#[tokio::test]
async fn bells_alone_bring_a_job_to_its_end() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    for (tool, arguments) in [("ledger_append", json!({"note":"put back twice"})), ("ledger_sleep", json!({"ms":10}))] {
        let id = app.new_id();
        app.gateway().next("/tools/invoke", "status", Some(503), 2).await;
        alice.submit(&id, tool, arguments).await;
        for _ in 0..20 {
            while app.deliver().await {}
            if alice.job(&id).await["next_poll_ms"].is_null() {
                break;
            }
            let due = app.delays.next().unwrap_or_else(|| panic!("{tool}: an open job, and no bell for it"));
            app.advance(due.max(Duration::from_millis(200))).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(alice.job(&id).await["status"], "succeeded", "{tool}");
    }
    app.stop().await;
}

#[tokio::test]
async fn what_is_learnt_of_an_unknown_job_changes_nothing_else_of_it() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    app.gateway().next(INVOKE, "reset_after", None, 1).await;
    app.gateway().next(INVOKE, "status", Some(503), 1000).await;
    app.gateway().next("/miniprogram/v1/revoke", "status", Some(503), 1000).await;
    let id = app.new_id();
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    let told = app.finish(&alice, &id).await;
    assert_eq!(told["status"], "unknown");
    // The sweeper rings in vain, and again once the gateway is well.
    for well in [false, true] {
        if well {
            app.gateway().restart().await;
        }
        app.advance(Duration::from_secs(3600)).await;
        assert_eq!(app.sweep().await.rung, 1);
        while app.deliver().await {}
    }
    let alice = app.login("alice").await;
    let mut later = alice.job(&id).await;
    assert_eq!(later.as_object_mut().unwrap().remove("resolution").unwrap()["happened"], true, "{later}");
    for (field, value) in told.as_object().unwrap() {
        assert_eq!(later[field], *value, "one answer: {field}");
    }
    assert_eq!(later, told, "one answer, and nothing beside it");
    assert_eq!(alice.cancel(&id).await.verdict(), (409, "job_over"));
    assert_eq!(app.stored(&alice, &id).await.state, JobState::Unknown);
    app.stop().await;
}

#[tokio::test]
async fn a_call_that_was_seen_running_is_not_sent_again_by_a_journal_that_forgot_it() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    app.gateway().snapshot_journal().await;
    app.new_worker(None);
    let id = app.new_id();
    alice.submit(&id, "ledger_sleep", json!({"ms":20_000})).await;
    app.deliver().await;
    let patience = std::time::Instant::now();
    while app.effects(&id) == 0 {
        assert!(patience.elapsed().as_secs() < 10, "the tool does not start");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The snapshot is younger than what the table knows of the journal, and others carry the journal past that at once.
    app.gateway().restore_snapshot().await;
    app.new_worker(None);
    for _ in 0..4 {
        assert_eq!(app.run(&alice, "ledger_append", json!({"note":"n"})).await["status"], "succeeded");
    }
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], app.effects(&id)), (&json!("unknown"), 1), "{job}");
    // Nor does that journal's word that it never had the call count for anything.
    app.advance(Duration::from_secs(3600)).await;
    assert_eq!(app.sweep().await.rung, 1);
    while app.deliver().await {}
    let alice = app.login("alice").await;
    assert!(alice.job(&id).await.get("resolution").is_none(), "it ran, and that is not denied");
    app.stop().await;
}

#[tokio::test]
async fn a_job_whose_recording_was_answered_late_is_new_all_the_same() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    let id = app.new_id();
    // Payload, audit record, job: the SDK repeats the third put, which then finds its own job.
    let puts = atomic::AtomicUsize::new(0);
    app.faults.plan(move |operation, _| {
        let third = operation == "PutItem" && puts.fetch_add(1, atomic::Ordering::SeqCst) == 2;
        third.then_some(Fault::LostAfter)
    });
    let reply = alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    app.faults.none();
    assert_eq!((reply.status.as_u16(), reply.header("idempotent-replayed")), (202, ""), "{}", reply.body);
    assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
    app.stop().await;
}

#[tokio::test]
async fn a_session_that_was_ended_starts_no_job() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    alice.send("DELETE", "/v1/sessions", &[], b"").await;
    let id = app.new_id();
    // Once with nothing ahead in the rate, once within its burst: two different updates decide.
    assert_eq!(alice.submit(&id, "ledger_append", json!({"note":"n"})).await.verdict(), (401, "no_session"));
    app.advance(Duration::from_secs(1)).await;
    let again = app.login("alice").await;
    assert_eq!(again.submit(&app.new_id(), "ledger_read", json!({})).await.status, 202);
    assert_eq!(alice.submit(&id, "ledger_append", json!({"note":"n"})).await.verdict(), (401, "no_session"));
    assert_eq!(again.get(&format!("/v1/jobs/{id}")).await.status, 404, "nothing is stored");
    app.stop().await;
}

#[tokio::test]
async fn a_cancel_that_arrives_before_the_intent_stops_the_call() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    let id = app.new_id();
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    let messages = app.receive().await;
    app.faults.plan(|_, _| Some(Fault::Late));
    let (worker, deadline) = (app.worker.clone(), app.clock.now().plus(Duration::from_secs(30)));
    let worker = tokio::spawn(async move { worker.handle_batch(local::poller::event(&messages), deadline).await });
    let claimed = loop {
        let job = app.stored(&alice, &id).await;
        if job.state == JobState::Running {
            break job;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    // The worker is reading the payload now, and does not see this before it commits its intent.
    let cancelled = claimed.apply(shared::job::JobEvent::CancelRequested, app.clock.now()).unwrap();
    assert!(matches!(app.table.commit(&claimed, &cancelled, "cancel").await.unwrap(), Commit::Done));
    worker.await.unwrap();
    app.faults.none();
    assert_eq!((alice.job(&id).await["status"].as_str(), app.effects(&id)), (Some("cancelled"), 0));
    app.stop().await;
}

#[tokio::test]
async fn the_highest_sequence_of_a_journal_is_never_forgotten() {
    let app = App::start().await;
    let id = shared::intent::JournalId { journal: "j".into(), boot: "b".into() };
    for sequence in [10, 7, 11, 3] {
        app.table.see_gateway(&id, sequence, app.clock.now()).await.unwrap();
    }
    assert_eq!(app.table.gateway_seen("j").await.unwrap().unwrap().sequence, 11);
    app.stop().await;
}

#[tokio::test]
async fn sixteen_that_race_get_no_more_than_the_burst() {
    let app = App::with(Setup {
        edge: |edge| edge.limits.submissions = shared::rate_limit::Rate::new(Duration::from_secs(2), 3),
        ..Setup::default()
    })
    .await;
    let alice = app.login("alice").await;
    // All of them reach the user item before any of them is charged.
    app.faults.plan(|_, _| Some(Fault::Late));
    let submissions = (0..16).map(|_| {
        let (alice, id) = (alice.clone(), app.new_id());
        tokio::spawn(async move { alice.submit(&id, "ledger_read", json!({})).await.status.as_u16() })
    });
    let mut statuses = Vec::new();
    for submission in submissions.collect::<Vec<_>>() {
        statuses.push(submission.await.unwrap());
    }
    app.faults.none();
    assert!(statuses.iter().all(|status| [202, 429].contains(status)), "{statuses:?}");
    let passed = statuses.iter().filter(|status| **status == 202).count();
    assert!((1..=3).contains(&passed), "{statuses:?}");
    app.stop().await;
}

#[tokio::test]
async fn a_boot_whose_first_witness_died_still_has_its_fence_tried() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    app.gateway().restart().await;
    app.new_worker(None);
    let id = app.new_id();
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    // It notes the new boot, and dies before it takes the right to try its fence.
    let updates = atomic::AtomicUsize::new(0);
    app.faults.plan(move |operation, _| {
        let second = operation == "UpdateItem" && updates.fetch_add(1, atomic::Ordering::SeqCst) == 1;
        second.then_some(Fault::KilledBefore)
    });
    app.deliver().await;
    app.faults.none();
    app.new_worker(None);
    assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
    assert_eq!(app.gateway().counts().await["/miniprogram/v1/canary"], 1, "no write before the trial");
    app.stop().await;
}

#[tokio::test]
async fn a_cancel_acts_at_once_and_not_when_the_job_was_due() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    let id = app.new_id();
    app.gateway().next(INVOKE, "reset_before", None, 6).await;
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    app.deliver().await;
    for _ in 0..4 {
        app.advance(app.delays.next().unwrap()).await;
        app.deliver().await;
    }
    assert_eq!(alice.job(&id).await["status"], "running", "it may be out");
    assert!(app.delays.next().unwrap() > Duration::from_secs(5), "it is not due soon");
    assert_eq!(alice.cancel(&id).await.status, 202);
    assert!(app.deliver().await, "it is rung");
    assert_eq!((alice.job(&id).await["status"].as_str(), app.effects(&id)), (Some("cancelled"), 0));
    app.stop().await;
}

#[tokio::test]
async fn a_write_that_a_newer_catalogue_takes_for_a_read_is_not_sent_without_an_intent() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    let id = app.new_id();
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    let root = integration_tests::mini_gateway::checkout().join("policy");
    let text = std::fs::read_to_string(root.join("tools.toml")).unwrap();
    let changed = text.replacen("effect = \"write\"\nrun_unapproved = true", "effect = \"read\"", 1);
    assert_ne!(text, changed);
    let schema = |name: &str| std::fs::read(root.join("schemas").join(name)).ok();
    app.new_worker(Some(shared::catalogue::Catalogue::parse(&changed, schema).unwrap()));
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], &job["error"]["code"]), (&json!("refused"), &json!("tool_changed")), "{job}");
    assert_eq!((&job["effect"], app.effects(&id)), (&json!("not_run"), 0));
    app.stop().await;
}

#[tokio::test]
async fn a_call_whose_payload_has_gone_is_not_denied() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    let id = app.new_id();
    app.gateway().next(INVOKE, "reset_after", None, 2).await;
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    app.deliver().await;
    let text = aws_sdk_dynamodb::types::AttributeValue::S;
    let payload = format!("IN#{id}#{}", app.stored(&alice, &id).await.fingerprint);
    let delete = app.aws.dynamodb().delete_item().table_name(&app.deployment.backend.table);
    delete.key("pk", text(format!("U#{}", alice.user_id))).key("sk", text(payload)).send().await.unwrap();
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], &job["effect"]), (&json!("unknown"), &json!("unknown")), "it ran: {job}");
    assert_eq!(app.effects(&id), 1);
    app.stop().await;
}

#[tokio::test]
async fn a_run_of_the_sweeper_rings_no_more_than_it_may() {
    let mut app = App::with(Setup {
        edge: |edge| edge.limits.submissions = shared::rate_limit::Rate::new(Duration::from_millis(1), 1000),
        ..Setup::default()
    })
    .await;
    let mut config = app.deployment.sweep();
    config.rings_per_run = 2;
    app.sweep = sweep::Sweep::new(config, app.functions.world.clone()).unwrap();
    let alice = app.login("alice").await;
    for _ in 0..8 {
        assert_eq!(alice.submit(&app.new_id(), "ledger_read", json!({})).await.status, 202);
    }
    drop(app.receive().await);
    app.clock.advance(AFTER_A_CRASH);
    for _ in 0..4 {
        assert_eq!(app.sweep().await.rung, 2);
    }
    assert_eq!(app.sweep().await.rung, 0, "each was rung once");
    app.stop().await;
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_the_workers_own_all_the_same() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    let id = app.new_id();
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    let puts = atomic::AtomicUsize::new(0);
    app.faults.plan(move |operation, _| {
        let claim = operation == "PutItem" && puts.fetch_add(1, atomic::Ordering::SeqCst) == 0;
        claim.then_some(Fault::LostAfter)
    });
    app.deliver().await;
    app.faults.none();
    assert_eq!(alice.job(&id).await["status"], "succeeded", "by the first bell, without waiting for the lease to end");
    app.stop().await;
}

#[tokio::test]
async fn a_gateway_that_died_under_a_call_and_then_refuses_another_denies_nothing() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    // One that has a single connection, so that its second sending must make another.
    app.new_worker(None);
    let id = app.new_id();
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    // The journal has claimed the call and is running it when the gateway dies; the worker's second sending finds nobody.
    app.gateway().next("/tools/invoke", "hang", None, 1).await;
    let before = app.gateway().counts().await["/tools/invoke"].clone();
    let messages = app.receive().await;
    let (worker, deadline) = (app.worker.clone(), app.clock.now().plus(Duration::from_secs(30)));
    let worker = tokio::spawn(async move { worker.handle_batch(local::poller::event(&messages), deadline).await });
    while app.gateway().counts().await["/tools/invoke"] == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    app.gateway().kill().await;
    worker.await.unwrap();
    let asked = alice.cancel(&id).await;
    assert_eq!((asked.status.as_u16(), &asked.body["status"]), (202, &json!("running")), "{}", asked.body);
    app.gateway().restart().await;
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], &job["effect"]), (&json!("unknown"), &json!("unknown")), "{job}");
    app.stop().await;
}
