//! Decides whether the step at the cursor may be sent: again, about the arguments that will be sent, with the service
//! mode and the user's groups as they are now (invariant 9, *default deny*, second check).
//!
//! An approval is asked for at most once per step. A call that needs no approval, or has one that is strong enough, is
//! sent, however policy or catalogue have changed since; a call that needs a stronger one ends. Only a step that
//! edge-auth could not decide, because earlier steps came first, asks for approval here.

use domain::{
    catalogue::{Tool, ToolEffect, approval_summary},
    ids::Approver,
    job::{
        Step, Via,
        approval::{self, Bound},
        submission::Call,
    },
    policy::{CallQuery, Decided, DenyReason, Gate, Gated, PolicyDecision, explanation},
};
use platform::openclaw::CallAnswer;

use super::verdict::Verdict;
use crate::{
    Worker,
    step::{Ending, RunError, StepContext, policy_context::PolicyContext},
};

/// The tool that may be called, and the policy decision.
pub(super) struct Permitted<'a> {
    pub(super) tool: &'a Tool,
    pub(super) decided: Decided,
}

/// What is done with a call that has no intent.
pub(super) enum CallDecision<'a> {
    /// It may be sent.
    Send(Permitted<'a>),
    /// Nothing is sent.
    Hold(Verdict),
}

/// What policy and service mode say about a call now, given the approval that its step has.
#[derive(Debug)]
pub(super) enum Allowed {
    /// It may be sent.
    Runs(Decided),
    /// The step ends.
    Ends(Ending),
    /// It needs an approval that was not asked for yet.
    Asks(Approver),
    /// The service mode cannot be read. Fail closed and reschedule: nothing is sent, and an accepted job does not end
    /// for it.
    Unread,
}

/// The answer of the policy about a call.
struct PolicyAnswer {
    gated: Gated,
    /// Whether the service mode was set and read, so that a refusal by it is final.
    mode_is_set: bool,
}

impl Worker {
    /// Decides whether a call that has no intent may be sent.
    pub(super) async fn decide_call(
        &self,
        context: &StepContext<'_>,
        call: &Call,
    ) -> Result<CallDecision<'_>, RunError> {
        let tool = match self.sound(context, call) {
            Ok(tool) => tool,
            Err(ending) => return Ok(CallDecision::Hold(Verdict::End(ending))),
        };
        Ok(CallDecision::Hold(match self.allowed(context, call, tool).await? {
            Allowed::Runs(decided) => return Ok(CallDecision::Send(Permitted { tool, decided })),
            Allowed::Ends(ending) => Verdict::End(ending),
            // Arguments that cannot be shown in full cannot be approved.
            Allowed::Asks(_) if approval_summary::describe(tool, &call.arguments).is_err() => {
                Verdict::End(Ending::refused("arguments_not_showable"))
            }
            Allowed::Asks(approver) => Verdict::Ask(approver, tool.entry.approval_within()),
            Allowed::Unread => self.judge(context, &tool.entry, &Via::Direct, true, CallAnswer::NotStarted(None)),
        }))
    }

    /// The decision of policy and service mode now.
    pub(super) async fn allowed(
        &self,
        context: &StepContext<'_>,
        call: &Call,
        tool: &Tool,
    ) -> Result<Allowed, RunError> {
        let PolicyAnswer { gated: Gated { gate, decided }, mode_is_set } = self.gate(context, call, true).await?;
        self.report_policy_errors(&decided);
        let proposed = context.job.step().is_some_and(Step::is_proposed);
        Ok(match gate {
            Gate::Run => Allowed::Runs(decided),
            Gate::Ask(need) if approved(context, call, need) => Allowed::Runs(decided),
            Gate::Ask(need) if may_ask(context) => Allowed::Asks(need),
            Gate::Ask(_) => Allowed::Ends(Ending::refused("approval_insufficient")),
            // An agent proposed it: the agent is told the refusal, and answers its user.
            Gate::Explain(why) if proposed => Allowed::Ends(Ending::refused(why.code())),
            Gate::Explain(why) => {
                let told = explanation(tool, &call.arguments, decided.decision, why);
                Allowed::Ends(Ending::explained(why.code(), told))
            }
            Gate::Refuse(DenyReason::ModeReadOnly) if !mode_is_set => Allowed::Unread,
            Gate::Refuse(reason) => Allowed::Ends(Ending::refused(reason.code())),
        })
    }

    /// Checks that need no policy.
    fn sound(&self, context: &StepContext<'_>, call: &Call) -> Result<&Tool, Ending> {
        let (job, step) = (&context.job, context.job.step());
        if let Some(ending) = Ending::before_it_began(job, self.runtime.now()) {
            return Err(ending);
        }
        let unknown = || Ending::refused(DenyReason::ToolUnknown.code());
        let tool = self.policy.tool(&call.tool).ok_or_else(unknown)?;
        if tool.validate(&call.arguments).is_err() {
            let worked_out = context.derived.is_some();
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

    /// Asks the policy about the call. `audited`: its audit record can be written.
    async fn gate(&self, context: &StepContext<'_>, call: &Call, audited: bool) -> Result<PolicyAnswer, RunError> {
        let user_id = context.job.user_id;
        let Some(PolicyContext { groups, controls }) = self.policy_context(context).await? else {
            return Ok(PolicyAnswer { gated: refused_unasked(), mode_is_set: true });
        };
        let query = CallQuery {
            user_id,
            groups: &groups,
            tool: &call.tool,
            arguments: &call.arguments,
            derived: context.job.step().is_some_and(|step| step.derived),
            audited,
            now: self.runtime.now(),
        };
        Ok(PolicyAnswer { gated: self.policy.gate(&controls, &query), mode_is_set: controls.is_set() })
    }

    /// Whether a step may end although its audit record cannot be written: only a read whose policy says so, never a
    /// write.
    pub(super) async fn may_end_unaudited(&self, context: &StepContext<'_>, call: &Call) -> bool {
        let reads = context.job.step().is_some_and(|step| step.effect == ToolEffect::Read);
        reads && self.gate(context, call, false).await.is_ok_and(|answer| answer.gated.gate == Gate::Run)
    }
}

/// Whether approval may still be asked for: edge-auth could not ask, because other steps came first.
fn may_ask(context: &StepContext<'_>) -> bool {
    let unasked = |step: &Step| step.approval.is_none() && step.intent.is_none();
    context.job.cursor > 0 && context.job.step().is_some_and(unasked)
}

fn refused_unasked() -> Gated {
    let reason = DenyReason::PolicyDenied;
    let decided = Decided { decision: PolicyDecision::Deny(reason), policies: Vec::new(), errors: Vec::new() };
    Gated { gate: Gate::Refuse(reason), decided }
}

/// Invariant 8, *bound approvals*: whether a sufficient approval was given to exactly what will be sent.
fn approved(context: &StepContext<'_>, call: &Call, need: Approver) -> bool {
    let job = &context.job;
    let Some(approval) = job.step().and_then(|step| step.approval.as_ref()) else { return false };
    let bound = Bound::at_cursor(job, call);
    approval.suffices_for(need) && approval.digest == approval::digest(context.digest_key, &bound)
}
