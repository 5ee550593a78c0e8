//! Markers of the messages that WeChat pushed, by which a repeated one is recognised.

use std::time::Duration;

use super::{Condition, Table, TableError, Written, keyed, keys, number, text, text_of};
use domain::ids::{Digest, Timestamp};

/// How long a message is remembered. WeChat repeats an unanswered one within seconds, and a copy is refused by its age
/// after five minutes.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

impl Table {
    /// Whether a message is remembered.
    pub async fn remembers_event(&self, event: Digest) -> Result<bool, TableError> {
        Ok(self.get(keys::event(event), keys::EVENT.to_owned()).await?.is_some())
    }

    /// Remembers a message by its keyed digest. False: it was remembered before.
    pub async fn remember_event(&self, event: Digest, now: Timestamp, nonce: &str) -> Result<bool, TableError> {
        let item = keyed(
            keys::event(event),
            keys::EVENT,
            [("nonce", text(nonce)), ("ttl", number(now.plus(REMEMBERED).seconds_ceil()))],
        );
        // Condition: the message is not remembered yet.
        match self.put(item, Condition::new("attribute_not_exists(pk)")).await? {
            Written::Done => Ok(true),
            // The SDK repeats a put whose response was lost: the stored item may be our own.
            Written::Refused(old) => Ok(text_of(&old.unwrap_or_default(), "nonce") == Some(nonce)),
        }
    }
}
