//! Counts a user's conversations by a set of their names in one item. One conditional update checks the cap and adds
//! a name, so a function that starts conversations needs no right to query the user's partition.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Condition, Item, Table, TableError, keys, number, number_of, text, text_of};
use domain::{
    conversation::ConversationName,
    ids::{Timestamp, UserId},
};

/// Outcome of counting a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counted {
    /// The name was added, and the conversation may start. If it does not start after all, the caller [gives the name
    /// back](Table::give_back_conversation).
    Added,
    /// The name was counted already, and the conversation may start.
    Before,
    /// The user has the maximum number.
    Full(CountedNames),
}

/// The counted conversations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedNames {
    /// Their names. Some may have no conversation: the request crashed or was refused before the conversation
    /// started.
    pub names: Vec<ConversationName>,
    /// When a name was last added, or all names were last checked.
    pub at: Timestamp,
}

impl Table {
    /// Counts a conversation that is about to start. The name of one that is counted may be used again.
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
        // Condition: no name is counted; or this name is not, and there is room for one more.
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
        // Condition: this name is still counted, or there is room for it again. The request that added it can no
        // longer remove it.
        let known = Condition::new("contains(nm, :name) OR size(nm) < :cap");
        Ok(match self.update(names_of(user), ADDED, with(known)).await? {
            Ok(_) => Counted::Before,
            Err(old) => Counted::Full(parse(&old.unwrap_or_default())),
        })
    }

    /// Removes the name of a conversation that was [added](Counted::Added) under this nonce and will not start. If
    /// another name was added since, it stays counted until the next check, since a concurrent request may have
    /// started the same conversation.
    pub async fn give_back_conversation(
        &self,
        user: UserId,
        name: &ConversationName,
        nonce: &str,
    ) -> Result<(), TableError> {
        // Condition: no name was added since.
        let mine = Condition::new("an = :nonce").value(":nonce", text(nonce)).value(":names", name_set([name]));
        self.update(names_of(user), "REMOVE an DELETE nm :names", mine).await.map(drop)
    }

    /// Counts a conversation that starts whatever the number is, because its job has been accepted. Idempotent.
    pub(super) async fn count_begun(
        &self,
        user: UserId,
        name: &ConversationName,
        now: Timestamp,
    ) -> Result<(), TableError> {
        let values = Condition::none().value(":names", name_set([name])).value(":now", number(now.millis()));
        self.update(names_of(user), ADDED, values).await.map(drop)
    }

    /// Removes the name of a conversation. Idempotent.
    pub async fn uncount_conversation(&self, user: UserId, name: &ConversationName) -> Result<(), TableError> {
        // Condition: the item exists. Without it the update would create one.
        let counted = Condition::new("attribute_exists(pk)").value(":names", name_set([name]));
        self.update(names_of(user), "DELETE nm :names", counted).await.map(drop)
    }

    /// Takes the lease for checking all names. False when a name was added since they were `seen`, or another request
    /// checks them.
    pub async fn take_look(
        &self,
        user: UserId,
        seen: &CountedNames,
        now: Timestamp,
        nonce: &str,
    ) -> Result<bool, TableError> {
        // Condition: no name was added, and no check was started, since.
        let unchanged = Condition::new("ad = :seen")
            .value(":seen", number(seen.at.millis()))
            .value(":now", number(now.millis()))
            .value(":nonce", text(nonce));
        Ok(match self.update(names_of(user), "SET ad = :now, lk = :nonce", unchanged).await? {
            Ok(_) => true,
            Err(old) => old.as_ref().and_then(|old| text_of(old, "lk")) == Some(nonce),
        })
    }

    /// Removes the names for which this check found no conversation. False when a name was added since the check
    /// started, perhaps one of these.
    pub async fn uncount_absent(
        &self,
        user: UserId,
        absent: &[&ConversationName],
        nonce: &str,
    ) -> Result<bool, TableError> {
        if absent.is_empty() {
            return Ok(false);
        }
        // Condition: this check is the last one started, and no name was added since.
        let unchanged = Condition::new("lk = :nonce")
            .value(":nonce", text(nonce))
            .value(":names", name_set(absent.iter().copied()));
        Ok(self.update(names_of(user), "DELETE nm :names", unchanged).await?.is_ok())
    }
}

/// Adds a name, stores the time, and invalidates a running check, which may have found no conversation for it yet. It
/// also clears the nonce of an earlier addition, which therefore can no longer be given back.
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
