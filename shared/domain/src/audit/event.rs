//! Events in the records of a job's chain.

use serde::{Deserialize, Serialize};

use crate::{
    content_safety::{ContentFinding, HeldKind},
    ids::{Approver, Digest, OperatorId},
};

/// An event of a job. The names are part of the public format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum AuditEvent {
    /// The edge decided the job and recorded it.
    Accepted {
        /// Decision about the first step: `run`, `run_if_user_approves`, `run_if_operator_approves`, or `explain`.
        decision: String,
        /// The policies that led to the decision.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        policies: Vec<String>,
        /// Decisions about the further steps whose arguments are known.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        later: Vec<StepDecision>,
        /// HMAC of the canonical submission.
        submission_digest: Digest,
    },
    /// The step at the cursor needs an approval.
    ApprovalAsked {
        /// Who has to decide.
        approver: Approver,
        /// Digest of exactly the call to approve: HMAC over user, request, step, round, tool and canonical arguments.
        digest: Digest,
        /// When the approval request expires, RFC 3339.
        expires_at: String,
    },
    /// The approval request was decided.
    ApprovalDecided {
        /// Whether the call was approved.
        approved: bool,
        /// Digest of the approval request.
        digest: Digest,
        /// The operator, if one decided.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        operator: Option<OperatorId>,
    },
    /// The approval request expired.
    ApprovalLapsed {
        /// Digest of the approval request.
        digest: Digest,
    },
    /// Content safety holds a text of the step at the cursor for an operator.
    TextHeld {
        /// What kind of text it is.
        what: HeldKind,
        /// HMAC over user, request, step, round and the text.
        digest: Digest,
        /// When it is refused without a decision, RFC 3339.
        expires_at: String,
        /// Why it is held.
        content: ContentFinding,
    },
    /// An operator has decided about the held text.
    TextDecided {
        /// Whether it may be sent or shown.
        passed: bool,
        /// Digest of the text.
        digest: Digest,
        /// The operator.
        operator: OperatorId,
    },
    /// No operator has decided about the held text in time.
    TextLapsed {
        /// Digest of the text.
        digest: Digest,
    },
    /// The job ended without a call; its result explains the call.
    Explained {
        /// Why: a stable error code.
        code: String,
    },
    /// The worker has decided the step at the cursor and is about to send a write.
    Intended {
        /// Decision at this time: `run`, `run_if_user_approves`, or `run_if_operator_approves`.
        decision: String,
        /// The policies that led to the decision.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        policies: Vec<String>,
        /// Call key of the write.
        key: String,
        /// HMAC of the canonical arguments that will be sent.
        arguments_digest: Digest,
        /// The journal that records the call; absent for a direct call.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        journal: Option<String>,
        /// Boot id of the gateway.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        boot: Option<String>,
    },
    /// The arguments or the message of the step at the cursor were resolved from earlier results.
    Derived {
        /// Indexes of the submitted steps whose results were used.
        from: Vec<usize>,
        /// HMAC of the canonical arguments, or of the message.
        arguments_digest: Digest,
    },
    /// A round of a turn is about to be sent.
    TurnSent {
        /// Decision at this time: `run`, or `explain` for a round without tools.
        decision: String,
        /// The policies that led to the decision.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        policies: Vec<String>,
        /// Call key of the round.
        key: String,
        /// HMAC of the message.
        message_digest: Digest,
        /// The reads that the agent may use in this round without a proposal.
        tools: Vec<String>,
        /// The journal that records the round.
        journal: String,
        /// Boot id of the gateway.
        boot: String,
    },
    /// A round of a turn ended, with its calls and proposals.
    RoundEnded {
        /// Outcome of the step.
        outcome: String,
        /// State of the job after the event.
        status: String,
        /// Why the step did not succeed: a stable error code.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        code: Option<String>,
        /// Call key of the round.
        key: String,
        /// HMAC of the reply.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        result_digest: Option<Digest>,
        /// The agent's calls, in order, as far as the journal stored them.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        calls: Vec<AgentCall>,
        /// Number of calls.
        calls_total: u64,
        /// Decision about each proposal.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        proposals: Vec<ProposalDecision>,
        /// Why content safety refused the step's text or its reply.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        content: Option<ContentFinding>,
    },
    /// A step ended.
    Ended {
        /// Outcome of the step.
        outcome: String,
        /// State of the job after the event.
        status: String,
        /// Why the step did not succeed: a stable error code.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        code: Option<String>,
        /// Call key, if a call was sent.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        key: Option<String>,
        /// HMAC of the canonical arguments; absent when they were no longer stored.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        arguments_digest: Option<Digest>,
        /// HMAC of the canonical result.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        result_digest: Option<Digest>,
        /// Why content safety refused the step's text or its reply.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        content: Option<ContentFinding>,
    },
    /// The owner requested cancellation.
    CancelRequested {
        /// State of the job after the event.
        status: String,
    },
    /// The outcome of an unknown job was found out.
    Resolved {
        /// Whether the write ran.
        happened: bool,
        /// Source of the information: `operator`; absent for the journal.
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

/// Decision of the edge about a step after the first one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepDecision {
    /// Index of the step.
    pub step: usize,
    /// The tool, or the agent.
    pub tool: String,
    /// The decision, with the values of `accepted`.
    pub decision: String,
    /// The policies that led to the decision.
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
    /// HMAC of the canonical arguments; absent when they were too long for the journal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub arguments_digest: Option<Digest>,
    /// Whether an allowed call failed; absent when its end was not recorded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failed: Option<bool>,
}

/// Decision about one proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalDecision {
    /// Position within the step.
    pub round: u32,
    /// The tool.
    pub tool: String,
    /// HMAC of the canonical arguments.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub arguments_digest: Option<Digest>,
    /// The decision, with the values of `intended`, or the code of the refusal.
    pub decision: String,
    /// The policies that led to the decision.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub policies: Vec<String>,
}
