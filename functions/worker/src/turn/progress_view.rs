//! The part of an agent's progress that is stored while its turn is running.

use domain::{
    catalogue::visible_text,
    ids::Timestamp,
    job::{
        Seen,
        progress::{CallState, KEPT, Progress},
    },
    json,
};
use platform::openclaw::turns::{GuardDecision, Round, RoundCall, RoundProgress};

use crate::Worker;

/// The longest name, and the longest arguments, that are stored.
const NAME_AT_MOST: usize = 64;
const ARGUMENTS_AT_MOST: usize = 200;

impl Worker {
    /// The latest progress: which tools, and their arguments only where the catalogue permits showing them. Where texts
    /// are checked, no unfinished text of a model is shown: neither arguments nor the reply so far.
    pub(crate) fn seen_in(&self, round: &Round) -> Seen {
        let skip = round.progress.len().saturating_sub(KEPT);
        let progress = (skip..round.progress.len()).map(|at| self.progress(round, at)).collect();
        let partial = round.partial.clone().filter(|partial| !partial.is_empty() && !self.checks_texts());
        Seen { progress, partial }
    }

    fn checks_texts(&self) -> bool {
        self.policy.content_safety().checks().is_some()
    }

    fn progress(&self, round: &Round, at: usize) -> Progress {
        let one = &round.progress[at];
        let tool = one.tool.as_deref();
        let public = tool.and_then(|name| self.policy.tool(name)).is_some_and(|tool| tool.entry.public);
        let arguments = call_of(round, at).and_then(|call| call.args.as_deref());
        let arguments = arguments.filter(|_| public && !self.checks_texts());
        let arguments = arguments.and_then(|args| json::parse(args.as_bytes()).ok());
        let shown = |text: String, at_most: usize| text.chars().take(at_most).collect::<String>();
        Progress {
            at: Timestamp::from_millis(one.at_ms),
            what: one.what,
            tool: tool.map(|name| shown(visible_text::visible(name), NAME_AT_MOST)),
            state: one.state,
            arguments: arguments.map(|value| shown(visible_text::visible_value(&value).to_string(), ARGUMENTS_AT_MOST)),
        }
    }
}

/// The call that a progress entry is about. Both lists have the calls in the same order, and progress begins later, so
/// the call is found by counting the entries of its kind from the end.
fn call_of(round: &Round, at: usize) -> Option<&RoundCall> {
    let (tool, decision) = kind_of(&round.progress[at])?;
    // The journal lists only the first calls of very many.
    if round.calls_total > round.calls.len() as u64 {
        return None;
    }
    let later = round.progress[at + 1..].iter().filter(|line| kind_of(line) == Some((tool, decision))).count();
    let mut calls = round.calls.iter().rev().filter(|call| call.tool == tool && call.decision == decision);
    match decision {
        GuardDecision::Allowed => calls.nth(later),
        // A repeated call has a progress entry each time, but one entry in the calls. With two different calls the
        // match is ambiguous, so none is shown.
        GuardDecision::Proposed | GuardDecision::Vetoed => calls.next().filter(|_| calls.next().is_none()),
    }
}

/// The tool of a progress entry, and what the tool guard decided about the call.
fn kind_of(line: &RoundProgress) -> Option<(&str, GuardDecision)> {
    let decision = match line.state? {
        CallState::Running | CallState::Done | CallState::Failed => GuardDecision::Allowed,
        CallState::Proposed => GuardDecision::Proposed,
        CallState::Vetoed => GuardDecision::Vetoed,
        CallState::Other => return None,
    };
    Some((line.tool.as_deref()?, decision))
}
