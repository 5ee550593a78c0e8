//! Chains that verify, and chains that were tampered with.

use super::*;
use crate::audit::{ChainFault, ChainName, Owner, verify};
use serde_json::{Value, json};

const ID: &str = "019a8f3c-7e10-7abc-9def-0123456789ab";

fn job() -> Owner {
    Owner::Job(ID.parse().unwrap())
}

fn resolved() -> AuditEvent {
    AuditEvent::Resolved { happened: true, by: None, operator: None, note_digest: None }
}

fn chain(n: u64) -> (Vec<Value>, AuditHead) {
    let mut head = AuditHead::EMPTY;
    let mut records = Vec::new();
    for i in 0..n {
        let context = AuditContext {
            request_id: ID.parse().unwrap(),
            at: Timestamp::from_millis(1_795_341_600_000 + i as i64),
            actor: Actor::Worker,
            step: 0,
            round: 0,
            tool: "t",
            policy_version: "p",
        };
        let record = AuditRecord::after(head, context, resolved());
        head = record.head();
        records.push(crate::json::kept(record.canonical()).unwrap());
    }
    (records, head)
}

#[test]
fn a_whole_chain_verifies() {
    for n in 0..4 {
        let (records, head) = chain(n);
        assert_eq!(verify(&records, job(), head), Ok(()));
    }
}

#[test]
fn every_kind_of_tampering_is_named() {
    let tamper = |change: &dyn Fn(&mut Vec<Value>)| {
        let (mut records, head) = chain(4);
        change(&mut records);
        verify(&records, job(), head).unwrap_err()
    };
    assert_eq!(tamper(&|r| r[1]["tool"] = json!("other")), ChainFault::Unlinked { place: 3 });
    assert_eq!(tamper(&|r| r[1]["extra"] = json!(1)), ChainFault::Unlinked { place: 3 });
    assert_eq!(tamper(&|r| r[3]["tool"] = json!("other")), ChainFault::Head { place: 4 });
    assert_eq!(tamper(&|r| drop(r.remove(1))), ChainFault::Misplaced { place: 2 });
    assert_eq!(tamper(&|r| r.swap(1, 2)), ChainFault::Misplaced { place: 2 });
    assert_eq!(tamper(&|r| r.truncate(2)), ChainFault::Head { place: 2 });
    assert_eq!(tamper(&|r| r[2] = json!("x")), ChainFault::Unreadable { place: 3 });
}

#[test]
fn a_record_of_another_job_has_no_place_in_a_chain_however_well_it_is_linked() {
    let (mut records, _) = chain(2);
    let mut foreign: AuditRecord = serde_json::from_value(records[1].clone()).unwrap();
    foreign.request_id = "019a8f3c-7e10-7abc-9def-0123456789ac".parse().unwrap();
    records[1] = serde_json::to_value(&foreign).unwrap();
    assert_eq!(verify(&records, job(), foreign.head()), Err(ChainFault::Misplaced { place: 2 }));
}

#[test]
fn the_whole_chain_of_another_job_is_not_this_ones() {
    let (records, head) = chain(3);
    let other = Owner::Job("019a8f3c-7e10-7abc-9def-0123456789ac".parse().unwrap());
    assert_eq!(verify(&records, other, head), Err(ChainFault::Misplaced { place: 1 }));
    assert_eq!(verify(&records, Owner::Chain(ChainName::Operators), head), Err(ChainFault::Unreadable { place: 1 }));
}

#[test]
fn records_survive_a_round_trip_of_an_old_reader() {
    let (records, _) = chain(1);
    let record: AuditRecord = serde_json::from_value(records[0].clone()).unwrap();
    assert_eq!(record.canonical(), canonical::canonical(&records[0]));
}
