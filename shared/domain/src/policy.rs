//! Policy decisions. Default deny: a call that no policy permits does not run, and a policy that cannot be evaluated
//! denies.
//!
//! [`Policy`] is the catalogue with the Cedar policies about its tools, read and checked once at the start of a
//! function. [`Policy::gate`] is the only place where a call is decided. The edge calls it before it records a job,
//! and the worker calls it again at the cursor, with the arguments that will be sent. docs/api/policy.md documents
//! the order of the checks.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};

use serde_json::Value;

use crate::{
    access::service_mode::Mode,
    catalogue::{AgentEntry, Catalogue, Tool},
    content_safety::{CONTENT_SAFETY, ContentSafety},
    ids::{Approver, Timestamp, UserId},
    notification::{NOTIFICATIONS, Notifications},
    risk::{RISK, Risk},
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
pub use operator_decision::{OperatorAction, OperatorPolicy, OperatorQuery};
pub use policy_files::{OPERATORS, PolicyFiles, SCHEMA};

use cedar_request::{Case, Model};
use policy_set::RuleSet;
pub use policy_set::Verdict;

/// Facts about one call that policies may use.
#[derive(Debug, Clone, Copy)]
pub struct CallQuery<'a> {
    /// The user who makes the call.
    pub user_id: UserId,
    /// The user's groups, as operators have set them.
    pub groups: &'a BTreeSet<String>,
    /// The tool's name in the catalogue.
    pub tool: &'a str,
    /// The arguments that will be sent, which the tool's schema accepts.
    pub arguments: &'a Value,
    /// Whether an argument comes from a turn or an earlier step, not from the user.
    pub derived: bool,
    /// Whether the audit record could be written.
    pub audited: bool,
    /// Time of the decision.
    pub now: Timestamp,
}

/// Decision of the policies about one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyDecision {
    /// The call may run.
    Run,
    /// The call may run after its user has approved it.
    RunIfUserApproves,
    /// The call may run after an operator has approved it.
    RunIfOperatorApproves,
    /// The call may not run, for this reason.
    Deny(DenyReason),
}

impl PolicyDecision {
    /// The name in audit records; for a denial the code of its reason.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::RunIfUserApproves => "run_if_user_approves",
            Self::RunIfOperatorApproves => "run_if_operator_approves",
            Self::Deny(reason) => reason.code(),
        }
    }

    /// Who has to approve the call; `None` when it may run without an approval, or not at all.
    pub const fn approver(self) -> Option<Approver> {
        match self {
            Self::Run | Self::Deny(_) => None,
            Self::RunIfUserApproves => Some(Approver::User),
            Self::RunIfOperatorApproves => Some(Approver::Operator),
        }
    }
}

/// A decision, and the policies that led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The decision.
    pub decision: PolicyDecision,
    /// The `@id` of the policies that led to it: those that permitted it, and those that forbade a less restricted
    /// one.
    pub policies: Vec<String>,
    /// Policies that could not be evaluated, with the reason. Never contains an argument.
    pub errors: Vec<String>,
}

/// What happens to one call now: the policies' decision, limited by the service mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// The call may run.
    Run,
    /// The call may run after this approver has approved it.
    Ask(Approver),
    /// The call does not run; its user gets an explanation of what it would have done.
    Explain(DenyReason),
    /// The call may not run.
    Refuse(DenyReason),
}

/// What happens to one call now, with the policies' decision about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gated {
    /// What happens to the call.
    pub gate: Gate,
    /// The policies' decision; it names no policy when the call was refused before they were evaluated.
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
    /// A write while the service, or the tool, is in `read_only`.
    ModeReadOnly,
    /// A call while the service, or the tool, is in `explain_only`.
    ModeExplainOnly,
    /// A call while the service is `closed`.
    ModeClosed,
    /// The tool is switched off.
    ToolClosed,
    /// A destructive tool without a temporary unlock.
    ToolNotOpened,
    /// A destructive tool while no recent checkpoint has been exported, so that the call could not be proven later.
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

/// The catalogue, the policies about its tools, the notifications about their jobs, the checks of texts, and what follows
/// from the risk of users.
#[derive(Debug)]
pub struct Policy {
    catalogue: Catalogue,
    notifications: Notifications,
    content_safety: ContentSafety,
    risk: Risk,
    model: Model,
    rules: RuleSet,
    version: String,
}

impl Policy {
    /// The policy files that were compiled into this program, parsed once in a process.
    pub fn built_in() -> Result<Arc<Self>, PolicyFault> {
        static BUILT_IN: OnceLock<Arc<Policy>> = OnceLock::new();
        if let Some(policy) = BUILT_IN.get() {
            return Ok(Arc::clone(policy));
        }
        let parsed = Arc::new(Self::parse(&PolicyFiles::built_in())?);
        Ok(Arc::clone(BUILT_IN.get_or_init(|| parsed)))
    }

    /// Parses and checks the files. Returns the first fault, with its place.
    pub fn parse(files: &PolicyFiles) -> Result<Self, PolicyFault> {
        let catalogue = catalogue(files)?;
        let policies: Result<Vec<(&str, &str)>, PolicyFault> =
            files.about_tools().map(|file| Ok((file, required(files, file)?))).collect();
        let rules = RuleSet::parse(schema::schema(&catalogue)?, policies?)?;
        let notifications = notifications(files, &catalogue)?;
        let (content_safety, risk, version) = (content_safety(files)?, risk(files)?, files.version());
        Ok(Self { catalogue, notifications, content_safety, risk, model: Model::new(), rules, version })
    }

    /// The text of `policy/schema.cedarschema` for a catalogue, without reading the policies.
    pub fn schema_of(files: &PolicyFiles) -> Result<String, PolicyFault> {
        Ok(schema::text(&catalogue(files)?))
    }

    /// The tools and agents.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The notifications that a submission may ask for.
    pub fn notifications(&self) -> &Notifications {
        &self.notifications
    }

    /// Whether texts of users and models are checked, and what follows from an answer.
    pub fn content_safety(&self) -> &ContentSafety {
        &self.content_safety
    }

    /// Whether the risk of users is ranked, and what follows.
    pub fn risk(&self) -> &Risk {
        &self.risk
    }

    /// Looks a tool up.
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.catalogue.get(name)
    }

    /// Looks an agent up.
    pub fn agent(&self, name: &str) -> Option<&AgentEntry> {
        self.catalogue.agent(name)
    }

    /// A short digest of catalogue, schemas, policies and decisions about texts and users, which every audit record contains.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The text of `policy/schema.cedarschema`.
    pub fn schema_text(&self) -> String {
        schema::text(&self.catalogue)
    }

    /// Warnings of Cedar's validator about the policies.
    pub fn warnings(&self) -> &[String] {
        self.rules.warnings()
    }

    /// The `@id` of every policy about tools.
    pub fn ids(&self) -> BTreeSet<String> {
        self.rules.ids()
    }

    /// Evaluates the policies alone (invariant 9): a call that no policy permits, or for which one cannot be
    /// evaluated, is denied.
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
        // All three requests are evaluated, so that an error is reported whatever the other results are.
        for (asked, request) in &requests {
            let verdict = self.rules.ask(request, &entities);
            errors.extend(verdict.errors);
            if decision.is_none() {
                policies.extend(verdict.policies);
                decision = verdict.permitted.then_some(*asked);
            }
        }
        if !errors.is_empty() {
            return deny(DenyReason::PolicyError, Vec::new(), errors.into_iter().collect());
        }
        let decision = decision.unwrap_or(PolicyDecision::Deny(DenyReason::PolicyDenied));
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

/// A folder of an earlier version has no such file: then there are no notifications.
fn notifications(files: &PolicyFiles, catalogue: &Catalogue) -> Result<Notifications, PolicyFault> {
    if files.get(NOTIFICATIONS).is_none() {
        return Ok(Notifications::default());
    }
    let tools = catalogue.tools().map(|tool| tool.entry.title.as_str());
    let titles: Vec<&str> = tools.chain(catalogue.agents().map(|agent| agent.title.as_str())).collect();
    Ok(Notifications::parse(required(files, NOTIFICATIONS)?, &titles)?)
}

/// A folder of an earlier version has no such file: then no text is checked.
fn content_safety(files: &PolicyFiles) -> Result<ContentSafety, PolicyFault> {
    if files.get(CONTENT_SAFETY).is_none() {
        return Ok(ContentSafety::default());
    }
    Ok(ContentSafety::parse(required(files, CONTENT_SAFETY)?)?)
}

/// Without such a file, as in a folder of an earlier version, risk is not ranked.
fn risk(files: &PolicyFiles) -> Result<Risk, PolicyFault> {
    if files.get(RISK).is_none() {
        return Ok(Risk::default());
    }
    Ok(Risk::parse(required(files, RISK)?)?)
}

#[cfg(test)]
mod tests;
