//! Users, and the limits that are stored in the user's item.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Condition, Item, Table, TableError, keys, number, number_of, text, text_of};
use domain::{
    access::{service_mode::Mode, session::Session},
    ids::{Digest, RequestId, Timestamp, UserId},
    limits::{
        Rate, RateDecision,
        admission::{self, Admission, JobKind, Limits, UserState},
    },
    risk::LimitChange,
};
use platform::wechat::OpenId;

/// Condition of every admission: the user exists; the session started after the last revocation; and either the set
/// of open jobs of this kind has room, or it contains this id already. The condition of the rate limit is appended.
macro_rules! place {
    ($and:literal) => {
        concat!(
            "attribute_exists(pk) AND nb < :began AND ",
            "(attribute_not_exists(#set) OR contains(#set, :id) OR size(#set) < :cap)",
            $and
        )
    };
}

impl Table {
    /// Creates the user's item if it is missing, and returns it. After a crash between login and user, the next login
    /// creates it. The item of an erased user is returned as it is, without the openid. `limit` is what this login
    /// changes about the limit of the user's risk.
    pub async fn record_login(
        &self,
        user: UserId,
        openid: &str,
        limit: LimitChange,
        now: Timestamp,
    ) -> Result<UserState, TableError> {
        let update = match limit {
            LimitChange::To(_) => "SET openid = :openid, la = :now, nb = if_not_exists(nb, :never), rk = :limit",
            LimitChange::Keep => "SET openid = :openid, la = :now, nb = if_not_exists(nb, :never)",
            LimitChange::Clear => "SET openid = :openid, la = :now, nb = if_not_exists(nb, :never) REMOVE rk",
        };
        // Condition: the user is not erased. An erasure may have begun since the login was found.
        let values = Condition::new("attribute_not_exists(#erasure)")
            .name("#erasure", "er")
            .value(":openid", text(openid))
            .value(":now", number(now.millis()))
            .value(":never", number(0));
        let values = match limit {
            LimitChange::To(mode) => values.value(":limit", text(mode.name())),
            LimitChange::Keep | LimitChange::Clear => values,
        };
        match self.update_and_read((keys::user(user), keys::USER.to_owned()), update, values).await? {
            Ok(item) | Err(Some(item)) => parse(item),
            Err(None) => Err(TableError::Malformed("user")),
        }
    }

    /// Limits a user whose login was refused. No effect on a user who does not exist or is erased.
    pub async fn limit_user(&self, user: UserId, mode: Mode) -> Result<(), TableError> {
        // Condition: the user exists and is not erased; nothing is written about an erased user.
        let condition = Condition::new("attribute_exists(pk) AND attribute_not_exists(#erasure)")
            .name("#erasure", "er")
            .value(":limit", text(mode.name()));
        self.update((keys::user(user), keys::USER.to_owned()), "SET rk = :limit", condition).await.map(drop)
    }

    /// Revokes every session that started up to now.
    pub async fn revoke_sessions(&self, user: UserId, now: Timestamp) -> Result<(), TableError> {
        // Condition: the user exists, and no later revocation is stored. The time only moves forward.
        let condition = Condition::new("attribute_exists(pk) AND nb < :now").value(":now", number(now.millis()));
        self.update((keys::user(user), keys::USER.to_owned()), "SET nb = :now", condition).await.map(drop)
    }

    /// Reads a user, strongly consistent.
    pub async fn user(&self, user: UserId) -> Result<Option<UserState>, TableError> {
        self.get(keys::user(user), keys::USER.to_owned()).await?.map(parse).transpose()
    }

    /// The user's openid, strongly consistent; `None` when the user does not exist, or is erased.
    pub async fn openid(&self, user: UserId) -> Result<Option<OpenId>, TableError> {
        let item = self.get(keys::user(user), keys::USER.to_owned()).await?;
        Ok(item.as_ref().and_then(|item| text_of(item, "openid")).map(OpenId::stored))
    }

    /// When the user last logged in.
    pub async fn last_login(&self, user: UserId) -> Result<Option<Timestamp>, TableError> {
        let item = self.get(keys::user(user), keys::USER.to_owned()).await?;
        Ok(item.as_ref().and_then(|item| number_of(item, "la")).map(Timestamp::from_millis))
    }

    /// Charges one login to an address.
    pub async fn charge_address(
        &self,
        address: &Digest,
        rate: Rate,
        now: Timestamp,
        nonce: &str,
    ) -> Result<RateDecision, TableError> {
        let forget_at = now.plus(rate.tolerance() + rate.interval() * 2).seconds_ceil();
        self.charge((keys::address(*address), keys::USER.to_owned()), rate, now, nonce, Some(forget_at)).await
    }

    /// Charges one submission to a user without adding an open job.
    pub async fn charge_user(
        &self,
        user: UserId,
        rate: Rate,
        now: Timestamp,
        nonce: &str,
    ) -> Result<RateDecision, TableError> {
        self.charge((keys::user(user), keys::USER.to_owned()), rate, now, nonce, None).await
    }

    async fn charge(
        &self,
        key: (String, String),
        rate: Rate,
        now: Timestamp,
        nonce: &str,
        forget_at: Option<i64>,
    ) -> Result<RateDecision, TableError> {
        let first = rate.decide(None, now);
        let RateDecision::Pass(arrival) = first else { return Ok(first) };
        let with = |condition: Condition<'static>| {
            let condition = condition.value(":nonce", text(nonce));
            match forget_at {
                Some(at) => condition.name("#ttl", "ttl").value(":ttl", number(at)),
                None => condition,
            }
        };
        let ttl = if forget_at.is_some() { ", #ttl = :ttl" } else { "" };
        // Condition: the stored arrival time is not in the future, or too far in it to be valid. This is the usual
        // case, in one write.
        let idle = with(Condition::new("attribute_not_exists(arr) OR arr <= :now OR arr > :furthest"))
            .value(":now", number(now.millis()))
            .value(":furthest", number(rate.furthest(now).millis()))
            .value(":arrival", number(arrival.millis()));
        let set = format!("SET arr = :arrival, nonce = :nonce{ttl}");
        let old = match self.update(key.clone(), &set, idle).await? {
            Ok(_) => return Ok(first),
            Err(old) => old.unwrap_or_default(),
        };
        if text_of(&old, "nonce") == Some(nonce) {
            return Ok(first);
        }
        let stored = number_of(&old, "arr").map(Timestamp::from_millis);
        let second = rate.decide(stored, now);
        let RateDecision::Pass(_) = second else { return Ok(second) };
        // Condition: after all concurrent additions the arrival time is still within the burst; and the item does not
        // have this write's nonce. The update adds, so a repetition by the SDK after a lost response would charge
        // twice.
        let burst = with(Condition::new("arr <= :latest AND (attribute_not_exists(nonce) OR nonce <> :nonce)"))
            .value(":latest", number(now.plus(rate.tolerance()).millis()))
            .value(":interval", number(rate.interval().as_millis()));
        let add = format!("SET arr = arr + :interval, nonce = :nonce{ttl}");
        match self.update(key, &add, burst).await? {
            Ok(_) => Ok(second),
            Err(old) if old.as_ref().and_then(|old| text_of(old, "nonce")) == Some(nonce) => Ok(second),
            Err(_) => Ok(RateDecision::Wait(rate.interval())),
        }
    }

    /// One conditional update that checks revocation, charges the rate and adds an open job; a second one when the
    /// user is within a burst. [`Admission::Applied`] means admitted.
    pub async fn admit(
        &self,
        session: &Session,
        (id, kind): (RequestId, JobKind),
        limits: &Limits,
        now: Timestamp,
        nonce: &str,
    ) -> Result<Admission, TableError> {
        // Condition: the user exists; this session started after the last revocation; the set of open jobs of this
        // kind has room or contains this id; and the stored arrival time is not in the future, or too far in it to be
        // valid.
        let idle = admission_condition(
            place!(" AND (attribute_not_exists(arr) OR arr <= :now OR arr > :furthest)"),
            session,
            (id, kind),
            limits,
            (now, nonce),
        )
        .value(":furthest", number(limits.submissions.furthest(now).millis()))
        .value(":arrival", number(now.plus(limits.submissions.interval()).millis()));
        let key = || (keys::user(session.user_id), keys::USER.to_owned());
        let old = match self.update(key(), "SET arr = :arrival, adm = :now, nonce = :nonce ADD #set :ids", idle).await?
        {
            Ok(_) => return Ok(Admission::Applied),
            Err(old) => old.map(parse).transpose()?,
        };
        match admission::explain(old.as_ref(), (id, kind), session.began_at, limits, now, nonce) {
            Admission::Burst => {}
            other => return Ok(other),
        }
        // The same, except that the arrival time may be in the future by the burst. The update adds to it, so that no
        // concurrent charge is lost; and the item must not have this write's nonce, since a repetition by the SDK
        // after a lost response would charge twice.
        let once = place!(" AND arr <= :latest AND (attribute_not_exists(nonce) OR nonce <> :nonce)");
        let burst = admission_condition(once, session, (id, kind), limits, (now, nonce))
            .value(":latest", number(now.plus(limits.submissions.tolerance()).millis()))
            .value(":interval", number(limits.submissions.interval().as_millis()));
        match self.update(key(), "SET arr = arr + :interval, adm = :now, nonce = :nonce ADD #set :ids", burst).await? {
            Ok(_) => Ok(Admission::Applied),
            Err(old) => {
                let old = old.map(parse).transpose()?;
                match admission::explain(old.as_ref(), (id, kind), session.began_at, limits, now, nonce) {
                    // Lost to concurrent admissions twice: treated as over the rate.
                    Admission::Burst => Ok(Admission::RateLimited(limits.submissions.interval())),
                    other => Ok(other),
                }
            }
        }
    }

    /// Adds an open job for a submission that was charged before: one conditional update that also checks revocation.
    pub async fn admit_charged(
        &self,
        session: &Session,
        (id, kind): (RequestId, JobKind),
        limits: &Limits,
        now: Timestamp,
        nonce: &str,
    ) -> Result<Admission, TableError> {
        // Condition: the user exists; this session started after the last revocation; and the set of open jobs of
        // this kind has room, or contains this id.
        let place = admission_condition(place!(""), session, (id, kind), limits, (now, nonce));
        let key = (keys::user(session.user_id), keys::USER.to_owned());
        match self.update(key, "SET adm = :now, nonce = :nonce ADD #set :ids", place).await? {
            Ok(_) => Ok(Admission::Applied),
            Err(old) => {
                let old = old.map(parse).transpose()?;
                Ok(admission::explain_charged(old.as_ref(), session.began_at, nonce))
            }
        }
    }

    /// Removes finished jobs from the set of open jobs. Idempotent, so the only condition is that the user exists.
    pub async fn drop_in_flight(&self, user: UserId, kind: JobKind, over: &[RequestId]) -> Result<(), TableError> {
        // Condition: the user exists. Without it the update would create an erased user's item again.
        self.drop_from_set((user, kind), over, Condition::new("attribute_exists(pk)")).await.map(drop)
    }

    /// Removes ids that were never recorded as jobs, unless a job was admitted since `last_admission`, perhaps under
    /// one of them. Returns whether it removed them.
    pub async fn drop_unrecorded(
        &self,
        user: UserId,
        kind: JobKind,
        unrecorded: &[RequestId],
        last_admission: Option<Timestamp>,
    ) -> Result<bool, TableError> {
        let condition = match last_admission {
            // Condition: no job was admitted since the set was read.
            Some(at) => Condition::new("adm = :seen").value(":seen", number(at.millis())),
            None => Condition::new("attribute_exists(pk) AND attribute_not_exists(adm)"),
        };
        self.drop_from_set((user, kind), unrecorded, condition).await
    }

    async fn drop_from_set(
        &self,
        (user, kind): (UserId, JobKind),
        ids: &[RequestId],
        condition: Condition<'static>,
    ) -> Result<bool, TableError> {
        if ids.is_empty() {
            return Ok(false);
        }
        let condition = condition.name("#set", set_of(kind)).value(":ids", id_set(ids));
        let dropped = self.update((keys::user(user), keys::USER.to_owned()), "DELETE #set :ids", condition).await?;
        Ok(dropped.is_ok())
    }
}

fn admission_condition<'a>(
    text_of_condition: &'a str,
    session: &Session,
    (id, kind): (RequestId, JobKind),
    limits: &Limits,
    (now, nonce): (Timestamp, &str),
) -> Condition<'a> {
    Condition::new(text_of_condition)
        .name("#set", set_of(kind))
        .value(":began", number(session.began_at.millis()))
        .value(":now", number(now.millis()))
        .value(":id", text(id))
        .value(":ids", id_set(&[id]))
        .value(":cap", number(limits.places(kind)))
        .value(":nonce", text(nonce))
}

/// Name of the attribute with the open jobs of this kind.
const fn set_of(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Quick => "inf",
        JobKind::Long => "infl",
    }
}

fn id_set(ids: &[RequestId]) -> AttributeValue {
    AttributeValue::Ss(ids.iter().map(ToString::to_string).collect())
}

pub(super) fn parse(item: Item) -> Result<UserState, TableError> {
    serde_dynamo::from_item(item).map_err(|_| TableError::Malformed("user"))
}
