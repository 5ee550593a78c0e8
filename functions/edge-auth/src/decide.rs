//! The stage *decide* of a submission, before anything is recorded (invariant 9, *default deny*, first check). Every step is
//! first validated without a policy, which is cheap; then policy and service mode decide every complete step. One
//! refused step refuses the submission: the refusal is charged to the user's rate, and a policy decision is recorded in
//! the user's side chain of refusals.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use domain::{
    access::service_mode::Controls,
    catalogue::{AgentEntry, Tool, approval_summary},
    ids::{RequestId, Timestamp, UserId},
    job::{
        Step,
        submission::{Call, Submission, Turn, Wanted, Work},
    },
    limits::admission::UserState,
    policy::{self, Decided, DenyReason, Gate, Gated, PolicyDecision, TurnGate, TurnGated, TurnQuery},
};
use platform::http::{ApiError, Code};

use crate::{
    EdgeAuth, charge, notifications, parse,
    refuse::{self, Refusal},
};

/// How long the deletion of a conversation may wait for the turns before it.
const END_WITHIN: Duration = Duration::from_secs(24 * 3600);

/// A step that may be recorded, with what was decided about it.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a submission has twenty at most, for as long as it is answered")]
pub(crate) enum Passed<'a> {
    /// A tool call whose arguments are complete.
    Call {
        tool: &'a Tool,
        call: &'a Call,
        /// Never [`Gate::Refuse`].
        gated: Gated,
    },
    /// A tool call whose arguments need results of earlier steps: the worker decides it when the cursor reaches it.
    Later { tool: &'a Tool, call: &'a Call },
    /// An agent's turn. Policy does not depend on its message.
    Turn {
        agent: &'a AgentEntry,
        turn: &'a Turn,
        derived: bool,
        /// Never [`TurnGate::Refuse`].
        gated: TurnGated,
    },
    /// The deletion of the user's own conversation, which needs no policy decision.
    End(Step),
}

impl<'a> Passed<'a> {
    /// The step that deletes a conversation.
    pub(crate) fn end(submission: &Submission) -> Option<Self> {
        let (name, agent) = submission.conversation()?;
        Some(Self::End(Step::end(agent.to_owned(), name.clone())))
    }

    /// The step in the form that the job stores.
    pub(crate) fn step(&self) -> Step {
        match self {
            Self::Call { tool, call, .. } => Step::new(call.tool.clone(), tool.entry.effect),
            Self::Later { tool, call } => Step { derived: true, ..Step::new(call.tool.clone(), tool.entry.effect) },
            Self::Turn { turn, derived, .. } => {
                Step { derived: *derived, ..Step::turn(turn.agent.clone(), turn.conversation.clone()) }
            }
            Self::End(step) => step.clone(),
        }
    }

    /// The time within which this step has to start after the step before it.
    pub(crate) fn start_within(&self) -> Duration {
        match self {
            Self::Call { tool, .. } | Self::Later { tool, .. } => tool.entry.start_within(),
            Self::Turn { agent, .. } => agent.start_within() + agent.timeout() * (agent.rounds + 1),
            Self::End(_) => END_WITHIN,
        }
    }

    /// The policy decision and the policies that determined it; `None` while the arguments are not known.
    pub(crate) fn decided(&self) -> Option<(&'static str, &[String])> {
        match self {
            Self::Call { gated: Gated { gate: Gate::Explain(_), decided }, .. }
            | Self::Turn { gated: TurnGated { gate: TurnGate::WithoutTools, decided, .. }, .. } => {
                Some(("explain", &decided.policies))
            }
            Self::Call { gated: Gated { decided, .. }, .. } | Self::Turn { gated: TurnGated { decided, .. }, .. } => {
                Some((decided.decision.name(), &decided.policies))
            }
            Self::Later { .. } => None,
            Self::End(_) => Some((PolicyDecision::Run.name(), &[])),
        }
    }
}

/// Input of policy decisions: the user, their groups, the service modes, and the time of the request.
pub(crate) struct Asker {
    user_id: UserId,
    groups: BTreeSet<String>,
    controls: Arc<Controls>,
    now: Timestamp,
}

/// A step that passed every check that needs no policy. Policy is asked about such steps only.
enum Sound<'a> {
    Call { tool: &'a Tool, call: &'a Call },
    Later { tool: &'a Tool, call: &'a Call },
    Turn { agent: &'a AgentEntry, turn: &'a Turn, derived: bool },
}

/// What policy needs to know about the session's user.
pub(crate) async fn asker(edge: &EdgeAuth, user_id: UserId, user: UserState, now: Timestamp) -> Asker {
    let controls = edge.controls.of_user(&user, &edge.policy, &edge.table, &edge.runtime).await;
    Asker { user_id, groups: user.groups, controls, now }
}

/// Decides about a submission: its times, then whether every step is valid, then policy about each.
pub(crate) async fn decide<'a>(
    edge: &'a EdgeAuth,
    asker: &Asker,
    id: RequestId,
    submission: &'a Submission,
) -> Result<Vec<Passed<'a>>, ApiError> {
    // The table was restored from a backup, and an id from before may have run although the table does not know it.
    if asker.controls.ids_from.is_some_and(|ids_from| id.time() < ids_from) {
        let error = ApiError::new(Code::RequestIdExpired).detail("The service was restored after the time in the id.");
        return Err(error.with("server_time", asker.now.to_string()));
    }
    let checked =
        parse::check_times(submission, asker.now).and_then(|()| notifications::check(edge, submission.notify()));
    if let Err(refusal) = checked {
        return Err(charge::charged(edge, asker.user_id, asker.now, refusal).await);
    }
    match look_then_ask(edge, asker, submission) {
        Ok(passed) => Ok(passed),
        Err((place, refusal)) => {
            let error = refuse::refuse(edge, asker.user_id, id, refusal, asker.now).await?;
            Err(if submission.steps().len() > 1 { error.with("step", place) } else { error })
        }
    }
}

/// Index of the first step that is refused, and why.
type RefusedAt = (usize, Refusal);

fn look_then_ask<'a>(
    edge: &'a EdgeAuth,
    asker: &Asker,
    submission: &'a Submission,
) -> Result<Vec<Passed<'a>>, RefusedAt> {
    let at = |place: usize| move |refusal| (place, refusal);
    let steps = submission.steps().iter().enumerate();
    let sound: Vec<Sound<'a>> =
        steps.map(|(place, wanted)| look_at(edge, place, wanted).map_err(at(place))).collect::<Result<_, _>>()?;
    sound.into_iter().enumerate().map(|(place, step)| ask_about(edge, asker, step).map_err(at(place))).collect()
}

/// Checks that need no policy: the catalogue lists the name, and the arguments fit the schema as far as they are known.
/// Policies never see arguments that the tool's schema does not accept.
fn look_at<'a>(edge: &'a EdgeAuth, place: usize, wanted: &'a Wanted) -> Result<Sound<'a>, Refusal> {
    // A first step cannot refer to another step, so a key named like a reference is an ordinary argument there.
    let derived = place > 0 && wanted.work.references(place).is_ok_and(|steps| !steps.is_empty());
    match &wanted.work {
        Work::Call(call) => {
            let tool = edge.policy.tool(&call.tool).ok_or_else(|| unlisted(DenyReason::ToolUnknown))?;
            if derived {
                return Ok(Sound::Later { tool, call });
            }
            let faults = tool.validate(&call.arguments);
            faults.map_err(|faults| Refusal::Faulty(ApiError::new(Code::ArgumentsInvalid).with("errors", faults)))?;
            Ok(Sound::Call { tool, call })
        }
        Work::Turn(turn) => {
            let agent = edge.policy.agent(&turn.agent).ok_or_else(|| unlisted(DenyReason::AgentUnknown))?;
            Ok(Sound::Turn { agent, turn, derived })
        }
        // Cannot be submitted: the service creates this step itself.
        Work::End(_) => Err(Refusal::Faulty(ApiError::new(Code::BodyInvalid))),
    }
}

fn ask_about<'a>(edge: &'a EdgeAuth, asker: &Asker, step: Sound<'a>) -> Result<Passed<'a>, Refusal> {
    match step {
        Sound::Later { tool, call } => Ok(Passed::Later { tool, call }),
        Sound::Call { tool, call } => ask_about_call(edge, asker, tool, call),
        Sound::Turn { agent, turn, derived } => {
            let query = TurnQuery { user_id: asker.user_id, groups: &asker.groups, agent: &turn.agent, now: asker.now };
            let gated = edge.policy.gate_turn(&asker.controls, &query);
            match gated.gate {
                TurnGate::Run | TurnGate::WithoutTools => Ok(Passed::Turn { agent, turn, derived, gated }),
                TurnGate::Refuse(reason) => {
                    Err(Refusal::Refused { reason, named: Some(agent.name.clone()), decided: gated.decided })
                }
            }
        }
    }
}

fn ask_about_call<'a>(
    edge: &'a EdgeAuth,
    asker: &Asker,
    tool: &'a Tool,
    call: &'a Call,
) -> Result<Passed<'a>, Refusal> {
    let query = policy::CallQuery {
        user_id: asker.user_id,
        groups: &asker.groups,
        tool: &call.tool,
        arguments: &call.arguments,
        derived: false,
        audited: true,
        now: asker.now,
    };
    let gated = edge.policy.gate(&asker.controls, &query);
    match gated.gate {
        Gate::Refuse(reason) => {
            Err(Refusal::Refused { reason, named: Some(tool.entry.name.clone()), decided: gated.decided })
        }
        // Checked here also for a step that asks later: a job must not run its first steps and then fail because its
        // approval request cannot be shown.
        Gate::Ask(_) => match approval_summary::describe(tool, &call.arguments) {
            Ok(_) => Ok(Passed::Call { tool, call, gated }),
            Err(why) => Err(Refusal::Faulty(ApiError::new(Code::ArgumentsNotShowable).detail(why.to_string()))),
        },
        Gate::Run | Gate::Explain(_) => Ok(Passed::Call { tool, call, gated }),
    }
}

fn unlisted(reason: DenyReason) -> Refusal {
    let decided = Decided { decision: PolicyDecision::Deny(reason), policies: Vec::new(), errors: Vec::new() };
    Refusal::Refused { reason, named: None, decided }
}
