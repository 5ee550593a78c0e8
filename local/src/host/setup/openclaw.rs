//! What OpenClaw's configuration needs for this service, as the difference to what it has. Pure.

use std::{collections::BTreeSet, fmt};

use serde_json::{Value, json};

use crate::host::guard_lists::GuardLists;

/// The plugin's id.
const PLUGIN: &str = "miniprogram-journal";

/// The values that come from the host and the policy.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// The folder of the plugin, which belongs to root.
    pub(super) plugin_dir: String,
    /// The journal, unless the plugin has one already.
    pub(super) journal: String,
    /// The lists of the policy.
    pub(super) lists: GuardLists,
    /// The webhook that wakes jobs.
    pub(super) webhook: String,
}

/// One value that has to change.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    path: Vec<&'static str>,
    before: Value,
    after: Value,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = if self.before.is_null() { "not set".to_owned() } else { self.before.to_string() };
        write!(f, "{}: {before} -> {}", self.path.join("."), self.after)
    }
}

/// The journal that the plugin has, or the wanted one.
pub(super) fn journal(plugins: &Value, wanted: &Wanted) -> String {
    plugins["entries"][PLUGIN]["config"]["db"].as_str().map_or_else(|| wanted.journal.clone(), str::to_owned)
}

/// What has to change in `plugins` and `tools`.
pub(super) fn changes(plugins: &Value, tools: &Value, wanted: &Wanted) -> Vec<Change> {
    let entry = &plugins["entries"][PLUGIN];
    let config = &entry["config"];
    let with = |list: &Value, value: &str| {
        let mut list = list.as_array().cloned().unwrap_or_default();
        if !list.contains(&json!(value)) {
            list.push(json!(value));
        }
        Value::from(list)
    };
    let in_entry = |key| vec!["plugins", "entries", PLUGIN, key];
    let in_config = |key| vec!["plugins", "entries", PLUGIN, "config", key];
    let mut all = vec![
        (
            vec!["plugins", "load", "paths"],
            &plugins["load"]["paths"],
            with(&plugins["load"]["paths"], &wanted.plugin_dir),
        ),
        (in_entry("enabled"), &entry["enabled"], json!(true)),
        (in_config("db"), &config["db"], json!(journal(plugins, wanted))),
        // A tool that is guarded for another reason stays guarded; a read that the policy does not know is vetoed.
        (in_config("guard"), &config["guard"], union(&wanted.lists.guard, &config["guard"])),
        (in_config("reads"), &config["reads"], union(&wanted.lists.reads, &Value::Null)),
        (in_config("ringUrl"), &config["ringUrl"], json!(wanted.webhook)),
        // Both run tools under other names than those that the plugin guards.
        (vec!["tools", "toolSearch"], &tools["toolSearch"], json!(false)),
        (vec!["tools", "codeMode"], &tools["codeMode"], json!(false)),
    ];
    // Without the list every plugin may load. With a new one of a single plugin all others would stop.
    if plugins["allow"].is_array() {
        all.push((vec!["plugins", "allow"], &plugins["allow"], with(&plugins["allow"], PLUGIN)));
    }
    let differs = |before: &Value, after: &Value| match (names(before), names(after)) {
        (Some(before), Some(after)) => before != after,
        _ => before != after,
    };
    let changed = all.into_iter().filter(|(_, before, after)| differs(before, after));
    changed.map(|(path, before, after)| Change { path, before: before.clone(), after }).collect()
}

fn union(names: &BTreeSet<String>, list: &Value) -> Value {
    let there = list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    json!(names.iter().cloned().chain(there).collect::<BTreeSet<_>>())
}

/// A list of names, whose order means nothing.
fn names(list: &Value) -> Option<BTreeSet<&str>> {
    list.as_array()?.iter().map(Value::as_str).collect()
}

/// The changes as `openclaw config patch` takes them.
pub(super) fn patch(changes: &[Change]) -> Value {
    let mut patch = json!({});
    for Change { path, after, .. } in changes {
        let mut at = &mut patch;
        for key in path {
            at = &mut at[*key];
        }
        *at = after.clone();
    }
    patch
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Wanted {
            plugin_dir: "/usr/share/miniprogram/openclaw-plugin".to_owned(),
            journal: "/home/u/.openclaw/miniprogram-journal/journal.sqlite".to_owned(),
            lists: GuardLists { guard: set(&["pay"]), reads: set(&["read"]) },
            webhook: "http://127.0.0.1:8787/v1/rings".to_owned(),
        }
    }

    #[test]
    fn a_new_configuration_gets_the_plugin_and_one_that_has_it_changes_nothing() {
        let first = patch(&changes(&Value::Null, &Value::Null, &wanted()));
        let config = &first["plugins"]["entries"][PLUGIN]["config"];
        assert_eq!(config["guard"], json!(["pay"]));
        assert_eq!(first["tools"], json!({ "toolSearch": false, "codeMode": false }));
        assert!(first["plugins"].get("allow").is_none(), "other plugins go on without a list");
        assert_eq!(changes(&first["plugins"], &first["tools"], &wanted()), []);
    }

    #[test]
    fn what_is_there_stays_and_only_the_difference_is_written() {
        let plugins = json!({
            "allow": ["telegram"], "load": { "paths": ["/opt/mine"] },
            "entries": { PLUGIN: { "enabled": true, "config": {
                "db": "/srv/j.sqlite", "guard": ["exec", "pay"], "reads": ["read", "web"], "retentionDays": 90,
                "ringUrl": "http://127.0.0.1:8787/v1/rings" } } }
        });
        let found = changes(&plugins, &json!({ "toolSearch": false, "codeMode": false }), &wanted());
        let expected = json!({ "plugins": {
            "allow": ["telegram", PLUGIN], "load": { "paths": ["/opt/mine", "/usr/share/miniprogram/openclaw-plugin"] },
            "entries": { PLUGIN: { "config": { "reads": ["read"] } } } } });
        assert_eq!(patch(&found), expected);
        let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert!(lines.contains(&format!(r#"plugins.allow: ["telegram"] -> ["telegram","{PLUGIN}"]"#)), "{lines:?}");
    }
}
