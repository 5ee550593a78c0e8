//! The index that leads from the end of a job's chain to the checkpoint that names it: one small item for each checkpoint,
//! in the order of the notes that it covers. Without it a search would read whole checkpoints of up to 250 kB.
//!
//! Checkpoints of earlier versions, and those of a sweeper that died before it wrote the entry, are not in the index. They
//! are found by halving, as they were before there was one.

use super::{Condition, Item, Table, TableError, checkpoints::last_note, keys, number, number_of, text, text_of};
use domain::{
    audit::checkpoint::{Checkpoint, Position},
    job::Job,
};

/// An entry of the index.
struct Entry {
    /// The number of the checkpoint.
    seq: u64,
    /// Covers the notes after this place.
    from: String,
}

impl Table {
    /// The first checkpoint that covers the last note of a job that is over; `None` while none does.
    pub async fn checkpoint_of(&self, job: &Job) -> Result<Option<Checkpoint>, TableError> {
        let note = last_note(job);
        let place = keys::reach(&note);
        let entry = self.first_entry_from(&place).await?;
        let seq = match entry {
            Some(entry) if entry.from < place => entry.seq,
            // It lies before what the index covers, or in a gap.
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

    /// Whether a checkpoint is in the index, and so was signed by a sweeper that reads the notes of every shard.
    pub async fn is_indexed(&self, checkpoint: &Checkpoint) -> Result<bool, TableError> {
        let Some(reaches) = checkpoint.reaches() else { return Ok(false) };
        Ok(self.get(keys::CHECKPOINT_REACHES.to_owned(), keys::reach(&reaches)).await?.is_some())
    }

    /// Adds an entry: the checkpoint of this number covers the notes after `from`, up to `to`.
    pub(super) async fn put_reach(&self, seq: u64, from: &Position, to: &Position) -> Result<(), TableError> {
        let item = Item::from([
            ("pk".to_owned(), text(keys::CHECKPOINT_REACHES)),
            ("sk".to_owned(), text(keys::reach(to))),
            ("seq".to_owned(), number(seq)),
            ("from".to_owned(), text(keys::reach(from))),
        ]);
        // Only the sweeper that kept the checkpoint writes its entry, and always the same one.
        self.put(item, Condition::none()).await.map(drop)
    }

    async fn first_entry_from(&self, place: &str) -> Result<Option<Entry>, TableError> {
        let query = self
            .client
            .query()
            .key_condition_expression("pk = :pk AND sk >= :place")
            .expression_attribute_values(":pk", text(keys::CHECKPOINT_REACHES))
            .expression_attribute_values(":place", text(place))
            .limit(1)
            .consistent_read(true);
        let answer = self.ask(query).await?;
        answer.items().first().map(|item| parse(item).ok_or(TableError::Malformed("entry of the index"))).transpose()
    }

    /// The number of the first checkpoint that reaches a place, by halving; `last`, if none before it does.
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

/// Whether a checkpoint reaches a place.
fn covers(checkpoint: &Checkpoint, place: &str) -> bool {
    checkpoint.reaches().is_some_and(|reaches| keys::reach(&reaches).as_str() >= place)
}

fn parse(item: &Item) -> Option<Entry> {
    Some(Entry { seq: u64::try_from(number_of(item, "seq")?).ok()?, from: text_of(item, "from")?.to_owned() })
}
