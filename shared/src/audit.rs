//! The audit chain of a job: one record for each decision, intent and outcome, each naming the digest of the one before.
//!
//! Records are put first, under a key of their own; the job's next `rev` then names the new head. A record that the head
//! does not reach does not exist, so two writers cannot fork a chain. Records hold digests of arguments and results, keyed
//! with the job's own key, and no personal data.

use serde::{Deserialize, Serialize};

use crate::{
    approval::{Approver, OperatorId},
    canonical,
    digest::Digest,
    request_id::RequestId,
    timestamp::Timestamp,
};

mod beside;
mod verify;

pub use beside::{ChainName, ChainRecord, OperatorActor, OperatorEvent, RefusalEvent};
pub use verify::{ChainFault, Verifier, verify};

/// The end of a chain, kept in the job item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// How many records there are.
    #[serde(rename = "n")]
    pub length: u64,
    /// The digest of the last one.
    #[serde(rename = "h")]
    pub digest: Digest,
}

impl AuditHead {
    /// The head of a chain without records.
    pub const EMPTY: Self = Self { length: 0, digest: Digest::ZERO };
}

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The job's owner.
    User,
    /// A worker.
    Worker,
    /// An operator.
    Operator,
}

/// What was done. The names are part of the public shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum AuditEvent {
    /// The edge decided and recorded the job.
    Accepted {
        /// `run`, `run_if_user_approves`, `run_if_operator_approves`, or `explain`.
        decision: String,
        /// The policies that made the decision.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        policies: Vec<String>,
        /// HMAC of the canonical submission.
        submission_digest: Digest,
    },
    /// The step at the cursor needs a yes.
    ApprovalAsked {
        /// Of whom.
        approver: Approver,
        /// Names exactly what is asked: HMAC over user, request, step, round, tool and canonical arguments.
        digest: Digest,
        /// When the question expires, RFC 3339.
        expires_at: String,
    },
    /// The question was answered.
    ApprovalDecided {
        /// Yes or no.
        approved: bool,
        /// Of the question.
        digest: Digest,
        /// The operator, when one answered.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        operator: Option<OperatorId>,
    },
    /// The question was not answered in time.
    ApprovalLapsed {
        /// Of the question.
        digest: Digest,
    },
    /// Nothing was called; the user was told what would have been.
    Explained {
        /// Why: a stable code.
        code: String,
    },
    /// The worker decided at the cursor and is about to send a write.
    Intended {
        /// What policy said now: `run`, `run_if_user_approves`, or `run_if_operator_approves`.
        decision: String,
        /// The policies that said so.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        policies: Vec<String>,
        /// The key that the call is sent under.
        key: String,
        /// HMAC of the canonical arguments that will be sent.
        arguments_digest: Digest,
        /// The journal that will remember the call; absent for a direct call.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        journal: Option<String>,
        /// The gateway's boot.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        boot: Option<String>,
    },
    /// A step ended.
    Ended {
        /// Name of the step's outcome.
        outcome: String,
        /// State of the job after it.
        status: String,
        /// Why, when it did not succeed.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        code: Option<String>,
        /// The key of the call, when there was one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        key: Option<String>,
        /// HMAC of the canonical arguments; absent when they were no longer stored.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        arguments_digest: Option<Digest>,
        /// HMAC of the canonical result.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        result_digest: Option<Digest>,
    },
    /// The owner asked to stop.
    CancelRequested {
        /// State of the job after it.
        status: String,
    },
    /// An unknown outcome became known.
    Resolved {
        /// Whether the write ran.
        happened: bool,
        /// Who knows: `operator`; absent for the journal.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        by: Option<String>,
        /// The operator.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        operator: Option<OperatorId>,
        /// SHA-256 of the operator's note.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        note_digest: Option<Digest>,
    },
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Version of this shape.
    pub v: u32,
    /// The job.
    pub request_id: RequestId,
    /// Its place in the chain, from 1.
    pub seq: u64,
    /// When, RFC 3339.
    pub at: String,
    /// Who.
    pub actor: Actor,
    /// The step at the cursor.
    pub step: usize,
    /// The tool of that step.
    pub tool: String,
    /// The catalogue that was decided by.
    pub policy_version: String,
    /// What.
    #[serde(flatten)]
    pub event: AuditEvent,
    /// Digest of the record before; 43 `A` for the first.
    pub prev: Digest,
}

/// What a record says beside its event.
#[derive(Debug, Clone, Copy)]
pub struct AuditContext<'a> {
    /// The job.
    pub request_id: RequestId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// Which step.
    pub step: usize,
    /// Which tool.
    pub tool: &'a str,
    /// Which catalogue.
    pub policy_version: &'a str,
}

impl AuditRecord {
    /// The record that follows `head`.
    pub fn after(head: AuditHead, context: AuditContext<'_>, event: AuditEvent) -> Self {
        Self {
            v: 1,
            request_id: context.request_id,
            seq: head.length + 1,
            at: context.at.to_string(),
            actor: context.actor,
            step: context.step,
            tool: context.tool.to_owned(),
            policy_version: context.policy_version.to_owned(),
            event,
            prev: head.digest,
        }
    }

    /// The canonical bytes that are stored, digested and published.
    pub fn canonical(&self) -> Vec<u8> {
        canonical::canonical(&serde_json::to_value(self).expect("a record has string keys only"))
    }

    /// The head of the chain that ends with this record.
    pub fn head(&self) -> AuditHead {
        AuditHead { length: self.seq, digest: Digest::sha256(&self.canonical()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn resolved() -> AuditEvent {
        AuditEvent::Resolved { happened: true, by: None, operator: None, note_digest: None }
    }

    fn chain(n: u64) -> (Vec<Value>, AuditHead) {
        let mut head = AuditHead::EMPTY;
        let mut records = Vec::new();
        for i in 0..n {
            let context = AuditContext {
                request_id: "019a8f3c-7e10-7abc-9def-0123456789ab".parse().unwrap(),
                at: Timestamp::from_millis(1_795_341_600_000 + i as i64),
                actor: Actor::Worker,
                step: 0,
                tool: "t",
                policy_version: "p",
            };
            let record = AuditRecord::after(head, context, resolved());
            head = record.head();
            records.push(serde_json::from_slice(&record.canonical()).unwrap());
        }
        (records, head)
    }

    #[test]
    fn a_whole_chain_verifies() {
        for n in 0..4 {
            let (records, head) = chain(n);
            assert_eq!(verify(&records, head), Ok(()));
        }
    }

    #[test]
    fn every_kind_of_tampering_is_named() {
        let tamper = |change: &dyn Fn(&mut Vec<Value>)| {
            let (mut records, head) = chain(4);
            change(&mut records);
            verify(&records, head).unwrap_err()
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
        assert_eq!(verify(&records, foreign.head()), Err(ChainFault::Misplaced { place: 2 }));
    }

    #[test]
    fn records_survive_a_round_trip_of_an_old_reader() {
        let (records, _) = chain(1);
        let record: AuditRecord = serde_json::from_value(records[0].clone()).unwrap();
        assert_eq!(record.canonical(), canonical::canonical(&records[0]));
    }
}
