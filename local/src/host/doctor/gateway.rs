//! The service's readiness, and the gateway's plugin.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use domain::{json, policy::Policy};
use serde::Deserialize;

use super::Finding;
use crate::host::{
    config_file::ConfigFile,
    guard_lists::GuardLists,
    readiness::{Port, Readiness},
};

/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(4);
/// The version of OpenClaw that the tests run against.
const TESTED: &str = "2026.9.6";

pub(super) async fn check(file: &Path, config: &ConfigFile, policy: Option<&Policy>) -> Vec<Finding> {
    let Ok(http) = reqwest::Client::builder().no_proxy().timeout(LIMIT).build() else { return Vec::new() };
    let (ready, plugin) = tokio::join!(readiness(config), plugin(&http, file, config, policy));
    ready.into_iter().chain(plugin).collect()
}

async fn readiness(config: &ConfigFile) -> Vec<Finding> {
    let mend = "journalctl -u miniprogram -n 50";
    let ready = match Readiness::read(Port(config.rings_port)).await {
        Ok(ready) => ready,
        Err(fault) => return vec![Finding::fail("readiness", fault, mend)],
    };
    let failing = ready.failing.into_iter().collect::<Vec<_>>().join(", ");
    let readiness = match failing.is_empty() {
        true => Finding::ok("readiness", "ready"),
        false => Finding::fail("readiness", failing, mend),
    };
    let mode = match ready.mode.as_deref().unwrap_or("not known") {
        "full" => Finding::ok("mode", "full"),
        other => Finding::warn("mode", other, "miniprogram mode set full --reason 'WHY'"),
    };
    vec![readiness, mode]
}

/// What the plugin says about itself.
#[derive(Debug, Deserialize)]
struct Health {
    #[serde(default)]
    gateway: Option<String>,
    #[serde(flatten)]
    lists: GuardLists,
}

async fn plugin(http: &reqwest::Client, file: &Path, config: &ConfigFile, policy: Option<&Policy>) -> Vec<Finding> {
    let mend = "systemctl --user status openclaw-gateway, as the gateway's user";
    // The credential itself is readable by the unit alone.
    let credential = file.with_file_name("secrets").join("gateway-token");
    let token = fs::read_to_string(&credential).or_else(|_| fs::read_to_string(&config.gateway_token_file));
    let Ok(token) = token else { return vec![Finding::warn("plugin", "the gateway's token cannot be read", "")] };
    let url = format!("{}/miniprogram/v1/health", config.gateway_url);
    let Ok(answer) = http.get(&url).bearer_auth(token.trim()).send().await else {
        return vec![Finding::fail("gateway", format!("{} does not answer", config.gateway_url), mend)];
    };
    let status = answer.status().as_u16();
    let health = match (status, answer.bytes().await.ok().and_then(|body| json::kept::<Health>(body).ok())) {
        (200, Some(health)) => health,
        (401, _) => {
            return vec![Finding::fail("gateway", "it refuses the token", "put its token into secrets/gateway-token")];
        }
        (404, _) => {
            let mend = "miniprogram setup; or add /usr/share/miniprogram/openclaw-plugin to plugins.load.paths";
            return vec![Finding::fail("plugin", "the gateway has no journal", mend)];
        }
        _ => return vec![Finding::fail("plugin", format!("the journal answers {status}"), mend)],
    };
    let mut findings = vec![version(health.gateway.as_deref())];
    findings.extend(policy.map(|policy| drift(&GuardLists::of(policy), &health.lists)));
    findings
}

fn version(found: Option<&str>) -> Finding {
    match found {
        Some(TESTED) => Finding::ok("openclaw", TESTED),
        Some(other) => Finding::warn("openclaw", format!("{other}; tested is {TESTED}"), ""),
        None => Finding::warn("openclaw", format!("its version is not known; tested is {TESTED}"), ""),
    }
}

/// Compares the lists of the plugin with those of the policy. A write outside `guard` can be called around the journal;
/// a read outside `reads` is vetoed in agent runs.
fn drift(wanted: &GuardLists, there: &GuardLists) -> Finding {
    let missing = |wanted: &BTreeSet<String>, there: &BTreeSet<String>| -> Vec<String> {
        wanted.difference(there).cloned().collect()
    };
    let mend = "miniprogram setup, which changes the plugin's lists and restarts the gateway";
    let (unguarded, vetoed) = (missing(&wanted.guard, &there.guard), missing(&wanted.reads, &there.reads));
    let loose = missing(&there.reads, &wanted.reads);
    match (unguarded.is_empty(), loose.is_empty(), vetoed.is_empty()) {
        (false, ..) => Finding::fail("guard", format!("not guarded: {}", unguarded.join(", ")), mend),
        (_, false, _) => Finding::fail("guard", format!("agents may read: {}", loose.join(", ")), mend),
        (_, _, false) => Finding::warn("guard", format!("agents may not read: {}", vetoed.join(", ")), mend),
        (true, true, true) => Finding::ok("guard", "guard and reads are those of the policy"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::doctor::State;

    #[test]
    fn what_the_plugin_does_not_guard_fails_and_what_it_vetoes_warns() {
        let lists = |guard: &[&str], reads: &[&str]| {
            let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            GuardLists { guard: set(guard), reads: set(reads) }
        };
        let wanted = lists(&["pay"], &["read"]);
        for (there, state, named) in [
            (lists(&["pay"], &["read"]), State::Ok, "policy"),
            (lists(&["pay", "old"], &["read"]), State::Ok, "policy"),
            (lists(&[], &["read"]), State::Fail, "not guarded: pay"),
            (lists(&["pay"], &["read", "exec"]), State::Fail, "exec"),
            (lists(&["pay"], &[]), State::Warn, "read"),
        ] {
            let found = drift(&wanted, &there);
            assert!(found.state == state && found.reason.contains(named), "{found:?}");
        }
        assert_eq!(version(Some(TESTED)).state, State::Ok);
        assert_eq!(version(Some("2026.1.1")).state, State::Warn);
        let lock = include_str!("../../../../scripts/locks/npm/openclaw/package.json");
        assert!(lock.contains(&format!("\"{TESTED}\"")), "the version that the tests install");
    }
}
