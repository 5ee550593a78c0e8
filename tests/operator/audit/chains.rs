//! The audit chain: a record for each decision, intent and outcome. A change of any record is detected.

use domain::{
    audit::{AuditHead, Owner, verify},
    ids::DigestKey,
    json::canonical,
};
use integration_tests::{App, Setup};
use serde_json::{Value, json};

fn head(answer: &Value) -> AuditHead {
    AuditHead {
        length: answer["head"]["length"].as_u64().unwrap(),
        digest: answer["head"]["digest"].as_str().unwrap().to_owned().try_into().unwrap(),
    }
}

fn owner(answer: &Value) -> Owner {
    Owner::Job(answer["request_id"].as_str().unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_write_has_its_decision_its_intent_and_its_outcome_in_the_chain() {
    let (mut app, alice) = App::start_with("alice").await;
    let job = app.run(&alice, "ledger_append", json!({"note":"two coffees"})).await;
    let id = job["request_id"].as_str().unwrap();
    let answer = alice.get(&format!("/v1/jobs/{id}/audit")).await.body;
    let records = answer["records"].as_array().unwrap().clone();
    let events: Vec<&str> = records.iter().map(|record| record["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["accepted", "intended", "ended"]);
    assert_eq!(verify(&records, owner(&answer), head(&answer)), Ok(()));
    // With the job's own key its owner can verify what was sent; without it the digests reveal nothing.
    let key: DigestKey = answer["digest_key"].as_str().unwrap().to_owned().try_into().unwrap();
    let arguments = key.digest_bytes(&canonical::canonical(&json!({"note":"two coffees"}))).to_string();
    assert_eq!(records[1]["arguments_digest"], arguments);
    assert_eq!(records[2]["arguments_digest"], arguments);
    assert_eq!(records[2]["result_digest"], key.digest_bytes(&canonical::canonical(&job["result"])).to_string());
    assert!(!answer.to_string().contains("coffees"));
    assert!(records[1]["journal"].is_string() && records[1]["boot"].is_string());
}

#[tokio::test]
async fn a_changed_missing_or_moved_record_is_named() {
    let (mut app, alice) = App::start_with("alice").await;
    let job = app.run(&alice, "ledger_append", json!({"note":"n"})).await;
    let answer = alice.get(&format!("/v1/jobs/{}/audit", job["request_id"].as_str().unwrap())).await.body;
    let records = answer["records"].as_array().unwrap().clone();
    let broken = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut records = records.clone();
        change(&mut records);
        verify(&records, owner(&answer), head(&answer)).unwrap_err().to_string()
    };
    assert!(broken(&|r| r[1]["tool"] = json!("other")).starts_with("record 3"));
    assert!(broken(&|r| drop(r.remove(0))).starts_with("record 1"));
    assert!(broken(&|r| drop(r.pop())).contains("record 2"));
}

#[tokio::test]
async fn a_writer_that_lost_its_fence_leaves_no_trace_in_the_chain() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    // Each of these workers dies right after it has written a record: of its intent, then of the outcome.
    for place in [6, 5, 7] {
        app.new_worker(None);
        app.faults.plan(move |_, n| (n == place).then_some(integration_tests::Fault::KilledAfter));
        app.deliver().await;
        app.faults.none();
        app.clock.advance(std::time::Duration::from_secs(61));
        app.wake(&alice, &id).await;
    }
    app.finish(&alice, &id).await;
    let answer = alice.get(&format!("/v1/jobs/{id}/audit")).await.body;
    let records = answer["records"].as_array().unwrap();
    assert_eq!(verify(records, owner(&answer), head(&answer)), Ok(()));
    assert_eq!(records.iter().filter(|record| record["event"] == "intended").count(), 1, "{answer}");
    assert_eq!(app.effects(&id), 1);
}

#[tokio::test]
async fn a_cancel_stands_in_the_chain_as_the_users() {
    let (app, alice) = App::start_with("alice").await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    alice.cancel(&id).await;
    let answer = alice.get(&format!("/v1/jobs/{id}/audit")).await.body;
    let last = answer["records"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&last["event"], &last["actor"], &last["status"]),
        (&json!("cancel_requested"), &json!("user"), &json!("cancelled"))
    );
    assert_eq!(verify(answer["records"].as_array().unwrap(), owner(&answer), head(&answer)), Ok(()));
}

#[tokio::test]
async fn a_chain_that_lost_a_record_in_the_table_is_never_answered_as_whole() {
    let (mut app, alice) = App::start_with("alice").await;
    let job = app.run(&alice, "ledger_append", json!({"note":"n"})).await;
    let id = job["request_id"].as_str().unwrap();
    let text = |text: String| aws_sdk_dynamodb::types::AttributeValue::S(text);
    let table = &app.deployment.backend.table;
    let query =
        app.aws.dynamodb().query().table_name(table).key_condition_expression("pk = :p AND begins_with(sk, :s)");
    let records = query
        .expression_attribute_values(":p", text(format!("U#{}", alice.user_id)))
        .expression_attribute_values(":s", text(format!("A#{id}#")))
        .send()
        .await
        .unwrap()
        .items
        .unwrap();
    let delete = app.aws.dynamodb().delete_item().table_name(table).key("pk", records[1]["pk"].clone());
    delete.key("sk", records[1]["sk"].clone()).send().await.unwrap();
    assert_eq!(alice.get(&format!("/v1/jobs/{id}/audit")).await.verdict(), (500, "internal"));
}

/// A read has no `intended` record, so its `ended` record alone says under which key it went out.
#[tokio::test]
async fn the_end_of_a_call_that_went_out_names_its_key_and_that_of_one_that_did_not_names_none() {
    for (journal, status) in [(true, 403), (true, 404), (false, 403), (false, 404)] {
        let mut app = App::with(Setup { journal, ..Setup::default() }).await;
        let alice = app.login("alice").await;
        app.run(&alice, "ledger_read", json!({})).await;
        app.gateway().next("/tools/invoke", "status", Some(status), 1).await;
        let id = app.submit(&alice, "ledger_read", json!({})).await;
        let job = app.finish(&alice, &id).await;
        assert!(job["status"] == "refused" || job["status"] == "failed", "{journal} {status}: {job}");
        let records = alice.records(&id).await;
        let key = records.last().unwrap()["key"].as_str().unwrap_or_default();
        assert!(key.contains(&id), "{journal} {status}: {records:?}");
    }
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.submit(&alice, "ledger_read", json!({})).await;
    app.advance(std::time::Duration::from_secs(1000)).await;
    assert_eq!(app.finish(&alice, &id).await["status"], "expired");
    let records = alice.records(&id).await;
    assert!(records.last().unwrap()["key"].is_null(), "{records:?}");
}
