//! Metrics about jobs, measured by the function that commits a change, so that each change is counted once.

use domain::{
    catalogue::Catalogue,
    ids::Timestamp,
    job::{Job, JobState, Step, StepKind, StepOutcome},
};
use platform::{
    metrics::{Dimension, Metric, OTHER, millis, one_if},
    runtime::Runtime,
};

/// Measures a committed change: the end of the step at the cursor, and the end of the job, if the change contains
/// them. `sent_at` is the time of the step's dispatch, if there was one.
pub fn finished(runtime: &Runtime, catalogue: &Catalogue, before: &Job, after: &Job, sent_at: Option<Timestamp>) {
    let label = before.step().map_or_else(|| OTHER.to_owned(), |step| label(catalogue, step));
    let mut values = Vec::new();
    let mut dimensions = Vec::new();
    let outcome = |job: &Job| job.steps.get(before.cursor).and_then(|step| step.outcome);
    if let (None, Some(outcome)) = (outcome(before), outcome(after)) {
        dimensions.push((Dimension::Tool, label.as_str()));
        let failed = matches!(outcome, StepOutcome::Failed | StepOutcome::Unknown);
        values.extend([(Metric::ToolCalls, 1.0), (Metric::ToolFailures, one_if(failed))]);
        if let Some(sent_at) = sent_at.filter(|_| outcome != StepOutcome::NotRun) {
            values.push((Metric::ToolDuration, millis(after.updated_at.since(sent_at))));
        }
        // The gateway refuses after the dispatch, and a person rejects while no worker holds the job: this was the
        // policy in the worker.
        if outcome == StepOutcome::Refused && sent_at.is_none() && before.state == JobState::Running {
            values.push((Metric::PolicyRefusals, 1.0));
            dimensions.push((Dimension::Reason, after.error.as_deref().unwrap_or(OTHER)));
        }
    }
    if after.state.is_over() && !before.state.is_over() {
        dimensions.push((Dimension::State, after.state.name()));
        values.extend(of_the_end(after));
    }
    if !values.is_empty() {
        runtime.measure(&values, &dimensions);
    }
}

/// The metric dimension of a step: only names that the catalogue lists, so that input cannot add time series. No
/// tool's name has a colon.
fn label(catalogue: &Catalogue, step: &Step) -> String {
    let name = match step.kind {
        StepKind::Call => catalogue.get(&step.tool).map(|tool| tool.entry.name.clone()),
        StepKind::Turn => catalogue.agent(&step.tool).map(|agent| format!("agent:{}", agent.name)),
        StepKind::End => None,
    };
    name.unwrap_or_else(|| OTHER.to_owned())
}

/// Measures a job that was over when it was recorded.
pub fn finished_at_once(runtime: &Runtime, job: &Job) {
    runtime.measure(&of_the_end(job), &[(Dimension::State, job.state.name())]);
}

fn of_the_end(job: &Job) -> [(Metric, f64); 4] {
    let attempts: u32 = job.steps.iter().map(|step| step.attempts).sum();
    [
        (Metric::JobsFinished, 1.0),
        (Metric::JobsUnknown, one_if(job.state == JobState::Unknown)),
        (Metric::JobDuration, millis(job.updated_at.since(job.created_at))),
        (Metric::JobAttempts, f64::from(attempts)),
    ]
}
