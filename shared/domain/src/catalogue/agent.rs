//! The agents that Mini Programs may talk to. An agent's name is its id at the gateway.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Deserialize;

use super::{CatalogueFault, NOT_AFTER_S, Tool, ToolEffect, default_to, names_a_tool};

/// The settings of one agent, as `policy/tools.toml` spells them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentEntry {
    /// Id at the gateway, and name in the API.
    pub name: String,
    /// A short title for people.
    pub title: String,
    /// Tools that it may use without a proposal: reads of the catalogue, and the gateway's own reads.
    #[serde(default)]
    pub tools: Vec<String>,
    /// Maximum duration of one round in seconds.
    #[serde(default = "default_to::<600>")]
    pub timeout_s: u32,
    /// Usual duration of a round in milliseconds: the worker polls after this time.
    #[serde(default = "default_expected_ms")]
    pub expected_ms: u64,
    /// Maximum number of further rounds, each with the results of the previous one's proposals.
    #[serde(default = "default_to::<4>")]
    pub rounds: u32,
    /// Maximum number of proposals of one round.
    #[serde(default = "default_to::<4>")]
    pub proposals: u32,
    /// Maximum number of tool calls in one round, whatever their outcome.
    #[serde(default = "default_to::<24>")]
    pub calls: u32,
    /// Maximum number of concurrent rounds of this agent at the gateway, of all users together.
    #[serde(default = "default_to::<4>")]
    pub at_most: u32,
    /// Seconds after submission within which a turn may start.
    #[serde(default = "default_to::<NOT_AFTER_S>")]
    pub not_after_s: u32,
}

const fn default_expected_ms() -> u64 {
    5000
}

impl AgentEntry {
    /// Longest duration of a round.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s.into())
    }

    /// Usual duration of a round.
    pub fn expected(&self) -> Duration {
        Duration::from_millis(self.expected_ms)
    }

    /// Time to start after submission.
    pub fn start_within(&self) -> Duration {
        Duration::from_secs(self.not_after_s.into())
    }

    /// Stands for an agent that was removed from the catalogue: no round is started, and a running one may end.
    pub fn gone(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            title: String::new(),
            tools: Vec::new(),
            timeout_s: 3600,
            expected_ms: 0,
            rounds: 0,
            proposals: 1,
            calls: 1,
            at_most: 1,
            not_after_s: 0,
        }
    }
}

/// Checks the agents for conflicts with each other and with the tools.
pub(super) fn checked(
    entries: Vec<AgentEntry>,
    tools: &BTreeMap<String, Tool>,
) -> Result<BTreeMap<String, AgentEntry>, CatalogueFault> {
    let mut agents = BTreeMap::new();
    for entry in entries {
        let fault = |problem: String| CatalogueFault::Agent { agent: entry.name.clone(), problem };
        check_entry(&entry).map_err(|problem| fault(problem.to_owned()))?;
        let mut seen = BTreeSet::new();
        for name in &entry.tools {
            if !names_a_tool(name) {
                return Err(fault(format!("{name:?} in `tools` is no name of a tool")));
            }
            if !seen.insert(name) {
                return Err(fault(format!("`tools` has {name} twice")));
            }
            // Invariant: no write runs inside an agent's run.
            if tools.get(name).is_some_and(|tool| tool.entry.effect != ToolEffect::Read) {
                return Err(fault(format!("`tools` has {name}, which does not only read")));
            }
        }
        if agents.contains_key(&entry.name) {
            return Err(fault("listed twice".to_owned()));
        }
        agents.insert(entry.name.clone(), entry);
    }
    Ok(agents)
}

/// Whether a name is valid. It is part of the gateway's session keys, which are lower case.
fn names_an_agent(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    first && name.len() <= 64 && name.bytes().all(fits)
}

fn check_entry(entry: &AgentEntry) -> Result<(), &'static str> {
    if !names_an_agent(&entry.name) {
        return Err(
            "the name may hold up to 64 lower-case letters, digits, `_` and `-`, and begins with a letter or digit",
        );
    }
    if entry.title.is_empty() {
        return Err("`title` is empty");
    }
    if !(1..=3600).contains(&entry.timeout_s) || !(1..=86_400).contains(&entry.not_after_s) {
        return Err("`timeout_s` must be 1 to 3600 and `not_after_s` 1 to 86400");
    }
    if entry.expected() > entry.timeout() {
        return Err("`expected_ms` must not be longer than `timeout_s`");
    }
    if entry.rounds > 8 || !(1..=8).contains(&entry.proposals) {
        return Err("`rounds` must be 0 to 8 and `proposals` 1 to 8");
    }
    if !(1..=50).contains(&entry.calls) || !(1..=100).contains(&entry.at_most) {
        return Err("`calls` must be 1 to 50 and `at_most` 1 to 100");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    const TOOLS: &str = "[[tool]]\nname='look'\ntitle='L'\neffect='read'\ntimeout_s=5\nattempts=1\nexpected_ms=1\n\
                         schema='s'\nexample={}\n[[tool]]\nname='pay'\ntitle='P'\neffect='write'\ntimeout_s=5\nattempts=1\n\
                         expected_ms=1\nschema='s'\nexample={}\n";
    const GOOD: &str = "[[agent]]\nname='helper-2'\ntitle='H'\ntools=['look', 'web_search']\n";

    fn parse(agents: &str) -> Result<Catalogue, CatalogueFault> {
        Catalogue::parse(&(TOOLS.to_owned() + agents), |_| Some(b"true".to_vec()))
    }

    #[test]
    fn an_agent_has_its_tools_and_the_limits_that_are_not_given() {
        let catalogue = parse(GOOD).unwrap();
        let agent = catalogue.agent("helper-2").unwrap();
        assert_eq!(agent.tools, ["look", "web_search"]);
        assert_eq!((agent.rounds, agent.proposals, agent.calls, agent.at_most), (4, 4, 24, 4));
        assert_eq!((agent.timeout().as_secs(), agent.expected().as_millis()), (600, 5000));
        assert_eq!(agent.start_within().as_secs(), 900);
        assert_eq!(catalogue.agents().count(), 1);
        assert!(catalogue.agent("look").is_none() && catalogue.agent("Helper-2").is_none());
    }

    #[test]
    fn an_agent_that_could_write_or_contradicts_itself_is_refused_with_its_name() {
        for (change, with, says) in [
            ("'web_search'", "'pay'", "pay, which does not only read"),
            ("'web_search'", "'look'", "twice"),
            ("'web_search'", "'web search'", "no name of a tool"),
            ("title='H'", "title=''", "title"),
            ("title='H'", "title='H'\nrounds=9", "rounds"),
            ("title='H'", "title='H'\nproposals=0", "proposals"),
            ("title='H'", "title='H'\nproposals=9", "proposals"),
            ("title='H'", "title='H'\ncalls=51", "calls"),
            ("title='H'", "title='H'\nat_most=0", "at_most"),
            ("title='H'", "title='H'\ntimeout_s=0", "timeout_s"),
            ("title='H'", "title='H'\ntimeout_s=5\nexpected_ms=5001", "expected_ms"),
            ("title='H'", "title='H'\nnot_after_s=0", "not_after_s"),
        ] {
            let text = parse(&GOOD.replace(change, with)).unwrap_err().to_string();
            assert!(text.contains("agent helper-2: ") && text.contains(says), "{with}: {text}");
        }
        for name in ["", "Main", "a b", "-a", "a:b", "a.b", &"a".repeat(65)] {
            let text = parse(&GOOD.replace("helper-2", name)).unwrap_err().to_string();
            assert!(text.contains("the name may hold"), "{name}: {text}");
        }
        assert!(parse(&(GOOD.to_owned() + GOOD)).unwrap_err().to_string().contains("listed twice"));
        assert!(parse(&GOOD.replace("title", "titel")).is_err());
    }
}
