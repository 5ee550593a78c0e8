//! State that belongs to no user: the gateway as last seen, the result of its guard probe, the heartbeat of `sweep`.

use std::time::Duration;

use super::{Condition, Item, Table, TableError, keyed, keys, number, number_of, text, text_of};
use domain::{ids::Timestamp, job::JournalId};

/// The gateway's journal, as a worker last saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewaySeen {
    /// Identity of the journal and its boot.
    pub id: JournalId,
    /// The highest sequence seen of this journal. A lower one later means a restored snapshot.
    pub sequence: u64,
    /// When it was seen.
    pub seen_at: Timestamp,
    /// Result of the guard probe in this boot.
    pub guard: ToolGuard,
}

/// Whether the guard probe has shown, in this boot of the gateway, that a guarded tool cannot be called around the
/// journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolGuard {
    /// Not probed in this boot, or the last probe was inconclusive.
    Untested,
    /// A worker is probing; its right to do so ends at this time.
    Testing(Timestamp),
    /// The tool guard works: writes may be sent.
    Proven,
    /// The tool guard does not work: no writes are sent. The next probe is due at this time.
    Broken(Timestamp),
}

/// Heartbeat of the scheduled function `sweep`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// Time of the run.
    pub at: Timestamp,
    /// Whether the gateway answered a health request.
    pub gateway_reachable: bool,
    /// Number of overdue jobs.
    pub overdue: u64,
}

impl Table {
    /// The given journal, as last seen.
    pub async fn gateway_seen(&self, journal: &str) -> Result<Option<GatewaySeen>, TableError> {
        let item = self.get(keys::CONTROL.to_owned(), keys::gateway(journal)).await?;
        Ok(item.as_ref().and_then(parse_gateway))
    }

    /// The journal that was seen last. Each journal has an item of its own, so that a journal that returns is
    /// compared with its own highest sequence. One that was seen by a clock that ran ahead comes last.
    pub async fn last_gateway(&self, now: Timestamp) -> Result<Option<GatewaySeen>, TableError> {
        let values = [(":pk", text(keys::CONTROL)), (":prefix", text(keys::gateway("")))];
        let answer = self.ask(self.query("pk = :pk AND begins_with(sk, :prefix)", values)).await?;
        let seen = answer.items.unwrap_or_default();
        let in_the_past = |seen: &GatewaySeen| seen.seen_at <= Timestamp::furthest(now, Duration::ZERO);
        Ok(seen.iter().filter_map(parse_gateway).max_by_key(|seen| (in_the_past(seen), seen.seen_at)))
    }

    /// Stores that this journal was seen at this sequence.
    pub async fn see_gateway(&self, id: &JournalId, sequence: u64, now: Timestamp) -> Result<(), TableError> {
        // Condition: no sequence is stored, or none above this one, so the highest sequence is never lost.
        let condition = Condition::new("attribute_not_exists(seq) OR seq <= :seq")
            .value(":journal", text(&id.journal))
            .value(":boot", text(&id.boot))
            .value(":seq", number(sequence))
            .value(":now", number(now.millis()));
        let update = "SET journal = :journal, boot = :boot, seq = :seq, seen_at = :now";
        self.update(gateway_key(id), update, condition).await.map(drop)
    }

    /// Takes the lease for the guard probe of this boot for `at_most`, which is also the longest pause after a failed
    /// probe; false when the guard is being probed, proven or broken already.
    pub async fn hold_probe(
        &self,
        id: &JournalId,
        now: Timestamp,
        at_most: Duration,
        nonce: &str,
    ) -> Result<bool, TableError> {
        // Condition: this boot was never probed, or the lease of its probe (or the pause after a failed one) is over
        // without a proof. It is also over if it would last longer than any: a clock that ran ahead wrote it.
        let condition = Condition::new(
            "attribute_not_exists(fence_boot) OR fence_boot <> :boot \
             OR (fence <> :proven AND (fence_until <= :now OR fence_until > :furthest))",
        )
        .value(":furthest", number(Timestamp::furthest(now, at_most).millis()))
        .value(":boot", text(&id.boot))
        .value(":proven", text("proven"))
        .value(":now", number(now.millis()))
        .value(":testing", text("testing"))
        .value(":until", number(now.plus(at_most).millis()))
        .value(":nonce", text(nonce));
        let update = "SET fence_boot = :boot, fence = :testing, fence_until = :until, nonce = :nonce";
        match self.update(gateway_key(id), update, condition).await? {
            Ok(_) => Ok(true),
            Err(old) => Ok(old.as_ref().and_then(|old| text_of(old, "nonce")) == Some(nonce)),
        }
    }

    /// Stores the result of the guard probe.
    pub async fn settle_probe(&self, id: &JournalId, holds: bool, until: Timestamp) -> Result<(), TableError> {
        self.end_probe(id, if holds { "proven" } else { "broken" }, until).await
    }

    /// Releases the probe lease after an inconclusive probe, so that the next worker can probe at once.
    pub async fn release_probe(&self, id: &JournalId, now: Timestamp) -> Result<(), TableError> {
        self.end_probe(id, "testing", now).await
    }

    async fn end_probe(&self, id: &JournalId, guard: &str, until: Timestamp) -> Result<(), TableError> {
        // Condition: the stored boot is the one that was probed, so the gateway has not been restarted since.
        let condition = Condition::new("fence_boot = :boot")
            .value(":boot", text(&id.boot))
            .value(":fence", text(guard))
            .value(":until", number(until.millis()));
        self.update(gateway_key(id), "SET fence = :fence, fence_until = :until", condition).await.map(drop)
    }

    /// Writes the heartbeat of `sweep`.
    pub async fn beat(&self, beat: Heartbeat) -> Result<(), TableError> {
        let item = keyed(
            keys::CONTROL,
            keys::HEARTBEAT,
            [
                ("at", number(beat.at.millis())),
                ("reachable", number(u8::from(beat.gateway_reachable))),
                ("overdue", number(beat.overdue)),
            ],
        );
        self.put(item, Condition::none()).await.map(drop)
    }

    /// Reads the heartbeat of `sweep`.
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
