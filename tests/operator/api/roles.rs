//! Every call by every role.

use std::sync::atomic::{AtomicUsize, Ordering};

use integration_tests::{App, Fault, OperatorClient};
use serde_json::{Value, json};

use super::{list, told};

/// Method, path, body, and the least role that gets past the policies.
fn calls() -> Vec<(&'static str, String, Value, &'static str)> {
    let job = "A".repeat(43);
    let user = "3f0c9a52-5d5e-4a5f-9f0e-6c1f0d7b2a11";
    let reason = json!({"reason": "a test"});
    let mode = json!({"mode": "full", "reason": "a test"});
    vec![
        ("GET", "/me".into(), Value::Null, "viewer"),
        ("POST", "/me/users".into(), json!({"user_id": user}), "viewer"),
        ("GET", "/approvals".into(), Value::Null, "viewer"),
        ("GET", "/jobs?state=unknown".into(), Value::Null, "viewer"),
        ("GET", format!("/jobs/{job}"), Value::Null, "viewer"),
        ("POST", format!("/jobs/{job}/approval"), json!({"decision": "approve", "digest": "A".repeat(43)}), "approver"),
        ("GET", "/held-texts".into(), Value::Null, "viewer"),
        ("GET", format!("/jobs/{job}/held-text"), Value::Null, "approver"),
        ("POST", format!("/jobs/{job}/held-text"), json!({"decision": "pass", "digest": "A".repeat(43)}), "approver"),
        ("POST", format!("/jobs/{job}/resolution"), json!({"happened": true, "note": "seen"}), "admin"),
        ("GET", format!("/users/{user}/jobs"), Value::Null, "viewer"),
        ("POST", format!("/users/{user}/revocation"), reason.clone(), "admin"),
        ("PUT", format!("/users/{user}/groups"), json!({"groups": ["testers"], "reason": "a test"}), "admin"),
        ("GET", format!("/users/{user}/refusals"), Value::Null, "viewer"),
        ("GET", "/dead-letters".into(), Value::Null, "viewer"),
        ("GET", "/erasures".into(), Value::Null, "viewer"),
        ("GET", "/controls".into(), Value::Null, "viewer"),
        ("PUT", "/controls/mode".into(), mode.clone(), "admin"),
        ("PUT", "/controls/tools/ledger_pay".into(), mode, "admin"),
        ("PUT", "/controls/tools/ledger_delete/opening".into(), json!({"minutes": 0, "reason": "a test"}), "admin"),
        ("GET", "/audit".into(), Value::Null, "viewer"),
        ("GET", "/checkpoints".into(), Value::Null, "viewer"),
        ("GET", "/metrics".into(), Value::Null, "viewer"),
    ]
}

#[tokio::test]
async fn each_call_is_for_its_role_and_those_above_it() {
    let app = App::start().await;
    assert_eq!(
        calls().len(),
        platform::http::routes::ROUTES.iter().filter(|r| r.path.starts_with("/v1/operator/")).count()
    );
    let roles = ["viewer", "approver", "admin"];
    let rank = |role: &str| roles.iter().position(|known| *known == role).unwrap();
    for role in roles {
        let operator = app.operator(role, &[role]);
        for (method, path, body, least) in calls() {
            let reply = match method {
                "GET" => operator.get(&path).await,
                _ => operator.send(method, &path, &body).await,
            };
            if rank(role) >= rank(least) {
                // There is no such job and no such user, and everything else is as it should be.
                assert!([200, 404].contains(&reply.status.as_u16()), "{role} {method} {path}: {}", reply.body);
            } else {
                assert_eq!(reply.verdict(), (403, "operator_forbidden"), "{role} {method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn a_call_that_a_role_does_not_permit_is_recorded_and_changes_nothing() {
    let app = App::start().await;
    let viewer = app.operator("zhang", &["viewer"]);
    let before = viewer.get("/controls").await.body;
    let mut refused = Vec::new();
    for (method, path, body, least) in calls() {
        if least != "viewer" {
            assert_eq!(viewer.send(method, &path, &body).await.verdict(), (403, "operator_forbidden"));
            refused.push(method);
        }
    }
    assert_eq!(viewer.get("/controls").await.body, before);
    let records = viewer.told().await;
    let mine: Vec<_> = records.iter().filter(|record| record["event"] == "call_refused").collect();
    assert_eq!(mine.len(), refused.len());
    let id = viewer.get("/me").await.body["operator_id"].as_str().unwrap().to_owned();
    assert!(mine.iter().all(|record| record["actor"] == format!("operator:{id}")));
    assert_eq!(mine[0]["call"], "POST /v1/operator/jobs/{job}/approval");
    assert_eq!(mine[0]["code"], "operator_forbidden");
}

/// How many refusals of a call that this operator may not make are in the operators' side chain.
async fn refusals_recorded(viewer: &OperatorClient) -> usize {
    told(viewer).await.iter().filter(|event| *event == "call_refused").count()
}

async fn refused(viewer: &OperatorClient) {
    let mode = json!({"mode": "full", "reason": "a test"});
    assert_eq!(viewer.send("PUT", "/controls/mode", &mode).await.verdict(), (403, "operator_forbidden"));
}

#[tokio::test]
async fn a_refusal_is_recorded_once_in_its_minute_whichever_answer_of_the_table_is_lost() {
    let app = App::start().await;
    let viewer = app.operator("zhang", &["viewer"]);
    viewer.get("/me").await;
    // The note of the minute, the record, the head of the chain: each write takes effect, and the SDK sends it again.
    for (minute, (write, lost)) in (1..).zip([("PutItem", "REFUSED#"), ("PutItem", "R#"), ("UpdateItem", "RH")]) {
        app.clock.advance_to_a_minute();
        let writes = AtomicUsize::new(0);
        app.faults.plan_items(move |operation, sk| {
            let first = || writes.fetch_add(1, Ordering::SeqCst) == 0;
            (operation == write && sk.starts_with(lost) && first()).then_some(Fault::LostAfter)
        });
        refused(&viewer).await;
        app.faults.none();
        refused(&viewer).await;
        refused(&viewer).await;
        assert_eq!(refusals_recorded(&viewer).await, minute, "{lost}");
    }
}

#[tokio::test]
async fn a_refusal_whose_record_could_not_be_written_does_not_silence_the_next_one() {
    let app = App::start().await;
    let viewer = app.operator("zhang", &["viewer"]);
    viewer.get("/me").await;
    app.clock.advance_to_a_minute();
    app.faults
        .plan_items(|operation, sk| (operation == "PutItem" && sk.starts_with("R#")).then_some(Fault::LostBefore));
    refused(&viewer).await;
    app.faults.none();
    assert_eq!(refusals_recorded(&viewer).await, 0);
    refused(&viewer).await;
    assert_eq!(refusals_recorded(&viewer).await, 1, "the minute has a record after all");
    refused(&viewer).await;
    assert_eq!(refusals_recorded(&viewer).await, 1, "and only one");
}

#[tokio::test]
async fn a_caller_without_a_role_gets_403_and_is_not_stored() {
    let app = App::start().await;
    for roles in [&[][..], &["Admin"], &["root", "viewer "]] {
        let nobody = app.operator("nobody", roles);
        for (method, path, body, _) in calls() {
            let reply = match method {
                "GET" => nobody.get(&path).await,
                _ => nobody.send(method, &path, &body).await,
            };
            assert_eq!(reply.verdict(), (403, "operator_forbidden"), "{method} {path}");
        }
    }
    let viewer = app.operator("zhang", &["viewer"]);
    assert!(!told(&viewer).await.contains(&"call_refused".to_owned()));
}

#[tokio::test]
async fn the_same_subject_is_the_same_operator_and_a_name_decides_nothing() {
    let app = App::start().await;
    let me = |reply: integration_tests::Reply| reply.body["operator_id"].as_str().unwrap().to_owned();
    let first = me(app.operator("zhang", &["viewer"]).get("/me").await);
    let reply = app.operator("zhang", &["admin", "of-my-own"]).get("/me").await;
    assert_eq!(reply.body["may"], json!({"view": true, "decide": true, "administer": true}));
    assert_eq!(list(&reply.body, "roles"), &[json!("admin"), json!("of-my-own")]);
    assert_eq!((reply.body["name"].as_str(), me(reply.clone())), (Some("zhang"), first.clone()));
    assert_ne!(me(app.operator("wang", &["viewer"]).get("/me").await), first);
}

/// serde's derive also accepts a struct as an array of its fields, and the name of an enum as the key of an object.
#[tokio::test]
async fn a_body_that_is_an_array_or_has_an_object_for_a_word_changes_nothing() {
    let app = App::start().await;
    let admin = app.operator("zhang", &["admin"]);
    let before = admin.get("/controls").await.body;
    let (user, job) = ("3f0c9a52-5d5e-4a5f-9f0e-6c1f0d7b2a11", "A".repeat(43));
    let digest = "A".repeat(43);
    for (method, path, body) in [
        ("POST", "/me/users".to_owned(), json!([user])),
        ("POST", format!("/jobs/{job}/approval"), json!(["approve", digest, null])),
        ("POST", format!("/jobs/{job}/approval"), json!({"decision": {"approve": null}, "digest": digest})),
        ("POST", format!("/jobs/{job}/resolution"), json!([true, "seen"])),
        ("POST", format!("/users/{user}/revocation"), json!(["a test"])),
        ("PUT", format!("/users/{user}/groups"), json!([["testers"], "a test"])),
        ("PUT", "/controls/mode".to_owned(), json!(["closed", "a test"])),
        ("PUT", "/controls/mode".to_owned(), json!({"mode": {"closed": null}, "reason": "a test"})),
        ("PUT", "/controls/tools/ledger_pay".to_owned(), json!(["closed", "a test"])),
        ("PUT", "/controls/tools/ledger_pay".to_owned(), json!({"mode": {"closed": null}, "reason": "a test"})),
        ("PUT", "/controls/tools/ledger_delete/opening".to_owned(), json!([10, "a test"])),
    ] {
        let reply = admin.send(method, &path, &body).await;
        assert_eq!(reply.verdict(), (400, "body_invalid"), "{method} {path} {body}: {}", reply.body);
    }
    assert_eq!(admin.get("/controls").await.body, before);
}
