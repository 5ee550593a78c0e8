//! What becomes of a call now: the ladder first, then what a destructive tool needs, then the policies.

use super::{Asked, Decided, DenyReason, Gate, Gated, Policy, PolicyDecision};
use crate::{
    access::service_mode::{Controls, Mode},
    catalogue::{Tool, ToolEffect},
    ids::Approver,
};

/// Stands among the policies that decided where the floor asked for a yes that they did not. No `@id` has a colon.
pub const DERIVED_FLOOR: &str = "floor:derived";

impl Policy {
    /// The only thing that is asked before a call is recorded, approved or sent.
    pub fn gate(&self, controls: &Controls, asked: &Asked<'_>) -> Gated {
        let Some(tool) = self.catalogue.get(asked.tool) else { return refused(DenyReason::ToolUnknown) };
        let mode = controls.mode_for(asked.tool);
        if let Some(reason) = shut(controls, mode, tool, asked) {
            return refused(reason);
        }
        let decided = on_the_floor(self.decide(asked, mode), tool, asked);
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
fn on_the_floor(decided: Decided, tool: &Tool, asked: &Asked<'_>) -> Decided {
    let reads = match tool.entry.effect {
        ToolEffect::Read => true,
        ToolEffect::Write | ToolEffect::Destructive => false,
    };
    if !asked.derived || reads || decided.decision != PolicyDecision::Run {
        return decided;
    }
    let mut policies = decided.policies;
    policies.push(DERIVED_FLOOR.to_owned());
    Decided { decision: PolicyDecision::RunIfUserApproves, policies, errors: decided.errors }
}

/// What refuses a call whatever the policies say.
fn shut(controls: &Controls, mode: Mode, tool: &Tool, asked: &Asked<'_>) -> Option<DenyReason> {
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
    if !asked.audited && !reads {
        return Some(DenyReason::AuditUnproven);
    }
    match tool.entry.effect {
        ToolEffect::Read | ToolEffect::Write => None,
        ToolEffect::Destructive if !controls.opened(asked.tool, asked.now) => Some(DenyReason::ToolNotOpened),
        ToolEffect::Destructive if !controls.audit_proven(asked.now) => Some(DenyReason::AuditUnproven),
        ToolEffect::Destructive => None,
    }
}

fn refused(reason: DenyReason) -> Gated {
    let decided = Decided { decision: PolicyDecision::Deny(reason), policies: Vec::new(), errors: Vec::new() };
    Gated { gate: Gate::Refuse(reason), decided }
}
