//! Decisions about a turn: whether it runs, and which tools the agent may use without a proposal.

use std::collections::BTreeSet;

use super::{CallQuery, Decided, DenyReason, Gate, Policy, PolicyDecision, policy_set};
use crate::{
    access::service_mode::{Controls, Mode},
    catalogue::AgentEntry,
    ids::{Timestamp, UserId},
};

/// Facts about one turn that policies may use. The message is not one of them.
#[derive(Debug, Clone, Copy)]
pub struct TurnQuery<'a> {
    /// The user who sends the message.
    pub user_id: UserId,
    /// The user's groups, as operators have set them.
    pub groups: &'a BTreeSet<String>,
    /// The agent's name in the catalogue.
    pub agent: &'a str,
    /// Time of the decision.
    pub now: Timestamp,
}

/// What happens to one turn now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnGate {
    /// The turn may run.
    Run,
    /// The turn may run, but the agent may use no tool.
    WithoutTools,
    /// The turn may not run, for this reason.
    Refuse(DenyReason),
}

/// What happens to one turn now, with the policies' decision about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnGated {
    /// What happens to the turn.
    pub gate: TurnGate,
    /// The policies' decision; it names no policy when the turn was refused before they were evaluated.
    pub decided: Decided,
    /// Tools that the agent may use for this user without a proposal. Empty unless the turn may run.
    pub tools: Vec<String>,
}

impl Policy {
    /// Decides a turn. Called before the turn is recorded, and before each of its rounds is sent.
    pub fn gate_turn(&self, controls: &Controls, query: &TurnQuery<'_>) -> TurnGated {
        let refused = |decided, reason| TurnGated { gate: TurnGate::Refuse(reason), decided, tools: Vec::new() };
        let unasked = |reason| refused(denied(reason, Vec::new()), reason);
        let Some(agent) = self.catalogue.agent(query.agent) else { return unasked(DenyReason::AgentUnknown) };
        let mode = controls.service.mode;
        if mode == Mode::Closed {
            return unasked(DenyReason::ModeClosed);
        }
        let decided = self.decide_turn(query, mode);
        if let PolicyDecision::Deny(reason) = decided.decision {
            return refused(decided, reason);
        }
        match mode {
            Mode::Closed => unasked(DenyReason::ModeClosed),
            Mode::ExplainOnly => TurnGated { gate: TurnGate::WithoutTools, decided, tools: Vec::new() },
            // The agent's reads run in both modes. A write that it proposes is a call of its own, and in `read_only`
            // is refused as one.
            Mode::ReadOnly | Mode::Full => {
                TurnGated { gate: TurnGate::Run, decided, tools: self.usable(controls, agent, query) }
            }
        }
    }

    /// Evaluates the policies alone: run or a denial (invariant 9).
    pub fn decide_turn(&self, query: &TurnQuery<'_>, mode: Mode) -> Decided {
        policy_set::on_enough_stack(|| self.evaluate_turn(query, mode))
    }

    fn evaluate_turn(&self, query: &TurnQuery<'_>, mode: Mode) -> Decided {
        if self.catalogue.agent(query.agent).is_none() {
            return denied(DenyReason::AgentUnknown, Vec::new());
        }
        let (request, entities) = match self.model.talk(query, mode) {
            Ok(case) => case,
            Err(problem) => return denied(DenyReason::PolicyError, vec![problem]),
        };
        let verdict = self.rules.ask(&request, &entities);
        if !verdict.errors.is_empty() {
            return denied(DenyReason::PolicyError, verdict.errors.into_iter().collect());
        }
        let decision =
            if verdict.permitted { PolicyDecision::Run } else { PolicyDecision::Deny(DenyReason::PolicyDenied) };
        Decided { decision, policies: verdict.policies.into_iter().collect(), errors: Vec::new() }
    }

    /// Those of an agent's tools that this user may use now, whatever the arguments are, since calls inside the run are
    /// not decided again. A call of any other tool becomes a proposal, which is decided with its arguments. A tool that
    /// is not in the catalogue is one of the gateway's own: no policy applies to it, so it stays in the list.
    fn usable(&self, controls: &Controls, agent: &AgentEntry, query: &TurnQuery<'_>) -> Vec<String> {
        let may_use = |name: &&String| {
            let Some(tool) = self.catalogue.get(name) else { return true };
            if self.rules.look_at_arguments_of(name) {
                return false;
            }
            let call = CallQuery {
                user_id: query.user_id,
                groups: query.groups,
                tool: name,
                arguments: &tool.example(),
                derived: true,
                audited: true,
                now: query.now,
            };
            self.gate(controls, &call).gate == Gate::Run
        };
        agent.tools.iter().filter(may_use).cloned().collect()
    }
}

fn denied(reason: DenyReason, errors: Vec<String>) -> Decided {
    Decided { decision: PolicyDecision::Deny(reason), policies: Vec::new(), errors }
}
