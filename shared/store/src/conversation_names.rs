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
    /// It counts from now on, and may begin. What comes to nothing after all is
    /// [given back](Table::give_back_conversation).
    Added,
    /// It counted already, and may begin.
    Before,
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
        (now, nonce): (Timestamp, &str),
    ) -> Result<Counted, TableError> {
        let with = |condition: Condition<'static>| {
            condition
                .value(":name", text(name))
                .value(":names", name_set([name]))
                .value(":cap", number(at_most))
                .value(":now", number(now.millis()))
        };
        // Nothing is counted yet; or this name is not, and there is room for one more.
        let new = Condition::new("attribute_not_exists(nm) OR (NOT contains(nm, :name) AND size(nm) < :cap)");
        let add = "SET ad = :now, an = :nonce REMOVE lk ADD nm :names";
        let old = match self.update(names_of(user), add, with(new).value(":nonce", text(nonce))).await? {
            Ok(_) => return Ok(Counted::Added),
            Err(old) => old.unwrap_or_default(),
        };
        if text_of(&old, "an") == Some(nonce) {
            return Ok(Counted::Added);
        }
        let old = parse(&old);
        if !old.names.contains(name) {
            return Ok(Counted::Full(old));
        }
        // This name is still counted, or there is room for it again. Whoever counted it may not take it back any more.
        let known = Condition::new("contains(nm, :name) OR size(nm) < :cap");
        Ok(match self.update(names_of(user), ADDED, with(known)).await? {
            Ok(_) => Counted::Before,
            Err(old) => Counted::Full(parse(&old.unwrap_or_default())),
        })
    }

    /// Counts a conversation no longer that was [added](Counted::Added) under this nonce and will not begin. Unless somebody
    /// has counted one since, perhaps the same: then it stays counted until the names are looked at.
    pub async fn give_back_conversation(
        &self,
        user: UserId,
        name: &ConversationName,
        nonce: &str,
    ) -> Result<(), TableError> {
        // Nobody has counted one since.
        let mine = Condition::new("an = :nonce").value(":nonce", text(nonce)).value(":names", name_set([name]));
        self.update(names_of(user), "REMOVE an DELETE nm :names", mine).await.map(drop)
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

/// Adds a name, notes when, and ends any look: what is added may be one that was not there. Nobody takes one back that was
/// added before.
const ADDED: &str = "SET ad = :now REMOVE lk, an ADD nm :names";

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
