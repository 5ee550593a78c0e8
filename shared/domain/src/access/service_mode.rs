//! The service mode: which calls the service makes at present. Each mode permits less than the next one; a mode that
//! cannot be read acts as `read_only`.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    catalogue::visible_text,
    ids::{CLOCKS_DIFFER, Timestamp},
};

/// A service mode. Ordered: the greater of two permits more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// No request is accepted.
    Closed,
    /// No call is made; a job ends with an explanation of the call.
    ExplainOnly,
    /// Only reads are called.
    ReadOnly,
    /// All calls that the policies permit.
    Full,
}

impl Mode {
    /// Every mode, most restricted first.
    pub const ALL: [Self; 4] = [Self::Closed, Self::ExplainOnly, Self::ReadOnly, Self::Full];

    /// The name that is stored and published.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::ExplainOnly => "explain_only",
            Self::ReadOnly => "read_only",
            Self::Full => "full",
        }
    }

    /// The mode as a number for metrics, from 0.
    pub const fn level(self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::ExplainOnly => 1,
            Self::ReadOnly => 2,
            Self::Full => 3,
        }
    }

    /// Parses a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

/// Reason of a change of the controls: 1 to 200 characters on one line. Kept for ever in an audit chain, so it must
/// not contain personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

/// The text is not a valid reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a reason is 1 to {} visible characters on one line", Reason::AT_MOST)]
pub struct BadReason;

impl Reason {
    /// Maximum length in characters.
    pub const AT_MOST: usize = 200;

    /// Parses a person's text.
    pub fn parse(text: &str) -> Result<Self, BadReason> {
        let text = text.trim();
        let fits = !text.is_empty() && text.chars().count() <= Self::AT_MOST && !text.chars().any(visible_text::hidden);
        if fits { Ok(Self(text.to_owned())) } else { Err(BadReason) }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// [`Setting::by`] when no mode was ever set, or it cannot be read.
pub const MISSING: &str = "missing";
/// Prefix of [`Setting::by`] for a mode that `sweep` set for a fault that it observed.
pub const ALARM: &str = "alarm:";

/// A mode that was set, by whom and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The mode.
    pub mode: Mode,
    /// The reason, as a person wrote it.
    pub reason: String,
    /// `operator:<id>`, `alarm:<fault>`, `command`, or [`MISSING`].
    pub by: String,
    /// When it was set.
    pub at: Timestamp,
}

/// Longest temporary unlock of a destructive tool, in minutes: one day.
pub const UNLOCKED_AT_MOST_MIN: u32 = 1440;

/// Settings of one tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolSwitch {
    /// Mode of the tool; `None`: that of the service.
    pub setting: Option<Setting>,
    /// End of the temporary unlock of a destructive tool.
    pub opened_until: Option<Timestamp>,
}

/// The last audit checkpoint, as the controls store it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointSeen {
    /// Number of the checkpoint.
    pub seq: u64,
    /// When it was signed.
    pub signed_at: Timestamp,
    /// When it was exported; `None` if it was not.
    pub exported_at: Option<Timestamp>,
}

/// The service mode was lowered because the gateway was not ready, and can be raised again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lowered {
    /// Number of the change in the operators' chain.
    pub seq: u64,
    /// The mode before.
    pub was: Mode,
}

/// Everything that operators, the command line and `sweep` have set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controls {
    /// The service mode.
    pub service: Setting,
    /// How `sweep` has lowered the service mode, if the mode was not changed since.
    pub lowered: Option<Lowered>,
    /// Settings of single tools.
    pub tools: BTreeMap<String, ToolSwitch>,
    /// The last checkpoint.
    pub checkpoint: Option<CheckpointSeen>,
    /// Maximum age of the last exported checkpoint for a destructive call.
    pub checkpoint_max_age: Duration,
    /// The table was restored from a backup: an unknown request id with an earlier time may have run before.
    pub ids_from: Option<Timestamp>,
}

impl Controls {
    /// The controls when the table cannot be read: `read_only`.
    pub fn unreadable(now: Timestamp) -> Self {
        Self::reads_only("the mode cannot be read", now)
    }

    /// The controls when no mode was ever set: `read_only`.
    pub fn unset(now: Timestamp) -> Self {
        Self::reads_only("no mode was ever set", now)
    }

    /// The controls after a failed read, at most `read_only`. Restrictions stay. Unlocks and the checkpoint are
    /// dropped, since they may have been withdrawn since the last read.
    #[must_use]
    pub fn unread(&self, now: Timestamp) -> Self {
        let mut unread = Self { ids_from: self.ids_from, ..Self::unreadable(now) };
        unread.service.mode = self.service.mode.min(Mode::ReadOnly);
        let shut = |switch: &ToolSwitch| ToolSwitch { setting: switch.setting.clone(), opened_until: None };
        unread.tools = self.tools.iter().map(|(tool, switch)| (tool.clone(), shut(switch))).collect();
        unread
    }

    fn reads_only(reason: &str, now: Timestamp) -> Self {
        let service = Setting { mode: Mode::ReadOnly, reason: reason.to_owned(), by: MISSING.to_owned(), at: now };
        Self {
            service,
            lowered: None,
            tools: BTreeMap::new(),
            checkpoint: None,
            checkpoint_max_age: Duration::ZERO,
            ids_from: None,
        }
    }

    /// The same for a user who may do less than others.
    #[must_use]
    pub fn limited_to(&self, mode: Mode) -> Self {
        let mut limited = self.clone();
        limited.service.mode = limited.service.mode.min(mode);
        limited
    }

    /// Whether a service mode was set and could be read.
    pub fn is_set(&self) -> bool {
        self.service.by != MISSING
    }

    /// The effective mode of a tool: the more restricted of the service's and its own.
    pub fn mode_for(&self, tool: &str) -> Mode {
        let own = self.tools.get(tool).and_then(|switch| switch.setting.as_ref());
        own.map_or(self.service.mode, |own| own.mode.min(self.service.mode))
    }

    /// Whether a destructive tool has a temporary unlock that has not ended.
    pub fn opened(&self, tool: &str, now: Timestamp) -> bool {
        let until = self.tools.get(tool).and_then(|switch| switch.opened_until);
        // An unlock that would last longer than any was set by a clock that ran ahead. The tool counts as locked, the
        // safe assumption.
        until.is_some_and(|until| !until.has_come(now, Duration::from_secs(u64::from(UNLOCKED_AT_MOST_MIN) * 60)))
    }

    /// Whether a call could be proven later: the last checkpoint was signed and exported recently.
    pub fn audit_proven(&self, now: Timestamp) -> bool {
        let exported = self.checkpoint.filter(|seen| seen.exported_at.is_some());
        // A checkpoint signed far in the future was signed by a wrong clock, so its age is unknown.
        let in_time = |at: Timestamp| at <= now.plus(CLOCKS_DIFFER) && now < at.plus(self.checkpoint_max_age);
        exported.is_some_and(|seen| in_time(seen.signed_at))
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
    fn an_unlock_written_by_a_clock_that_ran_ahead_unlocks_nothing() {
        let opened = |until| {
            let mut controls = controls(Mode::Full, None);
            controls.tools.entry("t".into()).or_default().opened_until = Some(until);
            controls.opened("t", NOW)
        };
        assert!(opened(NOW.plus(Duration::from_secs(86_400))));
        assert!(!opened(NOW.plus(Duration::from_secs(40 * 86_400))));
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
    fn what_cannot_be_read_any_more_does_no_more_than_before() {
        for service in Mode::ALL {
            for own in Mode::ALL {
                let mut known = controls(service, Some(own));
                known.tools.entry("t".into()).or_default().opened_until = Some(NOW.plus(Duration::from_secs(60)));
                known.checkpoint_max_age = Duration::from_secs(60);
                known.checkpoint = Some(CheckpointSeen { seq: 1, signed_at: NOW, exported_at: Some(NOW) });
                let unread = known.unread(NOW);
                assert_eq!(unread.mode_for("t"), known.mode_for("t").min(Mode::ReadOnly), "{service:?} {own:?}");
                assert_eq!(unread.mode_for("other"), service.min(Mode::ReadOnly));
                assert!(!unread.is_set() && !unread.opened("t", NOW) && !unread.audit_proven(NOW));
                assert_eq!(unread.unread(NOW), unread, "however long it lasts");
            }
        }
    }

    #[test]
    fn a_reason_is_one_visible_line() {
        for good in ["x", " the gateway was moved ", "\u{7f51}\u{5173}", &"x".repeat(200)] {
            assert_eq!(Reason::parse(good).unwrap().text(), good.trim());
        }
        for bad in ["", " \t", "two\nlines", "a\u{202e}b", "a\u{0}", &"x".repeat(201)] {
            assert_eq!(Reason::parse(bad), Err(BadReason), "{bad:?}");
        }
    }

    #[test]
    fn a_temporary_unlock_and_a_checkpoint_end() {
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
        // Signed in the future: within the tolerated difference of clocks, or by a wrong clock.
        assert!(controls.audit_proven(NOW.minus(minute)));
        assert!(!controls.audit_proven(NOW.minus(minute + Duration::from_millis(1))));
    }
}
