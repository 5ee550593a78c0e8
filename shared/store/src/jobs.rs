//! Job items: read, create, commit, list, and query the overdue ones.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Condition, Item, Table, TableError, Written, at_most, keys, number, number_of, text, text_of};
use domain::{
    ids::{RequestId, Timestamp, UserId},
    job::{Job, JobState, SCHEMA_VERSION},
};

/// A stored job item.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored {
    /// A job that this version understands.
    Job(Box<Job>),
    /// A job with a state or schema version of a newer function. This version leaves it unchanged.
    Newer,
}

/// Outcome of creating a job.
#[derive(Debug)]
pub enum Created {
    /// The job was created.
    New,
    /// An item of this id exists already.
    Exists(Stored),
}

/// Outcome of committing a change.
#[derive(Debug)]
pub enum Commit {
    /// The change was written.
    Done,
    /// Another write has changed the job since it was read; this is the stored item. Nothing was changed.
    Lost(Option<Stored>),
}

impl Table {
    /// Reads a job of this user, strongly consistent.
    pub async fn job(&self, user: UserId, id: RequestId) -> Result<Option<Stored>, TableError> {
        self.get(keys::user(user), keys::job(id)).await?.as_ref().map(parse).transpose()
    }

    /// Creates a job, unless an item of its id exists.
    pub async fn create_job(&self, job: &Job, nonce: &str) -> Result<Created, TableError> {
        self.announce(None, job).await?;
        // Condition: no item of this id exists yet.
        let condition = Condition::new("attribute_not_exists(pk)");
        match self.put(self.item(job, nonce)?, condition).await? {
            Written::Done => Ok(Created::New),
            Written::Refused(Some(old)) if text_of(&old, "nonce") == Some(nonce) => Ok(Created::New),
            Written::Refused(Some(old)) => Ok(Created::Exists(parse(&old)?)),
            Written::Refused(None) => Err(TableError::Malformed("refusal without an item")),
        }
    }

    /// Replaces `before` by `after` if the stored job still is `before` (invariant 3).
    pub async fn commit(&self, before: &Job, after: &Job, nonce: &str) -> Result<Commit, TableError> {
        self.announce(Some(before), after).await?;
        // Condition: the stored job has the state and revision that this change was computed from, so no worker,
        // cancellation or sweep has written in between. `rev` alone would suffice; the state makes a refusal readable
        // in logs.
        let condition = Condition::new("#state = :state AND #rev = :rev")
            .name("#state", "st")
            .name("#rev", "rev")
            .value(":state", text(before.state.name()))
            .value(":rev", number(before.rev));
        match self.put(self.item(after, nonce)?, condition).await? {
            Written::Done => Ok(Commit::Done),
            Written::Refused(Some(old)) if text_of(&old, "nonce") == Some(nonce) => Ok(Commit::Done),
            Written::Refused(old) => Ok(Commit::Lost(old.as_ref().map(parse).transpose()?)),
        }
    }

    /// Puts the items that must exist before the change does: the pointer by which operators find the job, and the
    /// marker by which the next checkpoint covers its chain. A crash after this leaves surplus items; the other order
    /// could leave a change without them. `before` is `None` for a new job.
    async fn announce(&self, before: Option<&Job>, after: &Job) -> Result<(), TableError> {
        let (pointed, noted) = tokio::join!(self.point_at(before, after), self.note_growth(before, after));
        pointed.and(noted)
    }

    /// One page of a user's jobs, newest first, after the given one.
    pub async fn jobs_of(
        &self,
        user: UserId,
        after: Option<RequestId>,
        limit: usize,
    ) -> Result<(Vec<Job>, Option<RequestId>), TableError> {
        let values = [(":pk", text(keys::user(user))), (":jobs", text(keys::JOBS))];
        let query = self.query("pk = :pk AND begins_with(sk, :jobs)", values).scan_index_forward(false);
        let (items, next) = self.page(query.limit(at_most(limit)), keys::user(user), after.map(keys::job)).await?;
        let mut jobs = Vec::new();
        for item in items {
            if let Stored::Job(job) = parse(&item)? {
                jobs.push(*job);
            }
        }
        Ok((jobs, next.and_then(|sk| keys::parse_job(&sk))))
    }

    /// Jobs of one shard of the `open_jobs` index with `sweep_at` up to `until`, oldest first, at most `limit`, over
    /// several pages if needed. The index lags behind the table, so the caller has to read each job strongly
    /// consistent.
    pub async fn overdue(
        &self,
        shard: u8,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<(UserId, RequestId)>, TableError> {
        self.open_jobs_where("open_shard = :shard AND sweep_at <= :at", shard, until, limit).await
    }

    /// The same for jobs with `sweep_at` after `from`. Only jobs that wait for an approval are read so late, and those
    /// whose time a clock that ran ahead wrote: without this query nothing would wake these before then.
    pub async fn planned_after(
        &self,
        shard: u8,
        from: Timestamp,
        limit: usize,
    ) -> Result<Vec<(UserId, RequestId)>, TableError> {
        self.open_jobs_where("open_shard = :shard AND sweep_at > :at", shard, from, limit).await
    }

    async fn open_jobs_where(
        &self,
        condition: &str,
        shard: u8,
        at: Timestamp,
        limit: usize,
    ) -> Result<Vec<(UserId, RequestId)>, TableError> {
        let values = [(":shard", text(keys::shard(shard))), (":at", number(at.millis()))];
        let query = self.query(condition, values).index_name(keys::OPEN_JOBS).consistent_read(false);
        let id = |item: &Item| Some((keys::parse_user(text_of(item, "pk")?)?, keys::parse_job(text_of(item, "sk")?)?));
        self.collect(query, limit, |item| Ok(id(&item))).await
    }

    /// The item of a job. Each write is billed for the whole item, rounded up to 1 kB, so it is kept small.
    fn item(&self, job: &Job, nonce: &str) -> Result<Item, TableError> {
        let mut item: Item = serde_dynamo::to_item(job).map_err(|_| TableError::Malformed("job"))?;
        // User id and request id are in the keys.
        item.remove("u");
        item.remove("id");
        item.insert("pk".to_owned(), text(keys::user(job.user_id)));
        item.insert("sk".to_owned(), text(keys::job(job.request_id)));
        item.insert("v".to_owned(), number(job.schema_version()));
        item.insert("nonce".to_owned(), text(nonce));
        if job.sweep_at.is_some() {
            item.insert("open_shard".to_owned(), text(keys::shard(job.request_id.spread())));
        }
        if job.state.is_over() {
            item.insert("ttl".to_owned(), number(job.updated_at.plus(self.retention).seconds_ceil()));
        }
        Ok(item)
    }

    /// The billed size of a job's item in bytes: attribute names and values.
    pub fn size_of(&self, job: &Job) -> usize {
        self.item(job, "012345678901").map_or(0, |item| item.iter().map(|(k, v)| k.len() + size(v)).sum())
    }
}

/// Size of a value by DynamoDB's rules, rounded up.
fn size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len() / 2 + 2,
        AttributeValue::M(map) => 3 + map.iter().map(|(k, v)| k.len() + 1 + size(v)).sum::<usize>(),
        AttributeValue::L(list) => 3 + list.iter().map(|v| 1 + size(v)).sum::<usize>(),
        AttributeValue::Ss(set) => set.iter().map(|text| text.len() + 1).sum(),
        _ => 1,
    }
}

pub(super) fn parse(item: &Item) -> Result<Stored, TableError> {
    let malformed = || TableError::Malformed("job");
    let version = number_of(item, "v").ok_or_else(malformed)?;
    let state = text_of(item, "st").ok_or_else(malformed)?;
    if version > i64::from(SCHEMA_VERSION) || JobState::parse(state).is_none() {
        return Ok(Stored::Newer);
    }
    let (pk, sk) = (text_of(item, "pk").ok_or_else(malformed)?, text_of(item, "sk").ok_or_else(malformed)?);
    let mut item = item.clone();
    item.insert("u".to_owned(), text(keys::parse_user(pk).ok_or_else(malformed)?));
    item.insert("id".to_owned(), text(keys::parse_job(sk).ok_or_else(malformed)?));
    serde_dynamo::from_item(item).map(|job| Stored::Job(Box::new(job))).map_err(|_| malformed())
}
