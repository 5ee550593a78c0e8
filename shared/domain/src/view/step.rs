//! The public view of a step: a tool call, a round of an agent's turn, or the deletion of a conversation.

use serde::Serialize;
use serde_json::Value;

use crate::{
    conversation::ConversationName,
    job::{
        Job, JobState, ResultRef, Step, StepKind, StepOutcome,
        progress::{CallState, Doing, Progress},
    },
    view::ErrorView,
};

/// The public form of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepView {
    /// Kind of the step.
    pub kind: StepKind,
    /// The tool of a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The agent of a turn, or of the conversation that is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The conversation of a turn, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationName>,
    /// Index of the submitted step that it belongs to.
    pub step: usize,
    /// Position within that step; 0 for what was submitted.
    pub round: u32,
    /// Whether an agent proposed the call.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub proposed: bool,
    /// Whether an argument comes from a turn or an earlier step.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub derived: bool,
    /// Outcome; absent while the step is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<StepOutcome>,
    /// Why the step did not succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorView>,
    /// The agent's latest progress, oldest first; only during the turn.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub progress: Vec<ProgressView>,
    /// The end of the reply so far; only during the turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial: Option<String>,
}

/// The public form of a progress event. Texts were escaped and shortened when they were stored.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProgressView {
    /// Time of the event.
    pub at: String,
    /// Kind of the event.
    pub doing: Doing,
    /// Name of the tool that was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// State of that call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<CallState>,
    /// The beginning of its arguments, if the catalogue marks the tool public.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
}

impl From<&Progress> for ProgressView {
    fn from(Progress { at, what, tool, state, arguments }: &Progress) -> Self {
        Self { at: at.to_string(), doing: *what, tool: tool.clone(), state: *state, arguments: arguments.clone() }
    }
}

impl StepView {
    /// The views of a job's steps, in order.
    pub fn all(job: &Job) -> Vec<Self> {
        (0..job.steps.len()).filter_map(|place| Self::at(job, place)).collect()
    }

    /// The view of the step at this index.
    pub fn at(job: &Job, place: usize) -> Option<Self> {
        let step = job.steps.get(place)?;
        let (tool, agent) = match step.kind {
            StepKind::Call => (Some(step.tool.clone()), None),
            StepKind::Turn | StepKind::End => (None, Some(step.tool.clone())),
        };
        let over = job.state.is_over();
        // Progress is not shown after the end of the round.
        let goes_on = !over && step.outcome.is_none();
        let partial = step.partial.clone().filter(|_| goes_on);
        let progress = step.progress.iter().filter(|_| goes_on).map(ProgressView::from).collect();
        Some(Self {
            kind: step.kind,
            tool,
            agent,
            conversation: step.conversation.clone(),
            step: step.of,
            round: step.round,
            proposed: step.is_proposed(),
            derived: step.derived,
            // A job ends at one step. The steps after it never start.
            outcome: step.outcome.or(over.then_some(StepOutcome::NotRun)),
            error: error_of(job, place, step).map(ErrorView::of),
            progress,
            partial,
        })
    }
}

/// Why a step did not succeed. For the step that ended the job it is the job's error.
fn error_of<'a>(job: &'a Job, place: usize, step: &'a Step) -> Option<&'a str> {
    let ended_here = job.state.is_over() && place == job.cursor && step.outcome != Some(StepOutcome::Succeeded);
    step.error.as_deref().or(job.error.as_deref().filter(|_| ended_here))
}

/// Result of the step at this index. The last step's is stored as the job's; an explanation belongs to the whole job.
pub fn result_of_step(job: &Job, place: usize) -> Option<&ResultRef> {
    let last = match job.state {
        JobState::Succeeded => job.cursor.checked_sub(1),
        JobState::Failed | JobState::Refused | JobState::Cancelled | JobState::Expired | JobState::Unknown => {
            Some(job.cursor)
        }
        JobState::Queued
        | JobState::Running
        | JobState::Waiting
        | JobState::Retrying
        | JobState::AwaitingApproval
        | JobState::Explained => None,
    };
    job.steps.get(place)?.result.as_ref().or(job.result.as_ref().filter(|_| last == Some(place)))
}

/// A step with its result.
#[derive(Debug, Serialize)]
pub struct WholeStepView {
    /// The step.
    #[serde(flatten)]
    pub step: StepView,
    /// Its result. A tool may have returned `null`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
}
