//! Submissions of turns and of several steps: accepted, with which job, or refused.

use domain::policy::{Policy, PolicyFiles};
use serde_json::{Value, json};

mod accept;
mod cancelled_question;
mod explained;
mod fairness;
mod refusals;
mod worker_deadlines;
mod worker_steps;

/// A step that notes something.
pub(crate) fn note(text: &str) -> Value {
    json!({ "tool": "ledger_append", "arguments": { "note": text } })
}

/// A step with a message to the agent.
pub(crate) fn say(text: &str) -> Value {
    json!({ "message": text })
}

/// A step with a message in a conversation.
pub(crate) fn say_in(conversation: &str, text: &str) -> Value {
    json!({ "message": text, "conversation": conversation })
}

/// What an earlier step returned.
pub(crate) fn from(step: usize, pointer: &str) -> Value {
    json!({ "$from": { "step": step, "pointer": pointer } })
}

/// A submission of several steps.
pub(crate) fn steps(steps: &[Value]) -> Value {
    json!({ "steps": steps })
}

/// The policy of the repository with a second agent, `other`.
pub(crate) fn two_agents() -> PolicyFiles {
    let second = "[[agent]]\nname = \"other\"\ntitle = \"Another\"\n\n[[agent]]\nname = \"main\"";
    PolicyFiles::built_in().replacing("tools.toml", "[[agent]]\nname = \"main\"", second).unwrap()
}

/// The same, in which policy forbids everyone to talk to the second agent.
fn one_of_two() -> Policy {
    let quiet = "@id(\"not-with-the-other\") forbid (principal, action == MiniProgram::Action::\"talk\", \
                 resource == MiniProgram::Agent::\"other\");";
    Policy::parse(&two_agents().with("quiet.cedar", quiet)).unwrap()
}
