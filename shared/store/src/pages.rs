//! Operators' lists: jobs by state. A list has only references to jobs, so each job is read afterwards.

use super::{Item, Stored, Table, TableError, keyed, keys, number, number_of, text, text_of};
use domain::{
    ids::{RequestId, Timestamp, UserId},
    job::Job,
};

/// A position in such a list: after this job at this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// The time by which the list is sorted.
    pub at: Timestamp,
    /// The user who owns the job.
    pub user_id: UserId,
    /// The request id of the job.
    pub request_id: RequestId,
}

/// Order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Ascending by time.
    EarliestFirst,
    /// Descending by time.
    LatestFirst,
}

impl Table {
    /// Pointers in this partition to jobs that belong, or belonged, in an operators' list, after a position or from a
    /// time on. Fewer than `limit` only at the end of the list.
    pub async fn pointers(
        &self,
        list: &str,
        order: Order,
        from: (Option<Listed>, Timestamp),
        limit: usize,
    ) -> Result<Vec<Listed>, TableError> {
        let (after, earliest) = from;
        let key = |place: Listed| keys::pointer(place.at, place.user_id, place.request_id);
        let start = after.map(|place| keyed(list, key(place), []));
        let values = [(":pk", text(list)), (":earliest", text(keys::pointers_from(earliest)))];
        let query = self
            .query("pk = :pk AND sk >= :earliest", values)
            .scan_index_forward(order == Order::EarliestFirst)
            .set_exclusive_start_key(start);
        let place = |item: &Item| {
            let (at, user_id, request_id) = keys::parse_pointer(text_of(item, "sk")?)?;
            Some(Listed { at, user_id, request_id })
        };
        self.collect(query, limit, |item| Ok(place(&item))).await
    }

    /// Entries of the `open_jobs` index after a position, ordered by the time of the reconciler's next read. Fewer
    /// than `limit` only at the end. The index lags behind the table, so the caller has to read each job strongly
    /// consistent.
    pub async fn open_jobs(&self, after: Option<Listed>, limit: usize) -> Result<Vec<Listed>, TableError> {
        let shards = (0..keys::OPEN_SHARDS).map(|shard| self.open_in_shard(shard, after, limit));
        let mut found = futures_util::future::try_join_all(shards).await?.concat();
        found.sort_unstable();
        found.truncate(limit);
        Ok(found)
    }

    async fn open_in_shard(&self, shard: u8, after: Option<Listed>, limit: usize) -> Result<Vec<Listed>, TableError> {
        let earliest = after.map_or(0, |place| place.at.millis());
        let values = [(":shard", text(keys::shard(shard))), (":earliest", number(earliest))];
        let query = self.query("open_shard = :shard AND sweep_at >= :earliest", values);
        let place = |item: &Item| {
            Some(Listed {
                at: Timestamp::from_millis(number_of(item, "sweep_at")?),
                user_id: keys::parse_user(text_of(item, "pk")?)?,
                request_id: keys::parse_job(text_of(item, "sk")?)?,
            })
        };
        // DynamoDB does not order entries of the same millisecond.
        let later = |place: &Listed| after.is_none_or(|after| *place > after);
        let query = query.index_name(keys::OPEN_JOBS).consistent_read(false);
        self.collect(query, limit, |item| Ok(place(&item).filter(later))).await
    }

    /// The job of a list entry, read strongly consistent; `None` if only a newer function understands it.
    pub async fn listed(&self, place: Listed) -> Result<Option<Box<Job>>, TableError> {
        match self.job(place.user_id, place.request_id).await? {
            Some(Stored::Job(job)) => Ok(Some(job)),
            Some(Stored::Newer) | None => Ok(None),
        }
    }
}
