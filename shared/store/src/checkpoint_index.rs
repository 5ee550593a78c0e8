//! The index from the end of a job's chain to the checkpoint that covers it: one small item for each checkpoint,
//! sorted by the markers that it covers. Without it a search would read whole checkpoints of up to 250 kB.
//!
//! Checkpoints of earlier versions, and those of a sweep that crashed before it wrote the entry, are not in the
//! index. A binary search over the checkpoints finds them.

use super::{
    Condition, Item, Table, TableError, checkpoints::last_note, keyed, keys, number, number_of, text, text_of,
};
use domain::{
    audit::checkpoint::{Checkpoint, Position},
    job::Job,
};

/// An entry of the index.
struct Entry {
    /// Number of the checkpoint.
    seq: u64,
    /// The checkpoint covers the markers after this position.
    from: String,
}

impl Table {
    /// The first checkpoint that covers the last marker of a finished job; `None` while no checkpoint does.
    pub async fn checkpoint_of(&self, job: &Job) -> Result<Option<Checkpoint>, TableError> {
        let note = last_note(job);
        let place = keys::reach(&note);
        let entry = self.first_entry_from(&place).await?;
        let seq = match entry {
            Some(entry) if entry.from < place => entry.seq,
            // The position is older than the index, or in a gap of it.
            Some(entry) => self.first_to_cover(&place, entry.seq).await?,
            None => match self.last_checkpoint().await? {
                Some(last) if covers(&last.checkpoint, &place) => {
                    self.first_to_cover(&place, last.checkpoint.statement.seq).await?
                }
                Some(_) | None => return Ok(None),
            },
        };
        Ok(self.checkpoints_after(seq.saturating_sub(1), 1).await?.pop().map(|kept| kept.checkpoint))
    }

    /// Whether a checkpoint is in the index, and so was signed by a sweep that reads the markers of every shard.
    pub async fn is_indexed(&self, checkpoint: &Checkpoint) -> Result<bool, TableError> {
        let Some(reaches) = checkpoint.reaches() else { return Ok(false) };
        Ok(self.get(keys::CHECKPOINT_REACHES.to_owned(), keys::reach(&reaches)).await?.is_some())
    }

    /// Adds an entry: the checkpoint of this number covers the markers after `from`, up to `to`.
    pub(super) async fn put_reach(&self, seq: u64, from: &Position, to: &Position) -> Result<(), TableError> {
        let item =
            keyed(keys::CHECKPOINT_REACHES, keys::reach(to), [("seq", number(seq)), ("from", text(keys::reach(from)))]);
        // Unconditional: only the sweep that stored the checkpoint writes its entry, and a repetition writes the same
        // entry.
        self.put(item, Condition::none()).await.map(drop)
    }

    async fn first_entry_from(&self, place: &str) -> Result<Option<Entry>, TableError> {
        let values = [(":pk", text(keys::CHECKPOINT_REACHES)), (":place", text(place))];
        let answer = self.ask(self.query("pk = :pk AND sk >= :place", values).limit(1)).await?;
        answer.items().first().map(|item| parse(item).ok_or(TableError::Malformed("entry of the index"))).transpose()
    }

    /// Binary search for the first checkpoint that covers a position; `last` if none before it does.
    async fn first_to_cover(&self, place: &str, last: u64) -> Result<u64, TableError> {
        let (mut low, mut high) = (1, last);
        while low < high {
            let middle = low + (high - low) / 2;
            let kept = self.checkpoints_after(middle - 1, 1).await?;
            if kept.first().is_some_and(|kept| !covers(&kept.checkpoint, place)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}

/// Whether a checkpoint covers a position.
fn covers(checkpoint: &Checkpoint, place: &str) -> bool {
    checkpoint.reaches().is_some_and(|reaches| keys::reach(&reaches).as_str() >= place)
}

fn parse(item: &Item) -> Option<Entry> {
    Some(Entry { seq: u64::try_from(number_of(item, "seq")?).ok()?, from: text_of(item, "from")?.to_owned() })
}
