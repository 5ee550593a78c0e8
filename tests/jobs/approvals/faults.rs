//! Faults of approval requests: at every table request of a decision, in the audit log, and between the commit and the
//! wake-up message.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::policy::{Policy, PolicyFiles};
use integration_tests::{App, Client, Fault, events, sample::Sample};
use serde_json::json;

use super::{COFFEES, DEAR, pay, payment, payments, unlimited};

/// Decides during a fault, then like a client: repeats until there is a response, with a fresh code each time.
async fn decided(app: &App, alice: &Client, id: &str, decision: &str, fault: impl FnOnce(&App)) -> u16 {
    let digest = alice.digest(id).await;
    fault(app);
    let code = app.fresh_code("alice");
    let mut status = tokio::select! {
        reply = alice.decide(id, decision, &digest, Some(&code)) => reply.status.as_u16(),
        () = app.faults.killed() => 0,
    };
    for _ in 0..3 {
        if status == 200 {
            break;
        }
        assert!([0, 503].contains(&status), "{status}");
        status = alice.decide(id, decision, &digest, Some(&app.fresh_code("alice"))).await.status.as_u16();
    }
    app.faults.none();
    status
}

#[tokio::test]
async fn a_fault_at_any_request_of_an_approval_leaves_one_approval_and_one_payment() {
    let mut app = App::with(unlimited()).await;
    let sample = Sample::of_this_run();
    for (case, (fault, lasting)) in (0..).zip(Fault::ALL.into_iter().flat_map(|fault| [(fault, false), (fault, true)]))
    {
        if lasting && !matches!(fault, Fault::LostBefore | Fault::LostAfter) {
            continue;
        }
        let alice = app.login("alice").await;
        for place in (0..14).filter(|place| sample.takes(case + place, 4)) {
            let id = pay(&app, &alice, COFFEES).await;
            let story = format!("{fault:?} at request {place}, lasting: {lasting}");
            // A lasting loss hits every attempt that the SDK makes.
            let plan = move |n: u64| (n == place || (lasting && n > place && n < place + 3)).then_some(fault);
            let status = decided(&app, &alice, &id, "approve", |app| app.faults.plan(move |_, n| plan(n))).await;
            assert_eq!(status, 200, "{story}");
            while app.deliver().await {}
            if alice.job(&id).await["status"] != "succeeded" {
                app.finish(&alice, &id).await;
            }
            let job = alice.job(&id).await;
            assert_eq!(
                (&job["status"], &job["approval"]["decision"]),
                (&json!("succeeded"), &json!("approve")),
                "{story}: {job}"
            );
            let paid = payments(&app, &id);
            assert_eq!((paid.len(), &paid[0]["amount"]), (1, &json!(COFFEES)), "{story}");
            let chain = alice.records(&id).await;
            assert_eq!(
                events(&chain),
                ["accepted", "approval_asked", "approval_decided", "intended", "ended"],
                "{story}"
            );
        }
    }
}

#[tokio::test]
async fn a_fault_at_any_request_of_a_no_leaves_one_no() {
    let mut app = App::with(unlimited()).await;
    let sample = Sample::of_this_run();
    for (case, fault) in (0..).zip(Fault::ALL) {
        let alice = app.login("alice").await;
        for place in (0..10).filter(|place| sample.takes(case + place, 4)) {
            let id = pay(&app, &alice, COFFEES).await;
            let plan = move |_: &str, n| (n == place).then_some(fault);
            assert_eq!(
                decided(&app, &alice, &id, "reject", |app| app.faults.plan(plan)).await,
                200,
                "{fault:?} {place}"
            );
            while app.deliver().await {}
            assert_eq!((&alice.job(&id).await["status"], payments(&app, &id).len()), (&json!("refused"), 0));
            assert_eq!(events(&alice.records(&id).await), ["accepted", "approval_asked", "approval_decided"]);
        }
    }
}

#[tokio::test]
async fn after_a_crash_between_approval_and_wake_up_the_reconciler_wakes_the_job() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = pay(&app, &alice, COFFEES).await;
    let (digest, code) = (alice.digest(&id).await, app.fresh_code("alice"));
    app.faults.plan(|operation, _| (operation == "SendMessage").then_some(Fault::KilledBefore));
    tokio::select! {
        reply = alice.decide(&id, "approve", &digest, Some(&code)) => panic!("{}", reply.body),
        () = app.faults.killed() => {}
    }
    app.faults.none();
    assert_eq!(alice.job(&id).await["status"], "queued", "the approval is stored");
    assert!(!app.deliver().await, "no wake-up message was sent");
    app.advance(Duration::from_secs(61)).await;
    assert_eq!(app.sweep().await.woken, 1);
    assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
    assert_eq!(payments(&app, &id).len(), 1);
}

#[tokio::test]
async fn a_repeated_approval_replaces_a_lost_wake_up_message() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = pay(&app, &alice, COFFEES).await;
    let digest = alice.digest(&id).await;
    app.faults.plan(|operation, _| (operation == "SendMessage").then_some(Fault::LostBefore));
    assert_eq!(app.approve(&alice, "alice", &id).await.status, 200);
    app.faults.none();
    assert!(!app.deliver().await);
    assert_eq!(alice.decide(&id, "approve", &digest, None).await.status, 200);
    assert!(app.deliver().await);
    assert_eq!((&alice.job(&id).await["status"], payments(&app, &id).len()), (&json!("succeeded"), 1));
}

fn without_audit(app: &App) {
    app.faults
        .plan_items(|operation, sk| (operation == "PutItem" && sk.starts_with("A#")).then_some(Fault::LostBefore));
}

/// The first record of a job is with its payload: without both nothing is accepted.
fn without_any_record(app: &App) {
    app.faults.plan_items(|operation, sk| {
        let of_a_job = sk.starts_with("A#") || sk.starts_with("IN#");
        (operation == "PutItem" && of_a_job).then_some(Fault::LostBefore)
    });
}

#[tokio::test]
async fn while_the_audit_log_fails_writes_stop() {
    let mut app = App::with(unlimited()).await;
    let alice = app.login("alice").await;
    let (waiting, queued) = (pay(&app, &alice, COFFEES).await, app.new_id());
    alice.submit(&queued, "ledger_append", json!({"note":"n"})).await;
    let digest = alice.digest(&waiting).await;
    without_any_record(&app);
    // Nothing is accepted, answered, cancelled or begun.
    let new = app.new_id();
    assert_eq!(alice.submit(&new, "ledger_append", json!({"note":"n"})).await.verdict(), (503, "unavailable"));
    assert_eq!(alice.submit(&new, "ledger_pay", payment(COFFEES)).await.verdict(), (503, "unavailable"));
    assert_eq!(app.approve(&alice, "alice", &waiting).await.verdict(), (503, "unavailable"));
    assert_eq!(alice.decide(&waiting, "reject", &digest, None).await.verdict(), (503, "unavailable"));
    app.deliver().await;
    assert_eq!((app.effects(&queued), app.effects(&waiting)), (0, 0));
    assert_eq!(alice.job(&waiting).await["status"], "awaiting_approval");
    app.faults.none();
    // Afterwards everything works as before.
    assert_eq!(app.approve(&alice, "alice", &waiting).await.status, 200);
    for id in [&waiting, &queued] {
        assert_eq!(app.finish(&alice, id).await["status"], "succeeded");
        assert_eq!(app.effects(id), 1);
    }
}

#[tokio::test]
async fn while_the_audit_log_fails_reads_go_on_if_policy_says_so() {
    let (mut app, alice) = App::start_with("alice").await;
    without_audit(&app);
    let id = app.submit(&alice, "ledger_read", json!({})).await;
    while app.deliver().await {}
    assert_eq!(alice.job(&id).await["status"], "succeeded");
    assert_eq!(events(&alice.records(&id).await), ["accepted"], "what was not recorded is not claimed");
    // A policy that wants a record of every read.
    let files = PolicyFiles::built_in();
    let strict = format!(
        "{}\n@id(\"no-record-no-read\")\nforbid (principal, action, resource is MiniProgram::Tool) unless {{ context.audited }};\n",
        files.text("tools.cedar").unwrap()
    );
    app.new_worker(Some(Policy::parse(&files.with("tools.cedar", strict)).unwrap()));
    let id = app.submit(&alice, "ledger_read", json!({})).await;
    app.deliver().await;
    assert_eq!(alice.job(&id).await["status"], "running", "it does not end without its record");
    app.faults.none();
    assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
}

/// What an operator's list of a state would begin with.
async fn pointers(app: &App, state: &str) -> Vec<String> {
    let query = app.aws.dynamodb().query().table_name(&app.deployment.backend.table);
    let query = query.key_condition_expression("pk = :pk");
    let found =
        query.expression_attribute_values(":pk", AttributeValue::S(format!("STATE#{state}"))).send().await.unwrap();
    found.items().iter().map(|item| item["sk"].as_s().unwrap().clone()).collect()
}

#[tokio::test]
async fn whatever_an_operator_looks_for_is_pointed_at() {
    let (mut app, alice) = App::start_with("alice").await;
    pay(&app, &alice, COFFEES).await;
    assert!(pointers(&app, "awaiting_approval").await.is_empty(), "the user is asked, not an operator");
    let id = pay(&app, &alice, DEAR).await;
    let asked = app.inspect().stored(&alice, &id).await;
    let support_code = alice.job(&id).await["support_code"].as_str().unwrap().to_owned();
    let expires_at = asked.approval_request().unwrap().expires_at.millis();
    assert_eq!(pointers(&app, "awaiting_approval").await, [format!("{expires_at:015}#{support_code}")]);
    app.operator_decides(&alice, &id, false).await;
    let refused = app.inspect().stored(&alice, &id).await;
    assert_eq!(pointers(&app, "refused").await, [format!("{:015}#{support_code}", refused.updated_at.millis())]);
    // The pointer of a job that ends at once is written before the job, so it is never missing.
    let failing = app.submit(&alice, "ledger_fail", json!({"kind": "throw"})).await;
    app.faults.plan_items(|_, sk| sk.starts_with("0").then_some(Fault::LostBefore));
    app.deliver().await;
    assert_eq!(alice.job(&failing).await["status"], "running");
    app.faults.none();
    app.finish(&alice, &failing).await;
    let ended = alice.job(&failing).await["status"].as_str().unwrap().to_owned();
    assert_eq!(pointers(&app, &ended).await.len(), 1, "{ended}");
}
