//! Which documents a stack's secrets still need after an interrupted first filling. Pure.

use serde_json::{Value, json};

use super::rotation::{Documents, Holder};

/// The documents to write: of `fresh`, those whose secret is empty. The documents of edge-auth and status share the
/// session keys, so one of them that exists decides the keys of the other.
pub fn missing(mut fresh: Documents, existing: &Documents) -> Documents {
    match (existing.get(&Holder::EdgeAuth), existing.get(&Holder::Status)) {
        (None, None) | (Some(_), Some(_)) => {}
        // status has to verify what edge-auth signs.
        (Some(edge), None) => {
            fresh.entry(Holder::Status).and_modify(|status| status["sessions"] = public_halves(edge));
        }
        // edge-auth is written last. While it is empty no session was ever signed, and the private half of status' key is
        // lost: status gets the new key, and keeps its cursor keys.
        (None, Some(status)) => {
            fresh.entry(Holder::Status).and_modify(|new| new["cursors"] = status["cursors"].clone());
        }
    }
    let new_session_key = !existing.contains_key(&Holder::EdgeAuth);
    fresh.retain(|holder, _| !existing.contains_key(holder) || (*holder == Holder::Status && new_session_key));
    fresh
}

pub(super) fn public_halves(edge: &Value) -> Value {
    let keys = edge["sessions"]["keys"].as_array().into_iter().flatten();
    let keys: Vec<Value> = keys.map(|key| json!({"kid": key["kid"], "public": key["public"]})).collect();
    json!({ "keys": keys })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::{access::session::Audience, ids::UserId};
    use platform::{
        runtime::Runtime,
        secrets::{EdgeSecrets, StatusSecrets},
    };

    use super::*;
    use crate::secrets::documents;

    fn fresh() -> Documents {
        documents(&Runtime::system(), "app-secret", "token").unwrap()
    }

    /// A session that edge-auth's document signs is one for status' document.
    fn fit(documents: &Documents) -> bool {
        let edge: EdgeSecrets = serde_json::from_value(documents[&Holder::EdgeAuth].clone()).unwrap();
        let status: StatusSecrets = serde_json::from_value(documents[&Holder::Status].clone()).unwrap();
        let audience = Audience { issuer: "i".to_owned(), audience: "a".to_owned() };
        let runtime = Runtime::system();
        let user = UserId::from_random(runtime.bytes());
        let minted = edge.sessions.signer(&audience).unwrap().mint(user, runtime.now(), Duration::from_secs(60));
        status.sessions.verifier(&audience).unwrap().verify(&minted.unwrap().0, runtime.now()).is_ok()
    }

    #[test]
    fn whatever_was_filled_before_the_result_is_four_documents_that_fit_each_other() {
        let before = fresh();
        for filled in 0..16_u8 {
            let is_filled = |holder: Holder| filled & (1 << (holder as u8)) != 0;
            let mut existing = before.clone();
            existing.retain(|holder, _| is_filled(*holder));
            let written = missing(fresh(), &existing);
            let mut after = existing.clone();
            after.extend(written.clone());
            assert_eq!(after.len(), 4, "{filled:04b}");
            assert!(fit(&after), "{filled:04b}");
            for holder in Holder::ALL {
                let replaced = is_filled(holder) && written.contains_key(&holder);
                let may = holder == Holder::Status && !is_filled(Holder::EdgeAuth);
                assert!(!replaced || may, "{filled:04b} {holder:?}");
            }
            if is_filled(Holder::Status) {
                assert_eq!(after[&Holder::Status]["cursors"], before[&Holder::Status]["cursors"], "{filled:04b}");
            }
        }
    }
}
