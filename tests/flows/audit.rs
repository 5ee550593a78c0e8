//! The audit chain, checked without the service.

use domain::{
    audit::{AuditHead, Owner, verify},
    ids::DigestKey,
    json::canonical,
};
use serde_json::{Value, json};

use crate::{
    caller::{Caller, new_id},
    target::flow,
};

#[test]
fn a_chain_verifies_offline_and_every_change_to_it_is_found() {
    flow(async |target| {
        let alice = Caller::log_in(target, "audit").await;
        let (id, arguments) = (new_id(), json!({"note": "two coffees"}));
        assert_eq!(alice.submit(&id, "ledger_append", arguments.clone()).await.status, 202);
        let job = alice.until_over(&id).await;
        let answer = alice.get(&format!("/v1/jobs/{id}/audit")).await.body;
        let records = answer["records"].as_array().unwrap().clone();
        let head = AuditHead {
            length: answer["head"]["length"].as_u64().unwrap(),
            digest: answer["head"]["digest"].as_str().unwrap().to_owned().try_into().unwrap(),
        };
        let owner = Owner::Job(id.parse().unwrap());
        assert_eq!(verify(&records, owner, head), Ok(()));
        let events: Vec<&Value> = records.iter().map(|record| &record["event"]).collect();
        assert_eq!(events, ["accepted", "intended", "ended"]);
        assert!(records.iter().all(|record| record["request_id"] == *id), "{answer}");

        // With the job's own key its owner can verify what was sent and returned; without it the digests reveal
        // nothing.
        let key: DigestKey = answer["digest_key"].as_str().unwrap().to_owned().try_into().unwrap();
        let digest = |value: &Value| json!(key.digest_bytes(&canonical::canonical(value)).to_string());
        assert_eq!(records[1]["arguments_digest"], digest(&arguments));
        assert_eq!(records[2]["arguments_digest"], digest(&arguments));
        assert_eq!(records[2]["result_digest"], digest(&job["result"]));
        assert!(!answer.to_string().contains("coffees"));

        for place in 0..records.len() {
            for name in records[place].as_object().unwrap().keys() {
                let mut changed = records.clone();
                changed[place][name] = json!("changed");
                assert!(verify(&changed, owner, head).is_err(), "{name} of record {}", place + 1);
            }
            let mut changed = records.clone();
            changed[place]["added"] = json!(true);
            assert!(verify(&changed, owner, head).is_err(), "a member added to record {}", place + 1);
            let mut missing = records.clone();
            missing.remove(place);
            assert!(verify(&missing, owner, head).is_err(), "without record {}", place + 1);
        }
        let mut swapped = records.clone();
        swapped.swap(0, 1);
        assert!(verify(&swapped, owner, head).is_err());
    });
}
