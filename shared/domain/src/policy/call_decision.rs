//! What becomes of a call now: the ladder first, then what a destructive tool needs, then the policies.

use super::{CallQuery, Decided, DenyReason, Gate, Gated, Policy, PolicyDecision};
use crate::{
    access::service_mode::{Controls, Mode},
    catalogue::{Tool, ToolEffect},
    ids::Approver,
};

/// Stands among the policies that decided where the floor asked for a yes that they did not. No `@id` has a colon.
pub const DERIVED_FLOOR: &str = "floor:derived";

impl Policy {
    /// The only thing that is asked before a call is recorded, approved or sent.
    pub fn gate(&self, controls: &Controls, query: &CallQuery<'_>) -> Gated {
        let Some(tool) = self.catalogue.get(query.tool) else { return refused(DenyReason::ToolUnknown) };
        // What an open schema lets through may come from anywhere.
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

/// What a turn or an earlier step came up with is never written without a person's yes, whatever the policies say.
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

/// What refuses a call whatever the policies say.
fn shut(controls: &Controls, mode: Mode, tool: &Tool, query: &CallQuery<'_>) -> Option<DenyReason> {
    let reads = tool.entry.effect == ToolEffect::Read;
    match mode {
        Mode::Closed if controls.service.mode == Mode::Closed => return Some(DenyReason::ModeClosed),
        Mode::Closed => return Some(DenyReason::ToolClosed),
        // Nothing will run, so nothing is missing for it.
        Mode::ExplainOnly => return None,
        Mode::ReadOnly if !reads => return Some(DenyReason::ModeReadOnly),
        Mode::ReadOnly | Mode::Full => {}
    }
    // Invariant 4: no audit, no write.
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
