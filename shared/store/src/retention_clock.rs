//! The stored retention clock. Only a table on one host has one.

use domain::{ids::Timestamp, limits::RetentionClock};

use crate::{Condition, Table, TableError, Written, keyed, keys, number, number_of};
impl Table {
    /// The retention clock as last read. A table of an earlier version has none; the last heartbeat of its sweep is
    /// used instead.
    pub async fn retention_clock(&self) -> Result<Option<RetentionClock>, TableError> {
        let Some(item) = self.get(keys::CONTROL.to_owned(), keys::RETENTION_CLOCK.to_owned()).await? else {
            return Ok(self.heartbeat().await?.map(|beat| RetentionClock::confirmed(beat.at)));
        };
        let time = |name| number_of(&item, name).map(Timestamp::from_millis);
        let (Some(host), Some(deletes)) = (time("host"), time("deletes")) else {
            return Err(TableError::Malformed("retention clock"));
        };
        Ok(Some(RetentionClock::stored(host, deletes)))
    }

    /// Stores the clock as the successor of `before`; false when another process has stored one since.
    pub async fn set_retention_clock(
        &self,
        before: Option<RetentionClock>,
        after: RetentionClock,
    ) -> Result<bool, TableError> {
        let item = keyed(
            keys::CONTROL,
            keys::RETENTION_CLOCK,
            [("host", number(after.host().millis())), ("deletes", number(after.deletes().millis()))],
        );
        // Condition: no clock is stored, or `before` is, or this one is, which a repetition by the SDK finds.
        let condition = Condition::new(
            "attribute_not_exists(pk) OR (host = :host AND deletes = :deletes) OR (host = :new_host AND deletes = :new_deletes)",
        )
        .value(":host", number(before.map_or(0, |clock| clock.host().millis())))
        .value(":deletes", number(before.map_or(0, |clock| clock.deletes().millis())))
        .value(":new_host", number(after.host().millis()))
        .value(":new_deletes", number(after.deletes().millis()));
        Ok(matches!(self.put(item, condition).await?, Written::Done))
    }
}
