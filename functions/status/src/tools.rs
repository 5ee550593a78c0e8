//! `GET /v1/tools`: what a user may call, with the schema and an example of its arguments.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::{
    catalogue::Tool,
    http::{self, Answer},
    mode::Mode,
    policy::{Asked, Policy, PolicyDecision},
    timestamp::Timestamp,
    user_id::UserId,
};

/// The tools that policy lets run with the arguments of their example. What it does not is not told.
pub(crate) fn tools(policy: &Policy, user_id: UserId, now: Timestamp) -> Answer {
    let groups = BTreeSet::new();
    let permitted = |tool: &&Tool| {
        let (name, arguments) = (tool.entry.name.as_str(), tool.example());
        let asked =
            Asked { user_id, groups: &groups, tool: name, arguments: &arguments, derived: false, audited: true, now };
        policy.decide(&asked, Mode::Full).decision == PolicyDecision::Run
    };
    let tools: Vec<Value> = policy.catalogue().tools().filter(permitted).map(view).collect();
    http::ok(&json!({ "tools": tools }))
}

fn view(tool: &Tool) -> Value {
    json!({
        "name": tool.entry.name,
        "title": tool.entry.title,
        "effect": tool.entry.effect,
        "approval": "none",
        "schema": tool.schema,
        "example": tool.example(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::Body;

    #[test]
    fn only_what_would_run_is_listed() {
        let policy = Policy::built_in().unwrap();
        let now = Timestamp::from_millis(1_795_341_600_000);
        let Body::Text(text) = tools(&policy, UserId::from_random([1; 16]), now).into_body() else { panic!("no text") };
        let body: Value = serde_json::from_str(&text).unwrap();
        let listed: Vec<&str> = body["tools"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
        assert!(listed.contains(&"ledger_read") && listed.contains(&"ledger_append"), "{listed:?}");
        assert!(!listed.contains(&"ledger_delete"), "{listed:?}");
        for tool in body["tools"].as_array().unwrap() {
            let name = tool["name"].as_str().unwrap();
            assert!(policy.tool(name).unwrap().validate(&tool["example"]).is_ok(), "{name}");
        }
    }
}
