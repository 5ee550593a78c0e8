//! A job's life: its states ([`JobState`]), the events that move it ([`JobEvent`]), and [`Job::apply`], the only place where
//! a state changes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    audit::AuditHead,
    conversation::ConversationName,
    ids::{Digest, RequestId, Timestamp, UserId},
};

pub mod approval;
mod audit_context;
mod cancel;
mod decide;
mod ending;
mod erase;
mod event;
pub mod held_text;
mod intent;
pub mod progress;
mod result;
mod state;
mod step;
pub mod submission;
mod transition;
mod wakeup_token;

pub use event::{Attempt, JobEvent, Seen, TransitionError};
pub use held_text::HeldText;
pub use intent::{CallKey, Intent, JournalId, Via};
pub use result::ResultRef;
pub use state::JobState;
pub use step::{Step, StepKind, StepOutcome};
pub use wakeup_token::{JobWakeUp, NotAWakeUp, WakeUpToken};

/// Schema version of the stored item. A function leaves an item with a higher version unchanged for a newer function.
pub const SCHEMA_VERSION: u32 = 4;
/// Maximum number of steps of a job, including those that the proposals of its turns add.
pub const STEPS_GROWN_AT_MOST: usize = 64;
/// Longest lease of a worker: the deadline of its function, with a margin.
pub const LEASED_AT_MOST: Duration = Duration::from_secs(60);
/// How far ahead the next attempt of a job in `retrying` is planned at most: the cap of its backoff, and of what a
/// gateway may ask for.
pub const RETRIED_WITHIN: Duration = Duration::from_secs(60);
/// How far ahead the next poll of a job in `waiting` is planned at most: the longest `timeout_s` of a tool or agent.
pub const POLLED_WITHIN: Duration = Duration::from_secs(3600);
/// How far ahead the reconciler's next read of a job is planned at most, unless the job waits for an approval.
pub const SWEPT_WITHIN: Duration = Duration::from_secs(POLLED_WITHIN.as_secs() + SWEEP_GRACE.as_secs());
/// How far ahead the expiry of an approval request is planned at most, and the reconciler's read after it: `not_after`
/// and `deadline` lie at most a day ahead.
pub const APPROVED_WITHIN: Duration = Duration::from_secs(86_400 + SWEEP_GRACE.as_secs());
/// Time after a job is due for which the reconciler still waits for the wake-up message to arrive.
pub(crate) const SWEEP_GRACE: Duration = Duration::from_secs(60);
/// Whether a job that ended without success changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// No write ran: a new request is safe.
    NotRun,
    /// A write ran, at least in part.
    Ran,
    /// A write may have run.
    Unknown,
}

/// A worker's exclusive right to a running job. Writes are fenced by `rev`; the lease only says from when another
/// worker may claim the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Random, one per claim. A cancel increments `rev` too: with this id the holder recognizes a job at a newer
    /// `rev` as still its own.
    #[serde(rename = "o")]
    pub owner: String,
    /// Time from which another worker may claim the job. Later than the function's own deadline (invariant 5).
    #[serde(rename = "x")]
    pub expires_at: Timestamp,
}

/// What was found out about an `unknown` job after its end. Written once, in addition to the status, which never
/// changes (invariant 2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// Source of the information.
    pub by: ResolvedBy,
    /// Whether the write ran.
    pub happened: bool,
    /// When it was found out.
    pub at: Timestamp,
    /// Free text by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Source of the resolution of an unknown job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolvedBy {
    /// The gateway's journal, queried again after the end of the job.
    Journal,
    /// An operator, from information outside this service.
    Operator,
}

/// A job: the state item of the table, under 1 kB. It is the only commit point: readers ignore an audit record that
/// the head stored here does not lead to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The user who owns the job.
    #[serde(rename = "u")]
    pub user_id: UserId,
    /// The client's id of the request; with `user_id` the key of the item.
    #[serde(rename = "id")]
    pub request_id: RequestId,
    /// Current state.
    #[serde(rename = "st")]
    pub state: JobState,
    /// The fence (invariant 3): every write compares and increments it. It is also the `ETag`.
    pub rev: u64,
    /// The steps, in the order of execution.
    #[serde(rename = "sp")]
    pub steps: Vec<Step>,
    /// Index of the next step in `steps`.
    #[serde(rename = "cu")]
    pub cursor: usize,
    /// Digest of the submission. It is part of the payload's key, and tells a repeated submission from another one
    /// under the same id.
    #[serde(rename = "fp")]
    pub fingerprint: Digest,
    /// Head of the job's audit chain.
    #[serde(rename = "au")]
    pub audit: AuditHead,
    /// When the job was accepted.
    #[serde(rename = "ca")]
    pub created_at: Timestamp,
    /// Time of the last change.
    #[serde(rename = "ua")]
    pub updated_at: Timestamp,
    /// No call is started after this time.
    #[serde(rename = "na")]
    pub not_after: Timestamp,
    /// Time by which the job has to be over, with success or without.
    #[serde(rename = "dl", default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// When the job is due again, while it is waiting or retrying.
    #[serde(rename = "ck", default, skip_serializing_if = "Option::is_none")]
    pub check_at: Option<Timestamp>,
    /// The lease of the worker that holds the job; present only while it is running.
    #[serde(rename = "ls", default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// The user has requested cancellation while a call was, or may have been, at the gateway.
    #[serde(rename = "cq", default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel_requested: bool,
    /// Why the job ended without success: a stable error code.
    #[serde(rename = "er", default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether the job changed anything; present once it has ended without success.
    #[serde(rename = "ef", default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// Result of the last step.
    #[serde(rename = "rs", default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultRef>,
    /// What was found out about an `unknown` job after its end.
    #[serde(rename = "re", default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
    /// When the reconciler reads the job next. The attribute keeps the item in the `open_jobs` index.
    #[serde(rename = "sweep_at", default, skip_serializing_if = "Option::is_none")]
    pub sweep_at: Option<Timestamp>,
    /// How often the reconciler has sent a wake-up message for the job. Used only for backoff.
    #[serde(rename = "sw", default, skip_serializing_if = "Option::is_none")]
    pub sweeps: Option<u32>,
    /// The client's `traceparent`, passed on to the gateway.
    #[serde(rename = "tp", default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Name of the notification that the user asked for. It does not raise the schema version: an older function that
    /// rewrites the job drops it, and then no message is sent, whereas a job that it did not understand would wait.
    #[serde(rename = "no", default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<String>,
}

/// Initial state of an accepted job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Ready to run.
    Queued,
    /// The first step, which contains the approval request, waits for approval.
    AwaitingApproval {
        /// When the approval request expires.
        expires_at: Timestamp,
    },
    /// Over at once: the service makes no call now, and the result explains the call that it would have made.
    Explained {
        /// Reference to the explanation.
        result: ResultRef,
        /// Why no call is made: a stable code.
        code: String,
    },
}

/// Everything that a new job is created from.
#[derive(Debug)]
pub struct NewJob {
    /// The user who owns the job.
    pub user_id: UserId,
    /// The client's id of the request.
    pub request_id: RequestId,
    /// The steps, in the order of execution.
    pub steps: Vec<Step>,
    /// Digest of the submission.
    pub fingerprint: Digest,
    /// Head of the audit chain, which has its first record already.
    pub audit: AuditHead,
    /// No call is started after this time.
    pub not_after: Timestamp,
    /// Time by which the job has to be over.
    pub deadline: Option<Timestamp>,
    /// The client's `traceparent`.
    pub trace: Option<String>,
    /// Initial state.
    pub start: Start,
}

impl Job {
    /// Creates a job as it is first stored. Unless it is over at once, it is in the `open_jobs` index.
    pub fn accepted(new: NewJob, now: Timestamp) -> Self {
        let queued = Self {
            user_id: new.user_id,
            request_id: new.request_id,
            state: JobState::Queued,
            rev: 1,
            steps: new.steps,
            cursor: 0,
            fingerprint: new.fingerprint,
            audit: new.audit,
            created_at: now,
            updated_at: now,
            not_after: new.not_after,
            deadline: new.deadline,
            check_at: None,
            lease: None,
            cancel_requested: false,
            error: None,
            effect: None,
            result: None,
            resolution: None,
            sweep_at: Some(now.plus(SWEEP_GRACE)),
            sweeps: None,
            trace: new.trace,
            notify: None,
        };
        match new.start {
            Start::Queued => queued,
            Start::AwaitingApproval { expires_at } => {
                Self { state: JobState::AwaitingApproval, sweep_at: Some(expires_at.plus(SWEEP_GRACE)), ..queued }
            }
            Start::Explained { result, code } => Self {
                state: JobState::Explained,
                steps: queued
                    .steps
                    .iter()
                    .map(|step| Step { outcome: Some(StepOutcome::NotRun), ..step.clone() })
                    .collect(),
                effect: Some(Effect::NotRun),
                error: Some(code),
                result: Some(result),
                sweep_at: None,
                ..queued
            },
        }
    }

    /// The time from which a worker should have claimed the job: the end of the lease, `check_at`, the expiry of the
    /// approval request, or the time since which it may run. The delay of a claim is measured from it.
    pub fn due_at(&self) -> Timestamp {
        let lease_over = self.lease.as_ref().map(|lease| lease.expires_at);
        lease_over.or(self.check_at).or(self.lapses_at()).unwrap_or_else(|| self.free_to_run_at())
    }

    /// The time since which no decision of a person is missing: the job's acceptance, its last approval, or the last
    /// decision about a held text.
    pub fn free_to_run_at(&self) -> Timestamp {
        let approval = self.approval_request().and_then(|approval| approval.decision.as_ref());
        let text = self.step().and_then(|step| step.held.as_ref()?.decision.as_ref());
        let decided = approval.map(|decision| decision.at).max(text.map(|decision| decision.at));
        decided.unwrap_or(self.created_at)
    }

    /// When the pending approval request, or the time to decide about a held text, expires; `None` while neither is
    /// pending. A held reply has no such time: its job looks by itself.
    pub fn lapses_at(&self) -> Option<Timestamp> {
        let step = self.step().filter(|_| self.state == JobState::AwaitingApproval)?;
        let held = step.pending_text().map(|held| held.expires_at);
        held.or_else(|| step.approval.as_ref().map(|approval| approval.expires_at))
    }

    /// Schema version to store: the lowest one whose functions understand everything in the job.
    pub fn schema_version(&self) -> u32 {
        let plain = |step: &Step| {
            step.kind == StepKind::Call && step.round == 0 && step.input.is_none() && step.deadline_s.is_none()
        };
        let first_version = self.steps.len() == 1 && self.deadline.is_none() && self.steps.iter().all(plain);
        // Before version 3 the stored form had a single reason for an omitted result.
        let results = self.steps.iter().filter_map(|step| step.result.as_ref()).chain(&self.result);
        let third = results
            .into_iter()
            .any(|result| matches!(result, ResultRef::OmittedTooDeep | ResultRef::OmittedUnreadable));
        // A function that dropped a held text would take its job for one that waits for an approval. A job that is over
        // waits for nothing, and earlier versions may show, count and erase it.
        if !self.state.is_over() && self.steps.iter().any(|step| step.held.is_some()) {
            return 4;
        }
        match (third, first_version) {
            (true, _) => 3,
            (false, true) => 1,
            (false, false) => 2,
        }
    }

    /// Call key of the step at the cursor (invariant 7): the journal's key for the operation.
    pub fn call_key(&self) -> CallKey {
        let (step, round, n) = self.step().map_or((0, 0, 0), |step| (step.of, step.round, step.n));
        CallKey { user_id: self.user_id, request_id: self.request_id, step, round, n }
    }

    /// What the journal sends to `POST /v1/rings` to report progress of the step at the cursor; `None` while no call
    /// is out.
    pub fn wake_up(&self) -> Option<JobWakeUp> {
        let secret = self.step()?.intent.as_ref()?.wake_up_token.clone()?;
        Some(JobWakeUp { user_id: self.user_id, request_id: self.request_id, secret })
    }

    /// The earlier of the step's own deadline and the job's.
    pub fn deadline_at(&self) -> Option<Timestamp> {
        let own = self.step().and_then(Step::deadline);
        own.into_iter().chain(self.deadline).min()
    }

    /// Whether the deadline of the step at the cursor has passed.
    pub fn overdue(&self, now: Timestamp) -> bool {
        self.deadline_at().is_some_and(|at| at <= now)
    }

    /// The last step that belongs to this submitted step (a turn has one for each round and proposal): it has the
    /// result.
    pub fn last_of(&self, submitted: usize) -> Option<&Step> {
        self.steps.iter().rev().find(|step| step.of == submitted)
    }

    /// The conversation and the agent of a job that uses a conversation queue.
    pub fn conversation(&self) -> Option<(&ConversationName, &str)> {
        self.steps.iter().find_map(|step| Some((step.conversation.as_ref()?, step.tool.as_str())))
    }

    /// The step at the cursor; `None` only after the last step is done.
    pub fn step(&self) -> Option<&Step> {
        self.steps.get(self.cursor)
    }
}
