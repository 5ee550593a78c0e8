//! Stopping a job.

use serde_json::json;

use crate::{
    caller::{Caller, new_id},
    target::flow,
};

#[test]
fn a_cancel_right_after_a_submission_and_the_effect_tell_the_same_story() {
    flow(async |target| {
        let alice = Caller::log_in(target, "cancel").await;
        for _ in 0..5 {
            let id = new_id();
            assert_eq!(alice.submit(&id, "ledger_append", json!({"note":"n"})).await.status, 202);
            // A client cannot know how far the worker is, so each response is correct at some moment.
            let answer = alice.cancel(&id).await;
            let job = alice.until_over(&id).await;
            let effects = target.effects(&id).await.len();
            match answer.status.as_u16() {
                200 => assert_eq!(answer.body["status"], "cancelled"),
                202 => assert_eq!(answer.body["cancel_requested"], true),
                _ => assert_eq!((answer.verdict(), &answer.body["job_status"]), ((409, "job_over"), &job["status"])),
            }
            match job["status"].as_str().unwrap() {
                "cancelled" => assert_eq!((&job["effect"], effects), (&json!("not_run"), 0), "{job}"),
                status => assert_eq!((status, effects), ("succeeded", 1), "{job}"),
            }
            assert!(answer.status != 200 || job["status"] == "cancelled", "what is over stays: {job}");
        }
    });
}

#[test]
fn a_call_that_was_sent_goes_on_after_a_cancel_and_its_outcome_is_shown() {
    flow(async |target| {
        let alice = Caller::log_in(target, "cancel-out").await;
        let id = new_id();
        // Long enough for both cancels to arrive while it runs, also on a deployment that is slow to answer.
        assert_eq!(alice.submit(&id, "ledger_sleep", json!({"ms": 20_000})).await.status, 202);
        alice.until(&id, |job| job["status"] == "running").await;
        // Running may be before the call has left; its effect shows that it has.
        while target.effects(&id).await.is_empty() {
            assert_eq!(alice.get(&format!("/v1/jobs/{id}?wait=1")).await.body["status"], "running");
        }
        for _ in 0..2 {
            let asked = alice.cancel(&id).await;
            assert_eq!((asked.status.as_u16(), &asked.body["cancel_requested"]), (202, &json!(true)), "{}", asked.body);
        }
        let job = alice.until_over(&id).await;
        assert_eq!(job["status"], "succeeded", "half a write is worse than a whole one: {job}");
        assert_eq!(target.effects(&id).await, ["sleep_start", "sleep_end"]);
        let late = alice.cancel(&id).await;
        assert_eq!((late.status.as_u16(), late.body), (200, job), "repeating a cancel is no error");
    });
}

#[test]
fn what_was_over_before_any_cancel_cannot_be_cancelled() {
    flow(async |target| {
        let alice = Caller::log_in(target, "cancel-late").await;
        let job = alice.run("ledger_append", json!({"note":"n"})).await;
        let id = job["request_id"].as_str().unwrap();
        let reply = alice.cancel(id).await;
        assert_eq!((reply.verdict(), &reply.body["job_status"]), ((409, "job_over"), &json!("succeeded")));
        assert_eq!(alice.look(id).await.body, job);
    });
}
