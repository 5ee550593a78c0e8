//! The catalogue: every tool that Mini Programs may call, and every agent that they may talk to. The service refuses
//! any other.
//!
//! `policy/tools.toml` and `policy/schemas/*.json` are built into each function together with the policies about the tools:
//! [`crate::policy::Policy`] holds them all, and its version names them in every audit record.

use std::{collections::BTreeMap, time::Duration};

use jsonschema::Validator;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{catalogue::approval_summary::Template, json};

mod agent;
pub mod approval_summary;
pub(crate) mod cedar_schema;
mod open;
pub mod visible_text;

pub use agent::AgentEntry;
use cedar_schema::{Misfit, Shape};

/// Effect class of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolEffect {
    /// Changes nothing: a call may be repeated.
    Read,
    /// Changes something: runs at most once per step.
    Write,
    /// Changes something irreversibly: locked until an operator unlocks it temporarily.
    Destructive,
}

/// A tool of the catalogue.
#[derive(Debug)]
pub struct Tool {
    /// Its settings.
    pub entry: ToolEntry,
    /// The JSON Schema of its arguments, as published.
    pub schema: Value,
    /// Template of the sentence that an approver reads.
    pub summary: Template,
    /// Whether its schema accepts objects that it does not describe completely. Their content may come from anywhere,
    /// so the policy decision treats every call as derived.
    pub open: bool,
    /// Types of its arguments in Cedar.
    pub(crate) shape: Shape,
    validator: Validator,
}

/// The settings of one tool, as `policy/tools.toml` spells them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolEntry {
    /// The name at the gateway and in the API.
    pub name: String,
    /// A short title for people.
    pub title: String,
    /// Template of the sentence that describes a call to its approver: `Pay {amount}: {note}`. Default: the title.
    #[serde(default)]
    pub summary: String,
    /// Effect class.
    pub effect: ToolEffect,
    /// Whether a repeated write under the same key has no second effect.
    #[serde(default)]
    pub idempotent: bool,
    /// Seconds after which a call's outcome counts as unknown.
    pub timeout_s: u32,
    /// Maximum number of dispatches of a call.
    pub attempts: u32,
    /// Usual duration of a call in milliseconds. Under 300 the worker waits for the outcome; otherwise it polls
    /// later.
    pub expected_ms: u64,
    /// Seconds after submission within which a call may start.
    #[serde(default = "default_to::<NOT_AFTER_S>")]
    pub not_after_s: u32,
    /// Seconds within which an approval may be given; never beyond the time within which the call may start.
    #[serde(default = "default_to::<600>")]
    pub approval_within_s: u32,
    /// Whether its arguments may be shown during an agent's turn to those who may see the job.
    #[serde(default)]
    pub public: bool,
    /// Maximum number of its concurrent calls at the gateway, of all users together; absent: no limit.
    #[serde(default)]
    pub at_most: Option<u32>,
    /// File in `policy/schemas` with the JSON Schema of the arguments.
    pub schema: String,
    /// Arguments that the schema accepts, for documentation and tests.
    pub example: toml::Table,
}

/// Seconds within which a call or a turn has to start where its entry does not say.
const NOT_AFTER_S: u32 = 900;

/// A setting that is not given.
const fn default_to<const N: u32>() -> u32 {
    N
}

impl ToolEntry {
    /// Usual duration of a call.
    pub fn expected(&self) -> Duration {
        Duration::from_millis(self.expected_ms)
    }

    /// Longest duration of a call.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s.into())
    }

    /// Time to start after submission.
    pub fn start_within(&self) -> Duration {
        Duration::from_secs(self.not_after_s.into())
    }

    /// Time from an approval request to its expiry.
    pub fn approval_within(&self) -> Duration {
        Duration::from_secs(self.approval_within_s.into())
    }

    /// Stands for a tool that was removed from the catalogue: no call of it is sent or waited for.
    pub fn gone(name: &str, effect: ToolEffect) -> Self {
        Self {
            name: name.to_owned(),
            title: String::new(),
            summary: String::new(),
            effect,
            idempotent: false,
            timeout_s: 3600,
            attempts: 0,
            expected_ms: 0,
            not_after_s: 0,
            approval_within_s: 0,
            public: false,
            at_most: None,
            schema: String::new(),
            example: toml::Table::new(),
        }
    }

    /// Whether a call may be dispatched again, under another `n`, after it was interrupted or failed.
    pub fn repeatable(&self) -> bool {
        self.effect == ToolEffect::Read || self.idempotent
    }
}

/// A fault in arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArgumentFault {
    /// JSON pointer (RFC 6901) to the faulty value, from the arguments' root.
    pub pointer: String,
    /// What the schema requires. Never quotes the value.
    pub message: String,
}

impl Tool {
    /// Validates arguments against the schema; returns up to 20 faults. A value that Cedar has no type for is a fault
    /// too, since no policy could check it: a schema may accept such a number.
    pub fn validate(&self, arguments: &Value) -> Result<(), Vec<ArgumentFault>> {
        let faults: Vec<ArgumentFault> = self
            .validator
            .iter_errors(arguments)
            .take(20)
            .map(|e| ArgumentFault { pointer: e.instance_path().to_string(), message: e.masked().to_string() })
            .collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        let misfit = |misfit: Misfit| vec![ArgumentFault { pointer: misfit.path, message: misfit.problem.to_owned() }];
        self.shape.see(arguments).map(drop).map_err(misfit)
    }

    /// The example of the entry as JSON.
    pub fn example(&self) -> Value {
        serde_json::to_value(&self.entry.example).unwrap_or(Value::Null)
    }
}

/// All tools and agents by name.
#[derive(Debug)]
pub struct Catalogue {
    tools: BTreeMap<String, Tool>,
    agents: BTreeMap<String, AgentEntry>,
}

/// Why a catalogue cannot be used. A function with a bad catalogue refuses to start.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueFault {
    /// The file is not valid TOML, or does not have the expected fields.
    #[error("policy/tools.toml cannot be read")]
    Toml(#[source] toml::de::Error),
    /// The entry of a tool is inconsistent.
    #[error("policy/tools.toml: tool {tool}: {problem}")]
    Entry {
        /// Name of the tool.
        tool: String,
        /// Description of the fault.
        problem: String,
    },
    /// The entry of an agent is inconsistent, or conflicts with a tool's.
    #[error("policy/tools.toml: agent {agent}: {problem}")]
    Agent {
        /// Name of the agent.
        agent: String,
        /// Description of the fault.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    tool: Vec<ToolEntry>,
    #[serde(default)]
    agent: Vec<AgentEntry>,
}

impl Catalogue {
    /// Parses a catalogue; `schema` returns the bytes of a schema file.
    pub fn parse(text: &str, schema: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Self, CatalogueFault> {
        let file: File = toml::from_str(text).map_err(CatalogueFault::Toml)?;
        let mut tools = BTreeMap::new();
        for entry in file.tool {
            let name = entry.name.clone();
            let fault = |problem: String| CatalogueFault::Entry { tool: name.clone(), problem };
            check_entry(&entry).map_err(|problem| fault(problem.to_owned()))?;
            let bytes = schema(&entry.schema).ok_or_else(|| fault(format!("schemas/{} is missing", entry.schema)))?;
            let schema: Value =
                json::kept(&bytes).map_err(|e| fault(format!("schemas/{} is not JSON: {e}", entry.schema)))?;
            let validator = jsonschema::draft202012::new(&schema)
                .map_err(|e| fault(format!("schemas/{} is no JSON Schema: {e}", entry.schema)))?;
            let summary = Template::parse(&entry, &schema).map_err(|problem| fault(problem.to_string()))?;
            let shape = schema.as_object().map_or_else(Shape::nothing, Shape::record);
            let open = open::is_open(&schema);
            let tool = Tool { entry, schema, summary, open, shape, validator };
            tool.validate(&tool.example())
                .map_err(|faults| fault(format!("its example does not fit its schema: {faults:?}")))?;
            if tools.insert(name.clone(), tool).is_some() {
                return Err(fault("listed twice".to_owned()));
            }
        }
        let agents = agent::checked(file.agent, &tools)?;
        Ok(Self { tools, agents })
    }

    /// Looks a tool up.
    pub fn get(&self, name: &str) -> Option<&Tool> {
        self.tools.get(name)
    }

    /// Every tool, by name.
    pub fn tools(&self) -> impl Iterator<Item = &Tool> {
        self.tools.values()
    }

    /// Looks an agent up.
    pub fn agent(&self, name: &str) -> Option<&AgentEntry> {
        self.agents.get(name)
    }

    /// Every agent, by name.
    pub fn agents(&self) -> impl Iterator<Item = &AgentEntry> {
        self.agents.values()
    }
}

fn names_a_tool(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

fn check_entry(entry: &ToolEntry) -> Result<(), &'static str> {
    if !names_a_tool(&entry.name) {
        return Err("the name may hold letters, digits, `_`, `-` and `.`");
    }
    if entry.effect != ToolEffect::Write && entry.idempotent {
        return Err("`idempotent` is for writes only");
    }
    if !(1..=10).contains(&entry.attempts) {
        return Err("`attempts` must be 1 to 10");
    }
    if !(1..=3600).contains(&entry.timeout_s) || !(1..=86_400).contains(&entry.not_after_s) {
        return Err("`timeout_s` must be 1 to 3600 and `not_after_s` 1 to 86400");
    }
    if !(60..=86_400).contains(&entry.approval_within_s) {
        return Err("`approval_within_s` must be 60 to 86400");
    }
    if entry.at_most.is_some_and(|most| !(1..=1000).contains(&most)) {
        return Err("`at_most` must be 1 to 1000");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{"type":"object","additionalProperties":false,"required":["note"],
        "properties":{"note":{"type":"string","maxLength":3}}}"#;

    fn parse(entry: &str) -> Result<Catalogue, CatalogueFault> {
        Catalogue::parse(entry, |name| (name == "s.json").then(|| SCHEMA.as_bytes().to_vec()))
    }

    const GOOD: &str = "[[tool]]\nname='t'\ntitle='T'\neffect='write'\ntimeout_s=5\nattempts=2\nexpected_ms=10\n\
                        schema='s.json'\nexample={note='x'}\n";

    #[test]
    fn a_catalogue_that_contradicts_itself_is_refused_with_the_tools_name() {
        for (change, with) in [
            ("'write'", "'read'\nidempotent=true"),
            ("attempts=2", "attempts=0"),
            ("s.json", "none.json"),
            ("note='x'", "note='far too long'"),
            ("name='t'", "name='t t'"),
            ("attempts=2", "attempts=2\napproval_within_s=59"),
            ("attempts=2", "attempts=2\nsummary='Note {nothing}'"),
            ("attempts=2", "attempts=2\nat_most=0"),
        ] {
            let text = parse(&GOOD.replace(change, with)).unwrap_err().to_string();
            assert!(text.contains("tool t"), "{change}: {text}");
        }
        assert!(parse(&GOOD.replace("title", "titel")).is_err());
        assert!(parse(&(GOOD.to_owned() + GOOD)).unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn what_policies_cannot_look_at_is_a_fault_in_the_arguments() {
        let schema = r#"{"type":"object","properties":{"n":{"type":"integer"},"d":{"type":"number"}}}"#;
        let text = GOOD.replace("{note='x'}", "{}");
        let catalogue = Catalogue::parse(&text, |_| Some(schema.as_bytes().to_vec())).unwrap();
        let validate = |arguments: Value| catalogue.get("t").unwrap().validate(&arguments);
        assert_eq!(validate(serde_json::json!({"n": 5.0, "d": 0.1234, "more": 0.12345})), Ok(()));
        for (arguments, pointer) in [(serde_json::json!({"d": 0.12345}), "/d"), (serde_json::json!({"n": 1e300}), "/n")]
        {
            let faults = validate(arguments).unwrap_err();
            assert_eq!(faults.iter().map(|fault| fault.pointer.as_str()).collect::<Vec<_>>(), [pointer]);
        }
    }

    #[test]
    fn faults_in_arguments_carry_a_pointer_and_never_the_value() {
        let catalogue = parse(GOOD).unwrap();
        let tool = catalogue.get("t").unwrap();
        let faults = tool.validate(&serde_json::json!({"note":"secret-value","x":"secret-value"})).unwrap_err();
        assert!(faults.iter().any(|f| f.pointer == "/note"), "{faults:?}");
        assert!(!format!("{faults:?}").contains("secret-value"), "{faults:?}");
    }
}
