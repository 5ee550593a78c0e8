//! The life of a job.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    caller::{Caller, new_id},
    target::flow,
};

#[test]
fn a_write_is_accepted_polled_and_succeeds_with_one_effect() {
    flow(async |target| {
        let alice = Caller::log_in(target, "write").await;
        let (id, note) = (new_id(), format!("note of {}", new_id()));
        let accepted = alice.submit(&id, "ledger_append", json!({"note": note})).await;
        assert_eq!(accepted.status, 202, "{}", accepted.body);
        assert_eq!(accepted.header("location"), format!("/v1/jobs/{id}"));
        assert_eq!(accepted.header("retry-after"), "1");
        assert_eq!(accepted.header("next-poll-ms"), "500");
        assert_eq!((&accepted.body["request_id"], &accepted.body["status"]), (&json!(id), &json!("queued")));

        let job = alice.until_over(&id).await;
        assert_eq!(job["status"], "succeeded", "{job}");
        assert_eq!(job["result"]["details"]["written"], true, "{job}");
        assert_eq!(
            job["steps"],
            json!([{"kind": "call", "tool": "ledger_append", "step": 0, "round": 0, "outcome": "succeeded"}])
        );
        assert!(job.get("effect").is_none() && job.get("error").is_none(), "{job}");
        assert_eq!(target.effects(&id).await, ["append"]);

        let read = alice.run("ledger_read", json!({"limit": 100})).await;
        assert_eq!(read["status"], "succeeded", "{read}");
        assert!(read["result"].to_string().contains(&note), "a read tells what was written");
    });
}

#[test]
fn an_etag_that_still_holds_is_304_and_one_that_does_not_gets_the_job() {
    flow(async |target| {
        let alice = Caller::log_in(target, "etag").await;
        let id = new_id();
        let path = format!("/v1/jobs/{id}");
        assert_eq!(alice.submit(&id, "ledger_append", json!({"note":"n"})).await.status, 202);
        let first = alice.get(&path).await.header("etag").to_owned();
        let over = alice.until_over(&id).await;
        let stale = alice.send("GET", &path, &[("if-none-match", &first)], b"").await;
        let last = stale.header("etag").to_owned();
        // The first poll may have come after the end.
        assert_eq!(stale.status == 304, first == last, "{first} {last}");
        for matching in [last.clone(), format!("W/{last}"), format!("\"99\", {last}")] {
            let again = alice.send("GET", &path, &[("if-none-match", &matching)], b"").await;
            assert_eq!((again.status.as_u16(), again.header("etag")), (304, last.as_str()), "{matching}");
            assert_eq!((again.header("next-poll-ms"), &again.body), ("", &Value::Null), "over: never again");
        }
        let other = alice.send("GET", &path, &[("if-none-match", "\"99\"")], b"").await;
        assert_eq!((other.status.as_u16(), other.body), (200, over));
    });
}

#[test]
fn a_slow_tool_is_suspended_while_a_quick_one_overtakes_it_and_runs_once() {
    flow(async |target| {
        let alice = Caller::log_in(target, "slow").await;
        let (slow, quick) = (new_id(), new_id());
        assert_eq!(alice.submit(&slow, "ledger_sleep", json!({"ms": 20_000})).await.status, 202);
        alice.until(&slow, |job| job["status"] == "running").await;
        assert_eq!(alice.submit(&quick, "ledger_append", json!({"note":"n"})).await.status, 202);
        assert_eq!(alice.until_over(&quick).await["status"], "succeeded");
        let looked = alice.look(&slow).await;
        assert_eq!(looked.body["status"], "running", "nothing waited for it");
        // Held until there is news, or for as long as the deployment holds a poll: 3 s on Lambda, 20 s on one host.
        let (began, etag) = (Instant::now(), looked.header("etag").to_owned());
        let held = alice.send("GET", &format!("/v1/jobs/{slow}?wait=20"), &[("if-none-match", &etag)], b"").await;
        assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
        assert_eq!(held.status == 304, held.header("etag") == etag, "304 without news, 200 with");
        assert!(held.status == 200 || began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());

        let job = alice.until_over(&slow).await;
        assert_eq!((&job["status"], &job["result"]["details"]["slept"]), (&json!("succeeded"), &json!(true)), "{job}");
        assert_eq!(target.effects(&slow).await, ["sleep_start", "sleep_end"], "it ran once");
        let audit = alice.get(&format!("/v1/jobs/{slow}/audit")).await.body;
        let events: Vec<_> = audit["records"].as_array().unwrap().iter().map(|record| &record["event"]).collect();
        assert_eq!(events, ["accepted", "intended", "ended"], "sent once");
    });
}

#[test]
fn a_tool_that_fails_says_what_it_did_to_the_world_and_nothing_of_its_inside() {
    flow(async |target| {
        let alice = Caller::log_in(target, "fail").await;
        for kind in ["throw", "input", "result"] {
            let id = new_id();
            assert_eq!(alice.submit(&id, "ledger_fail", json!({"kind": kind})).await.status, 202);
            let job = alice.until_over(&id).await;
            assert_eq!((&job["status"], &job["effect"]), (&json!("failed"), &json!("ran")), "{kind}: {job}");
            assert_eq!(job["error"]["code"], "tool_failed", "{kind}: {job}");
            assert!(!job["error"].to_string().contains("the ledger failed"), "{job}");
            assert_eq!(target.effects(&id).await, ["fail"], "{kind}");
        }
    });
}
