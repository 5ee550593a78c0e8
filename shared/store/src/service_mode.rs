//! The ladder as it is stored: one item for the service, one for each tool that was ever switched, one for the last audit
//! checkpoint. One strongly consistent query reads them all.
//!
//! Every change is a record of the operator chain first (`service::change_mode::change`), and each item keeps the place of its
//! record in that chain. So the chain decides which of two changes that cross is the later one, not the order in which
//! their items happen to be written: a change never overwrites one that was recorded after it. Nobody needs to have seen
//! the newest state to change it: an operator who closes the service must not be told to look again first.

use std::time::Duration;

use super::{Condition, Item, Table, TableError, keys, number, number_of, text, text_of};
use domain::{
    access::service_mode::{ALARM, CheckpointSeen, Controls, Mode, Setting, ToolSwitch},
    ids::Timestamp,
};

const MALFORMED: TableError = TableError::Malformed("switch of the ladder");

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It holds.
    Done,
    /// A change that was recorded later holds instead, or one by which nothing is left to lower.
    Overtaken,
}

impl Table {
    /// Everything that is set. A table in which no mode was ever set acts as `read_only`; its switches of tools hold.
    pub async fn controls(&self, now: Timestamp, checkpoint_max_age: Duration) -> Result<Controls, TableError> {
        let mut controls = Controls { checkpoint_max_age, ..Controls::unset(now) };
        let mut start: Option<Item> = None;
        loop {
            let query = self
                .client
                .query()
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":pk", text(keys::CONTROL))
                .expression_attribute_values(":prefix", text(keys::SERVICE_MODE))
                .consistent_read(true)
                .set_exclusive_start_key(start);
            let answer = self.ask(query).await?;
            for item in answer.items.unwrap_or_default() {
                read(&mut controls, &item)?;
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(controls);
            }
        }
    }

    /// Sets the service's mode, as record `seq` of the operator chain says.
    pub async fn set_mode(&self, seq: u64, setting: &Setting) -> Result<Applied, TableError> {
        let key = || (keys::CONTROL.to_owned(), keys::SERVICE_MODE_ALL.to_owned());
        // No mode was set yet, or it was recorded before this one.
        let condition = Condition::new("attribute_not_exists(seq) OR seq < :seq");
        let old = match self.update(key(), SET, with(condition, seq, setting)).await? {
            Ok(_) => return Ok(Applied::Done),
            Err(old) => old.unwrap_or_default(),
        };
        let (stored, mode) = (number_of(&old, "seq"), text_of(&old, "mode").and_then(Mode::parse));
        let by_alarm = text_of(&old, "by").is_some_and(|by| by.starts_with(ALARM));
        match stored.and_then(|stored| u64::try_from(stored).ok()) {
            // The SDK has repeated my own success.
            Some(stored) if stored == seq => Ok(Applied::Done),
            // An alarm, recorded after this change, has been quicker. It lowers what it finds; had it found this, it would
            // have found nothing to lower.
            Some(stored) if by_alarm && mode.is_some_and(|mode| setting.mode < mode) => {
                // Nothing else was set since. The alarm's place is kept, so that no change recorded before it raises this.
                let condition = Condition::new("seq = :seq");
                let lowered = self.update(key(), SET, with(condition, stored, setting)).await?;
                Ok(lowered.map_or(Applied::Overtaken, |_| Applied::Done))
            }
            Some(_) | None => Ok(Applied::Overtaken),
        }
    }

    /// Lowers the service's mode, as record `seq` of the operator chain says. Never raises it.
    pub async fn lower_mode(&self, seq: u64, setting: &Setting) -> Result<Applied, TableError> {
        // It was recorded before this one and is above it; where none was set, `read_only` holds.
        let above = if setting.mode < Mode::ReadOnly { "attribute_not_exists(seq) OR " } else { "" };
        let names = [":closed", ":explain_only", ":read_only", ":full"];
        let higher: Vec<(&str, Mode)> = names.into_iter().zip(Mode::ALL).filter(|(_, m)| *m > setting.mode).collect();
        let Some(list) = higher.iter().map(|(name, _)| (*name).to_owned()).reduce(|all, name| format!("{all}, {name}"))
        else {
            return Ok(Applied::Overtaken);
        };
        let expression = format!("{above}(seq < :seq AND #mode IN ({list}))");
        let mut condition = with(Condition::new(&expression), seq, setting);
        for (name, mode) in higher {
            condition = condition.value(name, text(mode.name()));
        }
        let key = (keys::CONTROL.to_owned(), keys::SERVICE_MODE_ALL.to_owned());
        Ok(applied(&self.update(key, SET, condition).await?, "seq", seq))
    }

    /// Sets the mode of one tool, as record `seq` of the operator chain says.
    pub async fn set_tool(&self, seq: u64, tool: &str, setting: &Setting) -> Result<Applied, TableError> {
        // The tool has no mode of its own yet, or it was recorded before this one.
        let condition = Condition::new("attribute_not_exists(seq) OR seq < :seq");
        Ok(applied(&self.update(switch(tool), SET, with(condition, seq, setting)).await?, "seq", seq))
    }

    /// Opens a destructive tool until then, as record `seq` of the operator chain says. A time that has come shuts it.
    pub async fn open_tool(&self, seq: u64, tool: &str, until: Timestamp) -> Result<Applied, TableError> {
        // The tool was never opened or shut, or that was recorded before this.
        let condition = Condition::new("attribute_not_exists(opened_seq) OR opened_seq < :seq")
            .value(":seq", number(seq))
            .value(":until", number(until.millis()));
        let update = "SET opened_until = :until, opened_seq = :seq";
        Ok(applied(&self.update(switch(tool), update, condition).await?, "opened_seq", seq))
    }

    /// Notes the last checkpoint. Never moves back, and never puts one that was not exported in the place of one that was.
    pub async fn note_checkpoint(&self, seen: CheckpointSeen) -> Result<(), TableError> {
        let mut item = Item::from([
            ("pk".to_owned(), text(keys::CONTROL)),
            ("sk".to_owned(), text(keys::SERVICE_MODE_CHECKPOINT)),
            ("seq".to_owned(), number(seen.seq)),
            ("signed_at".to_owned(), number(seen.signed_at.millis())),
        ]);
        let condition = match seen.exported_at {
            Some(at) => {
                item.insert("exported_at".to_owned(), number(at.millis()));
                // What is noted is older, or was not exported.
                "attribute_not_exists(seq) OR seq < :seq OR attribute_not_exists(exported_at)"
            }
            // What is noted is older, and was not exported either.
            None => "attribute_not_exists(seq) OR (seq < :seq AND attribute_not_exists(exported_at))",
        };
        self.put(item, Condition::new(condition).value(":seq", number(seen.seq))).await.map(drop)
    }
}

const SET: &str = "SET #mode = :mode, reason = :reason, #by = :by, #at = :at, seq = :seq";

/// Adds what [`SET`] needs.
fn with<'a>(condition: Condition<'a>, seq: u64, setting: &Setting) -> Condition<'a> {
    condition
        .name("#mode", "mode")
        .name("#by", "by")
        .name("#at", "at")
        .value(":mode", text(setting.mode.name()))
        .value(":reason", text(&setting.reason))
        .value(":by", text(&setting.by))
        .value(":at", number(setting.at.millis()))
        .value(":seq", number(seq))
}

fn switch(tool: &str) -> (String, String) {
    (keys::CONTROL.to_owned(), keys::tool_switch(tool))
}

/// A refusal by an item that carries my own place is the SDK's repetition of my success.
fn applied(written: &Result<Item, Option<Item>>, place: &str, seq: u64) -> Applied {
    let stored = |old: &Item| number_of(old, place).and_then(|stored| u64::try_from(stored).ok());
    match written {
        Ok(_) => Applied::Done,
        Err(old) if old.as_ref().and_then(stored) == Some(seq) => Applied::Done,
        Err(_) => Applied::Overtaken,
    }
}

fn read(controls: &mut Controls, item: &Item) -> Result<(), TableError> {
    let sk = text_of(item, "sk").ok_or(MALFORMED)?;
    if sk == keys::SERVICE_MODE_ALL {
        controls.service = setting(item)?.ok_or(MALFORMED)?;
    } else if sk == keys::SERVICE_MODE_CHECKPOINT {
        controls.checkpoint = Some(checkpoint(item).ok_or(MALFORMED)?);
    } else if let Some(tool) = sk.strip_prefix(keys::SERVICE_MODE_TOOLS) {
        let opened_until = number_of(item, "opened_until").map(Timestamp::from_millis);
        controls.tools.insert(tool.to_owned(), ToolSwitch { setting: setting(item)?, opened_until });
    }
    // Anything else is a newer version's.
    Ok(())
}

/// `None` when the item sets no mode. One that cannot be read is no reason to guess.
fn setting(item: &Item) -> Result<Option<Setting>, TableError> {
    if !item.contains_key("mode") {
        return Ok(None);
    }
    let parsed = || {
        Some(Setting {
            mode: Mode::parse(text_of(item, "mode")?)?,
            reason: text_of(item, "reason")?.to_owned(),
            by: text_of(item, "by")?.to_owned(),
            at: Timestamp::from_millis(number_of(item, "at")?),
        })
    };
    parsed().map(Some).ok_or(MALFORMED)
}

fn checkpoint(item: &Item) -> Option<CheckpointSeen> {
    Some(CheckpointSeen {
        seq: u64::try_from(number_of(item, "seq")?).ok()?,
        signed_at: Timestamp::from_millis(number_of(item, "signed_at")?),
        exported_at: number_of(item, "exported_at").map(Timestamp::from_millis),
    })
}
