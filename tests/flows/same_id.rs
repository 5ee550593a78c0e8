//! Repeated requests with one id.

use serde_json::json;

use crate::{
    caller::{Caller, new_id},
    target::flow,
};

#[test]
fn the_same_request_again_is_the_stored_job_and_another_one_under_its_id_is_refused() {
    flow(async |target| {
        let alice = Caller::log_in(target, "replay").await;
        let id = new_id();
        let body = json!({"tool":"ledger_append","arguments":{"note":"n"},"sent_at":"2026-11-22T10:00:00Z"});
        assert_eq!(alice.submit_body(&id, &body).await.status, 202);
        let job = alice.until_over(&id).await;
        // Key order and `sent_at` are no part of a request, and an id has many spellings.
        let same = json!({"arguments":{"note":"n"},"tool":"ledger_append"});
        for spelling in [id.clone(), id.to_uppercase(), id.replace('-', ""), format!("\"{id}\"")] {
            let again = alice.submit_body(&spelling, &same).await;
            assert_eq!((again.status.as_u16(), again.header("idempotent-replayed")), (200, "true"), "{spelling}");
            assert_eq!(again.header("location"), format!("/v1/jobs/{id}"));
            assert_eq!(again.body, job, "{spelling}");
        }
        for other in [
            json!({"tool":"ledger_append","arguments":{"note":"m"}}),
            json!({"tool":"ledger_append_once","arguments":{"note":"n"}}),
        ] {
            assert_eq!(alice.submit_body(&id, &other).await.verdict(), (422, "idempotency_key_reused"), "{other}");
        }
        assert_eq!(alice.look(&id).await.body, job, "the first stands");
        assert_eq!(target.effects(&id).await, ["append"]);
    });
}

#[test]
fn eight_identical_submissions_at_once_are_one_job_and_one_effect() {
    flow(async |target| {
        let alice = Caller::log_in(target, "eight").await;
        let id = new_id();
        let racing: Vec<_> = (0..8)
            .map(|_| {
                let (alice, id) = (alice.clone(), id.clone());
                tokio::spawn(async move { alice.submit(&id, "ledger_append", json!({"note":"n"})).await })
            })
            .collect();
        let mut statuses = Vec::new();
        for one in racing {
            statuses.push(one.await.unwrap().status.as_u16());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 200, 202]);
        assert_eq!(alice.until_over(&id).await["status"], "succeeded");
        assert_eq!(target.effects(&id).await, ["append"]);
    });
}

#[test]
fn another_users_job_is_not_found_and_its_id_is_free() {
    flow(async |target| {
        let (alice, bob) = (Caller::log_in(target, "owner").await, Caller::log_in(target, "other").await);
        let id = new_id();
        assert_eq!(alice.submit(&id, "ledger_append", json!({"note":"hers"})).await.status, 202);
        let hers = alice.until_over(&id).await;
        assert_eq!(bob.look(&id).await.verdict(), (404, "not_found"));
        assert_eq!(bob.cancel(&id).await.verdict(), (404, "not_found"));
        assert_eq!(bob.get(&format!("/v1/jobs/{id}/audit")).await.verdict(), (404, "not_found"));
        // The same id names a job of his own.
        assert_eq!(bob.submit(&id, "ledger_append", json!({"note":"his"})).await.status, 202);
        let his = bob.until_over(&id).await;
        assert_ne!(his["support_code"], hers["support_code"]);
        assert_eq!(alice.look(&id).await.body, hers);
        assert_eq!(target.effects(&id).await, ["append", "append"], "one each");
    });
}
