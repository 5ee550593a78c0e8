//! What a record of a job's chain says was done.

use serde::{Deserialize, Serialize};

use crate::ids::{Approver, Digest, OperatorId};

/// What was done. The names are part of the public shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum AuditEvent {
    /// The edge decided and recorded the job.
    Accepted {
        /// About the first step: `run`, `run_if_user_approves`, `run_if_operator_approves`, or `explain`.
        decision: String,
        /// The policies that made the decision.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        policies: Vec<String>,
        /// About the steps after it, as far as they are complete.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        later: Vec<StepDecision>,
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
    /// What the step at the cursor will send was worked out from earlier results.
    Derived {
        /// The submitted steps that it was worked out from.
        from: Vec<usize>,
        /// HMAC of the canonical arguments, or of the message.
        arguments_digest: Digest,
    },
    /// A round of a turn is about to be sent.
    TurnSent {
        /// What policy said now: `run`, or `explain` for a run without tools.
        decision: String,
        /// The policies that said so.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        policies: Vec<String>,
        /// The key that it is sent under.
        key: String,
        /// HMAC of the message.
        message_digest: Digest,
        /// The reads that the agent may use by itself in this round.
        tools: Vec<String>,
        /// The journal that will remember it.
        journal: String,
        /// The gateway's boot.
        boot: String,
    },
    /// A round of a turn ended: what was called in it, and what was proposed.
    RoundEnded {
        /// Name of the step's outcome.
        outcome: String,
        /// State of the job after it.
        status: String,
        /// Why, when it did not succeed.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        code: Option<String>,
        /// The key of the round.
        key: String,
        /// HMAC of the reply.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        result_digest: Option<Digest>,
        /// What the agent called, in order, as far as the journal kept it.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        calls: Vec<AgentCall>,
        /// How many calls there were.
        calls_total: u64,
        /// What becomes of each proposal.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        proposals: Vec<ProposalDecision>,
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

/// What the edge decided about a step that is not the first one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepDecision {
    /// Its number.
    pub step: usize,
    /// The tool, or the agent.
    pub tool: String,
    /// As in `accepted`.
    pub decision: String,
    /// The policies that made the decision.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub policies: Vec<String>,
}

/// One call inside an agent run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentCall {
    /// The tool.
    pub tool: String,
    /// `allowed`, `proposed` or `vetoed`.
    pub decision: String,
    /// HMAC of the canonical arguments; absent when they were too long to be kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub arguments_digest: Option<Digest>,
    /// Whether an allowed call failed; absent when its end was not seen.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failed: Option<bool>,
}

/// What becomes of one proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalDecision {
    /// Its place in the step.
    pub round: u32,
    /// The tool.
    pub tool: String,
    /// HMAC of the canonical arguments.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub arguments_digest: Option<Digest>,
    /// What policy said: as in `intended`, or the code of the refusal.
    pub decision: String,
    /// The policies that said so.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub policies: Vec<String>,
}
