//! Computes what the step at the cursor sends: the submitted work, an agent's proposal, or work whose references are
//! replaced by results of earlier steps.

use std::collections::BTreeSet;

use domain::{
    ids::{Digest, DigestKey},
    job::{
        Job, JobEvent, Step, StepKind,
        submission::{self, Call, Turn, Work},
    },
    json::{
        self, canonical,
        references::{self, DeriveFault},
    },
};
use serde_json::Value;
use store::Payload;

use super::{Derived, Ending, RunError, StepContext};
use crate::Worker;

/// Bytes of derived arguments at most: the limit of a submission.
const ARGUMENTS_AT_MOST: usize = 32 * 1024;

/// How often a step may be claimed while its work is derived.
const ATTEMPTS_AT_MOST: u32 = 10;

/// What the step at the cursor sends, or why it sends nothing.
pub(crate) enum Prepared {
    /// Its work is known.
    Ready(Work),
    /// Its work was derived just now, which is not committed yet.
    Derived(Derived),
    /// Its work cannot be derived, or its time is over: it ends, and nothing is sent.
    Ends(Ending),
    /// Its payload is no longer stored.
    Missing,
}

impl Worker {
    /// The work of the step at the cursor.
    pub(crate) async fn prepare(&self, job: &Job, payload: &Payload) -> Result<Prepared, RunError> {
        let Some(step) = job.step() else { return Ok(Prepared::Missing) };
        if let Some(input) = step.input {
            let work = self.table.input(job.user_id, job.request_id, input).await?;
            return Ok(work.map_or(Prepared::Missing, Prepared::Ready));
        }
        let Some(work) = payload.steps.get(step.of).map(|wanted| wanted.work.clone()) else {
            return Ok(Prepared::Missing);
        };
        // A first step has no earlier step, so what looks like a reference is an ordinary argument. A further round
        // sends the outcomes of proposals, not the submitted message.
        if step.of == 0 || step.round > 0 {
            return Ok(Prepared::Ready(work));
        }
        let references = match work.references(step.of) {
            Ok(references) => references,
            Err(_) => return Ok(Prepared::Ends(Ending::failed_unsent("derived_missing"))),
        };
        if references.is_empty() {
            return Ok(Prepared::Ready(work));
        }
        // Checked before the work is derived: a worker that dies while deriving it (large results, little memory) would
        // otherwise be tried for ever.
        if step.attempts > ATTEMPTS_AT_MOST {
            return Ok(Prepared::Ends(Ending::failed_unsent("attempts_exhausted")));
        }
        if let Some(ending) = Ending::before_it_began(job, self.runtime.now()) {
            return Ok(Prepared::Ends(ending));
        }
        self.derive(job, work, references).await
    }

    async fn derive(&self, job: &Job, work: Work, references: BTreeSet<usize>) -> Result<Prepared, RunError> {
        let mut results: Vec<(usize, Value)> = Vec::new();
        for from in &references {
            results.extend(self.returned(job, *from).await?.map(|result| (*from, result)));
        }
        let resolve = |value: &Value| {
            let found = |step: usize| results.iter().find(|(from, _)| *from == step).map(|(_, result)| result);
            let resolved = references::resolve(value, found, ARGUMENTS_AT_MOST).map_err(|fault| match fault {
                DeriveFault::TooLong => Ending::failed_unsent("derived_invalid"),
                DeriveFault::Missing { .. } | DeriveFault::NotEarlier { .. } | DeriveFault::NotAReference { .. } => {
                    Ending::failed_unsent("derived_missing")
                }
            })?;
            as_sent(&resolved).ok_or_else(|| Ending::failed_unsent("derived_invalid"))
        };
        let work = match work {
            Work::Call(call) => {
                resolve(&call.arguments).map(|arguments| Work::Call(Call { tool: call.tool, arguments }))
            }
            Work::Turn(turn) => resolve(&turn.message).and_then(|message| {
                submission::message_text(&message).map_err(|_| Ending::failed_unsent("derived_invalid"))?;
                Ok(Work::Turn(Turn { message, ..turn }))
            }),
            Work::End(end) => Ok(Work::End(end)),
        };
        let from = references.into_iter().collect();
        Ok(work.map_or_else(Prepared::Ends, |work| Prepared::Derived(Derived { from, work })))
    }

    /// The result of a submitted step; `None` when it had none, or none that was kept.
    async fn returned(&self, job: &Job, submitted: usize) -> Result<Option<Value>, RunError> {
        let result = job.last_of(submitted).and_then(|step| step.result.as_ref());
        Ok(self.table.result_at(job, result).await?.value())
    }

    /// Commits the derived work before it is sent. `None` when the lease is lost.
    pub(crate) async fn keep_derived<'a>(
        &self,
        mut context: StepContext<'a>,
    ) -> Result<Option<StepContext<'a>>, RunError> {
        let Some(derived) = context.derived.take() else { return Ok(Some(context)) };
        let input = self.put_derived(&context, &derived).await?;
        let event = JobEvent::Prepared { input: Some(input), approval: None };
        let record = derived.record(context.work_digest);
        let committed = self.commit(&context.job, event, &[record]).await?;
        Ok(committed.map(|job| StepContext { job, ..context }))
    }

    pub(crate) async fn put_derived(&self, context: &StepContext<'_>, derived: &Derived) -> Result<Digest, RunError> {
        let now = self.runtime.now();
        Ok(self.table.put_input(&context.job, context.digest_key, &derived.work, now).await?)
    }
}

/// The value in the one form in which it is stored, digested, shown and sent, as strict JSON like a submitted value.
/// `None` when it has no such form.
fn as_sent(value: &Value) -> Option<Value> {
    let bytes = canonical::canonical(value);
    if bytes.len() > ARGUMENTS_AT_MOST { None } else { json::parse(&bytes).ok() }
}

/// HMAC of what is sent.
pub(crate) fn digest_of(key: &DigestKey, work: &Work) -> Digest {
    match work {
        Work::Call(call) => key.digest_bytes(&canonical::canonical(&call.arguments)),
        Work::Turn(turn) => key.digest_bytes(&canonical::canonical(&turn.message)),
        Work::End(end) => key.digest_bytes(end.end_conversation.to_string().as_bytes()),
    }
}

/// Whether the work is of the kind that the step was recorded as.
pub(crate) fn fits(step: &Step, work: &Work) -> bool {
    match (step.kind, work) {
        (StepKind::Call, Work::Call(call)) => call.tool == step.tool,
        (StepKind::Turn, Work::Turn(turn)) => turn.agent == step.tool,
        (StepKind::End, Work::End(end)) => end.agent == step.tool,
        (StepKind::Call | StepKind::Turn | StepKind::End, Work::Call(_) | Work::Turn(_) | Work::End(_)) => false,
    }
}
