//! One step of a job, with what it returned.

use integration_tests::{App, Client, Contract, Reply};
use serde_json::json;

use crate::{
    turns::roomy,
    workflows::{note, steps},
};

const ROUTE: &str = "/v1/jobs/{request_id}/steps/{place}";

async fn step(client: &Client, id: &str, place: &str) -> Reply {
    let reply = client.get(&format!("/v1/jobs/{id}/steps/{place}")).await;
    Contract::of_the_checkout().check("GET", ROUTE, &reply);
    reply
}

#[tokio::test]
async fn a_workflow_says_of_each_step_what_became_of_it_and_what_it_returned() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let id = app.new_id();
    let fails = json!({"tool": "ledger_fail", "arguments": {"kind": "throw"}});
    let submitted = steps(&[note("first"), fails, note("never")]);
    let accepted = alice.submit_body(&id, &submitted).await;
    Contract::of_the_checkout().check("POST", "/v1/jobs", &accepted);
    assert_eq!(step(&alice, &id, "0").await.body.get("result"), None, "it has not begun");
    let job = app.finish(&alice, &id).await;
    Contract::of_the_checkout().check("GET", "/v1/jobs/{request_id}", &alice.get(&format!("/v1/jobs/{id}")).await);
    let of = |member: &str| -> Vec<_> {
        let steps = job["steps"].as_array().unwrap().iter();
        steps.map(|step| step.pointer(member).cloned().unwrap_or_default()).collect()
    };
    assert_eq!((&job["status"], &job["effect"]), (&json!("failed"), &json!("ran")), "{job}");
    assert_eq!(of("/outcome"), [json!("succeeded"), json!("failed"), json!("not_run")]);
    assert_eq!(of("/error/code"), [json!(null), job["error"]["code"].clone(), json!(null)]);
    assert_eq!(of("/step"), [json!(0), json!(1), json!(2)]);
    let whole: Vec<_> =
        [step(&alice, &id, "0").await, step(&alice, &id, "1").await, step(&alice, &id, "2").await].into();
    assert!(whole[0].body["result"]["content"].is_array(), "{}", whole[0].body);
    assert_eq!(whole[1].body.get("result"), job.get("result"), "that of the last step is the job's");
    assert_eq!(whole[2].body.get("result"), None);
    assert_eq!(whole[2].body["outcome"], "not_run");
}

#[tokio::test]
async fn an_absent_step_and_one_of_another_user_are_not_found() {
    let app = App::with(roomy()).await;
    let (alice, bob) = (app.login("alice").await, app.login("bob").await);
    let id = app.new_id();
    assert_eq!(alice.submit_body(&id, &steps(&[note("a"), note("b")])).await.status, 202);
    for place in ["0", "1"] {
        assert_eq!(step(&alice, &id, place).await.status, 200, "{place}");
        assert_eq!(step(&bob, &id, place).await.verdict(), (404, "not_found"), "{place}");
    }
    for place in ["2", "64", "-1", "+1", "00", "1.0", "x", "18446744073709551616", "%30"] {
        assert_eq!(step(&alice, &id, place).await.verdict(), (404, "not_found"), "{place}");
    }
    for id in [app.new_id(), "x".to_owned()] {
        assert_eq!(step(&alice, &id, "0").await.verdict(), (404, "not_found"), "{id}");
    }
    assert_eq!(step(&app.anonymous(), &id, "0").await.verdict(), (401, "no_session"));
    let posted = alice.send("POST", &format!("/v1/jobs/{id}/steps/0"), &[], b"").await;
    assert_eq!((posted.verdict(), posted.header("allow")), ((405, "method_not_allowed"), "GET"));
}
