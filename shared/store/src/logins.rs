//! Logins: the user of an openid, under every listed login key.
//!
//! While one login key replaces another, functions with the older and the newer secret document run at the same time.
//! A new user is stored under all listed keys at once, or under none. So as long as any two documents have one key in
//! common, of two concurrent first logins one creates the user and the other one finds it.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{AttributeValue, Put, ReturnConsumedCapacity, TransactWriteItem},
};

use super::{Condition, Consumed, Item, PAGE, Table, TableError, Written, keyed, keys, text, text_of, unavailable};
use domain::ids::{Digest, UserId};

/// Attempts of a first login that meets a concurrent one.
const TRIES: usize = 3;

/// A user whose openid is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownUser {
    /// The user's id.
    pub user: UserId,
    /// The user's openid at WeChat: personal data.
    pub openid: platform::wechat::OpenId,
}

impl Table {
    /// The user of a login, or `fresh` if there is none. `logins` has one digest for each listed key, the current one
    /// first.
    pub async fn find_or_create_login(&self, logins: &[Digest], fresh: UserId) -> Result<UserId, TableError> {
        let current = *logins.first().ok_or(TableError::Malformed("login"))?;
        for _ in 0..TRIES {
            if let Some((place, user)) = self.find_login(logins).await? {
                return if place == 0 { Ok(user) } else { self.put_login(current, user).await };
            }
            if self.create_login(logins, fresh).await? {
                return Ok(fresh);
            }
            // A concurrent login has stored a user under one of these keys: read again.
        }
        Err(TableError::Unavailable { operation: "TransactWriteItems", cause: "met others again and again".to_owned() })
    }

    /// The user of the first digest that is stored, and the index of that digest.
    pub async fn find_login(&self, logins: &[Digest]) -> Result<Option<(usize, UserId)>, TableError> {
        for (place, login) in logins.iter().enumerate() {
            if let Some(user) = self.login(*login).await? {
                return Ok(Some((place, user)));
            }
        }
        Ok(None)
    }

    /// The user of one digest.
    pub async fn login(&self, login: Digest) -> Result<Option<UserId>, TableError> {
        let item = self.get(keys::login(login), keys::USER.to_owned()).await?;
        item.as_ref().map(user_of).transpose()
    }

    /// Stores a user under one more digest, and returns the stored user: a concurrent login may have stored the same
    /// one first.
    pub async fn put_login(&self, login: Digest, user: UserId) -> Result<UserId, TableError> {
        // Condition: no user is stored under this digest yet.
        match self.put(login_item(login, user), Condition::new("attribute_not_exists(pk)")).await? {
            Written::Done => Ok(user),
            Written::Refused(old) => user_of(&old.unwrap_or_default()),
        }
    }

    /// Stores a user under all digests or under none. False: another user is stored under one of them.
    async fn create_login(&self, logins: &[Digest], user: UserId) -> Result<bool, TableError> {
        let [only] = logins else { return self.create_logins(logins, user).await };
        match self.put(login_item(*only, user), Condition::new("attribute_not_exists(pk)")).await? {
            Written::Done => Ok(true),
            // The SDK repeats a put whose response was lost: the stored item may be our own.
            Written::Refused(old) => Ok(user_of(&old.unwrap_or_default())? == user),
        }
    }

    /// The only transaction on this table. It is needed for a user's first login while two login keys are listed.
    async fn create_logins(&self, logins: &[Digest], user: UserId) -> Result<bool, TableError> {
        let put = |login: &Digest| {
            let put = Put::builder().table_name(&self.name).set_item(Some(login_item(*login, user)));
            let put = put.condition_expression("attribute_not_exists(pk)").build();
            put.map(|put| TransactWriteItem::builder().put(put).build()).map_err(|_| TableError::Malformed("login"))
        };
        let puts = logins.iter().map(put).collect::<Result<Vec<_>, _>>()?;
        let send = self.client.transact_write_items().set_transact_items(Some(puts));
        let sent = send.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await;
        match sent {
            Ok(answer) => {
                for capacity in answer.consumed_capacity() {
                    Consumed::add(&self.consumed.write, Some(capacity));
                }
                Ok(true)
            }
            Err(SdkError::ServiceError(refused)) if is_cancelled(refused.err()) => {
                self.count_refused();
                Ok(false)
            }
            Err(error) => Err(unavailable("TransactWriteItems", error)),
        }
    }

    /// One page of users with an openid, and the key at which the next page starts. Used to store every user under a
    /// new login key.
    pub async fn users_page(
        &self,
        begin: Option<HashMap<String, AttributeValue>>,
    ) -> Result<(Vec<KnownUser>, Option<HashMap<String, AttributeValue>>), TableError> {
        let scan = self.client.scan().table_name(&self.name).limit(PAGE).consistent_read(true);
        let scan = scan
            .set_exclusive_start_key(begin)
            .filter_expression("sk = :user AND begins_with(pk, :prefix) AND attribute_exists(openid)");
        let scan = scan.expression_attribute_values(":user", text(keys::USER));
        let scan = scan.expression_attribute_values(":prefix", text(keys::USERS));
        let page = scan.send().await.map_err(|error| unavailable("Scan", error))?;
        let known = |item: &Item| {
            let user = text_of(item, "pk").and_then(keys::parse_user)?;
            Some(KnownUser { user, openid: platform::wechat::OpenId::stored(text_of(item, "openid")?) })
        };
        let users = page.items().iter().map(|item| known(item).ok_or(TableError::Malformed("user")));
        Ok((users.collect::<Result<_, _>>()?, page.last_evaluated_key))
    }
}

/// Whether a condition failed, or another transaction was active on the same items: in both cases a concurrent first
/// login.
fn is_cancelled(error: &TransactWriteItemsError) -> bool {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else { return false };
    let is_race = |code: &str| matches!(code, "ConditionalCheckFailed" | "TransactionConflict");
    cancelled.cancellation_reasons().iter().any(|reason| reason.code().is_some_and(is_race))
}

pub(super) fn login_item(login: Digest, user: UserId) -> Item {
    keyed(keys::login(login), keys::USER, [("user", text(user))])
}

fn user_of(item: &Item) -> Result<UserId, TableError> {
    text_of(item, "user").and_then(|id| id.parse().ok()).ok_or(TableError::Malformed("login"))
}
