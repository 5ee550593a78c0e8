//! Checkpoints, and markers of the chains that have grown since the last one.
//!
//! A marker is put before the change that extends the chain, so no chain can grow without one. A marker whose change
//! was never made does no harm: the sweep signs the head that it reads from the chain, nothing from the marker.

use std::{iter, time::Duration};

use futures_util::future;

use super::{Condition, Item, Table, TableError, Written, keyed, keys, number, number_of, text, text_of};
use domain::{
    audit::checkpoint::{Checkpoint, Position},
    ids::{RequestId, Timestamp, UserId},
    job::Job,
    json,
};

/// How long a marker is kept: the longest outage of the sweep after which the next checkpoint still covers every
/// chain.
const NOTES_KEPT: Duration = Duration::from_secs(14 * 24 * 3600);
const MALFORMED: TableError = TableError::Malformed("checkpoint");

/// A marker: this chain may have grown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grown {
    /// Sort key of the marker within its minute.
    pub place: String,
    /// The chain.
    pub chain: GrownChain,
}

/// A chain that a marker names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GrownChain {
    /// The chain of a job that is over.
    Job(UserId, RequestId),
    /// The chain of this user's refusals.
    Refusals(UserId),
}

/// A checkpoint as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptCheckpoint {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// The bytes that were digested and are exported.
    pub document: String,
    /// When it was exported; `None` until then.
    pub exported_at: Option<Timestamp>,
}

impl Table {
    /// Puts the marker of a job's chain if this change ends the job; `before` is `None` for a new job. An open job
    /// has no marker, since its head moves with each step.
    pub(super) async fn note_growth(&self, before: Option<&Job>, after: &Job) -> Result<(), TableError> {
        let grows = before.is_none_or(|before| before.audit != after.audit);
        if !grows || !after.state.is_over() {
            return Ok(());
        }
        let (at, place) = (grew_at(after), keys::grown_job(after.user_id, after.request_id));
        self.put_marker(keys::grown_in(at, after.request_id.spread()), place, at.plus(NOTES_KEPT)).await
    }

    /// Puts the marker of a user's chain of refusals.
    pub(super) async fn note_refusal(&self, user: UserId, at: Timestamp) -> Result<(), TableError> {
        self.put_marker(keys::grown_in(at, user.spread()), keys::grown_refusals(user), at.plus(NOTES_KEPT)).await
    }

    /// The markers of one minute after a position, at most `limit`, sorted by sort key: those of all shards, and
    /// those of the single partition that earlier versions use.
    pub async fn grown(&self, from: &Position, limit: usize) -> Result<Vec<Grown>, TableError> {
        let sharded = (0..keys::NOTE_SHARDS).map(|shard| keys::grown_in(from.minute, shard));
        let partitions = iter::once(keys::grown_in_unsharded(from.minute)).chain(sharded);
        // No marker sorts before a blank.
        let after = from.after.as_deref().unwrap_or(" ");
        let mut found = future::try_join_all(partitions.map(|pk| self.grown_under(pk, after, limit))).await?.concat();
        found.sort_unstable_by(|one, other| one.place.cmp(&other.place));
        // Functions of two versions may each have put a marker of one chain.
        found.dedup_by(|one, other| one.place == other.place);
        found.truncate(limit);
        Ok(found)
    }

    async fn grown_under(&self, pk: String, after: &str, limit: usize) -> Result<Vec<Grown>, TableError> {
        let query = self.query("pk = :pk AND sk > :after", [(":pk", text(pk)), (":after", text(after))]);
        let grown = |item: &Item| {
            let place = text_of(item, "sk")?;
            let job = keys::parse_grown_job(place).map(|(user, id)| GrownChain::Job(user, id));
            // A marker of a newer version is skipped: it must not stop this version.
            let chain = job.or_else(|| keys::parse_grown_refusals(place).map(GrownChain::Refusals))?;
            Some(Grown { place: place.to_owned(), chain })
        };
        self.collect(query, limit, |item| Ok(grown(&item))).await
    }

    /// Stores a checkpoint that covers the markers after `from`, unless one of its number exists: of two concurrent
    /// sweeps one succeeds. Returns whether this one did. The index entry is put afterwards; a crash in between
    /// leaves a checkpoint without one, like those of earlier versions.
    pub async fn put_checkpoint(
        &self,
        checkpoint: &Checkpoint,
        from: &Position,
        nonce: &str,
    ) -> Result<bool, TableError> {
        let document = String::from_utf8(checkpoint.canonical()).map_err(|_| MALFORMED)?;
        // Never deleted: it is small, and an old export can be compared with it.
        let item = keyed(
            keys::CHECKPOINTS,
            keys::checkpoint(checkpoint.statement.seq),
            [("doc", text(document)), ("nonce", text(nonce))],
        );
        // Condition: no checkpoint of this number exists yet.
        let kept = match self.put(item, Condition::new("attribute_not_exists(pk)")).await? {
            Written::Done => true,
            Written::Refused(old) => old.is_some_and(|old| text_of(&old, "nonce") == Some(nonce)),
        };
        match checkpoint.reaches().filter(|to| kept && to != from) {
            Some(to) => self.put_reach(checkpoint.statement.seq, from, &to).await.map(|()| kept),
            // A checkpoint that covers no marker has no entry: it would replace the entry of the checkpoint that
            // does.
            None => Ok(kept),
        }
    }

    /// Stores that a checkpoint was exported.
    pub async fn mark_exported(&self, seq: u64, at: Timestamp) -> Result<(), TableError> {
        // Condition: the checkpoint exists and has no export time yet. The first export counts.
        let condition = Condition::new("attribute_exists(pk) AND attribute_not_exists(exported_at)")
            .value(":at", number(at.millis()));
        let key = (keys::CHECKPOINTS.to_owned(), keys::checkpoint(seq));
        self.update(key, "SET exported_at = :at", condition).await.map(drop)
    }

    /// The latest checkpoint.
    pub async fn last_checkpoint(&self) -> Result<Option<KeptCheckpoint>, TableError> {
        Ok(self.checkpoints_before(None, 1).await?.into_iter().next())
    }

    /// Checkpoints with a lower number, newest first.
    pub async fn checkpoints_before(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<KeptCheckpoint>, TableError> {
        let range = (keys::checkpoint(0), keys::checkpoint(before.map_or(NO_SUCH, |seq| seq.saturating_sub(1))));
        self.kept(range, false, limit).await
    }

    /// Checkpoints with a higher number, oldest first.
    pub async fn checkpoints_after(&self, after: u64, limit: usize) -> Result<Vec<KeptCheckpoint>, TableError> {
        self.kept((keys::checkpoint(after.saturating_add(1)), keys::checkpoint(NO_SUCH)), true, limit).await
    }

    async fn kept(
        &self,
        (first, last): (String, String),
        forward: bool,
        limit: usize,
    ) -> Result<Vec<KeptCheckpoint>, TableError> {
        if first > last {
            return Ok(Vec::new());
        }
        let values = [(":pk", text(keys::CHECKPOINTS)), (":first", text(first)), (":last", text(last))];
        let query = self.query("pk = :pk AND sk BETWEEN :first AND :last", values).scan_index_forward(forward);
        self.collect(query, limit, |item| parse(&item).map(Some)).await
    }
}

/// When the chain of a finished job grew last: the time that its marker is stored under.
fn grew_at(job: &Job) -> Timestamp {
    let learnt_at = job.resolution.as_ref().map(|resolution| resolution.at);
    learnt_at.map_or(job.updated_at, |learnt_at| job.updated_at.max(learnt_at))
}

/// Position of a job's last marker among all markers.
pub(super) fn last_note(job: &Job) -> Position {
    let place = keys::grown_job(job.user_id, job.request_id);
    Position { after: Some(place), ..Position::at(grew_at(job)) }
}

/// Higher than any number of a checkpoint, which has at most twelve digits.
const NO_SUCH: u64 = 999_999_999_999;

fn parse(item: &Item) -> Result<KeptCheckpoint, TableError> {
    let document = text_of(item, "doc").ok_or(MALFORMED)?.to_owned();
    let checkpoint = json::kept(&document).map_err(|_| MALFORMED)?;
    let exported_at = number_of(item, "exported_at").map(Timestamp::from_millis);
    Ok(KeptCheckpoint { checkpoint, document, exported_at })
}
