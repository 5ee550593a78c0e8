//! The stages *record* and *wake* of a job that was admitted: payload and first audit records, the job, its place in the
//! conversation queue; then the wake-up message. The job is accepted once its item exists. What fails afterwards is repaired: the worker adds the
//! job to its queue, and the reconciler of `sweep` sends the wake-up message.

use std::time::Duration;

use domain::{
    audit::{AuditContext, AuditEvent, AuditHead, AuditRecord, StepDecision},
    ids::{Actor, Digest, DigestKey, RequestId, Timestamp, TraceParent, UserId},
    job::{
        Job, NewJob, ResultRef, Start, Step,
        approval::{self, Approval, Bound},
        submission::Submission,
    },
    policy::{DenyReason, Gate, explanation, explanation_of_incomplete},
};
use platform::{http::ApiError, metrics::Metric};
use serde_json::{Value, json};
use service::job_metrics;
use store::{Created, Payload, QueueJoin, Stored, TableError};

use crate::{EdgeAuth, decide::Passed};

/// A permitted submission.
pub(crate) struct New<'a> {
    pub(crate) user_id: UserId,
    pub(crate) id: RequestId,
    pub(crate) submission: &'a Submission,
    /// One for each step of the submission, in order.
    pub(crate) passed: Vec<Passed<'a>>,
    pub(crate) not_after: Timestamp,
    pub(crate) trace: Option<&'a TraceParent>,
    /// Whether the job begins its conversation, and the conversation has been counted for that.
    pub(crate) counted: bool,
    /// The time of the request.
    pub(crate) now: Timestamp,
}

/// Result of recording.
pub(crate) enum Recorded {
    /// The job is new.
    New(Box<Job>, Payload),
    /// A job of this id exists already.
    Exists(Stored),
}

pub(crate) async fn record(edge: &EdgeAuth, new: &New<'_>) -> Result<Recorded, ApiError> {
    let (user, table, submission, now) = (new.user_id, &edge.table, new.submission, new.now);
    let digest_key = DigestKey::from_random(edge.runtime.bytes());
    let fingerprint = submission.fingerprint(&digest_key);
    let mut steps = steps(new);
    let approval = approval_request(new, &digest_key, now);
    let explained = explained(&new.passed);
    let start = match (&explained, &approval) {
        // The result is stored below, once the job's key is known.
        (Some((_, why)), _) => Start::Explained { result: ResultRef::Omitted, code: why.code().to_owned() },
        (None, Some(asked)) => Start::AwaitingApproval { expires_at: asked.expires_at },
        (None, None) => Start::Queued,
    };
    let records = records(edge, new, approval.as_ref(), (explained.as_ref().map(|(_, why)| *why), fingerprint), now);
    if let Some(first) = steps.first_mut() {
        first.approval = approval;
    }
    let payload = Payload { digest_key, steps: submission.steps().to_vec() };
    // Payload and records are ignored until the job's item names them, so the order of these writes does not matter.
    let audit = put_records(edge, user, fingerprint, (&payload, &records), now).await.map_err(ApiError::unavailable)?;
    let parts = NewJob {
        user_id: user,
        request_id: new.id,
        steps,
        fingerprint,
        audit,
        not_after: new.not_after,
        deadline: submission.deadline(),
        trace: new.trace.map(ToString::to_string),
        start,
    };
    let mut job = Job { notify: submission.notify().map(str::to_owned), ..Job::accepted(parts, now) };
    if let Some((told, _)) = explained {
        let kept = table.keep_result(&job, &payload.digest_key, &told, now).await;
        job.result = Some(kept.map_err(ApiError::unavailable)?.0);
    }
    match table.create_job(&job, &edge.runtime.nonce()).await.map_err(ApiError::unavailable)? {
        Created::Exists(stored) => Ok(Recorded::Exists(stored)),
        Created::New => {
            edge.runtime.count(Metric::JobsAccepted);
            if !job.state.is_over() {
                enqueue(edge, &job, new.counted, now).await;
            }
            Ok(Recorded::New(Box::new(job), payload))
        }
    }
}

fn steps(new: &New<'_>) -> Vec<Step> {
    let wanted = new.submission.steps();
    let steps = new.passed.iter().zip(wanted).enumerate();
    steps.map(|(of, (passed, wanted))| Step { of, deadline_s: wanted.deadline_s, ..passed.step() }).collect()
}

/// Invariant 8, *bound approvals*: the approval request that the first step needs, if it needs one. The worker makes
/// those of later steps when the cursor reaches them.
fn approval_request(new: &New<'_>, key: &DigestKey, now: Timestamp) -> Option<Approval> {
    let Some(Passed::Call { tool, call, gated }) = new.passed.first() else { return None };
    let approver = match gated.gate {
        Gate::Ask(approver) => approver,
        Gate::Run | Gate::Explain(_) | Gate::Refuse(_) => return None,
    };
    let (user_id, request_id) = (new.user_id, new.id);
    let bound = Bound { user_id, request_id, step: 0, round: 0, tool: &call.tool, arguments: &call.arguments };
    let until = new.submission.deadline().into_iter().chain([new.not_after]).min().unwrap_or(new.not_after);
    let expires_at = now.plus(tool.entry.approval_within()).min(until);
    Some(Approval::requested(approver, approval::digest(key, &bound), now, expires_at))
}

/// The explanation with which a job ends at once in `explain_only`. A job without turns is explained as a whole when
/// one of its steps is. A job with a turn is recorded, and the worker decides each of its calls at the cursor.
fn explained(passed: &[Passed<'_>]) -> Option<(Value, DenyReason)> {
    let why = |step: &Passed<'_>| match step {
        Passed::Call { gated, .. } => match gated.gate {
            Gate::Explain(why) => Some(why),
            Gate::Run | Gate::Ask(_) | Gate::Refuse(_) => None,
        },
        Passed::Later { .. } | Passed::Turn { .. } | Passed::End(_) => None,
    };
    let first = passed.iter().find_map(why)?;
    let each = passed.iter().map(|step| match step {
        Passed::Call { tool, call, gated } => {
            Some(explanation(tool, &call.arguments, gated.decided.decision, why(step).unwrap_or(first)))
        }
        Passed::Later { tool, call } => Some(explanation_of_incomplete(tool, &call.arguments, first)),
        Passed::Turn { .. } | Passed::End(_) => None,
    });
    let mut each = each.collect::<Option<Vec<Value>>>()?;
    let whole = if each.len() == 1 { each.pop()? } else { json!({ "steps": each }) };
    Some((whole, first))
}

/// The audit records of a new job, in order.
fn records(
    edge: &EdgeAuth,
    new: &New<'_>,
    asked: Option<&Approval>,
    (explained, submission_digest): (Option<DenyReason>, Digest),
    now: Timestamp,
) -> Vec<AuditRecord> {
    let mut decided = new.passed.iter().enumerate().filter_map(|(step, passed)| {
        let (decision, policies) = passed.decided()?;
        Some(StepDecision {
            step,
            tool: passed.step().tool,
            decision: decision.to_owned(),
            policies: policies.to_vec(),
        })
    });
    // The first step has no earlier step to refer to, so it is always decided here.
    let first = decided.next();
    let tool = first.as_ref().map_or_else(String::new, |first| first.tool.clone());
    let (decision, policies) = first.map(|first| (first.decision, first.policies)).unwrap_or_default();
    let accepted = AuditEvent::Accepted { decision, policies, later: decided.collect(), submission_digest };
    let asked = asked.map(|asked| AuditEvent::ApprovalAsked {
        approver: asked.approver,
        digest: asked.digest,
        expires_at: asked.expires_at.to_string(),
    });
    let explained = explained.map(|why| AuditEvent::Explained { code: why.code().to_owned() });
    let context = AuditContext {
        request_id: new.id,
        at: now,
        actor: Actor::User,
        step: 0,
        round: 0,
        tool: &tool,
        policy_version: edge.policy.version(),
    };
    let mut records: Vec<AuditRecord> = Vec::new();
    for event in [Some(accepted), asked, explained].into_iter().flatten() {
        // Computed only for a record that has a successor: it takes the record's canonical form.
        let head = records.last().map_or(AuditHead::EMPTY, AuditRecord::head);
        records.push(AuditRecord::after(head, context, event));
    }
    records
}

/// Writes the payload with the first audit record, then the other records. A job whose records cannot be written is not
/// accepted.
async fn put_records(
    edge: &EdgeAuth,
    user: UserId,
    fingerprint: Digest,
    (payload, records): (&Payload, &[AuditRecord]),
    now: Timestamp,
) -> Result<AuditHead, TableError> {
    let mut head = AuditHead::EMPTY;
    for (place, record) in records.iter().enumerate() {
        let put = match place {
            0 => edge.table.put_payload(user, fingerprint, payload, record, now).await,
            _ => edge.table.put_audit(user, record, now).await,
        };
        head = edge.table.audited(&edge.runtime, put).await?;
    }
    Ok(head)
}

/// Adds a job to the queue of its conversation. If that fails, the worker adds it.
async fn enqueue(edge: &EdgeAuth, job: &Job, counted: bool, now: Timestamp) {
    let Some(conversation) = job.conversation() else { return };
    let why = match edge.table.enqueue(job.user_id, conversation, job.request_id, now, counted).await {
        Ok(QueueJoin::Joined(_)) => return,
        // Another request has changed the queue since it was checked: the worker finds the same, and ends the job with
        // that reason.
        Ok(QueueJoin::Not(not)) => format!("{not:?}"),
        Err(error) => error.to_string(),
    };
    tracing::warn!(
        function = "edge-auth", code = "queue_not_joined", request_id = %job.request_id, error = %why,
        "the job was recorded, and not added to its conversation queue; a worker adds it"
    );
}

/// Sends the wake-up message of a new job: for now, or for the time when its approval request expires. A job that is
/// over needs none.
pub(crate) async fn wake(edge: &EdgeAuth, job: &Job, now: Timestamp) {
    if job.state.is_over() {
        job_metrics::finished_at_once(&edge.runtime, job);
    } else {
        let after = job.lapses_at().map_or(Duration::ZERO, |at| at.since(now));
        edge.jobs().wake(job, after).await;
    }
}
