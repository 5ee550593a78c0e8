//! Operators: a random id for each subject of their issuer, and the user ids that they have named as their own.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Condition, Item, Table, TableError, keys, text, text_of};
use domain::ids::{Digest, OperatorId, Timestamp, UserId};

/// How many user ids one operator may name as their own.
pub const OWN_AT_MOST: usize = 16;

/// How long the note of a refusal is kept.
const FORGET_REFUSAL: Duration = Duration::from_secs(3600);

/// An operator, as the service knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownOperator {
    /// The id that audit records name.
    pub id: OperatorId,
    /// For display only, as the last token told it.
    pub name: Option<String>,
    /// The users that they are, when they use the Mini Program themselves.
    pub user_ids: BTreeSet<UserId>,
}

impl Table {
    /// Reads an operator, strongly.
    pub async fn operator(&self, subject: Digest) -> Result<Option<KnownOperator>, TableError> {
        let item = self.get(keys::operator(subject), keys::OPERATOR.to_owned()).await?;
        item.as_ref().map(|item| parse(item).ok_or(TableError::Malformed("operator"))).transpose()
    }

    /// Makes the operator item if it is missing, keeps the name, and returns it. Whoever comes first gives the id.
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
        let item = self.update(key, update, values.value(":id", text(id))).await?;
        item.ok().as_ref().and_then(parse).ok_or(TableError::Malformed("operator"))
    }

    /// Notes that an operator is this user, too. Nothing takes it back. `None`: they have named as many as they may.
    pub async fn add_own_user(&self, subject: Digest, user: UserId) -> Result<Option<KnownOperator>, TableError> {
        // The operator is known, and there is room for one more, or this one is there already.
        let condition = Condition::new(
            "attribute_exists(pk) AND (attribute_not_exists(us) OR size(us) < :cap OR contains(us, :user))",
        )
        .value(":cap", super::number(OWN_AT_MOST))
        .value(":user", text(user))
        .value(":users", AttributeValue::Ss(vec![user.to_string()]));
        let key = (keys::operator(subject), keys::OPERATOR.to_owned());
        match self.update(key, "ADD us :users", condition).await? {
            Ok(item) => parse(&item).map(Some).ok_or(TableError::Malformed("operator")),
            Err(_) => Ok(None),
        }
    }

    /// Whether a refusal of that call and code to an operator is noted as recorded in this minute.
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

    /// Notes that a refusal of that call and code to an operator has been recorded in this minute: the next ones are not, or
    /// one operator could fill a chain that is kept for ever. Comes after the record. A note that came first would silence the
    /// rest of the minute when the record fails; and were it to decide who records, so would a lost answer to it.
    pub async fn note_call_refusal(
        &self,
        subject: Digest,
        call: &str,
        code: &str,
        at: Timestamp,
    ) -> Result<(), TableError> {
        let item = Item::from([
            ("pk".to_owned(), text(keys::operator(subject))),
            ("sk".to_owned(), text(keys::refused_call(call, code, at))),
            ("ttl".to_owned(), super::number(at.plus(FORGET_REFUSAL).seconds_ceil())),
        ]);
        // It says no more than its key, so it may be put twice.
        self.put(item, Condition::none()).await.map(drop)
    }

    /// Puts a user into exactly these groups. False: there is no such user.
    pub async fn set_groups(&self, user: UserId, groups: &BTreeSet<String>) -> Result<bool, TableError> {
        // The user exists: nobody is made by being put into a group.
        let condition = Condition::new("attribute_exists(pk)");
        let key = (keys::user(user), keys::USER.to_owned());
        let set = if groups.is_empty() {
            // A set has members, or there is none.
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
