//! The end of a round: its calls are recorded in the audit chain, and its proposals become steps of the job. Each is
//! decided as if the user had submitted it, except that all of its arguments count as derived.

use domain::{
    audit::{AgentCall, AuditEvent, ProposalDecision},
    catalogue::{Tool, ToolEffect, approval_summary, visible_text},
    ids::Digest,
    job::{
        JobEvent, STEPS_GROWN_AT_MOST, Step, StepKind, StepOutcome,
        submission::{Call, Turn, Work},
    },
    json::{self, canonical},
    policy::{CallQuery, DenyReason, Gate},
};
use platform::openclaw::turns::{GuardDecision, Round, RoundCall};

use super::verdict;
use crate::{
    Worker,
    step::{
        Ending, RunError, RunOutcome, StepContext,
        finish::{self, KeptResult},
        policy_context::PolicyContext,
    },
};

/// Characters of a tool's name that are kept. Names in the catalogue are not longer, but a model may make up a name.
const NAME_AT_MOST: usize = 64;
const ROUNDS_EXHAUSTED: &str = "rounds_exhausted";

/// Outcome of one proposal.
struct Proposal {
    step: Step,
    record: ProposalDecision,
}

impl Worker {
    /// The round ended with a reply. Without proposals it is the reply of the turn; with proposals a further round
    /// follows.
    pub(crate) async fn round_replied(
        &self,
        context: &StepContext<'_>,
        turn: &Turn,
        round: &Round,
    ) -> Result<RunOutcome, RunError> {
        let proposed: Vec<&RoundCall> =
            round.calls.iter().filter(|call| call.decision == GuardDecision::Proposed).collect();
        if proposed.is_empty() {
            let ending = Ending::succeeded(verdict::reply(round));
            return self.end_with_reply(context, turn, ending, round).await;
        }
        let (Some(step), Some(agent)) = (context.job.step(), self.policy.agent(&turn.agent)) else {
            let ending = Ending::refused(DenyReason::AgentUnknown.code());
            return self.end_turn(context, turn, &ending, Some(round)).await;
        };
        let rounds =
            context.job.steps.iter().filter(|other| other.of == step.of && other.kind == StepKind::Turn).count();
        let fits = rounds <= agent.rounds as usize
            && proposed.len() <= agent.proposals as usize
            && context.job.steps.len() + proposed.len() < STEPS_GROWN_AT_MOST;
        if !fits {
            let ending = Ending::failed(ROUNDS_EXHAUSTED, Some(verdict::reply(round)));
            return self.end_with_reply(context, turn, ending, round).await;
        }
        let policy_context = self.policy_context(context).await?;
        let (mut steps, mut decisions, mut place) = (Vec::new(), Vec::new(), step.round);
        for call in proposed {
            place += 1;
            let proposal = self.proposed_step(context, call, policy_context.as_ref(), place).await?;
            steps.push(step.followed_by(proposal.step, place));
            decisions.push(proposal.record);
        }
        let next = Step::turn(step.tool.clone(), step.conversation.clone());
        steps.push(step.followed_by(next, place + 1));
        let reply = verdict::reply(round);
        let digest = reply.as_ref().ok().map(|reply| context.digest_key.digest_bytes(&canonical::canonical(reply)));
        let ending = Ending::succeeded(reply);
        let record = round_ended(context, &ending, Some(round), digest, decisions);
        let committed = self.commit(&context.job, JobEvent::Proposed { steps }, &[record]).await?;
        finish::after_the_end(self, context, committed).await
    }

    /// Ends the turn with this round, successfully or not.
    pub(crate) async fn end_turn(
        &self,
        context: &StepContext<'_>,
        turn: &Turn,
        ending: &Ending,
        round: Option<&Round>,
    ) -> Result<RunOutcome, RunError> {
        let KeptResult { reference, digest } = finish::keep_result(self, context, ending).await?;
        let record = round_ended(context, ending, round, digest, Vec::new());
        let committed = self.commit(&context.job, ending.event(reference), &[record]).await?;
        if committed.is_some() {
            self.forget_session(context, turn).await;
        }
        finish::after_the_end(self, context, committed).await
    }

    /// The step that a proposal becomes. A refused proposal becomes a step that has already ended.
    async fn proposed_step(
        &self,
        context: &StepContext<'_>,
        proposed: &RoundCall,
        policy_context: Option<&PolicyContext>,
        round: u32,
    ) -> Result<Proposal, RunError> {
        // Parsed as strictly as a request, so that what is digested, shown and sent is the same for every parser.
        let arguments = proposed.args.as_deref().and_then(|args| json::parse(args.as_bytes()).ok());
        let digest = |call: &Call| context.digest_key.digest_bytes(&canonical::canonical(&call.arguments));
        let call = arguments.map(|arguments| Call { tool: proposed.tool.clone(), arguments });
        let mut record = ProposalDecision {
            round,
            tool: shown(&proposed.tool),
            arguments_digest: call.as_ref().map(digest),
            decision: String::new(),
            policies: Vec::new(),
        };
        let tool = self.policy.tool(&proposed.tool);
        let effect = tool.map_or(ToolEffect::Read, |tool| tool.entry.effect);
        let step = Step { derived: true, ..Step::new(record.tool.clone(), effect) };
        let refusal = match (tool, &call) {
            (None, _) => Some(DenyReason::ToolUnknown.code()),
            (Some(_), None) => Some("arguments_invalid"),
            (Some(tool), Some(call)) => self.refusal(context, tool, call, policy_context, &mut record),
        };
        let step = match (refusal, call) {
            (None, Some(call)) => {
                let work = Work::Call(call);
                let input = self.table.put_input(&context.job, context.digest_key, &work, self.runtime.now()).await?;
                Step { input: Some(input), ..step }
            }
            (code, _) => {
                let code = code.unwrap_or("arguments_invalid");
                code.clone_into(&mut record.decision);
                Step { outcome: Some(StepOutcome::Refused), error: Some(code.to_owned()), ..step }
            }
        };
        Ok(Proposal { step, record })
    }

    /// Why a proposal is refused at once. A proposal that is not is decided again when the cursor reaches it, and may
    /// ask for approval there.
    fn refusal(
        &self,
        context: &StepContext<'_>,
        tool: &Tool,
        call: &Call,
        policy_context: Option<&PolicyContext>,
        record: &mut ProposalDecision,
    ) -> Option<&'static str> {
        if tool.validate(&call.arguments).is_err() {
            return Some("arguments_invalid");
        }
        let Some(PolicyContext { groups, controls }) = policy_context else {
            return Some(DenyReason::PolicyDenied.code());
        };
        let query = CallQuery {
            user_id: context.job.user_id,
            groups,
            tool: &call.tool,
            arguments: &call.arguments,
            derived: true,
            audited: true,
            now: self.runtime.now(),
        };
        let gated = self.policy.gate(controls, &query);
        self.report_policy_errors(&gated.decided);
        gated.decided.decision.name().clone_into(&mut record.decision);
        record.policies = gated.decided.policies;
        match gated.gate {
            Gate::Run => None,
            Gate::Ask(_) => {
                approval_summary::describe(tool, &call.arguments).is_err().then_some("arguments_not_showable")
            }
            // Read-only because the mode could not be read, not because an operator set it: the step waits at the
            // cursor until the mode can be read.
            Gate::Refuse(DenyReason::ModeReadOnly) if !controls.is_set() => None,
            Gate::Refuse(reason) | Gate::Explain(reason) => Some(reason.code()),
        }
    }
}

/// A name in visible characters and limited in length, so that it can be stored and shown.
fn shown(name: &str) -> String {
    visible_text::visible(name).chars().take(NAME_AT_MOST).collect()
}

fn round_ended(
    context: &StepContext<'_>,
    ending: &Ending,
    round: Option<&Round>,
    result_digest: Option<Digest>,
    proposals: Vec<ProposalDecision>,
) -> AuditEvent {
    let calls = round.map_or_else(Vec::new, |round| round.calls.iter().map(|call| recorded(context, call)).collect());
    AuditEvent::RoundEnded {
        outcome: ending.outcome.name().to_owned(),
        status: String::new(),
        code: ending.code.map(str::to_owned),
        key: context.key().to_string(),
        result_digest,
        calls,
        calls_total: round.map_or(0, |round| round.calls_total),
        proposals,
        content: ending.content,
    }
}

fn recorded(context: &StepContext<'_>, call: &RoundCall) -> AgentCall {
    AgentCall {
        tool: shown(&call.tool),
        decision: call.decision.name().to_owned(),
        arguments_digest: call.args.as_deref().map(|args| context.digest_key.digest_bytes(args.as_bytes())),
        failed: call.failed,
    }
}
