//! Whether the step at the cursor may be sent: decided again, about the arguments that will be sent, with the ladder and the
//! user's groups as they are now (invariant 9, *default deny*, for the second time).
//!
//! Nobody is asked twice. What needs no yes goes on; what needs one goes on if one was given that is strong enough, however
//! often policy or catalogue have changed since; what needs a stronger one ends.

use shared::{
    approval::{self, Approver, Bound},
    catalogue::{Tool, ToolEffect},
    explanation::explanation,
    intent::Via,
    metrics::Metric,
    openclaw::CallAnswer,
    policy::{Asked, Decided, DenyReason, Gate, Gated, PolicyDecision},
};

use crate::{
    Worker,
    commit::RunError,
    run_job::AtCursor,
    verdict::{Ending, Verdict},
};

/// What may be sent, and what policy said to it.
pub(crate) struct Permitted<'a> {
    pub(crate) tool: &'a Tool,
    pub(crate) decided: Decided,
}

/// Why nothing may be sent now.
#[derive(Debug)]
pub(crate) enum Barred {
    /// The step ends.
    Ends(Ending),
    /// The mode cannot be read. Nobody chose that: nothing is sent, and nothing that was accepted ends for it.
    Unread,
}

impl Worker {
    /// The tool to be called, or what happens without a call.
    pub(crate) async fn permitted(&self, cursor: &AtCursor<'_>) -> Result<Result<Permitted<'_>, Verdict>, RunError> {
        let tool = match self.sound(cursor) {
            Ok(tool) => tool,
            Err(ending) => return Ok(Err(Verdict::End(ending))),
        };
        Ok(match self.allowed(cursor, tool).await? {
            Ok(decided) => Ok(Permitted { tool, decided }),
            Err(Barred::Ends(ending)) => Err(Verdict::End(ending)),
            Err(Barred::Unread) => {
                Err(self.judge(cursor, &tool.entry, &Via::Direct, true, CallAnswer::NotStarted(None)))
            }
        })
    }

    /// What policy and ladder say to it now, with the yes that it has; otherwise why nothing may be sent.
    pub(crate) async fn allowed(
        &self,
        cursor: &AtCursor<'_>,
        tool: &Tool,
    ) -> Result<Result<Decided, Barred>, RunError> {
        let (Gated { gate, decided }, chosen) = self.gate(cursor, true).await?;
        if decided.decision == PolicyDecision::Deny(DenyReason::PolicyError) {
            self.world.count(Metric::PolicyErrors);
            for error in &decided.errors {
                tracing::error!(function = "worker", code = "policy_error", error = %error, "a policy cannot be evaluated");
            }
        }
        Ok(match gate {
            Gate::Run => Ok(decided),
            Gate::Ask(need) if approved(cursor, need) => Ok(decided),
            Gate::Ask(_) => Err(Barred::Ends(Ending::refused("approval_insufficient"))),
            Gate::Explain(why) => {
                let told = explanation(tool, &cursor.call.arguments, decided.decision, why);
                Err(Barred::Ends(Ending::explained(why.code(), told)))
            }
            Gate::Refuse(DenyReason::ModeReadOnly) if !chosen => Err(Barred::Unread),
            Gate::Refuse(reason) => Err(Barred::Ends(Ending::refused(reason.code()))),
        })
    }

    /// What needs no policy to be seen.
    fn sound(&self, cursor: &AtCursor<'_>) -> Result<&Tool, Ending> {
        let (job, step) = (&cursor.job, cursor.job.step());
        if job.cancel_requested {
            return Err(Ending::cancelled());
        }
        if self.world.now() >= job.not_after {
            return Err(Ending::expired());
        }
        let unknown = || Ending::refused(DenyReason::ToolUnknown.code());
        let tool = self.policy.tool(&cursor.call.tool).ok_or_else(unknown)?;
        if tool.validate(&cursor.call.arguments).is_err() {
            return Err(Ending::refused("arguments_invalid"));
        }
        // The edge took it for a read, so nothing was recorded for it that a write needs; or the other way round.
        if step.is_some_and(|step| step.effect != tool.entry.effect) {
            return Err(Ending::refused("tool_changed"));
        }
        if step.is_some_and(|step| step.attempts > tool.entry.attempts) {
            return Err(Ending::failed_unsent("attempts_exhausted"));
        }
        Ok(tool)
    }

    /// What becomes of the call now, and whether somebody chose the mode that it was decided in.
    async fn gate(&self, cursor: &AtCursor<'_>, audited: bool) -> Result<(Gated, bool), RunError> {
        let user_id = cursor.job.user_id;
        let (user, controls) = tokio::join!(self.table.user(user_id), self.controls.get(&self.table, &self.world));
        // Whom nobody knows, policy cannot be asked about: without groups, a rule against one of them would not hold.
        let Some(groups) = user?.map(|user| user.groups) else { return Ok((refused_unasked(), true)) };
        let asked = Asked {
            user_id,
            groups: &groups,
            tool: &cursor.call.tool,
            arguments: &cursor.call.arguments,
            derived: false,
            audited,
            now: self.world.now(),
        };
        Ok((self.policy.gate(&controls, &asked), controls.is_set()))
    }

    /// Whether a step may end although its audit record cannot be written: a read whose policy says so. Nothing that writes
    /// ever may.
    pub(crate) async fn may_end_unaudited(&self, cursor: &AtCursor<'_>) -> bool {
        let reads = cursor.job.step().is_some_and(|step| step.effect == ToolEffect::Read);
        reads && self.gate(cursor, false).await.is_ok_and(|(gated, _)| gated.gate == Gate::Run)
    }
}

fn refused_unasked() -> Gated {
    let reason = DenyReason::PolicyDenied;
    let decided = Decided { decision: PolicyDecision::Deny(reason), policies: Vec::new(), errors: Vec::new() };
    Gated { gate: Gate::Refuse(reason), decided }
}

/// Invariant 8, *bound approvals*: whether a yes that is strong enough was given to exactly what will be sent.
fn approved(cursor: &AtCursor<'_>, need: Approver) -> bool {
    let job = &cursor.job;
    let Some(approval) = job.step().and_then(|step| step.approval.as_ref()) else { return false };
    let bound = Bound {
        user_id: job.user_id,
        request_id: job.request_id,
        step: job.cursor,
        round: 0,
        tool: &cursor.call.tool,
        arguments: &cursor.call.arguments,
    };
    approval.suffices_for(need) && approval.digest == approval::digest(cursor.digest_key, &bound)
}
