//! Write-once records: payloads, results, audit records. Each key contains a digest of the content, so a put that
//! fails because the record exists has found the same bytes.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use serde_json::Value;

use super::{ALL, Condition, Item, Table, TableError, keys, number, text, text_of};
use domain::{
    audit::{AuditHead, AuditRecord},
    catalogue::Catalogue,
    content_safety::CheckedText,
    ids::{Digest, DigestKey, RequestId, Timestamp, UserId},
    job::{
        HeldText, Job, JobState, ResultRef,
        submission::{Wanted, Work},
    },
    json::{self, Omission, canonical},
    view::ApprovalView,
};

/// Maximum size of a job's item in bytes for a result to be stored in it: one write unit is 1,024 bytes.
const INLINE_ITEM_BYTES: usize = 1000;
/// Maximum size of a stored result in bytes. The journal has the same cap.
const RESULT_CAP_BYTES: usize = 64 * 1024;

/// How long a held text is kept after the time for a decision about it.
const HELD_TEXT_KEPT: Duration = Duration::from_secs(86_400);

/// Reason shown when the record of a result does not exist.
const NOT_STORED: &str = "not_stored";

/// The submission of a job, and the key of its digests.
#[derive(Debug, Clone)]
pub struct Payload {
    /// Random key of this job only.
    pub digest_key: DigestKey,
    /// The submitted steps, in order.
    pub steps: Vec<Wanted>,
}

/// A result of a job or a step, as far as it can be read.
#[derive(Debug, Clone, PartialEq)]
pub enum KeptResult {
    /// No result, or, when only the job's item was read, one that is stored in a record of its own.
    None,
    /// This value. A tool may have returned `null`.
    Value(Value),
    /// A result that is not shown, for this reason.
    Omitted(&'static str),
}

impl KeptResult {
    /// The result as far as the job's item contains it.
    pub fn at_hand(result: Option<&ResultRef>) -> Self {
        match result {
            None | Some(ResultRef::Stored(_)) => Self::None,
            Some(ResultRef::Inline(text)) => match json::kept(text) {
                Ok(value) => Self::Value(value),
                Err(fault) => Self::Omitted(fault.omission().name()),
            },
            Some(omitted @ (ResultRef::Omitted | ResultRef::OmittedTooDeep | ResultRef::OmittedUnreadable)) => {
                Self::Omitted(omitted.omission().unwrap_or(Omission::TooLarge).name())
            }
        }
    }

    /// The result as clients see it: the value, or `{"omitted": "too_large"}`.
    pub fn shown(self) -> Option<Value> {
        match self {
            Self::None => None,
            Self::Value(value) => Some(value),
            Self::Omitted(why) => Some(serde_json::json!({ "omitted": why })),
        }
    }

    /// The value; `None` when there is none, or it is not shown.
    pub fn value(self) -> Option<Value> {
        match self {
            Self::Value(value) => Some(value),
            Self::None | Self::Omitted(_) => None,
        }
    }
}

impl Table {
    /// Stores a payload under its fingerprint, together with the first record of the job's chain: one write, so that
    /// no payload exists without its policy decision.
    pub async fn put_payload(
        &self,
        user: UserId,
        fingerprint: Digest,
        payload: &Payload,
        accepted: &AuditRecord,
        now: Timestamp,
    ) -> Result<AuditHead, TableError> {
        let (record, head) = text_and_head(accepted)?;
        let calls = serde_json::to_string(&payload.steps).map_err(|_| TableError::Malformed("payload"))?;
        let fields = [
            ("key", String::from(payload.digest_key.clone())),
            ("calls", calls),
            ("rec", record),
            ("rd", head.digest.to_string()),
        ];
        self.put_record(user, keys::payload(accepted.request_id, fingerprint), fields, now).await?;
        Ok(head)
    }

    /// Reads a payload; `None` also for one whose content was erased.
    pub async fn payload(
        &self,
        user: UserId,
        id: RequestId,
        fingerprint: Digest,
    ) -> Result<Option<Payload>, TableError> {
        let item = self.get(keys::user(user), keys::payload(id, fingerprint)).await?;
        Ok(item.as_ref().map(parse_payload).transpose()?.flatten())
    }

    /// The key of a job's digests. Readable even when the rest of its payload is not.
    pub async fn digest_key(
        &self,
        user: UserId,
        id: RequestId,
        fingerprint: Digest,
    ) -> Result<Option<DigestKey>, TableError> {
        let item = self.get(keys::user(user), keys::payload(id, fingerprint)).await?;
        let key = item.as_ref().and_then(|item| text_of(item, "key"));
        Ok(key.and_then(|key| DigestKey::try_from(key.to_owned()).ok()))
    }

    /// Stores a result under its digest.
    pub async fn put_result(
        &self,
        user: UserId,
        id: RequestId,
        digest: Digest,
        canonical: String,
        now: Timestamp,
    ) -> Result<(), TableError> {
        self.put_record(user, keys::result(id, digest), [("body", canonical)], now).await
    }

    /// Stores a result: in the job's item while that stays within one write unit, else in a record of its own. A
    /// result over the cap is not stored. Also returns the result's digest.
    pub async fn keep_result(
        &self,
        job: &Job,
        key: &DigestKey,
        value: &Value,
        now: Timestamp,
    ) -> Result<(ResultRef, Digest), TableError> {
        let canonical = String::from_utf8_lossy(&canonical::canonical(value)).into_owned();
        let digest = key.digest_bytes(canonical.as_bytes());
        if canonical.len() > RESULT_CAP_BYTES {
            return Ok((ResultRef::omitted(Omission::TooLarge), digest));
        }
        if self.size_of(job) + canonical.len() <= INLINE_ITEM_BYTES {
            return Ok((ResultRef::Inline(canonical), digest));
        }
        self.put_result(job.user_id, job.request_id, digest, canonical, now).await?;
        Ok((ResultRef::Stored(digest), digest))
    }

    /// Reads a result.
    pub async fn result(&self, user: UserId, id: RequestId, digest: Digest) -> Result<Option<Value>, TableError> {
        let Some(item) = self.get(keys::user(user), keys::result(id, digest)).await? else { return Ok(None) };
        let body = text_of(&item, "body").ok_or(TableError::Malformed("result"))?;
        json::kept(body).map(Some).map_err(|_| TableError::Malformed("result"))
    }

    /// The approval request of a job and its decision, for the view; the payload is read only if there is one. While
    /// the request is pending, an unreadable payload is an error, since a call that cannot be shown must not be
    /// approved. Afterwards it is treated as erased.
    pub async fn approval_of(&self, job: &Job, catalogue: &Catalogue) -> Result<Option<ApprovalView>, TableError> {
        if job.approval_request().is_none() {
            return Ok(None);
        }
        let Some((place, _)) = job.approval_request_at() else { return Ok(None) };
        let work = match self.work_of(job, place).await {
            Err(TableError::Malformed(_)) if job.state != JobState::AwaitingApproval => None,
            work => work?,
        };
        Ok(ApprovalView::of(job, work.as_ref(), catalogue))
    }

    /// What the step at this index of a job sends: its own input record if it names one, else what was submitted.
    pub async fn work_of(&self, job: &Job, place: usize) -> Result<Option<Work>, TableError> {
        let Some(step) = job.steps.get(place) else { return Ok(None) };
        if let Some(input) = step.input {
            return self.input(job.user_id, job.request_id, input).await;
        }
        let payload = self.payload(job.user_id, job.request_id, job.fingerprint).await?;
        Ok(payload.and_then(|payload| payload.steps.into_iter().nth(step.of)).map(|wanted| wanted.work))
    }

    /// Stores what a step sends when it differs from what was submitted: resolved from earlier results, or proposed
    /// by an agent. Returns the digest that names it.
    pub async fn put_input(
        &self,
        job: &Job,
        key: &DigestKey,
        work: &Work,
        now: Timestamp,
    ) -> Result<Digest, TableError> {
        let malformed = || TableError::Malformed("input");
        let canonical = canonical::canonical(&serde_json::to_value(work).map_err(|_| malformed())?);
        let digest = key.digest_bytes(&canonical);
        let body = String::from_utf8(canonical).map_err(|_| malformed())?;
        let sk = keys::input(job.request_id, digest);
        self.put_record(job.user_id, sk, [("body", body)], now).await?;
        Ok(digest)
    }

    /// Stores a text that an operator has to decide about, for as long as they may, and a day longer.
    pub async fn put_held_text(&self, job: &Job, held: &HeldText, text: &CheckedText<'_>) -> Result<(), TableError> {
        let canonical = serde_json::to_value(text).map(|value| canonical::canonical(&value)).ok();
        let body =
            canonical.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(TableError::Malformed("held text"))?;
        let (sk, until) = (keys::held_text(job.request_id, held.digest), held.expires_at.plus(HELD_TEXT_KEPT));
        // Binary, since an earlier version exports every item that it does not know, except for binary values.
        self.put_record_until(job.user_id, sk, [("body", AttributeValue::B(Blob::new(body)))], until).await
    }

    /// Reads the text that a job waits for a decision about. It is an error if it is not the text of the digest, which is
    /// the one that would be sent or shown.
    pub async fn held_text(&self, job: &Job, held: &HeldText) -> Result<Option<CheckedText<'static>>, TableError> {
        let (user, id) = (job.user_id, job.request_id);
        let (item, key) = tokio::try_join!(
            self.get(keys::user(user), keys::held_text(id, held.digest)),
            self.digest_key(user, id, job.fingerprint)
        )?;
        let (Some(item), Some(key)) = (item, key) else { return Ok(None) };
        let body =
            item.get("body").and_then(|body| body.as_b().ok()).and_then(|body| std::str::from_utf8(body.as_ref()).ok());
        let text = body.and_then(|body| json::kept::<CheckedText<'static>>(body).ok());
        let same = text.filter(|text| held.is(&key, job, text));
        same.map(Some).ok_or(TableError::Malformed("held text"))
    }

    /// Reads what [`put_input`](Self::put_input) has stored.
    pub async fn input(&self, user: UserId, id: RequestId, digest: Digest) -> Result<Option<Work>, TableError> {
        let Some(item) = self.get(keys::user(user), keys::input(id, digest)).await? else { return Ok(None) };
        let body = text_of(&item, "body").ok_or(TableError::Malformed("input"))?;
        json::kept(body).map(Some).map_err(|_| TableError::Malformed("input"))
    }

    /// The result of a job, from its item or from its record.
    pub async fn result_of(&self, job: &Job) -> Result<KeptResult, TableError> {
        self.result_at(job, job.result.as_ref()).await
    }

    /// A result of a job, from its item or from its record. One that cannot be read is shown as omitted, so that the
    /// rest of the job stays readable.
    pub async fn result_at(&self, job: &Job, result: Option<&ResultRef>) -> Result<KeptResult, TableError> {
        let Some(ResultRef::Stored(digest)) = result else { return Ok(KeptResult::at_hand(result)) };
        Ok(match self.result(job.user_id, job.request_id, *digest).await {
            Ok(Some(value)) => KeptResult::Value(value),
            Ok(None) => KeptResult::Omitted(NOT_STORED),
            Err(TableError::Malformed(_)) => KeptResult::Omitted(Omission::Unreadable.name()),
            Err(error) => return Err(error),
        })
    }

    /// Stores an audit record. Readers ignore it until a job's head leads to it.
    pub async fn put_audit(&self, user: UserId, record: &AuditRecord, now: Timestamp) -> Result<AuditHead, TableError> {
        let (text, head) = text_and_head(record)?;
        let sk = keys::audit(record.request_id, record.seq, head.digest);
        self.put_record(user, sk, [("rec", text)], now).await?;
        Ok(head)
    }

    /// The chain up to `head`, in order. Shorter than `head.length` if records are missing.
    pub async fn audit_chain(&self, user: UserId, id: RequestId, head: AuditHead) -> Result<Vec<Value>, TableError> {
        let mut by_key: HashMap<String, Value> = HashMap::new();
        // The first record is stored with the payload; earlier versions stored it separately.
        let (others, first) =
            tokio::join!(self.records_under(user, keys::audit_of(id)), self.records_under(user, keys::payloads_of(id)));
        for item in others?.iter().chain(&first?) {
            let Some(record) = text_of(item, "rec") else { continue };
            let record = json::kept(record).map_err(|_| TableError::Malformed("audit record"))?;
            let carried = text_of(item, "rd").and_then(|digest| Digest::try_from(digest.to_owned()).ok());
            let key = carried.map(|digest| keys::audit(id, 1, digest));
            by_key.extend(key.or_else(|| text_of(item, "sk").map(str::to_owned)).map(|key| (key, record)));
        }
        Ok(walk_back(id, head, &mut by_key))
    }

    async fn records_under(&self, user: UserId, prefix: String) -> Result<Vec<Item>, TableError> {
        let values = [(":pk", text(keys::user(user))), (":prefix", text(prefix))];
        let query = self.query("pk = :pk AND begins_with(sk, :prefix)", values).projection_expression("sk, rec, rd");
        self.collect(query, ALL, |item| Ok(Some(item))).await
    }

    async fn put_record<const N: usize>(
        &self,
        user: UserId,
        sk: String,
        fields: [(&str, String); N],
        now: Timestamp,
    ) -> Result<(), TableError> {
        // The job's item is kept for the retention time after its end. Its records must outlive it, even if an outage
        // delayed the end.
        let fields = fields.map(|(name, value)| (name, text(value)));
        self.put_record_until(user, sk, fields, now.plus(self.retention * 2)).await
    }

    async fn put_record_until<const N: usize>(
        &self,
        user: UserId,
        sk: String,
        fields: [(&str, AttributeValue); N],
        until: Timestamp,
    ) -> Result<(), TableError> {
        let mut item: Item = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        item.insert("pk".to_owned(), text(keys::user(user)));
        item.insert("sk".to_owned(), text(sk));
        item.insert("ttl".to_owned(), number(until.seconds_ceil()));
        // Condition: no such record exists yet. If one exists, it has the same bytes: the key contains their digest.
        self.put(item, Condition::new("attribute_not_exists(pk)")).await.map(drop)
    }
}

/// `None` for a payload whose content was erased: only the first audit record of its job is left.
pub(super) fn parse_payload(item: &Item) -> Result<Option<Payload>, TableError> {
    let malformed = || TableError::Malformed("payload");
    if !item.contains_key("key") && !item.contains_key("calls") {
        return Ok(None);
    }
    let key = text_of(item, "key").ok_or_else(malformed)?.to_owned();
    let calls = text_of(item, "calls").ok_or_else(malformed)?;
    let digest_key = DigestKey::try_from(key).map_err(|_| malformed())?;
    Ok(Some(Payload { digest_key, steps: json::kept(calls).map_err(|_| malformed())? }))
}

/// The text of a record as it is stored, and the head of the chain after it.
fn text_and_head(record: &AuditRecord) -> Result<(String, AuditHead), TableError> {
    let canonical = record.canonical();
    let head = record.head_by(&canonical);
    Ok((String::from_utf8(canonical).map_err(|_| TableError::Malformed("audit record"))?, head))
}

/// Follows the predecessors' digests back from the head, which skips records of writers that lost the fence.
fn walk_back(id: RequestId, head: AuditHead, by_key: &mut HashMap<String, Value>) -> Vec<Value> {
    let mut chain = Vec::new();
    let mut digest = head.digest;
    for seq in (1..=head.length).rev() {
        let Some(record) = by_key.remove(&keys::audit(id, seq, digest)) else { break };
        let prev = record.get("prev").and_then(Value::as_str).map(|text| Digest::try_from(text.to_owned()));
        chain.push(record);
        match prev {
            Some(Ok(prev)) => digest = prev,
            _ => break,
        }
    }
    chain.reverse();
    chain
}
