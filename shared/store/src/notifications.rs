//! Notifications: the record of each, the user's credits at WeChat, the lock that lets one message to a user be on its
//! way at a time, and WeChat's access token.

use std::time::Duration;

use domain::{
    access::session::Session,
    ids::{Timestamp, UserId},
    job::Job,
    notification::{Notice, NoticeRecord, NoticeState},
};

use super::{ALL, Condition, Table, TableError, keys, number, number_of, text, text_of};

/// Credits that are counted at most for one template: a user who accepts more often loses nothing but the count.
const CREDITS_AT_MOST: u32 = 20;
/// How long a worker may hold the lock of a user's messages; after it, the worker has died.
pub const SEND_LOCK: Duration = Duration::from_secs(30);

/// A user whose message may be sent now.
#[derive(Clone)]
pub struct Recipient {
    /// The user's openid.
    pub openid: String,
}

impl std::fmt::Debug for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recipient([redacted])")
    }
}

/// Outcome of taking a credit and the lock.
#[derive(Debug)]
pub enum CreditTaken {
    /// Both were taken.
    Taken(Recipient),
    /// Another message to the user is on its way.
    Busy,
    /// The user has no credit for the template.
    NoCredit,
    /// The user's item does not exist, or has no openid.
    NoUser,
}

/// How the credit of a message is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credit {
    /// It was, or may have been, used up.
    Used,
    /// WeChat has not taken the message: the user still has it.
    GivenBack,
    /// WeChat says that there is none: none is left.
    None,
}

/// WeChat's access token, as all functions share it.
#[derive(Clone)]
pub struct AccessToken {
    /// The token; empty while there is none.
    pub token: String,
    /// From this time on another one is fetched.
    pub expires_at: Timestamp,
    /// Nothing is sent before this time: the quota of the day is used up, or WeChat has banned the messages.
    pub paused_until: Option<Timestamp>,
}

impl std::fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessToken")
            .field("expires_at", &self.expires_at)
            .field("paused_until", &self.paused_until)
            .finish_non_exhaustive()
    }
}

impl Table {
    /// Begins to send a notice. `None`: it was sent, or another worker is sending it, or it never will be.
    pub async fn begin_notice(
        &self,
        job: &Job,
        notice: Notice,
        now: Timestamp,
        nonce: &str,
    ) -> Result<Option<NoticeRecord>, TableError> {
        // Condition: no worker has begun, or the last one knows that WeChat took nothing.
        let condition = Condition::new("attribute_not_exists(st) OR st = :delayed")
            .name("#ttl", "ttl")
            .name("#at", "at")
            .value(":delayed", text(NoticeState::Delayed.name()))
            .value(":sending", text(NoticeState::Sending.name()))
            .value(":one", number(1))
            .value(":now", number(now.millis()))
            .value(":nonce", text(nonce))
            // Longer than the job: a repeated submission of an old job must find it.
            .value(":ttl", number(now.plus(self.retention * 2).seconds_ceil()));
        let update = "SET st = :sending, #at = :now, nonce = :nonce, #ttl = :ttl REMOVE co ADD tr :one";
        let key = (keys::user(job.user_id), keys::notice(job.request_id, notice));
        match self.update_and_read(key, update, condition).await? {
            Ok(item) => parse_notice(item).map(Some),
            // The SDK repeats an update whose response was lost: this worker has begun.
            Err(Some(old)) if text_of(&old, "nonce") == Some(nonce) => parse_notice(old).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Records the outcome of the notice whose sending began with this nonce.
    pub async fn end_notice(
        &self,
        job: &Job,
        notice: Notice,
        (state, code): (NoticeState, Option<&str>),
        now: Timestamp,
        nonce: &str,
    ) -> Result<(), TableError> {
        // Condition: the record is the one that this worker has begun.
        let condition = Condition::new("nonce = :nonce")
            .name("#at", "at")
            .value(":nonce", text(nonce))
            .value(":state", text(state.name()))
            .value(":now", number(now.millis()));
        let (update, condition) = match code {
            Some(code) => ("SET st = :state, #at = :now, co = :code", condition.value(":code", text(code))),
            None => ("SET st = :state, #at = :now", condition),
        };
        let key = (keys::user(job.user_id), keys::notice(job.request_id, notice));
        self.update(key, update, condition).await.map(drop)
    }

    /// The record of what a job has to tell now; `None` without one, and without a request if the job has nothing to
    /// tell.
    pub async fn notice_of(&self, job: &Job) -> Result<Option<NoticeRecord>, TableError> {
        let Some(notice) = Notice::of(job) else { return Ok(None) };
        let item = self.get(keys::user(job.user_id), keys::notice(job.request_id, notice)).await?;
        item.map(parse_notice).transpose()
    }

    /// The records of all notices of a job, in the order of their keys: those of approvals, then that of the end.
    pub async fn notices(&self, job: &Job) -> Result<Vec<(Notice, NoticeRecord)>, TableError> {
        if job.notify.is_none() {
            return Ok(Vec::new());
        }
        let values = [(":pk", text(keys::user(job.user_id))), (":prefix", text(keys::notices_of(job.request_id)))];
        let query = self.query("pk = :pk AND begins_with(sk, :prefix)", values);
        self.collect(query, ALL, |item| {
            let notice = text_of(&item, "sk").and_then(keys::parse_notice);
            notice.map(|notice| Ok((notice, parse_notice(item)?))).transpose()
        })
        .await
    }

    /// Takes one credit and the lock of the user's messages. The lock ends by itself after [`SEND_LOCK`].
    pub async fn take_credit(
        &self,
        user: UserId,
        template_id: &str,
        now: Timestamp,
        nonce: &str,
    ) -> Result<CreditTaken, TableError> {
        let credits = keys::credits(template_id);
        let until = now.plus(SEND_LOCK);
        // Condition: the user has an openid and a credit, and no other worker holds the lock. A time further ahead than
        // a lock lasts was written by a clock that ran ahead.
        let condition = Condition::new(
            "attribute_exists(openid) AND #credits >= :one AND (attribute_not_exists(pl) OR pl <= :now OR pl > :until)",
        )
        .name("#credits", &credits)
        .value(":one", number(1))
        .value(":now", number(now.millis()))
        .value(":until", number(until.millis()))
        .value(":nonce", text(nonce));
        let update = "SET #credits = #credits - :one, pl = :until, pn = :nonce";
        let recipient = |item: &super::Item| {
            text_of(item, "openid").map(|openid| CreditTaken::Taken(Recipient { openid: openid.to_owned() }))
        };
        Ok(match self.update_and_read((keys::user(user), keys::USER.to_owned()), update, condition).await? {
            Ok(item) => recipient(&item).unwrap_or(CreditTaken::NoUser),
            Err(None) => CreditTaken::NoUser,
            // The SDK repeats an update whose response was lost: both were taken.
            Err(Some(old)) if text_of(&old, "pn") == Some(nonce) => recipient(&old).unwrap_or(CreditTaken::NoUser),
            Err(Some(old)) if text_of(&old, "openid").is_none() => CreditTaken::NoUser,
            Err(Some(old)) if number_of(&old, &credits).unwrap_or_default() < 1 => CreditTaken::NoCredit,
            Err(Some(_)) => CreditTaken::Busy,
        })
    }

    /// Releases the lock that the update with this nonce took, and settles its credit.
    pub async fn settle_credit(
        &self,
        user: UserId,
        template_id: &str,
        credit: Credit,
        nonce: &str,
    ) -> Result<(), TableError> {
        let credits = keys::credits(template_id);
        // Condition: the lock is this worker's, so that a repetition by the SDK gives nothing back twice, and an erased
        // user's item is not created again.
        let condition = Condition::new("pn = :nonce").value(":nonce", text(nonce));
        let (update, condition) = match credit {
            Credit::Used => ("REMOVE pl, pn", condition),
            Credit::GivenBack => {
                ("REMOVE pl, pn ADD #credits :one", condition.name("#credits", &credits).value(":one", number(1)))
            }
            Credit::None => {
                ("SET #credits = :none REMOVE pl, pn", condition.name("#credits", &credits).value(":none", number(0)))
            }
        };
        self.update((keys::user(user), keys::USER.to_owned()), update, condition).await.map(drop)
    }

    /// Adds one credit: the session's user has accepted the template in a dialog.
    pub async fn add_credit(&self, session: &Session, template_id: &str) -> Result<(), TableError> {
        let credits = keys::credits(template_id);
        // Condition: the user exists, the session started after the last revocation, and the count has not reached its
        // limit.
        let condition = Condition::new(
            "attribute_exists(pk) AND nb < :began AND (attribute_not_exists(#credits) OR #credits < :most)",
        )
        .name("#credits", &credits)
        .value(":began", number(session.began_at.millis()))
        .value(":most", number(CREDITS_AT_MOST))
        .value(":one", number(1));
        let key = (keys::user(session.user_id), keys::USER.to_owned());
        self.update(key, "ADD #credits :one", condition).await.map(drop)
    }

    /// Corrects the count by what WeChat reports: after an acceptance there is at least one credit, after a refusal
    /// none.
    pub async fn correct_credits(&self, user: UserId, template_id: &str, accepted: bool) -> Result<(), TableError> {
        let credits = keys::credits(template_id);
        // Condition: the user exists; and, after an acceptance, none is counted: the client has reported it already
        // otherwise.
        let condition = if accepted {
            "attribute_exists(pk) AND (attribute_not_exists(#credits) OR #credits < :count)"
        } else {
            "attribute_exists(pk)"
        };
        let condition =
            Condition::new(condition).name("#credits", &credits).value(":count", number(u8::from(accepted)));
        self.update((keys::user(user), keys::USER.to_owned()), "SET #credits = :count", condition).await.map(drop)
    }

    /// WeChat's access token, strongly consistent.
    pub async fn access_token(&self) -> Result<Option<AccessToken>, TableError> {
        let item = self.get(keys::WECHAT_TOKEN.to_owned(), keys::WECHAT_TOKEN.to_owned()).await?;
        Ok(item.map(|item| AccessToken {
            token: text_of(&item, "token").unwrap_or_default().to_owned(),
            expires_at: Timestamp::from_millis(number_of(&item, "exp").unwrap_or_default()),
            paused_until: number_of(&item, "pause").map(Timestamp::from_millis),
        }))
    }

    /// Stores a token that WeChat has just given. No condition: in normal mode WeChat gives every caller the same one.
    pub async fn keep_access_token(&self, token: &str, now: Timestamp, lasts: Duration) -> Result<(), TableError> {
        let condition = Condition::none()
            .name("#token", "token")
            .name("#ttl", "ttl")
            .value(":token", text(token))
            .value(":exp", number(now.plus(lasts).millis()))
            .value(":ttl", number(now.plus(lasts + TOKEN_KEPT).seconds_ceil()));
        self.update(token_key(), "SET #token = :token, exp = :exp, #ttl = :ttl", condition).await.map(drop)
    }

    /// Stops every message until this time.
    pub async fn pause_notifications(&self, until: Timestamp) -> Result<(), TableError> {
        let condition = Condition::none()
            .name("#ttl", "ttl")
            .value(":until", number(until.millis()))
            .value(":ttl", number(until.plus(TOKEN_KEPT).seconds_ceil()));
        self.update(token_key(), "SET pause = :until, #ttl = :ttl", condition).await.map(drop)
    }
}

/// How long the item of the token outlives what is in it: its deletion by TTL may be late, never early. Longer than a
/// pause, so that a token which is stored during one does not end it.
const TOKEN_KEPT: Duration = Duration::from_secs(2 * 86_400);

fn token_key() -> (String, String) {
    (keys::WECHAT_TOKEN.to_owned(), keys::WECHAT_TOKEN.to_owned())
}

fn parse_notice(item: super::Item) -> Result<NoticeRecord, TableError> {
    serde_dynamo::from_item(item).map_err(|_| TableError::Malformed("notice"))
}
