//! Decides whether the step at the cursor may be sent: again, about the arguments that will be sent, with the service
//! mode and the user's groups as they are now (invariant 9, *default deny*, second check).
//!
//! An approval is asked for at most once per step. A call that needs no approval, or has one that is strong enough, is
//! sent, however policy or catalogue have changed since; a call that needs a stronger one ends. Only a step that
//! edge-auth could not decide, because earlier steps came first, asks for approval here.

use std::{collections::BTreeSet, sync::Arc};

use domain::{
    access::service_mode::Controls,
    catalogue::{Tool, ToolEffect, approval_summary},
    ids::{Approver, UserId},
    job::{
        Step, Via,
        approval::{self, Bound},
    },
    policy::{CallQuery, Decided, DenyReason, Gate, Gated, PolicyDecision, explanation},
};
use platform::{metrics::Metric, openclaw::CallAnswer};

use crate::{
    Worker,
    at_cursor::AtCursor,
    commit::RunError,
    verdict::{Ending, Verdict},
};

/// The tool that may be called, and the policy decision.
pub(crate) struct Permitted<'a> {
    pub(crate) tool: &'a Tool,
    pub(crate) decided: Decided,
}

/// Input of policy decisions: the user's groups and the service modes.
pub(crate) struct PolicyContext {
    pub(crate) groups: BTreeSet<String>,
    pub(crate) controls: Arc<Controls>,
}

/// Why nothing may be sent now.
#[derive(Debug)]
pub(crate) enum Barred {
    /// The step ends.
    Ends(Ending),
    /// It needs an approval that was not asked for yet.
    Asks(Approver),
    /// The service mode cannot be read. Fail closed and reschedule: nothing is sent, and an accepted job does not end
    /// for it.
    Unread,
}

impl Worker {
    /// The tool to be called, or the verdict when nothing is called.
    pub(crate) async fn permitted(&self, cursor: &AtCursor<'_>) -> Result<Result<Permitted<'_>, Verdict>, RunError> {
        let tool = match self.sound(cursor) {
            Ok(tool) => tool,
            Err(ending) => return Ok(Err(Verdict::End(ending))),
        };
        Ok(match self.allowed(cursor, tool).await? {
            Ok(decided) => Ok(Permitted { tool, decided }),
            Err(Barred::Ends(ending)) => Err(Verdict::End(ending)),
            // Arguments that cannot be shown in full cannot be approved.
            Err(Barred::Asks(_)) if approval_summary::describe(tool, &cursor.work.arguments).is_err() => {
                Err(Verdict::End(Ending::refused("arguments_not_showable")))
            }
            Err(Barred::Asks(approver)) => Err(Verdict::Ask(approver, tool.entry.approval_within())),
            Err(Barred::Unread) => {
                Err(self.judge(cursor, &tool.entry, &Via::Direct, true, CallAnswer::NotStarted(None)))
            }
        })
    }

    /// The decision of policy and service mode now, given the approval that the step has; or why nothing may be sent.
    pub(crate) async fn allowed(
        &self,
        cursor: &AtCursor<'_>,
        tool: &Tool,
    ) -> Result<Result<Decided, Barred>, RunError> {
        let (Gated { gate, decided }, chosen) = self.gate(cursor, true).await?;
        self.note_errors(&decided);
        let proposed = cursor.job.step().is_some_and(Step::is_proposed);
        Ok(match gate {
            Gate::Run => Ok(decided),
            Gate::Ask(need) if approved(cursor, need) => Ok(decided),
            Gate::Ask(need) if may_ask(cursor) => Err(Barred::Asks(need)),
            Gate::Ask(_) => Err(Barred::Ends(Ending::refused("approval_insufficient"))),
            // An agent proposed it: the agent is told the refusal, and answers its user.
            Gate::Explain(why) if proposed => Err(Barred::Ends(Ending::refused(why.code()))),
            Gate::Explain(why) => {
                let told = explanation(tool, &cursor.work.arguments, decided.decision, why);
                Err(Barred::Ends(Ending::explained(why.code(), told)))
            }
            Gate::Refuse(DenyReason::ModeReadOnly) if !chosen => Err(Barred::Unread),
            Gate::Refuse(reason) => Err(Barred::Ends(Ending::refused(reason.code()))),
        })
    }

    pub(crate) fn note_errors(&self, decided: &Decided) {
        if decided.decision == PolicyDecision::Deny(DenyReason::PolicyError) {
            self.runtime.count(Metric::PolicyErrors);
            for error in &decided.errors {
                tracing::error!(function = "worker", code = "policy_error", error = %error, "a policy cannot be evaluated");
            }
        }
    }

    /// Checks that need no policy.
    fn sound(&self, cursor: &AtCursor<'_>) -> Result<&Tool, Ending> {
        let (job, step) = (&cursor.job, cursor.job.step());
        if let Some(ending) = Ending::before_it_began(job, self.runtime.now()) {
            return Err(ending);
        }
        let unknown = || Ending::refused(DenyReason::ToolUnknown.code());
        let tool = self.policy.tool(&cursor.work.tool).ok_or_else(unknown)?;
        if tool.validate(&cursor.work.arguments).is_err() {
            let worked_out = cursor.derived.is_some();
            return Err(if worked_out {
                Ending::failed_unsent("derived_invalid")
            } else {
                Ending::refused("arguments_invalid")
            });
        }
        // The effect of the tool was changed in the catalogue since edge-auth recorded the step, so the step lacks what
        // a write needs, or has what a read does not need.
        if step.is_some_and(|step| step.effect != tool.entry.effect) {
            return Err(Ending::refused("tool_changed"));
        }
        if step.is_some_and(|step| step.attempts > tool.entry.attempts) {
            return Err(Ending::failed_unsent("attempts_exhausted"));
        }
        Ok(tool)
    }

    /// The decision about the call, and whether the service mode could be read.
    async fn gate(&self, cursor: &AtCursor<'_>, audited: bool) -> Result<(Gated, bool), RunError> {
        let user_id = cursor.job.user_id;
        let Some(PolicyContext { groups, controls }) = self.policy_context(user_id).await? else {
            return Ok((refused_unasked(), true));
        };
        let query = CallQuery {
            user_id,
            groups: &groups,
            tool: &cursor.work.tool,
            arguments: &cursor.work.arguments,
            derived: cursor.job.step().is_some_and(|step| step.derived),
            audited,
            now: self.runtime.now(),
        };
        Ok((self.policy.gate(&controls, &query), controls.is_set()))
    }

    /// Input of policy decisions. `None` when the user's item does not exist: without groups, rules that forbid
    /// something to a group would not apply, so policy is not asked.
    pub(crate) async fn policy_context(&self, user_id: UserId) -> Result<Option<PolicyContext>, RunError> {
        let (user, controls) = tokio::join!(self.table.user(user_id), self.controls.get(&self.table, &self.runtime));
        Ok(user?.map(|user| PolicyContext { groups: user.groups, controls }))
    }

    /// Whether a step may end although its audit record cannot be written: only a read whose policy says so, never a
    /// write.
    pub(crate) async fn may_end_unaudited(&self, cursor: &AtCursor<'_>) -> bool {
        let reads = cursor.job.step().is_some_and(|step| step.effect == ToolEffect::Read);
        reads && self.gate(cursor, false).await.is_ok_and(|(gated, _)| gated.gate == Gate::Run)
    }
}

/// Whether approval may still be asked for: edge-auth could not ask, because other steps came first.
fn may_ask(cursor: &AtCursor<'_>) -> bool {
    let unasked = |step: &Step| step.approval.is_none() && step.intent.is_none();
    cursor.job.cursor > 0 && cursor.job.step().is_some_and(unasked)
}

fn refused_unasked() -> Gated {
    let reason = DenyReason::PolicyDenied;
    let decided = Decided { decision: PolicyDecision::Deny(reason), policies: Vec::new(), errors: Vec::new() };
    Gated { gate: Gate::Refuse(reason), decided }
}

/// Invariant 8, *bound approvals*: whether a sufficient approval was given to exactly what will be sent.
fn approved(cursor: &AtCursor<'_>, need: Approver) -> bool {
    let job = &cursor.job;
    let Some(approval) = job.step().and_then(|step| step.approval.as_ref()) else { return false };
    let bound = Bound::at_cursor(job, cursor.work);
    approval.suffices_for(need) && approval.digest == approval::digest(cursor.digest_key, &bound)
}
