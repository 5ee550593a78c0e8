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
mod event;
mod intent;
pub mod progress;
mod result;
mod state;
mod step;
pub mod submission;
mod transition;
mod wakeup_token;

pub use event::{Attempt, JobEvent, Seen, TransitionError};
pub use intent::{CallKey, Intent, JournalId, Via};
pub use result::ResultRef;
pub use state::JobState;
pub use step::{Step, StepKind, StepOutcome};
pub use wakeup_token::{JobWakeUp, NotAWakeUp, WakeUpToken};

/// The version of the stored form. An item with a higher one is left for a newer function.
pub const SCHEMA_VERSION: u32 = 3;
/// How many steps a job may grow to by what its turns propose.
pub const STEPS_GROWN_AT_MOST: usize = 64;
/// No job plans further ahead: `not_after` and `deadline` lie at most a day ahead, and everything else within them.
pub const PLANNED_AHEAD_AT_MOST: Duration = Duration::from_secs(2 * 86_400);
/// How long after its time the sweeper gives a bell to arrive.
pub(crate) const SWEEP_GRACE: Duration = Duration::from_secs(60);
/// What a job that is over did to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing: a new request is safe.
    NotRun,
    /// A write ran, at least in part.
    Ran,
    /// A write may have run.
    Unknown,
}

/// A worker's exclusive right to a running job. `rev` is the fence; this only says when others may take over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Random, one per claim: by it the holder knows a newer `rev` as still its own (a cancel bumps `rev` too).
    #[serde(rename = "o")]
    pub owner: String,
    /// From here on another worker may claim. Later than the function's own deadline (invariant 5).
    #[serde(rename = "x")]
    pub expires_at: Timestamp,
}

/// What was learnt about an `unknown` job after it was over. Written once, beside the status (invariant 2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// Who knows.
    pub by: ResolvedBy,
    /// Whether the write ran.
    pub happened: bool,
    /// When it was learnt.
    pub at: Timestamp,
    /// An operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Who resolved an unknown job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolvedBy {
    /// The gateway's journal, asked once more.
    Journal,
    /// An operator, who knows from elsewhere.
    Operator,
}

/// A job: the state item of the table, under 1 kB. The only commit point: a record that its head does not reach does not
/// exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Whose.
    #[serde(rename = "u")]
    pub user_id: UserId,
    /// Which.
    #[serde(rename = "id")]
    pub request_id: RequestId,
    /// Where in its life.
    #[serde(rename = "st")]
    pub state: JobState,
    /// Invariant 3, *fence*: bumped by every write, a condition of every write, and the `ETag`.
    pub rev: u64,
    /// What was asked for, in order.
    #[serde(rename = "sp")]
    pub steps: Vec<Step>,
    /// The next step.
    #[serde(rename = "cu")]
    pub cursor: usize,
    /// Names the payload, and is what a repeated submission is compared with.
    #[serde(rename = "fp")]
    pub fingerprint: Digest,
    /// The end of the audit chain.
    #[serde(rename = "au")]
    pub audit: AuditHead,
    /// When it was accepted.
    #[serde(rename = "ca")]
    pub created_at: Timestamp,
    /// When it last changed.
    #[serde(rename = "ua")]
    pub updated_at: Timestamp,
    /// Nothing starts after this.
    #[serde(rename = "na")]
    pub not_after: Timestamp,
    /// It is over by then, one way or the other.
    #[serde(rename = "dl", default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// When it is due again.
    #[serde(rename = "ck", default, skip_serializing_if = "Option::is_none")]
    pub check_at: Option<Timestamp>,
    /// While running.
    #[serde(rename = "ls", default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// The user asked to stop while a call was or may have been out.
    #[serde(rename = "cq", default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel_requested: bool,
    /// Why it ended without success: a stable code.
    #[serde(rename = "er", default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it did to the world, once over without success.
    #[serde(rename = "ef", default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// What the last step returned.
    #[serde(rename = "rs", default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultRef>,
    /// What was learnt later.
    #[serde(rename = "re", default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
    /// When the sweeper looks at it, while it is in the `open_jobs` index.
    #[serde(rename = "sweep_at", default, skip_serializing_if = "Option::is_none")]
    pub sweep_at: Option<Timestamp>,
    /// How often the sweeper rang it: drives backoff only.
    #[serde(rename = "sw", default, skip_serializing_if = "Option::is_none")]
    pub sweeps: Option<u32>,
    /// The client's `traceparent`, to be carried to the gateway.
    #[serde(rename = "tp", default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// How a job begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// To be run.
    Queued,
    /// The first step waits for a yes until then; the step carries the question.
    AwaitingApproval {
        /// When the question expires.
        expires_at: Timestamp,
    },
    /// Over at once: nothing is called now, and this tells what would have been.
    Explained {
        /// The explanation.
        result: ResultRef,
        /// Why nothing is called: a stable code.
        code: String,
    },
}

/// What a job is accepted with.
#[derive(Debug)]
pub struct NewJob {
    /// Whose.
    pub user_id: UserId,
    /// Which.
    pub request_id: RequestId,
    /// What was asked for, in order.
    pub steps: Vec<Step>,
    /// Of what was asked for.
    pub fingerprint: Digest,
    /// The chain with its first record.
    pub audit: AuditHead,
    /// Nothing starts after this.
    pub not_after: Timestamp,
    /// It is over by then.
    pub deadline: Option<Timestamp>,
    /// The client's `traceparent`.
    pub trace: Option<String>,
    /// How it begins.
    pub start: Start,
}

impl Job {
    /// A job as it is recorded. Unless it is over at once, it is in the index of open jobs.
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

    /// From when on a worker should have taken it on: the end of a lease, the time it is due again, the end of its question,
    /// or since when it may run.
    pub fn due_at(&self) -> Timestamp {
        let lease_over = self.lease.as_ref().map(|lease| lease.expires_at);
        lease_over.or(self.check_at).or(self.lapses_at()).unwrap_or_else(|| self.free_to_run_at())
    }

    /// Since when nobody's yes is missing: its acceptance, or the last yes.
    pub fn free_to_run_at(&self) -> Timestamp {
        let decision = self.approval_request().and_then(|question| question.decision.as_ref());
        decision.map_or(self.created_at, |decision| decision.at)
    }

    /// When the question that it waits for expires; `None` while it waits for none.
    pub fn lapses_at(&self) -> Option<Timestamp> {
        let waits = self.state == JobState::AwaitingApproval;
        self.step().filter(|_| waits)?.approval.as_ref().map(|approval| approval.expires_at)
    }

    /// The version that a function must understand to carry the job on.
    pub fn schema_version(&self) -> u32 {
        let plain = |step: &Step| {
            step.kind == StepKind::Call && step.round == 0 && step.input.is_none() && step.deadline_s.is_none()
        };
        let first_version = self.steps.len() == 1 && self.deadline.is_none() && self.steps.iter().all(plain);
        // Before the third there was one reason to omit a result.
        let results = self.steps.iter().filter_map(|step| step.result.as_ref()).chain(&self.result);
        let third = results
            .into_iter()
            .any(|result| matches!(result, ResultRef::OmittedTooDeep | ResultRef::OmittedUnreadable));
        match (third, first_version) {
            (true, _) => 3,
            (false, true) => 1,
            (false, false) => 2,
        }
    }

    /// Invariant 7, *logical keys*: what the gateway's journal knows the step at the cursor by.
    pub fn call_key(&self) -> CallKey {
        let (step, round, n) = self.step().map_or((0, 0, 0), |step| (step.of, step.round, step.n));
        CallKey { user_id: self.user_id, request_id: self.request_id, step, round, n }
    }

    /// What has the job looked at when there is something to see of the step at the cursor.
    pub fn wake_up(&self) -> Option<JobWakeUp> {
        let secret = self.step()?.intent.as_ref()?.wake_up_token.clone()?;
        Some(JobWakeUp { user_id: self.user_id, request_id: self.request_id, secret })
    }

    /// By when the step at the cursor has to be over: its own deadline or the job's, whichever comes first.
    pub fn deadline_at(&self) -> Option<Timestamp> {
        let own = self.step().and_then(Step::deadline);
        own.into_iter().chain(self.deadline).min()
    }

    /// Whether the step at the cursor has to be over by now.
    pub fn overdue(&self, now: Timestamp) -> bool {
        self.deadline_at().is_some_and(|at| at <= now)
    }

    /// The last entry of a submitted step: what it returned is there.
    pub fn last_of(&self, submitted: usize) -> Option<&Step> {
        self.steps.iter().rev().find(|step| step.of == submitted)
    }

    /// The conversation that the job stands in line for, and the agent.
    pub fn conversation(&self) -> Option<(&ConversationName, &str)> {
        self.steps.iter().find_map(|step| Some((step.conversation.as_ref()?, step.tool.as_str())))
    }

    /// The step at the cursor; `None` only once every step is done.
    pub fn step(&self) -> Option<&Step> {
        self.steps.get(self.cursor)
    }
}
