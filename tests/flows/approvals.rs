//! A payment that its user approves: exactly the displayed call runs, once.

use domain::audit::{AuditHead, Owner, verify};
use serde_json::{Value, json};

use crate::{
    caller::{Caller, code, new_id},
    target::flow,
};

/// Submits a payment that the user has to approve; returns its request id and what it shows.
async fn pay(alice: &Caller, amount: u64) -> (String, Value) {
    let id = new_id();
    let reply = alice.submit(&id, "ledger_pay", json!({"amount": amount, "note": "two coffees"})).await;
    assert_eq!((reply.status.as_u16(), &reply.body["status"]), (202, &json!("awaiting_approval")), "{}", reply.body);
    (id, reply.body["approval"].clone())
}

fn digest(shown: &Value) -> &str {
    shown["digest"].as_str().unwrap()
}

#[test]
fn a_payment_runs_once_its_user_has_approved_exactly_it() {
    flow(async |target| {
        let alice = Caller::log_in(target, "approve").await;
        let (id, shown) = pay(&alice, 120).await;
        assert_eq!(
            (&shown["approver"], &shown["summary"], &shown["arguments"]),
            (&json!("user"), &json!("Pay 120: \"two coffees\""), &json!({"amount": 120, "note": "two coffees"}))
        );
        assert_eq!(alice.look(&id).await.body["approval"], shown);
        assert_eq!(target.effects(&id).await, Vec::<String>::new(), "nothing runs before the approval");
        let fresh = format!("{}.{}", code("approve"), &new_id()[24..]);
        let yes = alice.decide(&id, "approve", digest(&shown), Some(&fresh)).await;
        assert_eq!((yes.status.as_u16(), &yes.body["approval"]["decision"]), (200, &json!("approve")), "{}", yes.body);
        let job = alice.until_over(&id).await;
        assert_eq!((&job["status"], &job["approval"]["by"]), (&json!("succeeded"), &json!("user")), "{job}");
        assert_eq!(target.effects(&id).await, ["pay"]);
        // Again, and without a code: it was decided.
        for _ in 0..2 {
            let again = alice.decide(&id, "approve", digest(&shown), None).await;
            assert_eq!((again.status.as_u16(), &again.body), (200, &job));
        }
        assert_eq!(alice.decide(&id, "reject", digest(&shown), None).await.verdict(), (409, "approval_decided"));
        assert_eq!(target.effects(&id).await, ["pay"]);

        let chain = alice.get(&format!("/v1/jobs/{id}/audit")).await.body;
        let records = chain["records"].as_array().unwrap().clone();
        let length = chain["head"]["length"].as_u64().unwrap();
        let head =
            AuditHead { length, digest: chain["head"]["digest"].as_str().unwrap().to_owned().try_into().unwrap() };
        let owner = Owner::Job(id.parse().unwrap());
        assert_eq!(verify(&records, owner, head), Ok(()));
        let events: Vec<&Value> = records.iter().map(|record| &record["event"]).collect();
        assert_eq!(events, ["accepted", "approval_asked", "approval_decided", "intended", "ended"]);
        assert_eq!(records[2]["digest"], shown["digest"]);
    });
}

#[test]
fn a_decision_by_the_wrong_person_or_about_another_call_changes_nothing() {
    flow(async |target| {
        let alice = Caller::log_in(target, "attacked").await;
        let mallory = Caller::log_in(target, "mallory").await;
        let ((id, shown), (second, other)) = (pay(&alice, 120).await, pay(&alice, 120).await);
        let fresh = |name: &str| format!("{}.{}", code(name), &new_id()[24..]);
        let own = fresh("attacked");
        for (caller, digest, code, verdict) in [
            (&mallory, digest(&shown), Some(own.clone()), (404, "not_found")),
            (&alice, digest(&other), Some(own.clone()), (409, "approval_digest_mismatch")),
            (&alice, digest(&shown), Some(fresh("mallory")), (403, "approval_other_user")),
            (&alice, digest(&shown), Some("made-up".to_owned()), (401, "login_code_rejected")),
            (&alice, digest(&shown), None, (400, "body_invalid")),
        ] {
            let reply = caller.decide(&id, "approve", digest, code.as_deref()).await;
            assert_eq!(reply.verdict(), verdict, "{}", reply.body);
        }
        assert_eq!(alice.look(&id).await.body["status"], "awaiting_approval");
        // Above 500 an operator has to approve; above 10,000 the call is refused.
        let (dear, mad) = (new_id(), new_id());
        let reply = alice.submit(&dear, "ledger_pay", json!({"amount": 501, "note": "n"})).await;
        let asked = &reply.body["approval"];
        assert_eq!((reply.status.as_u16(), &asked["approver"]), (202, &json!("operator")), "{}", reply.body);
        let mine = alice.decide(&dear, "approve", digest(asked), Some(&own)).await;
        assert_eq!(mine.verdict(), (403, "approval_by_operator"));
        let reply = alice.submit(&mad, "ledger_pay", json!({"amount": 10_001, "note": "n"})).await;
        assert_eq!(reply.verdict(), (403, "policy_denied"));
        // A rejection by the owner, and a cancel, end a waiting job.
        let no = alice.decide(&id, "reject", digest(&shown), None).await;
        assert_eq!(
            (no.status.as_u16(), &no.body["status"], &no.body["effect"]),
            (200, &json!("refused"), &json!("not_run"))
        );
        // None is left open: a deployment is copied later, and what is still to expire would differ from the copy.
        for waiting in [&dear, &second] {
            let cancelled = alice.cancel(waiting).await;
            assert_eq!((cancelled.status.as_u16(), &cancelled.body["status"]), (200, &json!("cancelled")));
        }
        assert_eq!((target.effects(&id).await.len(), target.effects(&dear).await.len()), (0, 0));
    });
}
