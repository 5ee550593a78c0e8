//! Finds the tools whose arguments a policy reads. An agent may use a read without a proposal only if the decision
//! about it is the same for all arguments.

use std::collections::BTreeSet;

use cedar_policy::Policy;
use serde_json::{Map, Value};

/// The tools whose arguments some policy reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LookedAt {
    /// The arguments of these tools only.
    Of(BTreeSet<String>),
    /// Perhaps the arguments of every tool: the policy uses a form that cannot be attributed to one.
    Any,
}

impl LookedAt {
    /// Analyses one policy in its JSON form: `context.arguments.<tool>` reads arguments, `context.arguments has
    /// <tool>` does not.
    pub(super) fn by(policy: &Policy) -> Self {
        let mut looked_at = Self::Of(BTreeSet::new());
        match policy.to_json() {
            Ok(form) => walk(&form, &mut looked_at),
            Err(_) => looked_at = Self::Any,
        }
        looked_at
    }

    /// Whether the arguments of this tool are read.
    pub(super) fn has(&self, tool: &str) -> bool {
        match self {
            Self::Of(tools) => tools.contains(tool),
            Self::Any => true,
        }
    }

    fn add(&mut self, tool: &str) {
        match self {
            Self::Of(tools) => drop(tools.insert(tool.to_owned())),
            Self::Any => {}
        }
    }
}

impl FromIterator<Self> for LookedAt {
    fn from_iter<I: IntoIterator<Item = Self>>(of_each: I) -> Self {
        of_each.into_iter().fold(Self::Of(BTreeSet::new()), |all, one| match (all, one) {
            (Self::Of(mut all), Self::Of(one)) => {
                all.extend(one);
                Self::Of(all)
            }
            (Self::Any, _) | (_, Self::Any) => Self::Any,
        })
    }
}

fn walk(form: &Value, looked_at: &mut LookedAt) {
    match form {
        Value::Array(items) => items.iter().for_each(|item| walk(item, looked_at)),
        Value::Object(entries) => entries.iter().for_each(|(key, value)| step(key, value, looked_at)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn step(key: &str, value: &Value, looked_at: &mut LookedAt) {
    let (left, attribute) = (&value["left"], value["attr"].as_str());
    match (key, attribute) {
        // The keys of a record are chosen by the policy's author: they are no JSON operators.
        ("Record", _) => value.as_object().into_iter().flatten().for_each(|(_, item)| walk(item, looked_at)),
        (".", Some(tool)) if is_arguments(left) => looked_at.add(tool),
        // `has` only tells which tool is called, nothing about its arguments.
        ("has", Some(_)) if is_arguments(left) || is_context(left) => {}
        (".", Some(other)) if is_context(left) && other != ARGUMENTS => {}
        // The policy uses the context, or all arguments, as a whole.
        (".", Some(_)) if is_context(left) => *looked_at = LookedAt::Any,
        ("Var", None) if value == CONTEXT => *looked_at = LookedAt::Any,
        _ => walk(value, looked_at),
    }
}

const ARGUMENTS: &str = "arguments";
const CONTEXT: &str = "context";

fn only<'a>(form: &'a Value, key: &str) -> Option<&'a Value> {
    form.as_object().filter(|entries: &&Map<_, _>| entries.len() == 1)?.get(key)
}

fn is_context(form: &Value) -> bool {
    only(form, "Var").is_some_and(|name| name == CONTEXT)
}

fn is_arguments(form: &Value) -> bool {
    only(form, ".").is_some_and(|access| is_context(&access["left"]) && access["attr"] == ARGUMENTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(condition: &str) -> LookedAt {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        LookedAt::by(&Policy::parse(None, text).unwrap())
    }

    #[test]
    fn a_policy_looks_at_what_it_takes_an_argument_from() {
        let tools = |names: &[&str]| LookedAt::Of(names.iter().map(|name| (*name).to_owned()).collect());
        for (condition, looked_at) in [
            ("true", tools(&[])),
            ("context.derived || context.hour == 3", tools(&[])),
            ("context.arguments has pay", tools(&[])),
            ("context has arguments && context.arguments has pay", tools(&[])),
            ("context.arguments has pay && context.arguments.pay.amount < 5", tools(&["pay"])),
            ("context.arguments has pay && context.arguments.pay has note", tools(&["pay"])),
            ("context.arguments[\"pay\"][\"amount\"] < 5", tools(&["pay"])),
            (
                "if context.arguments.a.b then [context.arguments.c.d].contains(1) else -context.arguments.e.f > 0",
                tools(&["a", "c", "e"]),
            ),
            ("context.arguments.a.note like \"*x*\"", tools(&["a"])),
            ("{x: context.arguments.a}.x.y", tools(&["a"])),
            ("{\"Value\": context.arguments.a, \"Var\": context.arguments.b}.Value.x", tools(&["a", "b"])),
            ("{\"Var\": \"context\"}.Var == \"context\"", tools(&[])),
            ("context.arguments == context.arguments", LookedAt::Any),
            ("{x: context.arguments}.x.a.b == 1", LookedAt::Any),
            ("{x: context}.x.arguments.a.b == 1", LookedAt::Any),
            ("resource.effect == \"context.arguments.a\"", tools(&[])),
        ] {
            assert_eq!(of(condition), looked_at, "{condition}");
        }
    }
}
