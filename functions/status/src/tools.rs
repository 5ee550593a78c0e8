//! `GET /v1/tools`: what a user may call, with the schema and an example of its arguments.

use serde_json::{Value, json};
use shared::{
    catalogue::{Catalogue, Tool},
    http::{self, Answer},
    policy::{self, PolicyDecision},
};

/// The tools that policy lets run. What it does not is not told.
pub(crate) fn tools(catalogue: &Catalogue) -> Answer {
    let permitted = |tool: &&Tool| policy::decide(catalogue, &tool.entry.name) == PolicyDecision::Run;
    let tools: Vec<Value> = catalogue.tools().filter(permitted).map(view).collect();
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
        let catalogue = Catalogue::built_in().unwrap();
        let Body::Text(text) = tools(&catalogue).into_body() else { panic!("no text") };
        let body: Value = serde_json::from_str(&text).unwrap();
        let listed: Vec<&str> = body["tools"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
        assert!(listed.contains(&"ledger_read") && listed.contains(&"ledger_append"), "{listed:?}");
        assert!(!listed.contains(&"ledger_delete"), "{listed:?}");
        for tool in body["tools"].as_array().unwrap() {
            let name = tool["name"].as_str().unwrap();
            assert!(catalogue.get(name).unwrap().validate(&tool["example"]).is_ok(), "{name}");
        }
    }
}
