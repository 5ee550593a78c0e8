//! Who may do what. Default deny: whatever no rule permits does not run.
//!
//! [`decide`] is the only place of this decision. The edge asks it before it records a job, and the worker asks it again
//! at the cursor, before it records an intent, about the arguments that will be sent.

use crate::catalogue::{Catalogue, ToolEffect};

/// What policy says to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyDecision {
    /// The call may run.
    Run,
    /// The call may not run, and why.
    Deny(DenyReason),
}

/// Why a call may not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DenyReason {
    /// The catalogue does not list the tool.
    ToolUnknown,
    /// The tool writes, and the catalogue does not let a user run it unapproved.
    ApprovalNeeded,
    /// The tool destroys.
    Destructive,
}

impl DenyReason {
    /// The stable code in errors, audit records and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ToolUnknown => "tool_unknown",
            Self::ApprovalNeeded => "approval_needed",
            Self::Destructive => "tool_destructive",
        }
    }
}

/// Decides one call of one tool.
pub fn decide(catalogue: &Catalogue, tool: &str) -> PolicyDecision {
    let Some(tool) = catalogue.get(tool) else { return PolicyDecision::Deny(DenyReason::ToolUnknown) };
    match tool.entry.effect {
        ToolEffect::Read => PolicyDecision::Run,
        ToolEffect::Write if tool.entry.run_unapproved => PolicyDecision::Run,
        ToolEffect::Write => PolicyDecision::Deny(DenyReason::ApprovalNeeded),
        ToolEffect::Destructive => PolicyDecision::Deny(DenyReason::Destructive),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_no_rule_permits_is_denied() {
        let catalogue = Catalogue::built_in().unwrap();
        for (tool, decision) in [
            ("ledger_read", PolicyDecision::Run),
            ("ledger_append", PolicyDecision::Run),
            ("ledger_delete", PolicyDecision::Deny(DenyReason::Destructive)),
            ("exec", PolicyDecision::Deny(DenyReason::ToolUnknown)),
            ("", PolicyDecision::Deny(DenyReason::ToolUnknown)),
            ("LEDGER_READ", PolicyDecision::Deny(DenyReason::ToolUnknown)),
        ] {
            assert_eq!(decide(&catalogue, tool), decision, "{tool}");
        }
    }

    #[test]
    fn a_write_is_denied_unless_the_catalogue_opens_it() {
        let text = "[[tool]]\nname='w'\ntitle='W'\neffect='write'\ntimeout_s=5\nattempts=1\nexpected_ms=1\n\
                    schema='s'\nexample={}\n";
        let parse = |text: &str| Catalogue::parse(text, |_| Some(b"true".to_vec())).unwrap();
        assert_eq!(decide(&parse(text), "w"), PolicyDecision::Deny(DenyReason::ApprovalNeeded));
        assert_eq!(decide(&parse(&(text.to_owned() + "run_unapproved=true\n")), "w"), PolicyDecision::Run);
    }
}
