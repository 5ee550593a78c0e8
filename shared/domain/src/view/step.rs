//! What clients see of a step: of a tool call, of a round of an agent's turn, or of the end of a conversation.

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

/// The public shape of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepView {
    /// What it does.
    pub kind: StepKind,
    /// The tool of a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The agent of a turn, or of a conversation that ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The conversation of a turn, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationName>,
    /// The number of the submitted step that it belongs to.
    pub step: usize,
    /// Its place within that one; 0 for what was submitted.
    pub round: u32,
    /// An agent proposed it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub proposed: bool,
    /// Something of it comes from a turn or from an earlier step.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub derived: bool,
    /// How it ended; absent while it has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<StepOutcome>,
    /// Why it did not succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorView>,
    /// The latest that the agent was seen to do, oldest first; only while the turn goes on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub progress: Vec<ProgressView>,
    /// The end of the reply so far; only while the turn goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial: Option<String>,
}

/// The public shape of one thing that happened in a turn. Texts were made visible, and cut, when they were stored.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProgressView {
    /// When.
    pub at: String,
    /// What.
    pub doing: Doing,
    /// Which tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// How far that call is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<CallState>,
    /// The beginning of its arguments, when the catalogue lets them be seen.
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

    /// The view of the step at that place of a job.
    pub fn at(job: &Job, place: usize) -> Option<Self> {
        let step = job.steps.get(place)?;
        let (tool, agent) = match step.kind {
            StepKind::Call => (Some(step.tool.clone()), None),
            StepKind::Turn | StepKind::End => (None, Some(step.tool.clone())),
        };
        let over = job.state.is_over();
        // What is seen of a run is of no use once it has ended.
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
            // A job ends at one step, and those behind it never begin.
            outcome: step.outcome.or(over.then_some(StepOutcome::NotRun)),
            error: error_of(job, place, step).map(ErrorView::of),
            progress,
            partial,
        })
    }
}

/// Why a step did not succeed. The one that its job ended at has the job's own reason.
fn error_of<'a>(job: &'a Job, place: usize, step: &'a Step) -> Option<&'a str> {
    let ended_here = job.state.is_over() && place == job.cursor && step.outcome != Some(StepOutcome::Succeeded);
    step.error.as_deref().or(job.error.as_deref().filter(|_| ended_here))
}

/// What the step at that place returned. What the last one returned is the job's; an explanation is of the whole job.
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

/// A step and what it returned.
#[derive(Debug, Serialize)]
pub struct WholeStepView {
    /// The step.
    #[serde(flatten)]
    pub step: StepView,
    /// What it returned. A tool may have returned `null`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
}
