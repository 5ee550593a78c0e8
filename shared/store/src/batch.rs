//! Several items in one request: a `BatchGetItem` costs the read units of one `GetItem` per item, and fewer requests,
//! each of which costs a function more processor time than everything else that it does for a client.
//!
//! Each item is strongly consistent, as by `GetItem`. They are not a snapshot: a write may happen between them, as
//! between two `GetItem`. So every write that follows has its own condition.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnConsumedCapacity};
use domain::{
    ids::{RequestId, UserId},
    job::Job,
    limits::{Backoff, admission::UserState},
};
use platform::aws::OPERATION_TIMEOUT;

use super::{
    Consumed, Item, Payload, Stored, Table, TableError, jobs, keys, records, text, text_of, unavailable, users,
};

const OPERATION: &str = "BatchGetItem";

/// How often a batch is sent for keys that DynamoDB left unprocessed. It does so when the partition is throttled; the
/// SDK repeats only a batch of which nothing was processed.
const TRIES: u32 = 4;
/// The pauses between them, without jitter: both keys are in one user's partition, so that only requests of this user
/// could repeat at the same time.
const PAUSES: Backoff = Backoff { base: Duration::from_millis(50), cap: Duration::from_millis(400) };

/// A user and one of their jobs.
#[derive(Debug)]
pub struct UserAndJob {
    /// The user; `None` if the item does not exist.
    pub user: Option<UserState>,
    /// The job. An error of its own, because the caller checks the session against the user first: a revoked session
    /// learns nothing of the job, and not that it is malformed.
    pub job: Result<Option<Stored>, TableError>,
}

/// What a submission needs to know of its request id.
#[derive(Debug)]
pub struct KnownId {
    /// The user, and the job of this id.
    pub own: UserAndJob,
    /// Whether a user who was erased has used the id within the time in which it may start a job.
    pub used: bool,
}

/// What the first run of a step needs besides its job.
#[derive(Debug)]
pub struct PayloadAndUser {
    /// The payload; `None` if it is not stored.
    pub payload: Option<Payload>,
    /// The user; `None` if the item does not exist.
    pub user: Option<UserState>,
}

impl Table {
    /// Reads a user and one of their jobs, each strongly consistent.
    pub async fn user_and_job(&self, user: UserId, id: RequestId) -> Result<UserAndJob, TableError> {
        let pk = keys::user(user);
        let [user, job] = self.get_each([(pk.clone(), keys::USER.to_owned()), (pk, keys::job(id))]).await?;
        Ok(UserAndJob { user: user.map(users::parse).transpose()?, job: job.as_ref().map(jobs::parse).transpose() })
    }

    /// The same, and whether an erased user has used the id.
    pub async fn known_id(&self, user: UserId, id: RequestId) -> Result<KnownId, TableError> {
        let pk = keys::user(user);
        let used = (keys::used_id(id), keys::USED_ID.to_owned());
        let [user, job, used] = self.get_each([(pk.clone(), keys::USER.to_owned()), (pk, keys::job(id)), used]).await?;
        let own =
            UserAndJob { user: user.map(users::parse).transpose()?, job: job.as_ref().map(jobs::parse).transpose() };
        Ok(KnownId { own, used: used.is_some() })
    }

    /// Reads the payload of a job, and its user, each strongly consistent. A malformed payload is
    /// `Malformed("payload")`, also when the user's item is malformed.
    pub async fn payload_and_user(&self, job: &Job) -> Result<PayloadAndUser, TableError> {
        let payload = keys::payload(job.request_id, job.fingerprint);
        let pk = keys::user(job.user_id);
        let [payload, user] = self.get_each([(pk.clone(), payload), (pk, keys::USER.to_owned())]).await?;
        Ok(PayloadAndUser {
            payload: payload.as_ref().map(records::parse_payload).transpose()?.flatten(),
            user: user.map(users::parse).transpose()?,
        })
    }

    /// Reads items with different sort keys, each strongly consistent; `None` for one that does not exist.
    /// The repetitions for unprocessed keys are part of the operation, and bounded by its timeout.
    async fn get_each<const N: usize>(&self, of: [(String, String); N]) -> Result<[Option<Item>; N], TableError> {
        let key =
            |(pk, sk): &(String, String)| HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))]);
        let reads = self.get_all(of.iter().map(key).collect());
        let failed = |cause: &str| TableError::Unavailable { operation: OPERATION, cause: cause.to_owned() };
        let mut items = tokio::time::timeout(OPERATION_TIMEOUT, reads).await.map_err(|_| failed("timed out"))??;
        // The order of the answer is not that of the keys.
        Ok(of.map(|(_, sk)| {
            let place = items.iter().position(|item| text_of(item, "sk") == Some(sk.as_str()))?;
            Some(items.swap_remove(place))
        }))
    }

    async fn get_all(&self, mut keys: Vec<HashMap<String, AttributeValue>>) -> Result<Vec<Item>, TableError> {
        let mut items = Vec::new();
        for attempt in 0..TRIES {
            // The keys are asked for anew, not by sending `UnprocessedKeys` back: the reads of this table rely on strong
            // consistency, which is therefore never taken from an answer.
            let request = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
            let request = request.map_err(|_| TableError::Malformed("batch"))?;
            let answer = self
                .client
                .batch_get_item()
                .request_items(&self.name, request)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|e| unavailable(OPERATION, e))?;
            for capacity in answer.consumed_capacity() {
                Consumed::add(&self.consumed.read, Some(capacity));
            }
            items.extend(answer.responses.unwrap_or_default().into_values().flatten());
            let unprocessed = answer.unprocessed_keys.unwrap_or_default();
            keys = unprocessed.into_values().flat_map(|left| left.keys).collect();
            if keys.is_empty() {
                return Ok(items);
            }
            if attempt + 1 < TRIES {
                tokio::time::sleep(PAUSES.ceiling(attempt)).await;
            }
        }
        Err(TableError::Unavailable { operation: OPERATION, cause: "keys stay unprocessed".to_owned() })
    }
}
