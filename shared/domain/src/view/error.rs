//! The public view of an error of a job or a step.

use serde::Serialize;

/// The public form of an error.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorView {
    /// Stable code.
    pub code: String,
    /// English text for people.
    pub message: &'static str,
}

impl ErrorView {
    /// The view of a stored code.
    pub fn of(code: &str) -> Self {
        Self { code: code.to_owned(), message: message(code) }
    }
}

/// English text of a job's error code.
fn message(code: &str) -> &'static str {
    match code {
        "tool_failed" => "The tool ran and reported a failure.",
        "tool_unavailable" => "The gateway does not offer this tool.",
        "tool_blocked" => "The gateway refused this call.",
        "gateway_request_rejected" => "The gateway could not read the call.",
        "attempts_exhausted" => "Every attempt ended without an answer, and none is left.",
        "approval_rejected" => "It was not approved.",
        "approval_expired" => "Nobody approved it in time.",
        "approval_insufficient" => "It now needs an approval that it was not given.",
        "mode_explain_only" => "The service explains now and calls nothing.",
        "mode_read_only" => "The service only reads now.",
        "mode_closed" => "The service is closed now.",
        "tool_closed" => "This tool is switched off now.",
        "tool_not_opened" => "This tool destroys, and no operator has opened it.",
        "audit_unproven" => "This tool destroys, and the audit log cannot be proven now.",
        "not_after_passed" => "Its time passed before it could be started.",
        "cancelled" => "It was cancelled.",
        "outcome_unknown" => "It was sent, its result cannot be proven, and it will not be sent again.",
        "arguments_invalid" => "The arguments no longer fit the tool's schema.",
        "tool_changed" => "The tool has changed since this was accepted.",
        "payload_missing" => "What was asked for is no longer stored.",
        "payload_unreadable" => "What was asked for cannot be read any more.",
        "arguments_not_showable" => "It would need a yes, and is too large to be shown to whoever would say it.",
        "deadline_passed" => "Its deadline passed before it was over.",
        "derived_missing" => "An earlier step did not return the value that this one was to take from it.",
        "derived_invalid" => "What an earlier step returned does not fit here.",
        "tool_unknown" => "There is no such tool.",
        "agent_unknown" => "There is no such agent.",
        "conversation_other_agent" => "The conversation is with another agent.",
        "conversation_ending" => "The conversation is being deleted.",
        "model_failed" => "The agent's model did not answer.",
        "model_refused" => "The agent's model refused to answer.",
        "reply_empty" => "The agent ended without a word.",
        "turn_lost" => "The gateway stopped while the agent was at it, and did not bring the turn to an end.",
        "turn_timed_out" => "The agent took longer than it may.",
        "turn_aborted" => "The agent was stopped.",
        "refused_by_gateway" => "The gateway would not run this turn.",
        "calls_exhausted" => "The agent called more tools than it may in one round.",
        "rounds_exhausted" => "The agent proposed more than it may in one turn.",
        _ => "Policy does not permit this call.",
    }
}
