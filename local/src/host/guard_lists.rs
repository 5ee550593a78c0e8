//! The lists of tools in the configuration of the gateway's plugin, as the policy needs them.

use std::collections::BTreeSet;

use domain::{catalogue::ToolEffect, policy::Policy};

/// Which tools the plugin guards, and which agent runs may read.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct GuardLists {
    /// Tools that run only for the service.
    pub guard: BTreeSet<String>,
    /// Reads that agent runs may use.
    pub reads: BTreeSet<String>,
}

impl GuardLists {
    /// The lists of a policy.
    pub fn of(policy: &Policy) -> Self {
        let mut lists = Self::default();
        for tool in policy.catalogue().tools() {
            let reads = tool.entry.effect == ToolEffect::Read;
            let list = if reads { &mut lists.reads } else { &mut lists.guard };
            list.insert(tool.entry.name.clone());
        }
        lists.reads.extend(policy.catalogue().agents().flat_map(|agent| &agent.tools).cloned());
        lists
    }
}
