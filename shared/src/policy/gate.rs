//! What becomes of a call now: the ladder first, then what a destructive tool needs, then the policies.

use super::{Asked, Decided, DenyReason, Gate, Gated, Policy, PolicyDecision};
use crate::{
    approval::Approver,
    catalogue::{Tool, ToolEffect},
    mode::{Controls, Mode},
};

impl Policy {
    /// The only thing that is asked before a call is recorded, approved or sent.
    pub fn gate(&self, controls: &Controls, asked: &Asked<'_>) -> Gated {
        let Some(tool) = self.catalogue.get(asked.tool) else { return refused(DenyReason::ToolUnknown) };
        let mode = controls.mode_for(asked.tool);
        if let Some(reason) = shut(controls, mode, tool, asked) {
            return refused(reason);
        }
        let decided = self.decide(asked, mode);
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
