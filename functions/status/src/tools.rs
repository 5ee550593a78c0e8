//! `GET /v1/tools`: the tools that a user may call now, who has to approve, and schema and example of the arguments; and
//! the notifications that a submission may ask for.

use domain::{
    catalogue::Tool,
    ids::{Approver, Timestamp},
    policy::{CallQuery, Gate, Policy},
};
use platform::http::{self, Response};
use serde_json::{Value, json};

use crate::{PolicyContext, Status};

/// The tools that this user may call now.
pub(crate) fn tools(status: &Status, who: &PolicyContext) -> Response {
    let listed = listed(&status.policy, who, status.runtime.now());
    let notifications = status
        .policy
        .notifications()
        .iter()
        .map(|one| json!({ "name": one.name, "title": one.title, "template_id": one.template_id }));
    http::ok(&json!({ "tools": listed, "notifications": notifications.collect::<Vec<Value>>() }))
}

/// Decided with the arguments of each tool's example, so another call of the same tool may be decided otherwise. Tools
/// that would be refused are left out.
fn listed(policy: &Policy, who: &PolicyContext, now: Timestamp) -> Vec<Value> {
    let PolicyContext { user_id, groups, controls } = who;
    let listed = policy.catalogue().tools().filter_map(|tool| {
        let arguments = &tool.example();
        let name = &tool.entry.name;
        let query = CallQuery { user_id: *user_id, groups, tool: name, arguments, derived: false, audited: true, now };
        let gated = policy.gate(controls, &query);
        match gated.gate {
            Gate::Run | Gate::Ask(_) | Gate::Explain(_) => Some(view(tool, gated.decided.decision.approver())),
            Gate::Refuse(_) => None,
        }
    });
    listed.collect()
}

fn view(tool: &Tool, approver: Option<Approver>) -> Value {
    json!({
        "name": tool.entry.name,
        "title": tool.entry.title,
        "effect": tool.entry.effect,
        "approval": approver.map_or("none", Approver::name),
        "schema": tool.schema,
        "example": tool.example(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::access::service_mode::Mode;

    const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

    fn seen(mode: Mode) -> Vec<(String, String)> {
        let policy = Policy::built_in().unwrap();
        let tools = listed(&policy, &PolicyContext::of_any_user(mode, NOW), NOW);
        for tool in &tools {
            let name = tool["name"].as_str().unwrap();
            assert!(policy.tool(name).unwrap().validate(&tool["example"]).is_ok(), "{name}");
        }
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        tools.iter().map(|tool| (text(&tool["name"]), text(&tool["approval"]))).collect()
    }

    fn has(seen: &[(String, String)], name: &str, approval: &str) -> bool {
        seen.contains(&(name.to_owned(), approval.to_owned()))
    }

    #[test]
    fn a_tool_is_listed_with_its_approver() {
        let tools = seen(Mode::Full);
        assert!(has(&tools, "ledger_read", "none") && has(&tools, "ledger_append", "none"), "{tools:?}");
        assert!(has(&tools, "ledger_pay", "user"), "{tools:?}");
        assert!(tools.iter().all(|(name, _)| name != "ledger_delete"), "it has no temporary unlock: {tools:?}");
    }

    #[test]
    fn only_what_could_be_called_now_is_listed() {
        assert_eq!(seen(Mode::ReadOnly), [("ledger_read".to_owned(), "none".to_owned())]);
        assert_eq!(seen(Mode::Closed), []);
        // In `explain_only` a tool is listed as it would be decided in `full`.
        let explained = seen(Mode::ExplainOnly);
        assert!(has(&explained, "ledger_pay", "user") && has(&explained, "ledger_delete", "operator"), "{explained:?}");
    }
}
