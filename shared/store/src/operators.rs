//! Operators: a random id for each subject of the issuer, and the user ids that operators have registered as their
//! own.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Condition, Item, Table, TableError, keys, text, text_of};
use domain::ids::{Digest, OperatorId, Timestamp, UserId};

/// Maximum number of user ids that one operator may register.
pub const OWN_AT_MOST: usize = 16;

/// How long the note of a recorded refusal is kept.
const FORGET_REFUSAL: Duration = Duration::from_secs(3600);

/// A known operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownOperator {
    /// The id in audit records.
    pub id: OperatorId,
    /// Display name from the last token.
    pub name: Option<String>,
    /// The operator's own user ids in the Mini Program.
    pub user_ids: BTreeSet<UserId>,
}

impl Table {
    /// Reads an operator, strongly consistent.
    pub async fn operator(&self, subject: Digest) -> Result<Option<KnownOperator>, TableError> {
        let item = self.get(keys::operator(subject), keys::OPERATOR.to_owned()).await?;
        item.as_ref().map(|item| parse(item).ok_or(TableError::Malformed("operator"))).transpose()
    }

    /// Creates the operator's item if it is missing, stores the name, and returns the item. The first writer sets the
    /// id.
    pub async fn meet_operator(
        &self,
        subject: Digest,
        id: OperatorId,
        name: Option<&str>,
    ) -> Result<KnownOperator, TableError> {
        let (update, values) = match name {
            Some(name) => {
                let values = Condition::none().name("#name", "name").value(":name", text(name));
                ("SET id = if_not_exists(id, :id), #name = :name", values)
            }
            None => ("SET id = if_not_exists(id, :id) REMOVE #name", Condition::none().name("#name", "name")),
        };
        let key = (keys::operator(subject), keys::OPERATOR.to_owned());
        let item = self.update_and_read(key, update, values.value(":id", text(id))).await?;
        item.ok().as_ref().and_then(parse).ok_or(TableError::Malformed("operator"))
    }

    /// Registers a user id as an operator's own. It cannot be undone. `None`: the operator has registered the maximum
    /// number.
    pub async fn add_own_user(&self, subject: Digest, user: UserId) -> Result<Option<KnownOperator>, TableError> {
        // Condition: the operator exists, and there is room for one more, or this id is registered already.
        let condition = Condition::new(
            "attribute_exists(pk) AND (attribute_not_exists(us) OR size(us) < :cap OR contains(us, :user))",
        )
        .value(":cap", super::number(OWN_AT_MOST))
        .value(":user", text(user))
        .value(":users", AttributeValue::Ss(vec![user.to_string()]));
        let key = (keys::operator(subject), keys::OPERATOR.to_owned());
        match self.update_and_read(key, "ADD us :users", condition).await? {
            Ok(item) => parse(&item).map(Some).ok_or(TableError::Malformed("operator")),
            Err(_) => Ok(None),
        }
    }

    /// Whether a refusal of this call with this code was recorded for the operator in this minute.
    pub async fn call_refusal_noted(
        &self,
        subject: Digest,
        call: &str,
        code: &str,
        at: Timestamp,
    ) -> Result<bool, TableError> {
        let noted = self.get(keys::operator(subject), keys::refused_call(call, code, at)).await?;
        Ok(noted.is_some())
    }

    /// Notes that a refusal of this call with this code was recorded in this minute. Further ones are not recorded,
    /// since one operator could otherwise fill a chain that is kept for ever. Called after the record is written: a
    /// note before it would suppress the rest of the minute's refusals if the record then failed.
    pub async fn note_call_refusal(
        &self,
        subject: Digest,
        call: &str,
        code: &str,
        at: Timestamp,
    ) -> Result<(), TableError> {
        let refusal = keys::refused_call(call, code, at);
        self.put_marker(keys::operator(subject), refusal, at.plus(FORGET_REFUSAL)).await
    }

    /// Sets the groups of a user. False: there is no such user.
    pub async fn set_groups(&self, user: UserId, groups: &BTreeSet<String>) -> Result<bool, TableError> {
        // Condition: the user exists, and is not erased. Without it the update would create a user.
        let condition = Condition::new("attribute_exists(pk) AND attribute_not_exists(er)");
        let key = (keys::user(user), keys::USER.to_owned());
        let set = if groups.is_empty() {
            // DynamoDB has no empty sets: the attribute is removed instead.
            self.update(key, "REMOVE gr", condition).await?
        } else {
            let groups = AttributeValue::Ss(groups.iter().cloned().collect());
            self.update(key, "SET gr = :groups", condition.value(":groups", groups)).await?
        };
        Ok(set.is_ok())
    }
}

fn parse(item: &Item) -> Option<KnownOperator> {
    let listed = item.get("us").and_then(|users| users.as_ss().ok());
    Some(KnownOperator {
        id: text_of(item, "id")?.parse().ok()?,
        name: text_of(item, "name").map(str::to_owned),
        user_ids: listed.into_iter().flatten().map(|user| user.parse().ok()).collect::<Option<_>>()?,
    })
}
