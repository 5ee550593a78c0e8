//! Erasures: the item that is the report, pointers to it, and what an erasure deletes.
//!
//! Every write is idempotent, or conditional on the revision of the erasure, so passes may be repeated. A deletion that
//! the SDK repeats finds nothing, and is not counted twice.

use std::time::Duration;

use super::{
    Condition, Item, PAGE, Stored, Table, TableError, Written, at_most, jobs, keyed, keys, number, number_of, text,
    text_of,
};
use domain::{
    conversation::ConversationName,
    erasure::Erasure,
    ids::{Digest, RequestId, Timestamp, UserId},
};

const MALFORMED: TableError = TableError::Malformed("erasure");
/// How long a used request id is remembered: longer than it could start a job.
const USED_FOR: Duration = Duration::from_secs(RequestId::OLDEST.as_secs() + 3600);

/// A job of a user, as an erasure finds it.
#[derive(Debug)]
pub struct OwnJob {
    /// Its request id.
    pub id: RequestId,
    /// The job; an error if the item is malformed.
    pub job: Result<Stored, TableError>,
}

/// Another item of a user, by what an erasure does with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnItem {
    /// A payload that still has its content. It also holds the first audit record of its job, which stays.
    Payload(String),
    /// A conversation with this agent. It is deleted when the gateway has deleted the session.
    Conversation(ConversationName, String),
    /// A result, or the request of a step.
    Result(String),
    /// A record of a refusal.
    Refusal(String),
    /// Any other item, also of a kind that only a newer version knows.
    Other(String),
}

impl Table {
    /// The erasure of a user.
    pub async fn erasure(&self, user: UserId) -> Result<Option<Erasure>, TableError> {
        let item = self.get(keys::user(user), keys::ERASURE.to_owned()).await?;
        item.map(|item| serde_dynamo::from_item(item).map_err(|_| MALFORMED)).transpose()
    }

    /// Stores a new erasure, and returns the one that is stored: a concurrent request may have been first.
    pub async fn begin_erasure(&self, user: UserId, erasure: Erasure) -> Result<Erasure, TableError> {
        // The pointer is put before, so that no erasure is without one. One that leads to no erasure, or to a finished
        // one, is removed by the worker that `sweep` wakes for it.
        let pointer =
            keyed(keys::ERASURES_OPEN, user, [("id", text(erasure.id)), ("at", number(erasure.requested_at.millis()))]);
        self.put(pointer, Condition::none()).await?;
        // Condition: the user has no erasure. One whose put was repeated by the SDK has the same id.
        let condition = Condition::new("attribute_not_exists(pk)");
        match self.put(erasure_item(user, &erasure)?, condition).await? {
            Written::Done => Ok(erasure),
            Written::Refused(Some(old)) => serde_dynamo::from_item(old).map_err(|_| MALFORMED),
            Written::Refused(None) => Err(MALFORMED),
        }
    }

    /// Replaces an erasure. False: another pass has written it since.
    pub async fn keep_erasure(&self, user: UserId, before: &Erasure, after: &Erasure) -> Result<bool, TableError> {
        // Condition: the revision is the one that was read. When the response to an own write was lost, its repetition
        // fails; the pass then ends, and the next one begins when it is due.
        let condition = Condition::new("#rev = :rev").name("#rev", "rev").value(":rev", number(before.rev));
        Ok(matches!(self.put(erasure_item(user, after)?, condition).await?, Written::Done))
    }

    /// Marks a user as erased: every session and admission is refused, and no login is recorded. Removes what the item
    /// has of the user.
    pub async fn mark_erased(&self, user: UserId, erasure: RequestId) -> Result<(), TableError> {
        let values = Condition::none()
            .value(":erasure", text(erasure))
            .value(":for_ever", number(Timestamp::END.millis()))
            .name("#erasure", "er");
        // Unconditional: it also creates the item, so that a login which found the user before cannot.
        let update = "SET #erasure = :erasure, nb = :for_ever REMOVE openid, la, gr, rk, inf, infl, adm, arr";
        self.update((keys::user(user), keys::USER.to_owned()), update, values).await.map(drop)
    }

    /// Stores that a login may lead to a new user, and deletes the logins. Returns how many led to this user.
    pub async fn unlink_logins(&self, user: UserId, logins: &[Digest]) -> Result<u64, TableError> {
        let unlinked = Condition::none().value(":yes", aws_sdk_dynamodb::types::AttributeValue::Bool(true));
        self.update((keys::user(user), keys::USER.to_owned()), "SET un = :yes", unlinked)
            .await?
            .map_err(|_| MALFORMED)?;
        let mut deleted = 0;
        for login in logins {
            // Condition: the login leads to this user. A new user may have logged in since.
            let own = Condition::new("#user = :user").name("#user", "user").value(":user", text(user));
            deleted += u64::from(self.delete((keys::login(*login), keys::USER.to_owned()), own).await?);
        }
        Ok(deleted)
    }

    /// Lets a login lead to another user. False: it leads to neither.
    pub async fn move_login(&self, login: Digest, from: UserId, to: UserId) -> Result<bool, TableError> {
        // Condition: the login leads to the erased user, or to none, or, if the SDK repeats the put, to the new one.
        let condition = Condition::new("attribute_not_exists(pk) OR #user = :from OR #user = :to")
            .name("#user", "user")
            .value(":from", text(from))
            .value(":to", text(to));
        let item = super::logins::login_item(login, to);
        Ok(matches!(self.put(item, condition).await?, Written::Done))
    }

    /// Remembers that a request id was used, as long as it could start a job.
    pub async fn remember_used(&self, id: RequestId, now: Timestamp) -> Result<(), TableError> {
        self.put_marker(keys::used_id(id), keys::USED_ID, id.time().max(now).plus(USED_FOR)).await
    }

    /// One page of a user's jobs for an erasure, and the sort key after which the next one begins. Unlike the user's
    /// list, it has malformed jobs and those of newer versions.
    pub async fn own_jobs(
        &self,
        user: UserId,
        after: Option<String>,
    ) -> Result<(Vec<OwnJob>, Option<String>), TableError> {
        let (items, next) = self.own_page(user, (keys::JOBS, keys::AFTER_JOBS), None, after).await?;
        let own = |item: &Item| {
            let id = keys::parse_job(text_of(item, "sk")?)?;
            Some(OwnJob { id, job: jobs::parse(item) })
        };
        Ok((items.iter().filter_map(own).collect(), next))
    }

    /// One page of the other items of a user that have content, audit records excepted, and the position of the next.
    pub async fn own_items(
        &self,
        user: UserId,
        after: Option<String>,
    ) -> Result<(Vec<OwnItem>, Option<String>), TableError> {
        // Two ranges, before and after the jobs, which are large and read by a query of their own.
        let behind = after.as_deref().is_some_and(|after| after >= keys::AFTER_JOBS);
        let range = if behind { (keys::AFTER_JOBS, "~") } else { (keys::AFTER_AUDIT, keys::JOBS) };
        let after = after.filter(|after| after != keys::AFTER_JOBS);
        let (items, next) = self.own_page(user, range, Some("sk, #key, calls, ag"), after).await?;
        let next = next.or_else(|| (!behind).then(|| keys::AFTER_JOBS.to_owned()));
        Ok((items.iter().filter_map(own_item).collect(), next))
    }

    async fn own_page(
        &self,
        user: UserId,
        (first, last): (&str, &str),
        names: Option<&str>,
        after: Option<String>,
    ) -> Result<(Vec<Item>, Option<String>), TableError> {
        let values = [(":pk", text(keys::user(user))), (":first", text(first)), (":last", text(last))];
        let query = self
            .query("pk = :pk AND sk BETWEEN :first AND :last", values)
            .set_projection_expression(names.map(str::to_owned))
            .set_expression_attribute_names(names.map(|_| [("#key".to_owned(), "key".to_owned())].into()))
            .limit(PAGE);
        self.page(query, keys::user(user), after).await
    }

    /// Removes the content of a payload. The first audit record of the job stays.
    pub async fn erase_payload(&self, user: UserId, sk: String) -> Result<(), TableError> {
        // Condition: the item exists. Without it the update would create one that TTL has deleted.
        let known = Condition::new("attribute_exists(pk)").name("#key", "key");
        self.update((keys::user(user), sk), "REMOVE #key, calls", known).await.map(drop)
    }

    /// Deletes an item of a user. False: there was none.
    pub async fn delete_own(&self, user: UserId, sk: String) -> Result<bool, TableError> {
        self.delete((keys::user(user), sk), Condition::none()).await
    }

    /// Finishes an erasure: the user's item keeps only that the user is erased, as long as the records of the jobs; the
    /// operators' list has the report; nothing wakes the erasure any more. Idempotent.
    pub async fn finish_erasure(&self, user: UserId, erasure: &Erasure, now: Timestamp) -> Result<(), TableError> {
        let tombstone = keyed(
            keys::user(user),
            keys::USER,
            [
                ("er", text(erasure.id)),
                ("un", aws_sdk_dynamodb::types::AttributeValue::Bool(true)),
                ("nb", number(Timestamp::END.millis())),
                ("ttl", number(now.plus(self.retention * 2).seconds_ceil())),
            ],
        );
        self.put(tombstone, Condition::none()).await?;
        let listed = keys::erasure_at(erasure.requested_at, user);
        self.put_marker(keys::ERASURES, listed, erasure.kept_until()).await
    }

    /// Removes the pointer to an open erasure.
    pub async fn close_erasure(&self, user: UserId) -> Result<(), TableError> {
        self.delete((keys::ERASURES_OPEN.to_owned(), user.to_string()), Condition::none()).await.map(drop)
    }

    /// Erasures that are not finished: user, id, time of the request. At most `limit`.
    pub async fn open_erasures(&self, limit: usize) -> Result<Vec<(UserId, RequestId, Timestamp)>, TableError> {
        let query = self.query("pk = :pk", [(":pk", text(keys::ERASURES_OPEN))]).limit(at_most(limit));
        let (items, _) = self.page(query, keys::ERASURES_OPEN, None).await?;
        let open = |item: &Item| {
            let at = Timestamp::from_millis(number_of(item, "at")?);
            Some((text_of(item, "sk")?.parse().ok()?, text_of(item, "id")?.parse().ok()?, at))
        };
        Ok(items.iter().filter_map(open).collect())
    }

    /// One page of the users with a finished erasure, the newest first, and the sort key after which the next begins.
    pub async fn finished_erasures(
        &self,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<UserId>, Option<String>), TableError> {
        let query = self.query("pk = :pk", [(":pk", text(keys::ERASURES))]).scan_index_forward(false);
        let (items, next) = self.page(query.limit(at_most(limit)), keys::ERASURES, after).await?;
        Ok((items.iter().filter_map(|item| keys::parse_erasure_at(text_of(item, "sk")?)).collect(), next))
    }
}

/// The item of an erasure: the report, which outlives everything else of the user.
fn erasure_item(user: UserId, erasure: &Erasure) -> Result<Item, TableError> {
    let mut item: Item = serde_dynamo::to_item(erasure).map_err(|_| MALFORMED)?;
    item.insert("pk".to_owned(), text(keys::user(user)));
    item.insert("sk".to_owned(), text(keys::ERASURE));
    item.insert("ttl".to_owned(), number(erasure.kept_until().seconds_ceil()));
    Ok(item)
}

/// What an erasure does with an item; `None` for what stays.
fn own_item(item: &Item) -> Option<OwnItem> {
    let sk = text_of(item, "sk")?;
    let own = sk.to_owned();
    if sk.starts_with(keys::PAYLOADS) {
        let has_content = item.contains_key("key") || item.contains_key("calls");
        return has_content.then_some(OwnItem::Payload(own));
    }
    if [keys::RESULTS, keys::INPUTS, keys::HELD_TEXTS].iter().any(|prefix| sk.starts_with(prefix)) {
        return Some(OwnItem::Result(own));
    }
    if sk.starts_with(keys::CHAIN_RECORDS) {
        return Some(OwnItem::Refusal(own));
    }
    if let Some(name) = keys::parse_conversation(sk) {
        return Some(OwnItem::Conversation(name, text_of(item, "ag").unwrap_or_default().to_owned()));
    }
    // The head of the refusals stays: checkpoints have signed it. The jobs are read by a query of their own.
    let stays = [keys::USER, keys::ERASURE, keys::CHAIN_HEAD].contains(&sk) || sk.starts_with(keys::JOBS);
    (!stays).then_some(OwnItem::Other(own))
}
