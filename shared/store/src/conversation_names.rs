//! How many conversations a user has: their names, in one item of the user's. One conditional update counts and adds at once,
//! by key: who begins conversations need not be able to read a whole partition.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Condition, Item, Table, TableError, keys, number, number_of, text, text_of};
use domain::{
    conversation::ConversationName,
    ids::{Timestamp, UserId},
};

/// What became of counting a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counted {
    /// It counts, and may begin.
    Yes,
    /// There are as many as may be.
    Full(CountedNames),
}

/// The conversations that are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedNames {
    /// Their names. Under some there may be none: whoever was to begin it has died, or was refused after all.
    pub names: Vec<ConversationName>,
    /// When one was last added, or all were last looked at.
    pub at: Timestamp,
}

impl Table {
    /// Counts a conversation that is about to begin. One that is counted already may begin again.
    pub async fn count_conversation(
        &self,
        user: UserId,
        name: &ConversationName,
        at_most: usize,
        now: Timestamp,
    ) -> Result<Counted, TableError> {
        // Nothing is counted yet, or this name is, or there is room for one more.
        let room = Condition::new("attribute_not_exists(nm) OR contains(nm, :name) OR size(nm) < :cap")
            .value(":name", text(name))
            .value(":names", name_set([name]))
            .value(":cap", number(at_most))
            .value(":now", number(now.millis()));
        Ok(match self.update(names_of(user), ADDED, room).await? {
            Ok(_) => Counted::Yes,
            Err(old) => Counted::Full(parse(&old.unwrap_or_default())),
        })
    }

    /// Counts a conversation that begins however many there are, because its job has been accepted. Idempotent.
    pub(super) async fn count_begun(
        &self,
        user: UserId,
        name: &ConversationName,
        now: Timestamp,
    ) -> Result<(), TableError> {
        let values = Condition::none().value(":names", name_set([name])).value(":now", number(now.millis()));
        self.update(names_of(user), ADDED, values).await.map(drop)
    }

    /// Counts a conversation no longer. Idempotent.
    pub async fn uncount_conversation(&self, user: UserId, name: &ConversationName) -> Result<(), TableError> {
        // Something is counted: nothing is made where nothing is.
        let counted = Condition::new("attribute_exists(pk)").value(":names", name_set([name]));
        self.update(names_of(user), "DELETE nm :names", counted).await.map(drop)
    }

    /// Takes the right to look at all of them. Whether it did: not when one was added since they were `seen`, or somebody else
    /// looks.
    pub async fn take_look(
        &self,
        user: UserId,
        seen: &CountedNames,
        now: Timestamp,
        nonce: &str,
    ) -> Result<bool, TableError> {
        // Nobody has added one, or taken this right, in between.
        let unchanged = Condition::new("ad = :seen")
            .value(":seen", number(seen.at.millis()))
            .value(":now", number(now.millis()))
            .value(":nonce", text(nonce));
        Ok(match self.update(names_of(user), "SET ad = :now, lk = :nonce", unchanged).await? {
            Ok(_) => true,
            Err(old) => old.as_ref().and_then(|old| text_of(old, "lk")) == Some(nonce),
        })
    }

    /// Counts those no longer under whose names this look has found nothing. Whether it did: not when one was added since it
    /// began, perhaps under one of these names.
    pub async fn uncount_absent(
        &self,
        user: UserId,
        absent: &[&ConversationName],
        nonce: &str,
    ) -> Result<bool, TableError> {
        if absent.is_empty() {
            return Ok(false);
        }
        // This look is the last that was begun, and none was added since.
        let unchanged = Condition::new("lk = :nonce")
            .value(":nonce", text(nonce))
            .value(":names", name_set(absent.iter().copied()));
        Ok(self.update(names_of(user), "DELETE nm :names", unchanged).await?.is_ok())
    }
}

/// Adds a name, notes when, and ends any look: what is added may be one that was not there.
const ADDED: &str = "SET ad = :now REMOVE lk ADD nm :names";

fn names_of(user: UserId) -> (String, String) {
    (keys::user(user), keys::CONVERSATION_NAMES.to_owned())
}

fn name_set<'a>(names: impl IntoIterator<Item = &'a ConversationName>) -> AttributeValue {
    AttributeValue::Ss(names.into_iter().map(ToString::to_string).collect())
}

fn parse(item: &Item) -> CountedNames {
    let names = item.get("nm").and_then(|names| names.as_ss().ok()).into_iter().flatten();
    CountedNames {
        names: names.filter_map(|name| name.parse().ok()).collect(),
        at: Timestamp::from_millis(number_of(item, "ad").unwrap_or_default()),
    }
}
