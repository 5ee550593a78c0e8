//! What belongs to no user: the gateway as last seen, the proof of its fence, the sweeper's heartbeat.

use super::{Condition, Item, Table, TableError, keys, number, number_of, text, text_of};
use domain::{ids::Timestamp, job::JournalId};

/// The gateway's journal, as some worker last saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewaySeen {
    /// Its identity.
    pub id: JournalId,
    /// The highest sequence that anyone has reported for this journal. A lower one is a restored snapshot.
    pub sequence: u64,
    /// When it was seen.
    pub seen_at: Timestamp,
    /// Whether its fence holds.
    pub guard: ToolGuard,
}

/// Whether the canary has shown that a guarded tool cannot be called around the journal, in this boot of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolGuard {
    /// Nobody has tried yet in this boot, or a trial came to nothing.
    Untested,
    /// Some worker is trying, until then.
    Testing(Timestamp),
    /// It holds: writes may go.
    Proven,
    /// It does not: writes are shut, until the next trial.
    Broken(Timestamp),
}

/// The sweeper's sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// When.
    pub at: Timestamp,
    /// Whether the gateway answered anything at all.
    pub gateway_reachable: bool,
    /// How many jobs were overdue.
    pub overdue: u64,
}

impl Table {
    /// This journal, as last seen.
    pub async fn gateway_seen(&self, journal: &str) -> Result<Option<GatewaySeen>, TableError> {
        let item = self.get(keys::CONTROL.to_owned(), keys::gateway(journal)).await?;
        Ok(item.as_ref().and_then(parse_gateway))
    }

    /// The journal that was seen last, whichever it was. Each has an item of its own, so that one that comes back is met
    /// with what was known of it.
    pub async fn last_gateway(&self) -> Result<Option<GatewaySeen>, TableError> {
        let query = self
            .client
            .query()
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", text(keys::CONTROL))
            .expression_attribute_values(":prefix", text(keys::gateway("")))
            .consistent_read(true);
        let answer = self.ask(query).await?;
        let seen = answer.items.unwrap_or_default();
        Ok(seen.iter().filter_map(parse_gateway).max_by_key(|seen| seen.seen_at))
    }

    /// Notes that this journal was seen at this sequence.
    pub async fn see_gateway(&self, id: &JournalId, sequence: u64, now: Timestamp) -> Result<(), TableError> {
        // Nothing is noted yet, or no higher sequence: the highest is never lost.
        let condition = Condition::new("attribute_not_exists(seq) OR seq <= :seq")
            .value(":journal", text(&id.journal))
            .value(":boot", text(&id.boot))
            .value(":seq", number(sequence))
            .value(":now", number(now.millis()));
        let update = "SET journal = :journal, boot = :boot, seq = :seq, seen_at = :now";
        self.update(gateway_key(id), update, condition).await.map(drop)
    }

    /// Takes the right to try the fence of this boot; false when it is tried, proven or found broken already.
    pub async fn hold_probe(
        &self,
        id: &JournalId,
        now: Timestamp,
        until: Timestamp,
        nonce: &str,
    ) -> Result<bool, TableError> {
        // This boot's fence was never tried, or its trial (or its ban after a failed one) is over without a proof.
        let condition = Condition::new(
            "attribute_not_exists(fence_boot) OR fence_boot <> :boot OR (fence <> :proven AND fence_until <= :now)",
        )
        .value(":boot", text(&id.boot))
        .value(":proven", text("proven"))
        .value(":now", number(now.millis()))
        .value(":testing", text("testing"))
        .value(":until", number(until.millis()))
        .value(":nonce", text(nonce));
        let update = "SET fence_boot = :boot, fence = :testing, fence_until = :until, nonce = :nonce";
        match self.update(gateway_key(id), update, condition).await? {
            Ok(_) => Ok(true),
            Err(old) => Ok(old.as_ref().and_then(|old| text_of(old, "nonce")) == Some(nonce)),
        }
    }

    /// Notes how the trial ended.
    pub async fn settle_probe(&self, id: &JournalId, holds: bool, until: Timestamp) -> Result<(), TableError> {
        self.end_trial(id, if holds { "proven" } else { "broken" }, until).await
    }

    /// Gives the right to try back: the trial came to nothing.
    pub async fn release_probe(&self, id: &JournalId, now: Timestamp) -> Result<(), TableError> {
        self.end_trial(id, "testing", now).await
    }

    async fn end_trial(&self, id: &JournalId, guard: &str, until: Timestamp) -> Result<(), TableError> {
        // The trial was about this boot: the gateway has not been started again meanwhile.
        let condition = Condition::new("fence_boot = :boot")
            .value(":boot", text(&id.boot))
            .value(":fence", text(guard))
            .value(":until", number(until.millis()));
        self.update(gateway_key(id), "SET fence = :fence, fence_until = :until", condition).await.map(drop)
    }

    /// Writes the sweeper's heartbeat.
    pub async fn beat(&self, beat: Heartbeat) -> Result<(), TableError> {
        let item = Item::from([
            ("pk".to_owned(), text(keys::CONTROL)),
            ("sk".to_owned(), text(keys::HEARTBEAT)),
            ("at".to_owned(), number(beat.at.millis())),
            ("reachable".to_owned(), number(u8::from(beat.gateway_reachable))),
            ("overdue".to_owned(), number(beat.overdue)),
        ]);
        self.put(item, Condition::none()).await.map(drop)
    }

    /// Reads the sweeper's heartbeat.
    pub async fn heartbeat(&self) -> Result<Option<Heartbeat>, TableError> {
        let item = self.get(keys::CONTROL.to_owned(), keys::HEARTBEAT.to_owned()).await?;
        Ok(item.and_then(|item| {
            Some(Heartbeat {
                at: Timestamp::from_millis(number_of(&item, "at")?),
                gateway_reachable: number_of(&item, "reachable")? == 1,
                overdue: u64::try_from(number_of(&item, "overdue")?).ok()?,
            })
        }))
    }
}

fn gateway_key(id: &JournalId) -> (String, String) {
    (keys::CONTROL.to_owned(), keys::gateway(&id.journal))
}

fn parse_gateway(item: &Item) -> Option<GatewaySeen> {
    let boot = text_of(item, "boot")?.to_owned();
    let until = number_of(item, "fence_until").map(Timestamp::from_millis);
    let guard = match (text_of(item, "fence_boot") == Some(&boot), text_of(item, "fence"), until) {
        (true, Some("proven"), _) => ToolGuard::Proven,
        (true, Some("testing"), Some(until)) => ToolGuard::Testing(until),
        (true, Some("broken"), Some(until)) => ToolGuard::Broken(until),
        _ => ToolGuard::Untested,
    };
    Some(GatewaySeen {
        id: JournalId { journal: text_of(item, "journal")?.to_owned(), boot },
        sequence: u64::try_from(number_of(item, "seq")?).ok()?,
        seen_at: Timestamp::from_millis(number_of(item, "seen_at")?),
        guard,
    })
}
