//! Service modes, temporary unlocks and checkpoints, written to the table directly.

use std::sync::Arc;

use domain::{
    access::service_mode::{CheckpointSeen, Mode, Reason},
    audit::OperatorActor,
    policy::Policy,
};
use platform::runtime::{Clock, Runtime, System};
use service::change_mode::{self, Change};
use store::Applied;

use super::App;

impl App {
    /// Sets the service's mode, as the command line does. Every function sees it once [`service::controls::MAX_AGE`]
    /// has passed.
    pub async fn mode(&self, mode: Mode) {
        self.change(&Change::mode(mode, reason())).await;
    }

    /// Sets the mode of one tool.
    pub async fn switch_tool(&self, tool: &str, mode: Mode) {
        self.change(&Change::tool(policy().catalogue(), tool, mode, reason()).expect("a tool")).await;
    }

    /// Unlocks a destructive tool for some minutes; 0 ends the unlock.
    pub async fn open_tool(&self, tool: &str, minutes: u32) {
        self.change(&Change::unlock(policy().catalogue(), tool, minutes, reason()).expect("a destructive tool")).await;
    }

    /// Stores a checkpoint that was signed now, and exported now or not at all.
    pub async fn checkpoint(&self, exported: bool) {
        let now = self.clock.now();
        let seen = CheckpointSeen {
            seq: u64::try_from(now.millis()).expect("after 1970"),
            signed_at: now,
            exported_at: exported.then_some(now),
        };
        self.table.note_checkpoint(seen).await.expect("the table answers");
    }

    async fn change(&self, change: &Change) {
        let runtime = Runtime::new(Arc::new(self.clock.clone()), Arc::new(System));
        let changed = change_mode::change(&self.table, &runtime, OperatorActor::Command, change, "policy-tests").await;
        assert_eq!(changed.expect("the table answers"), Applied::Done);
    }
}

fn reason() -> Reason {
    Reason::parse("a test").expect("a reason")
}

fn policy() -> Arc<Policy> {
    Policy::built_in().expect("the policy is whole")
}
