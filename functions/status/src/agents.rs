//! `GET /v1/agents`: the agents that a user may talk to now.

use domain::{
    ids::Timestamp,
    policy::{Policy, TurnGate, TurnQuery},
};
use platform::http::{self, Response};
use serde_json::{Value, json};

use crate::{PolicyContext, Status};

/// The agents that this user may talk to now.
pub(crate) fn agents(status: &Status, who: &PolicyContext) -> Response {
    http::ok(&json!({ "agents": listed(&status.policy, who, status.runtime.now()) }))
}

/// Agents that would refuse a turn are left out. The tools of an agent are not shown, because only policy needs them.
fn listed(policy: &Policy, who: &PolicyContext, now: Timestamp) -> Vec<Value> {
    let listed = policy.catalogue().agents().filter_map(|agent| {
        let query = TurnQuery { user_id: who.user_id, groups: &who.groups, agent: &agent.name, now };
        match policy.gate_turn(&who.controls, &query).gate {
            TurnGate::Run | TurnGate::WithoutTools => Some(json!({ "name": agent.name, "title": agent.title })),
            TurnGate::Refuse(_) => None,
        }
    });
    listed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::access::service_mode::Mode;

    const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

    fn seen(mode: Mode) -> Vec<Value> {
        listed(&Policy::built_in().unwrap(), &PolicyContext::of_any_user(mode, NOW), NOW)
    }

    #[test]
    fn an_agent_is_listed_while_a_user_may_talk_to_it() {
        for mode in [Mode::Full, Mode::ReadOnly, Mode::ExplainOnly] {
            assert_eq!(seen(mode), [json!({ "name": "main", "title": "Assistant" })], "{mode:?}");
        }
        assert_eq!(seen(Mode::Closed), [Value::Null; 0]);
    }
}
