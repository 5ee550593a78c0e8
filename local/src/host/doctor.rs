//! Checks one host: reads only, within ten seconds.

mod files;
mod finding;
mod gateway;
mod system;

use std::{path::Path, time::Duration};

use platform::runtime::Runtime;

pub use finding::{Finding, State, exit_code};

use super::{
    config_file::ConfigFile,
    policy_folder::{self, CheckedPolicy},
    upgrade,
};

/// How long all checks together may take. One that has not ended by then has failed.
const LIMIT: Duration = Duration::from_secs(10);

/// Every finding about the host of a configuration file, in the order in which they are best mended. `packages` is the
/// folder of kept packages.
pub async fn examine(file: &Path, packages: &Path, runtime: &Runtime) -> Vec<Finding> {
    let config = match ConfigFile::read(file) {
        Ok(config) => config,
        Err(fault) => {
            let reason = finding::sentence(&fault);
            return vec![Finding::fail("configuration", reason, &format!("edit {}", file.display()))];
        }
    };
    let mut findings = vec![Finding::ok("configuration", file.display())];
    let policy = match policy_folder::check(config.policy_dir.as_deref()) {
        Ok(policy) => {
            findings.push(policy_finding(&policy));
            Some(policy)
        }
        Err(fault) => {
            let folder = config.policy_dir.as_deref().map_or_else(String::new, |dir| format!("in {}", dir.display()));
            findings.push(Finding::fail("policy", finding::sentence(&fault), &format!("mend the file {folder}")));
            None
        }
    };
    findings.extend(files::check(file, &config, runtime.now()));
    findings.extend(
        upgrade::interrupted(packages)
            .map(|what| Finding::fail("upgrade", what, "miniprogram upgrade DEB again, or miniprogram rollback")),
    );
    let tools = policy.as_ref().map(|policy| &policy.tools);
    let slow = async { tokio::join!(system::check(&config), gateway::check(file, &config, tools)) };
    match tokio::time::timeout(LIMIT, slow).await {
        Ok((system, gateway)) => findings.extend(system.into_iter().chain(gateway)),
        Err(_) => findings.push(Finding::fail("host", "the checks of systemd and gateway did not end in 10 s", "")),
    }
    findings
}

fn policy_finding(policy: &CheckedPolicy) -> Finding {
    match policy.warnings.first() {
        Some(warning) => Finding::warn("policy", warning, "miniprogram config check"),
        None => Finding::ok("policy", policy.tools.version()),
    }
}
