//! What a job that ends as `explained` tells: what would have been done, whose yes it would have taken, and why it was not.

use serde_json::{Value, json};

use crate::{
    catalogue::Tool,
    policy::{DenyReason, PolicyDecision},
    summary::{self, Described},
};

/// The explanation. Arguments that cannot be shown whole are left out: there is nothing to approve.
pub fn explanation(tool: &Tool, arguments: &Value, decision: PolicyDecision, why: DenyReason) -> Value {
    let described = summary::describe(tool, arguments).unwrap_or_else(|_| Described {
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
