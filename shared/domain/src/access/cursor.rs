//! Cursors of lists: opaque, and bound to the user that they were issued to.

use std::{fmt::Display, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    conversation::ConversationName,
    ids::{DigestKey, RequestId, UserId},
};

/// A position in a user's list of jobs or conversations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor<P> {
    /// The last entry of the previous page.
    pub after: P,
}

/// The key of a position in a list.
pub trait Place: Display + FromStr {
    /// Name and version of the list. A cursor of another list is refused.
    const LIST: &'static str;
}

impl Place for RequestId {
    const LIST: &'static str = "1";
}

impl Place for ConversationName {
    const LIST: &'static str = "c1";
}

/// The cursor is forged, truncated, of another user or list, or of another version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one that this list gave out")]
pub struct BadCursor;

impl<P: Place> Cursor<P> {
    /// The text that the client sends for the next page.
    pub fn encode(&self, user: UserId, key: &DigestKey) -> String {
        let place = format!("{}.{}", P::LIST, self.after);
        let seal = key.digest(&[b"cursor", user.to_string().as_bytes(), place.as_bytes()]);
        URL_SAFE_NO_PAD.encode(format!("{place}.{seal}"))
    }

    /// Parses a cursor of the same user. `keys` are the keys that it may have been sealed with.
    pub fn decode<'a>(
        text: &str,
        user: UserId,
        keys: impl IntoIterator<Item = &'a DigestKey>,
    ) -> Result<Self, BadCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadCursor)?;
        let text = String::from_utf8(bytes).map_err(|_| BadCursor)?;
        let mut parts = text.split('.');
        let (Some(list), Some(after), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(BadCursor);
        };
        if list != P::LIST {
            return Err(BadCursor);
        }
        let cursor = Self { after: after.parse().map_err(|_| BadCursor)? };
        // Compared by encoding it again. A comparison in constant time is not needed: the seal protects no secret,
        // since a query never leaves the caller's partition.
        let given = URL_SAFE_NO_PAD.encode(&text);
        if keys.into_iter().any(|key| cursor.encode(user, key) == given) { Ok(cursor) } else { Err(BadCursor) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_user_it_was_given_to_can_use_it_and_only_whole() {
        let (alice, bob) = (UserId::from_random([1; 16]), UserId::from_random([2; 16]));
        let key = DigestKey::from_random([9; 32]);
        let cursor: Cursor<RequestId> = Cursor { after: "019a8f3c-7e10-7abc-9def-0123456789ab".parse().unwrap() };
        let text = cursor.encode(alice, &key);
        only_whole_and_for(alice, bob, &text, &cursor, &key);
        assert_eq!(Cursor::<ConversationName>::decode(&text, alice, [&key]), Err(BadCursor), "of another list");
        let cursor: Cursor<ConversationName> = Cursor { after: "shopping-list".parse().unwrap() };
        let text = cursor.encode(alice, &key);
        only_whole_and_for(alice, bob, &text, &cursor, &key);
        assert_eq!(Cursor::<RequestId>::decode(&text, alice, [&key]), Err(BadCursor), "of another list");
    }

    fn only_whole_and_for<P: Place + Clone + PartialEq + std::fmt::Debug>(
        alice: UserId,
        bob: UserId,
        text: &str,
        cursor: &Cursor<P>,
        key: &DigestKey,
    ) {
        let decode =
            |text: &str, user: UserId, keys: &[&DigestKey]| Cursor::<P>::decode(text, user, keys.iter().copied());
        assert_eq!(decode(text, alice, &[key]), Ok(cursor.clone()));
        assert_eq!(decode(text, bob, &[key]), Err(BadCursor));
        assert_eq!(decode(text, alice, &[&DigestKey::from_random([8; 32])]), Err(BadCursor));
        let fresh = DigestKey::from_random([8; 32]);
        assert_eq!(decode(text, alice, &[&fresh, key]), Ok(cursor.clone()), "while both are listed");
        for cut in 0..text.len() {
            assert_eq!(decode(&text[..cut], alice, &[key]), Err(BadCursor), "cut at {cut}");
        }
        for place in 0..text.len() {
            let mut forged = text.as_bytes().to_vec();
            forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(decode(&forged, alice, &[key]), Err(BadCursor), "changed at {place}");
        }
    }
}
