//! Side chains: the chain of what operators did, and for each user the chain of what the user was refused.
//!
//! A record is put first, with its sequence number and digest as key. Then a conditional update moves the head to it,
//! if the head has not changed since it was read. Readers follow digests back from the head and ignore records that
//! it does not lead to.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use serde_json::Value;

use super::{ALL, Condition, Item, Table, TableError, keyed, keys, number, number_of, text, text_of};
use domain::{
    audit::{AuditHead, ChainName, ChainRecord, OperatorActor, OperatorEvent, RefusalEvent},
    ids::{Actor, Digest, Timestamp, UserId},
    json,
    limits::Backoff,
};
use platform::runtime::Runtime;

/// Attempts to append a record before the append fails.
const TRIES: u32 = 16;
/// Backoff after another writer has moved the head.
const CONTENDED: Backoff = Backoff { base: Duration::from_millis(4), cap: Duration::from_millis(64) };
/// Maximum number of records of one page.
const PAGE: usize = 500;
/// Number of refusals that are read when the request has no position.
const NEWEST: u64 = 100;

/// Part of a chain, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainPage {
    /// The records, as they were digested. A missing record is left out: verification reports its sequence number.
    pub records: Vec<Value>,
    /// Head of the whole chain, read before its records.
    pub head: AuditHead,
    /// Sequence number after which the next page starts, if there is one.
    pub next: Option<u64>,
}

/// Records by sequence number: those that the head leads to, and those of writers that lost the conditional write.
type ByPlace = BTreeMap<u64, Vec<(Digest, Value)>>;

impl Table {
    /// Appends to the operators' chain. The caller performs the recorded action only after this has succeeded, so
    /// that no operator's action goes unrecorded.
    pub async fn append_operator(
        &self,
        runtime: &Runtime,
        actor: OperatorActor,
        event: OperatorEvent,
        policy_version: &str,
    ) -> Result<AuditHead, TableError> {
        let (name, done) = (ChainName::Operators, (actor, event));
        let record = ChainRecord::new(name, runtime.nonce(), runtime.now(), done, policy_version).bounded();
        self.append(runtime, name, record, None).await
    }

    /// Appends to the chain of a user's refusals.
    pub async fn append_refusal(
        &self,
        runtime: &Runtime,
        user: UserId,
        event: RefusalEvent,
        policy_version: &str,
    ) -> Result<AuditHead, TableError> {
        let (name, done) = (ChainName::Refusals(user), (Actor::User, event));
        let record = ChainRecord::new(name, runtime.nonce(), runtime.now(), done, policy_version);
        self.note_refusal(user, runtime.now()).await?;
        // Kept as long as the records of the user's jobs.
        let forget_at = runtime.now().plus(self.retention * 2);
        self.append(runtime, name, record, Some(forget_at)).await
    }

    /// The operators' chain, oldest first, after a sequence number.
    pub async fn operator_chain(&self, after_seq: u64, limit: usize) -> Result<ChainPage, TableError> {
        self.chain(ChainName::Operators, after_seq, limit).await
    }

    /// The latest refusals of a user, oldest first.
    pub async fn refusals_of(&self, user: UserId) -> Result<ChainPage, TableError> {
        let name = ChainName::Refusals(user);
        let head = self.chain_head(name).await?;
        self.chain_below(name, head, head.length.saturating_sub(NEWEST), PAGE).await
    }

    /// A side chain, oldest first, after a sequence number.
    pub async fn chain(&self, name: ChainName, after_seq: u64, limit: usize) -> Result<ChainPage, TableError> {
        let head = self.chain_head(name).await?;
        self.chain_below(name, head, after_seq, limit).await
    }

    /// Head of a side chain.
    pub async fn chain_head(&self, name: ChainName) -> Result<AuditHead, TableError> {
        let head = self.get(keys::chain(name), keys::CHAIN_HEAD.to_owned()).await?;
        head.as_ref().map_or(Ok(AuditHead::EMPTY), parse_head)
    }

    /// Sequence number of the oldest record of a side chain that is still kept. Records of refusals expire.
    pub async fn chain_begins(&self, name: ChainName) -> Result<Option<u64>, TableError> {
        let values = [(":pk", text(keys::chain(name))), (":records", text(keys::CHAIN_RECORDS))];
        let query = self.query("pk = :pk AND begins_with(sk, :records)", values);
        let answer = self.ask(query.limit(1)).await?;
        let place = answer.items().iter().find_map(|item| keys::parse_chain_record(text_of(item, "sk")?));
        Ok(place.map(|place| place.length))
    }

    async fn append<A, E>(
        &self,
        runtime: &Runtime,
        name: ChainName,
        mut record: ChainRecord<A, E>,
        forget_at: Option<Timestamp>,
    ) -> Result<AuditHead, TableError>
    where
        A: Serialize,
        E: Serialize,
    {
        let mut head = self.chain_head(name).await?;
        for attempt in 0..TRIES {
            if attempt > 0 {
                // Random backoff spreads the writers that lost, so that they do not collide with each other again.
                tokio::time::sleep(CONTENDED.wait(attempt, runtime.number())).await;
            }
            record = record.moved_after(head);
            let new = record.head();
            self.put_chain_record(name, new, record.canonical(), forget_at).await?;
            match self.move_head(name, head, new, &runtime.nonce()).await? {
                None => return Ok(new),
                Some(stored) if self.reaches(name, stored, new).await? => return Ok(new),
                Some(stored) => head = stored,
            }
        }
        Err(TableError::Contended("chain"))
    }

    async fn put_chain_record(
        &self,
        name: ChainName,
        place: AuditHead,
        canonical: Vec<u8>,
        forget_at: Option<Timestamp>,
    ) -> Result<(), TableError> {
        let canonical = String::from_utf8(canonical).map_err(|_| TableError::Malformed("audit record"))?;
        let mut item = keyed(keys::chain(name), keys::chain_record(place), [("rec", text(canonical))]);
        if let Some(at) = forget_at {
            item.insert("ttl".to_owned(), number(at.seconds_ceil()));
        }
        // Condition: no such record exists yet. If one exists, it is this record: the key contains the digest of its
        // bytes.
        self.put(item, Condition::new("attribute_not_exists(pk)")).await.map(drop)
    }

    /// Moves the head from `old` to `new`. Returns the stored head when it is another one.
    async fn move_head(
        &self,
        name: ChainName,
        old: AuditHead,
        new: AuditHead,
        nonce: &str,
    ) -> Result<Option<AuditHead>, TableError> {
        // Condition: the head still is the one that the record names as its predecessor; for the first record, no
        // head exists.
        let condition = if old.length == 0 {
            Condition::new("attribute_not_exists(pk)")
        } else {
            Condition::new("#n = :old_n AND #h = :old_h")
                .value(":old_n", number(old.length))
                .value(":old_h", text(old.digest))
        };
        let condition = condition
            .name("#n", "n")
            .name("#h", "h")
            .value(":n", number(new.length))
            .value(":h", text(new.digest))
            .value(":nonce", text(nonce));
        let key = (keys::chain(name), keys::CHAIN_HEAD.to_owned());
        match self.update(key, "SET #n = :n, #h = :h, nonce = :nonce", condition).await? {
            Ok(_) => Ok(None),
            Err(Some(stored)) if text_of(&stored, "nonce") == Some(nonce) => Ok(None),
            Err(stored) => stored.as_ref().map_or(Ok(AuditHead::EMPTY), parse_head).map(Some),
        }
    }

    /// Whether the chain that ends in `head` contains this record. It does when the SDK repeated an update of the
    /// head that had been applied, and another writer has moved the head since.
    async fn reaches(&self, name: ChainName, head: AuditHead, record: AuditHead) -> Result<bool, TableError> {
        if head.length < record.length || head == record {
            return Ok(head == record);
        }
        // A record at the next sequence number names the head of that time as its predecessor.
        let next = self.records_between(name, record.length + 1, record.length + 1).await?;
        let follows = record.digest.to_string();
        Ok(next.values().flatten().any(|(_, value)| value["prev"] == *follows))
    }

    async fn chain_below(
        &self,
        name: ChainName,
        head: AuditHead,
        after_seq: u64,
        limit: usize,
    ) -> Result<ChainPage, TableError> {
        let limit = u64::try_from(limit.clamp(1, PAGE)).unwrap_or(1);
        let last = after_seq.saturating_add(limit).min(head.length);
        // One record more than requested: it names the digest of the last requested one.
        let mut found = self.records_between(name, after_seq.saturating_add(1), last.saturating_add(1)).await?;
        let mut records = Vec::new();
        let mut wanted = (last == head.length).then_some(head.digest).or_else(|| followed(found.get(&(last + 1))));
        for seq in (after_seq + 1..=last).rev() {
            let here = found.remove(&seq).unwrap_or_default();
            // All records with one sequence number have the same predecessor: the head when they were written.
            let before = followed(Some(&here));
            // With no record at the next sequence number the digest is unknown. Verification should report that gap,
            // not this record.
            let found_here = here.into_iter().find(|(digest, _)| wanted.is_none_or(|wanted| wanted == *digest));
            records.extend(found_here.map(|(_, record)| record));
            wanted = before;
        }
        records.reverse();
        Ok(ChainPage { records, head, next: (last < head.length).then_some(last) })
    }

    async fn records_between(&self, name: ChainName, first: u64, last: u64) -> Result<ByPlace, TableError> {
        let mut found = ByPlace::new();
        if first > last {
            return Ok(found);
        }
        let (begin, end) = (keys::chain_place(first), keys::chain_place(last.saturating_add(1)));
        let values = [(":pk", text(keys::chain(name))), (":first", text(begin)), (":last", text(end))];
        let query = self.query("pk = :pk AND sk BETWEEN :first AND :last", values);
        for item in self.collect(query, ALL, |item| Ok(Some(item))).await? {
            let place = text_of(&item, "sk").and_then(keys::parse_chain_record);
            if let (Some(place), Some(record)) = (place, text_of(&item, "rec")) {
                let record = json::kept(record).map_err(|_| TableError::Malformed("audit record"))?;
                found.entry(place.length).or_default().push((place.digest, record));
            }
        }
        Ok(found)
    }
}

/// Digest of the predecessor of the records with one sequence number.
fn followed(here: Option<&Vec<(Digest, Value)>>) -> Option<Digest> {
    here?.iter().find_map(|(_, record)| Digest::try_from(record.get("prev")?.as_str()?.to_owned()).ok())
}

fn parse_head(item: &Item) -> Result<AuditHead, TableError> {
    let malformed = || TableError::Malformed("head of a chain");
    let length = number_of(item, "n").and_then(|n| u64::try_from(n).ok()).ok_or_else(malformed)?;
    let digest = text_of(item, "h").and_then(|text| Digest::try_from(text.to_owned()).ok()).ok_or_else(malformed)?;
    Ok(AuditHead { length, digest })
}
