//! Operators' lists: jobs by state. A list has only references to jobs, so each job is read afterwards.

use super::{Item, Stored, Table, TableError, keys, number, number_of, text, text_of};
use domain::{
    ids::{RequestId, Timestamp, UserId},
    job::{Job, JobState},
    view,
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
    /// Pointers to jobs that are, or were, in a state, after a position or from a time on. Fewer than `limit` only at
    /// the end of the list.
    pub async fn pointers(
        &self,
        state: JobState,
        order: Order,
        from: (Option<Listed>, Timestamp),
        limit: usize,
    ) -> Result<Vec<Listed>, TableError> {
        let mut found = Vec::new();
        let (after, earliest) = from;
        let key = |place: Listed| keys::pointer(place.at, place.user_id, place.request_id);
        let mut start = after.map(|place| {
            Item::from([("pk".to_owned(), text(keys::jobs_in(state))), ("sk".to_owned(), text(key(place)))])
        });
        while found.len() < limit {
            let query = self
                .client
                .query()
                .key_condition_expression("pk = :pk AND sk >= :earliest")
                .expression_attribute_values(":pk", text(keys::jobs_in(state)))
                .expression_attribute_values(":earliest", text(keys::pointers_from(earliest)))
                .scan_index_forward(order == Order::EarliestFirst)
                .consistent_read(true)
                .limit(i32::try_from(limit - found.len()).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start);
            let answer = self.ask(query).await?;
            let place = |item: &Item| {
                let (at, user_id, request_id) = keys::parse_pointer(text_of(item, "sk")?)?;
                Some(Listed { at, user_id, request_id })
            };
            found.extend(answer.items.unwrap_or_default().iter().filter_map(place));
            start = answer.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(found)
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
        let mut found = Vec::new();
        let earliest = after.map_or(0, |place| place.at.millis());
        let mut start: Option<Item> = None;
        while found.len() < limit {
            let query = self
                .client
                .query()
                .index_name(keys::OPEN_JOBS)
                .key_condition_expression("open_shard = :shard AND sweep_at >= :earliest")
                .expression_attribute_values(":shard", text(keys::shard(shard)))
                .expression_attribute_values(":earliest", number(earliest))
                .limit(i32::try_from(limit - found.len()).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start);
            let answer = self.ask(query).await?;
            let place = |item: &Item| {
                Some(Listed {
                    at: Timestamp::from_millis(number_of(item, "sweep_at")?),
                    user_id: keys::parse_user(text_of(item, "pk")?)?,
                    request_id: keys::parse_job(text_of(item, "sk")?)?,
                })
            };
            let places = answer.items.unwrap_or_default().iter().filter_map(place).collect::<Vec<_>>();
            // DynamoDB does not order entries of the same millisecond.
            found.extend(places.into_iter().filter(|place| after.is_none_or(|after| *place > after)));
            start = answer.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// The job of a list entry, read strongly consistent; `None` if it is no longer in that state, or only a newer
    /// function understands it.
    pub async fn listed(&self, place: Listed, state: JobState) -> Result<Option<Box<Job>>, TableError> {
        match self.job(place.user_id, place.request_id).await? {
            Some(Stored::Job(job)) if view::status(job.state) == view::status(state) => Ok(Some(job)),
            Some(Stored::Job(_) | Stored::Newer) | None => Ok(None),
        }
    }
}
