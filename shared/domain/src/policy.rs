//! Who may do what. Default deny: whatever no policy permits does not run, and a policy that cannot be evaluated denies.
//!
//! [`Policy`] is the catalogue with the Cedar policies about its tools; it is read and checked once, when a function starts.
//! [`Policy::gate`] is the only place where a call is decided. The edge asks it before it records a job, and the worker asks
//! it again at the cursor, about the arguments that will be sent. docs/api/policy.md says in which order it decides.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    access::service_mode::Mode,
    catalogue::{AgentEntry, Catalogue, Tool},
    ids::{Approver, Timestamp, UserId},
};

mod agent_decision;
mod argument_use;
mod call_decision;
mod cedar_request;
mod explanation;
mod fault;
mod operator_decision;
mod policy_files;
mod policy_set;
mod schema;

pub use agent_decision::{TurnGate, TurnGated, TurnQuery};
pub use call_decision::DERIVED_FLOOR;
pub use explanation::{explanation, explanation_of_incomplete};
pub use fault::{Place, PolicyFault};
pub use operator_decision::{OperatorAction, OperatorDecided, OperatorPolicy, OperatorQuery};
pub use policy_files::{OPERATORS, PolicyFiles, SCHEMA};

use cedar_request::{Case, Model, Question};
use policy_set::RuleSet;

/// One call, as policy sees it.
#[derive(Debug, Clone, Copy)]
pub struct CallQuery<'a> {
    /// Who asks.
    pub user_id: UserId,
    /// The groups that an operator has put them in.
    pub groups: &'a BTreeSet<String>,
    /// The tool's name.
    pub tool: &'a str,
    /// The arguments that will be sent, which the tool's schema accepts.
    pub arguments: &'a Value,
    /// Whether an argument comes from a turn or an earlier step, not from the user.
    pub derived: bool,
    /// Whether the audit record could be written.
    pub audited: bool,
    /// When.
    pub now: Timestamp,
}

/// What the policies say to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyDecision {
    /// The call may run.
    Run,
    /// It may run once its user has said yes to it.
    RunIfUserApproves,
    /// It may run once an operator has said yes to it.
    RunIfOperatorApproves,
    /// The call may not run, and why.
    Deny(DenyReason),
}

impl PolicyDecision {
    /// Its name, as it stands in audit records; a denial's is its reason's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::RunIfUserApproves => "run_if_user_approves",
            Self::RunIfOperatorApproves => "run_if_operator_approves",
            Self::Deny(reason) => reason.code(),
        }
    }

    /// Whose yes it takes.
    pub const fn approver(self) -> Option<Approver> {
        match self {
            Self::Run | Self::Deny(_) => None,
            Self::RunIfUserApproves => Some(Approver::User),
            Self::RunIfOperatorApproves => Some(Approver::Operator),
        }
    }
}

/// What the policies said, and which of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// What they say.
    pub decision: PolicyDecision,
    /// The `@id` of those that made it: what permitted, and what forbade anything freer.
    pub policies: Vec<String>,
    /// What could not be evaluated, and why. Never quotes an argument.
    pub errors: Vec<String>,
}

/// What becomes of one call now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// It may run.
    Run,
    /// It may run once they have said yes to it.
    Ask(Approver),
    /// Nothing runs now; its user is told what would have.
    Explain(DenyReason),
    /// It may not run.
    Refuse(DenyReason),
}

/// What becomes of one call now, and what policy said to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gated {
    /// What becomes of it.
    pub gate: Gate,
    /// What the policies said; a refusal that did not come to ask them names none.
    pub decided: Decided,
}

/// Why a call may not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DenyReason {
    /// The catalogue does not list the tool.
    ToolUnknown,
    /// The catalogue does not list the agent.
    AgentUnknown,
    /// No policy permits the call, or one forbids it.
    PolicyDenied,
    /// A policy could not be evaluated.
    PolicyError,
    /// A write while the service, or the tool, only reads.
    ModeReadOnly,
    /// Anything while the service, or the tool, only explains.
    ModeExplainOnly,
    /// Anything while the service is closed.
    ModeClosed,
    /// The tool is switched off.
    ToolClosed,
    /// A destructive tool that no operator has opened.
    ToolNotOpened,
    /// What is done now could not be proven later.
    AuditUnproven,
}

impl DenyReason {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::ToolUnknown,
        Self::AgentUnknown,
        Self::PolicyDenied,
        Self::PolicyError,
        Self::ModeReadOnly,
        Self::ModeExplainOnly,
        Self::ModeClosed,
        Self::ToolClosed,
        Self::ToolNotOpened,
        Self::AuditUnproven,
    ];

    /// The stable code in errors, audit records and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ToolUnknown => "tool_unknown",
            Self::AgentUnknown => "agent_unknown",
            Self::PolicyDenied => "policy_denied",
            Self::PolicyError => "policy_error",
            Self::ModeReadOnly => "mode_read_only",
            Self::ModeExplainOnly => "mode_explain_only",
            Self::ModeClosed => "mode_closed",
            Self::ToolClosed => "tool_closed",
            Self::ToolNotOpened => "tool_not_opened",
            Self::AuditUnproven => "audit_unproven",
        }
    }
}

/// The catalogue and the policies about its tools.
#[derive(Debug)]
pub struct Policy {
    catalogue: Catalogue,
    model: Model,
    rules: RuleSet,
    version: String,
}

impl Policy {
    /// What this program was built with.
    pub fn built_in() -> Result<Self, PolicyFault> {
        Self::parse(&PolicyFiles::built_in())
    }

    /// Reads and checks files. The first fault is told with its place.
    pub fn parse(files: &PolicyFiles) -> Result<Self, PolicyFault> {
        let catalogue = catalogue(files)?;
        let policies: Result<Vec<(&str, &str)>, PolicyFault> =
            files.about_tools().map(|file| Ok((file, required(files, file)?))).collect();
        let rules = RuleSet::parse(schema::schema(&catalogue)?, policies?)?;
        Ok(Self { catalogue, model: Model::new(), rules, version: files.version() })
    }

    /// The text of `policy/schema.cedarschema` that a catalogue makes, whatever the policies say.
    pub fn schema_of(files: &PolicyFiles) -> Result<String, PolicyFault> {
        Ok(schema::text(&catalogue(files)?))
    }

    /// The tools.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Looks a tool up.
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.catalogue.get(name)
    }

    /// Looks an agent up.
    pub fn agent(&self, name: &str) -> Option<&AgentEntry> {
        self.catalogue.agent(name)
    }

    /// A short digest of catalogue, schemas and policies: every audit record names it.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The text of `policy/schema.cedarschema`.
    pub fn schema_text(&self) -> String {
        schema::text(&self.catalogue)
    }

    /// What is odd about the policies, but not wrong.
    pub fn warnings(&self) -> &[String] {
        self.rules.warnings()
    }

    /// The `@id` of every policy about tools.
    pub fn ids(&self) -> BTreeSet<String> {
        self.rules.ids()
    }

    /// What the policies alone say. Invariant 9, *default deny*: what none permits, or one cannot be evaluated for, is denied.
    pub fn decide(&self, query: &CallQuery<'_>, mode: Mode) -> Decided {
        policy_set::on_enough_stack(|| self.evaluate(query, mode))
    }

    fn evaluate(&self, query: &CallQuery<'_>, mode: Mode) -> Decided {
        let deny = |reason, policies, errors| Decided { decision: PolicyDecision::Deny(reason), policies, errors };
        let Some(tool) = self.catalogue.get(query.tool) else {
            return deny(DenyReason::ToolUnknown, Vec::new(), Vec::new());
        };
        let Case { requests, entities } = match self.model.case(query, tool, mode) {
            Ok(case) => case,
            Err(problem) => return deny(DenyReason::PolicyError, Vec::new(), vec![problem]),
        };
        let (mut decision, mut policies, mut errors) = (None, BTreeSet::new(), BTreeSet::new());
        // All three are asked, so that an error is found whatever the others say.
        for (question, request) in &requests {
            let verdict = self.rules.ask(request, &entities);
            errors.extend(verdict.errors);
            if decision.is_none() {
                policies.extend(verdict.policies);
                decision = verdict.permitted.then_some(*question);
            }
        }
        if !errors.is_empty() {
            return deny(DenyReason::PolicyError, Vec::new(), errors.into_iter().collect());
        }
        let decision = match decision {
            Some(Question::Run) => PolicyDecision::Run,
            Some(Question::RunIfUserApproves) => PolicyDecision::RunIfUserApproves,
            Some(Question::RunIfOperatorApproves) => PolicyDecision::RunIfOperatorApproves,
            None => PolicyDecision::Deny(DenyReason::PolicyDenied),
        };
        Decided { decision, policies: policies.into_iter().collect(), errors: Vec::new() }
    }
}

fn required<'a>(files: &'a PolicyFiles, file: &str) -> Result<&'a str, PolicyFault> {
    files.text(file).ok_or_else(|| PolicyFault::Missing { file: file.to_owned() })
}

fn catalogue(files: &PolicyFiles) -> Result<Catalogue, PolicyFault> {
    let schema = |name: &str| files.get(&format!("schemas/{name}")).map(<[u8]>::to_vec);
    Ok(Catalogue::parse(required(files, "tools.toml")?, schema)?)
}

#[cfg(test)]
mod tests;
