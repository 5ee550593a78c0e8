//! What becomes of a turn of an agent: whether it runs, and which tools it may use by itself.

use std::collections::BTreeSet;

use super::{CallQuery, Decided, DenyReason, Gate, Policy, PolicyDecision, policy_set};
use crate::{
    access::service_mode::{Controls, Mode},
    catalogue::AgentEntry,
    ids::{Timestamp, UserId},
};

/// One turn, as policy sees it. What is said to the agent is not looked at.
#[derive(Debug, Clone, Copy)]
pub struct TurnQuery<'a> {
    /// Who asks.
    pub user_id: UserId,
    /// The groups that an operator has put them in.
    pub groups: &'a BTreeSet<String>,
    /// The agent's name.
    pub agent: &'a str,
    /// When.
    pub now: Timestamp,
}

/// What becomes of one turn now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnGate {
    /// It may run.
    Run,
    /// It may run, and no tool in it.
    WithoutTools,
    /// It may not run.
    Refuse(DenyReason),
}

/// What becomes of one turn now, what policy said to it, and what it may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnGated {
    /// What becomes of it.
    pub gate: TurnGate,
    /// What the policies said; a refusal that did not come to ask them names none.
    pub decided: Decided,
    /// The tools that the agent may use by itself, for this user, now. Empty unless the turn may run.
    pub tools: Vec<String>,
}

impl Policy {
    /// The only thing that is asked before a turn is recorded, and before each of its rounds is sent.
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
            // What it reads by itself runs; what it proposes to write is refused as any write is.
            Mode::ReadOnly | Mode::Full => {
                TurnGated { gate: TurnGate::Run, decided, tools: self.usable(controls, agent, query) }
            }
        }
    }

    /// What the policies alone say: run, or a denial. Invariant 9, *default deny*, for turns.
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

    /// Of an agent's tools those that this user may use now, whatever the arguments will be: nobody decides about them again
    /// inside the run. The rest is proposed, and decided with its arguments. What only the gateway knows, policy does not know.
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
