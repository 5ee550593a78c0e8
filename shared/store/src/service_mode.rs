//! Stored controls: one item for the service mode, one for each tool that was ever set, one for the last audit
//! checkpoint, one for the last restore from a backup. One strongly consistent query reads them all.
//!
//! Each change is first a record of the operators' chain (`service::change_mode::change`), and each item stores the
//! sequence number of its record. So the chain decides which of two concurrent changes is the later one, not the
//! order of the writes to the items: a change never overwrites one that was recorded after it. The caller need not
//! have read the current state: an operator who closes the service must not be refused because of a concurrent
//! change.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{ALL, Condition, Item, Table, TableError, keyed, keys, number, number_of, text, text_of};
use domain::{
    access::{
        fault_watch::WatchedFault,
        service_mode::{ALARM, CheckpointSeen, Controls, Lowered, Mode, Setting, ToolSwitch},
    },
    ids::Timestamp,
};

const MALFORMED: TableError = TableError::Malformed("service mode");

/// Outcome of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// The change was written.
    Done,
    /// A change recorded later is in effect, or the mode is as low as requested already.
    Overtaken,
}

impl Table {
    /// The controls. A table in which no mode was ever set acts as `read_only`; its settings of tools apply.
    pub async fn controls(&self, now: Timestamp, checkpoint_max_age: Duration) -> Result<Controls, TableError> {
        let mut controls = Controls { checkpoint_max_age, ..Controls::unset(now) };
        let values = [(":pk", text(keys::CONTROL)), (":prefix", text(keys::SERVICE_MODE))];
        let query = self.query("pk = :pk AND begins_with(sk, :prefix)", values);
        for item in self.collect(query, ALL, |item| Ok(Some(item))).await? {
            read(&mut controls, &item)?;
        }
        Ok(controls)
    }

    /// Sets the service mode; `seq` is the number of the record in the operators' chain.
    pub async fn set_mode(&self, seq: u64, setting: &Setting) -> Result<Applied, TableError> {
        let key = || (keys::CONTROL.to_owned(), keys::SERVICE_MODE_ALL.to_owned());
        // Condition: no mode is set, or the stored one was recorded before this one.
        let condition = Condition::new("attribute_not_exists(seq) OR seq < :seq");
        let old = match self.update(key(), SET, with(condition, seq, setting)).await? {
            Ok(_) => return Ok(Applied::Done),
            Err(old) => old.unwrap_or_default(),
        };
        let (stored, mode) = (number_of(&old, "seq"), text_of(&old, "mode").and_then(Mode::parse));
        let by_alarm = text_of(&old, "by").is_some_and(|by| by.starts_with(ALARM));
        match stored.and_then(|stored| u64::try_from(stored).ok()) {
            // The stored item is this change: the SDK has repeated a successful write.
            Some(stored) if stored == seq => Ok(Applied::Done),
            // A change by `sweep` that was recorded after this one was written first. It would have changed nothing if
            // it had found this mode, which is as low or lower: `sweep` lowers, and raises only what it has set itself.
            Some(stored) if by_alarm && mode.is_some_and(|mode| setting.mode <= mode) => {
                // Condition: the mode was not set again since. The later number is kept, so that no change recorded
                // before it can raise the mode.
                let condition = Condition::new("seq = :seq");
                let lowered = self.update(key(), SET, with(condition, stored, setting)).await?;
                Ok(lowered.map_or(Applied::Overtaken, |_| Applied::Done))
            }
            // The same with a higher mode than `sweep` has set: its mode stays, and is raised to this one at most.
            Some(stored) if by_alarm => {
                self.lower_mode_before(stored, setting.mode).await?;
                Ok(Applied::Overtaken)
            }
            Some(_) | None => Ok(Applied::Overtaken),
        }
    }

    /// Lowers the mode to which `sweep` may raise the service again; `seq` is the number of the change that stored it.
    async fn lower_mode_before(&self, seq: u64, mode: Mode) -> Result<(), TableError> {
        let Some((list, higher)) = modes_above(mode) else { return Ok(()) };
        // Condition: the mode was not set again since, and would be raised further than a person allows.
        let expression = format!("seq = :seq AND was IN ({list})");
        let condition = Condition::new(&expression).value(":seq", number(seq)).value(":mode", text(mode.name()));
        let condition = condition.all(higher);
        let key = (keys::CONTROL.to_owned(), keys::SERVICE_MODE_ALL.to_owned());
        self.update(key, "SET was = :mode", condition).await.map(drop)
    }

    /// Lowers the service mode, never raises it, and keeps the mode before; `seq` is the number of the record in the
    /// operators' chain.
    pub async fn lower_mode(&self, seq: u64, setting: &Setting) -> Result<Applied, TableError> {
        let Some((list, higher)) = modes_above(setting.mode) else { return Ok(Applied::Overtaken) };
        // Condition: the stored mode was recorded before this one and is higher.
        let expression = format!("seq < :seq AND #mode IN ({list})");
        let condition = with(Condition::new(&expression), seq, setting).all(higher);
        let key = (keys::CONTROL.to_owned(), keys::SERVICE_MODE_ALL.to_owned());
        // The mode before is copied by the write itself: between a read and the write an operator may have set another.
        let set = format!("{SET}, was = #mode");
        Ok(applied(&self.update(key, &set, condition).await?, "seq", seq))
    }

    /// Raises a mode that `sweep` has lowered; `seq` is the number of the record in the operators' chain.
    pub async fn raise_mode(&self, seq: u64, lowered: Lowered, setting: &Setting) -> Result<Applied, TableError> {
        // Condition: the stored mode is the lowered one. The number alone does not say so: a person's change that was
        // recorded earlier, was written later and is lower keeps it, under its own author.
        let condition = Condition::new("seq = :lowered AND #by = :by").value(":lowered", number(lowered.seq));
        let condition = with(condition, seq, setting);
        let key = (keys::CONTROL.to_owned(), keys::SERVICE_MODE_ALL.to_owned());
        Ok(applied(&self.update(key, &format!("{SET} REMOVE was"), condition).await?, "seq", seq))
    }

    /// Sets the mode of one tool; `seq` is the number of the record in the operators' chain.
    pub async fn set_tool(&self, seq: u64, tool: &str, setting: &Setting) -> Result<Applied, TableError> {
        // Condition: the tool has no mode of its own, or one that was recorded before this one.
        let condition = Condition::new("attribute_not_exists(seq) OR seq < :seq");
        Ok(applied(&self.update(switch(tool), SET, with(condition, seq, setting)).await?, "seq", seq))
    }

    /// Unlocks a destructive tool until `until`; a past time locks it. `seq` is the number of the record in the
    /// operators' chain.
    pub async fn open_tool(&self, seq: u64, tool: &str, until: Timestamp) -> Result<Applied, TableError> {
        // Condition: the tool was never unlocked or locked, or that was recorded before this change.
        let condition = Condition::new("attribute_not_exists(opened_seq) OR opened_seq < :seq")
            .value(":seq", number(seq))
            .value(":until", number(until.millis()));
        let update = "SET opened_until = :until, opened_seq = :seq";
        Ok(applied(&self.update(switch(tool), update, condition).await?, "opened_seq", seq))
    }

    /// Stores that the table was restored from a backup: from now on an unknown request id whose time is before
    /// `ids_from` is refused. Never an earlier time than the stored one.
    pub async fn refuse_ids_before(&self, ids_from: Timestamp) -> Result<(), TableError> {
        let item = keyed(keys::CONTROL, keys::SERVICE_MODE_RESTORED, [("ids_from", number(ids_from.millis()))]);
        // Condition: no restore has set a later time.
        let condition = Condition::new("attribute_not_exists(ids_from) OR ids_from < :ids_from");
        self.put(item, condition.value(":ids_from", number(ids_from.millis()))).await.map(drop)
    }

    /// Stores the last checkpoint. Never an older one, and never one without export in place of an exported one.
    pub async fn note_checkpoint(&self, seen: CheckpointSeen) -> Result<(), TableError> {
        let mut item = keyed(
            keys::CONTROL,
            keys::SERVICE_MODE_CHECKPOINT,
            [("seq", number(seen.seq)), ("signed_at", number(seen.signed_at.millis()))],
        );
        let condition = match seen.exported_at {
            Some(at) => {
                item.insert("exported_at".to_owned(), number(at.millis()));
                // Condition: the stored checkpoint is older, or was not exported.
                "attribute_not_exists(seq) OR seq < :seq OR attribute_not_exists(exported_at)"
            }
            // Condition: the stored checkpoint is older and was not exported either.
            None => "attribute_not_exists(seq) OR (seq < :seq AND attribute_not_exists(exported_at))",
        };
        self.put(item, Condition::new(condition).value(":seq", number(seen.seq))).await.map(drop)
    }
}

/// The modes above one for an expression: the list of their placeholders, and each placeholder with its value. `None`
/// above the highest mode.
fn modes_above(mode: Mode) -> Option<(String, Vec<(&'static str, AttributeValue)>)> {
    let names = [":closed", ":explain_only", ":read_only", ":full"].into_iter().zip(Mode::ALL);
    let (names, values): (Vec<_>, Vec<_>) =
        names.filter(|(_, above)| *above > mode).map(|(name, above)| (name, (name, text(above.name())))).unzip();
    (!names.is_empty()).then(|| (names.join(", "), values))
}

const SET: &str = "SET #mode = :mode, reason = :reason, #by = :by, #at = :at, seq = :seq";

/// Adds the values of [`SET`].
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

/// A condition that failed on an item with this change's own number: the SDK has repeated a successful write.
fn applied(written: &Result<(), Option<Item>>, place: &str, seq: u64) -> Applied {
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
        controls.lowered = lowered(item, &controls.service);
    } else if sk == keys::SERVICE_MODE_CHECKPOINT {
        controls.checkpoint = Some(checkpoint(item).ok_or(MALFORMED)?);
    } else if sk == keys::SERVICE_MODE_RESTORED {
        controls.ids_from = Some(number_of(item, "ids_from").map(Timestamp::from_millis).ok_or(MALFORMED)?);
    } else if let Some(tool) = sk.strip_prefix(keys::SERVICE_MODE_TOOLS) {
        let opened_until = number_of(item, "opened_until").map(Timestamp::from_millis);
        controls.tools.insert(tool.to_owned(), ToolSwitch { setting: setting(item)?, opened_until });
    }
    // Other items belong to a newer version.
    Ok(())
}

/// The setting in an item; `None` when it sets no mode. An unreadable one is an error: the mode must not be guessed.
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

/// How `sweep` has lowered the mode. An operator's change leaves `was` in the item, and `by` tells that it is stale.
fn lowered(item: &Item, service: &Setting) -> Option<Lowered> {
    let fault = WatchedFault::GatewayNotReady;
    let own = service.by.strip_prefix(ALARM) == Some(fault.name()) && service.mode == fault.mode();
    let seq = u64::try_from(number_of(item, "seq")?).ok()?;
    let was = Mode::parse(text_of(item, "was")?)?;
    own.then_some(Lowered { seq, was })
}

fn checkpoint(item: &Item) -> Option<CheckpointSeen> {
    Some(CheckpointSeen {
        seq: u64::try_from(number_of(item, "seq")?).ok()?,
        signed_at: Timestamp::from_millis(number_of(item, "signed_at")?),
        exported_at: number_of(item, "exported_at").map(Timestamp::from_millis),
    })
}
