//! The ladder: how much the service does now. Each rung is weaker than the one above it, and whatever cannot be read acts as
//! `read_only`.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// A rung of the ladder. The later of two does more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nothing new is accepted.
    Closed,
    /// Nothing is called; what would have been done is told.
    ExplainOnly,
    /// Reads are called.
    ReadOnly,
    /// Everything that policy permits.
    Full,
}

impl Mode {
    /// Every rung, from the weakest.
    pub const ALL: [Self; 4] = [Self::Closed, Self::ExplainOnly, Self::ReadOnly, Self::Full];

    /// Its name, as it is stored and published.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::ExplainOnly => "explain_only",
            Self::ReadOnly => "read_only",
            Self::Full => "full",
        }
    }

    /// Parses a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

/// A rung that somebody chose, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The rung.
    pub mode: Mode,
    /// Why, in a person's words.
    pub reason: String,
    /// `operator:<id>`, `alarm:<name>`, `command`, or `missing`.
    pub by: String,
    /// Since when.
    pub at: Timestamp,
}

/// What was set for one tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolSwitch {
    /// Its own rung; absent: the service's.
    pub setting: Option<Setting>,
    /// A destructive tool may run before this.
    pub opened_until: Option<Timestamp>,
}

/// The last audit checkpoint, as the ladder knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointSeen {
    /// Its number.
    pub seq: u64,
    /// When it was signed.
    pub signed_at: Timestamp,
    /// When it was exported; absent: it was not.
    pub exported_at: Option<Timestamp>,
}

/// Everything that is set by people and alarms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controls {
    /// For everything.
    pub service: Setting,
    /// For single tools.
    pub tools: BTreeMap<String, ToolSwitch>,
    /// The last checkpoint.
    pub checkpoint: Option<CheckpointSeen>,
    /// How old the last exported checkpoint may be for a destructive call.
    pub checkpoint_max_age: Duration,
}

impl Controls {
    /// What holds when nothing can be read, or nothing was ever set: reads only.
    pub fn unreadable(now: Timestamp) -> Self {
        let service = Setting {
            mode: Mode::ReadOnly,
            reason: "no mode can be read".to_owned(),
            by: "missing".to_owned(),
            at: now,
        };
        Self { service, tools: BTreeMap::new(), checkpoint: None, checkpoint_max_age: Duration::ZERO }
    }

    /// The rung of a tool: the weaker of the service's and its own.
    pub fn mode_for(&self, tool: &str) -> Mode {
        let own = self.tools.get(tool).and_then(|switch| switch.setting.as_ref());
        own.map_or(self.service.mode, |own| own.mode.min(self.service.mode))
    }

    /// Whether an operator has opened a destructive tool, and the opening has not ended.
    pub fn opened(&self, tool: &str, now: Timestamp) -> bool {
        self.tools.get(tool).and_then(|switch| switch.opened_until).is_some_and(|until| now < until)
    }

    /// Whether what is done now can be proven later: the last checkpoint was signed and exported a short while ago.
    pub fn audit_proven(&self, now: Timestamp) -> bool {
        let exported = self.checkpoint.filter(|seen| seen.exported_at.is_some());
        exported.is_some_and(|seen| now < seen.signed_at.plus(self.checkpoint_max_age))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

    fn set(mode: Mode) -> Setting {
        Setting { mode, reason: String::new(), by: "command".into(), at: NOW }
    }

    fn controls(service: Mode, tool: Option<Mode>) -> Controls {
        let switch = ToolSwitch { setting: tool.map(set), opened_until: None };
        Controls { service: set(service), tools: [("t".to_owned(), switch)].into(), ..Controls::unreadable(NOW) }
    }

    #[test]
    fn a_tool_never_does_more_than_the_service() {
        for service in Mode::ALL {
            assert_eq!(controls(service, None).mode_for("t"), service);
            for own in Mode::ALL {
                assert_eq!(controls(service, Some(own)).mode_for("t"), own.min(service));
                assert_eq!(controls(service, Some(own)).mode_for("other"), service);
            }
        }
    }

    #[test]
    fn what_cannot_be_read_reads_only() {
        let unreadable = Controls::unreadable(NOW);
        assert_eq!(unreadable.mode_for("t"), Mode::ReadOnly);
        assert!(!unreadable.opened("t", NOW) && !unreadable.audit_proven(NOW));
    }

    #[test]
    fn an_opening_and_a_checkpoint_end() {
        let minute = Duration::from_secs(60);
        let seen = |exported_at| CheckpointSeen { seq: 1, signed_at: NOW, exported_at };
        let mut controls = controls(Mode::Full, None);
        controls.tools.insert("t".into(), ToolSwitch { setting: None, opened_until: Some(NOW.plus(minute)) });
        controls.checkpoint_max_age = minute;
        controls.checkpoint = Some(seen(None));
        assert!(controls.opened("t", NOW) && !controls.opened("t", NOW.plus(minute)) && !controls.opened("u", NOW));
        assert!(!controls.audit_proven(NOW), "signed, but not exported");
        controls.checkpoint = Some(seen(Some(NOW)));
        assert!(controls.audit_proven(NOW) && !controls.audit_proven(NOW.plus(minute)));
    }
}
