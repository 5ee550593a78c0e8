//! What is kept of an agent's progress while its turn goes on.

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

/// The longest name, and the longest arguments, that are kept.
const NAME_AT_MOST: usize = 64;
const ARGUMENTS_AT_MOST: usize = 200;

impl Worker {
    /// The latest of it: which tools, and with what only where the catalogue lets it be seen.
    pub(crate) fn seen_in(&self, round: &Round) -> Seen {
        let skip = round.progress.len().saturating_sub(KEPT);
        let progress = (skip..round.progress.len()).map(|at| self.progress(round, at)).collect();
        Seen { progress, partial: round.partial.clone().filter(|partial| !partial.is_empty()) }
    }

    fn progress(&self, round: &Round, at: usize) -> Progress {
        let one = &round.progress[at];
        let tool = one.tool.as_deref();
        let public = tool.and_then(|name| self.policy.tool(name)).is_some_and(|tool| tool.entry.public);
        let arguments = call_of(round, at).and_then(|call| call.args.as_deref()).filter(|_| public);
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

/// The call that a line is about. The two lists tell of calls in the same order, and the lines begin later: so it is found by
/// how many of its kind come after it.
fn call_of(round: &Round, at: usize) -> Option<&RoundCall> {
    let (tool, decision) = kind_of(&round.progress[at])?;
    // The journal tells the first of very many.
    if round.calls_total > round.calls.len() as u64 {
        return None;
    }
    let later = round.progress[at + 1..].iter().filter(|line| kind_of(line) == Some((tool, decision))).count();
    let mut calls = round.calls.iter().rev().filter(|call| call.tool == tool && call.decision == decision);
    match decision {
        GuardDecision::Allowed => calls.nth(later),
        // The same again is another line, and not another call: with two that differ, nobody can tell.
        GuardDecision::Proposed | GuardDecision::Vetoed => calls.next().filter(|_| calls.next().is_none()),
    }
}

/// The tool of a line, and what the fence said to the call.
fn kind_of(line: &RoundProgress) -> Option<(&str, GuardDecision)> {
    let decision = match line.state? {
        CallState::Running | CallState::Done | CallState::Failed => GuardDecision::Allowed,
        CallState::Proposed => GuardDecision::Proposed,
        CallState::Vetoed => GuardDecision::Vetoed,
        CallState::Other => return None,
    };
    Some((line.tool.as_deref()?, decision))
}
