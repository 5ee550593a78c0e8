//! Decides a call: the service mode first, then the conditions for destructive tools, then the policies.

use super::{CallQuery, Decided, DenyReason, Gate, Gated, Policy, PolicyDecision};
use crate::{
    access::service_mode::{Controls, Mode},
    catalogue::{Tool, ToolEffect},
    ids::Approver,
};

/// Listed among the policies of a decision when the floor for derived arguments added the approval. An `@id` has no
/// colon, so no policy can have this name.
pub const DERIVED_FLOOR: &str = "floor:derived";

impl Policy {
    /// Decides a call. Called before a call is recorded, approved or sent.
    pub fn gate(&self, controls: &Controls, query: &CallQuery<'_>) -> Gated {
        let Some(tool) = self.catalogue.get(query.tool) else { return refused(DenyReason::ToolUnknown) };
        // A tool with an open schema accepts any field, so its arguments are treated as derived.
        let query = &CallQuery { derived: query.derived || tool.open, ..*query };
        let mode = controls.mode_for(query.tool);
        if let Some(reason) = shut(controls, mode, tool, query) {
            return refused(reason);
        }
        let decided = on_the_floor(self.decide(query, mode), tool, query);
        let gate = match (decided.decision, mode) {
            (PolicyDecision::Deny(reason), _) => Gate::Refuse(reason),
            (_, Mode::ExplainOnly) => Gate::Explain(DenyReason::ModeExplainOnly),
            (PolicyDecision::Run, _) => Gate::Run,
            (PolicyDecision::RunIfUserApproves, _) => Gate::Ask(Approver::User),
            (PolicyDecision::RunIfOperatorApproves, _) => Gate::Ask(Approver::Operator),
        };
        Gated { gate, decided }
    }
}

/// Requires an approval for a write with derived arguments, whatever the policies permit: a model could have chosen
/// them.
fn on_the_floor(decided: Decided, tool: &Tool, query: &CallQuery<'_>) -> Decided {
    let reads = match tool.entry.effect {
        ToolEffect::Read => true,
        ToolEffect::Write | ToolEffect::Destructive => false,
    };
    if !query.derived || reads || decided.decision != PolicyDecision::Run {
        return decided;
    }
    let mut policies = decided.policies;
    policies.push(DERIVED_FLOOR.to_owned());
    Decided { decision: PolicyDecision::RunIfUserApproves, policies, errors: decided.errors }
}

/// Why a call is refused before the policies are evaluated; `None` when it is not.
fn shut(controls: &Controls, mode: Mode, tool: &Tool, query: &CallQuery<'_>) -> Option<DenyReason> {
    let reads = tool.entry.effect == ToolEffect::Read;
    match mode {
        Mode::Closed if controls.service.mode == Mode::Closed => return Some(DenyReason::ModeClosed),
        Mode::Closed => return Some(DenyReason::ToolClosed),
        // Nothing runs in this mode, so the conditions for running do not apply.
        Mode::ExplainOnly => return None,
        Mode::ReadOnly if !reads => return Some(DenyReason::ModeReadOnly),
        Mode::ReadOnly | Mode::Full => {}
    }
    // Invariant 4: without an audit record no write is sent.
    if !query.audited && !reads {
        return Some(DenyReason::AuditUnproven);
    }
    match tool.entry.effect {
        ToolEffect::Read | ToolEffect::Write => None,
        ToolEffect::Destructive if !controls.opened(query.tool, query.now) => Some(DenyReason::ToolNotOpened),
        ToolEffect::Destructive if !controls.audit_proven(query.now) => Some(DenyReason::AuditUnproven),
        ToolEffect::Destructive => None,
    }
}

fn refused(reason: DenyReason) -> Gated {
    let decided = Decided { decision: PolicyDecision::Deny(reason), policies: Vec::new(), errors: Vec::new() };
    Gated { gate: Gate::Refuse(reason), decided }
}
