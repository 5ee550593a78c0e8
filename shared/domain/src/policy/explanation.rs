//! The result of an `explained` job: what would have been done, whose approval it would have needed, and why it was
//! not done.

use serde_json::{Value, json};

use crate::{
    catalogue::{
        Tool,
        approval_summary::{self, Described, SHOWN_AT_MOST},
        visible_text,
    },
    json::canonical,
    policy::{DenyReason, PolicyDecision},
};

/// The explanation of a call. Arguments that cannot be shown in full are omitted, since no approval depends on them.
pub fn explanation(tool: &Tool, arguments: &Value, decision: PolicyDecision, why: DenyReason) -> Value {
    let described = approval_summary::describe(tool, arguments).unwrap_or_else(|_| Described {
        title: tool.entry.title.clone(),
        summary: String::new(),
        arguments: json!({ "omitted": "too_large" }),
    });
    json!({
        "title": described.title,
        "summary": described.summary,
        "arguments": described.arguments,
        "decision": decision.name(),
        "why": why.code(),
    })
}

/// The explanation of a call whose arguments depend on earlier steps that did not run.
pub fn explanation_of_incomplete(tool: &Tool, arguments: &Value, why: DenyReason) -> Value {
    let shown = canonical::canonical(arguments).len() <= SHOWN_AT_MOST;
    let arguments = if shown { visible_text::visible_value(arguments) } else { json!({ "omitted": "too_large" }) };
    json!({ "title": tool.entry.title, "arguments": arguments, "decision": "undecided", "why": why.code() })
}
