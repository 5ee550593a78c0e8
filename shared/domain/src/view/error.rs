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
        "approval_expired" => "It was not approved before the approval request expired.",
        "approval_insufficient" => "It now needs a stronger approval than it has.",
        "mode_explain_only" => "The service is in the mode explain_only: it explains and calls no tool.",
        "mode_read_only" => "The service is in the mode read_only.",
        "mode_closed" => "The service is in the mode closed.",
        "tool_closed" => "This tool is switched off now.",
        "tool_not_opened" => "This tool is destructive, and no operator has unlocked it.",
        "audit_unproven" => "This tool is destructive, and there is no recent checkpoint of the audit log.",
        "not_after_passed" => "It could not be started before not_after.",
        "cancelled" => "It was cancelled.",
        "outcome_unknown" => "It was sent, its result cannot be proven, and it will not be sent again.",
        "arguments_invalid" => "The arguments no longer fit the tool's schema.",
        "tool_changed" => "The tool has changed since this was accepted.",
        "payload_missing" => "What was asked for is no longer stored.",
        "payload_unreadable" => "What was asked for cannot be read any more.",
        "arguments_not_showable" => "It needs an approval, and its arguments are too large to be shown for one.",
        "deadline_passed" => "Its deadline passed before it was over.",
        "derived_missing" => "An earlier step did not return the value that this one was to take from it.",
        "derived_invalid" => "What an earlier step returned does not fit here.",
        "tool_unknown" => "There is no such tool.",
        "agent_unknown" => "There is no such agent.",
        "conversation_other_agent" => "The conversation is with another agent.",
        "conversation_ending" => "The conversation is being deleted.",
        "model_failed" => "The agent's model did not answer.",
        "model_refused" => "The agent's model refused to answer.",
        "reply_empty" => "The agent ended its turn without a reply.",
        "turn_lost" => "The gateway stopped during the turn and did not resume it.",
        "turn_timed_out" => "The turn took longer than the agent's timeout.",
        "turn_aborted" => "The agent was stopped.",
        "refused_by_gateway" => "The gateway refused this turn.",
        "calls_exhausted" => "The agent reached the limit of tool calls in one round.",
        "content_refused" => "A check of its text found something that is not permitted.",
        "content_held" => "An operator decides whether its text is permitted. Nothing is sent until then.",
        "content_undecided" => "No operator has permitted its text in time, so nothing was done.",
        "content_unchecked" => "Its text could not be checked, so nothing was done.",
        "reply_refused" => "A check of the reply found something that is not permitted, so it is not shown.",
        "reply_held" => "An operator decides whether the reply is permitted. It is not shown until then.",
        "reply_undecided" => "No operator has permitted the reply in time, so it is not shown.",
        "reply_unchecked" => "The reply could not be checked, so it is not shown.",
        "rounds_exhausted" => "The turn reached the limit of rounds.",
        _ => "Policy does not permit this call.",
    }
}
