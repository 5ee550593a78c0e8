//! The document of one host as the four documents of a deployment on AWS. Pure.

use clap::ValueEnum;
use serde_json::{Value, json};

use super::{
    complete::public_halves,
    rotation::{Documents, Holder, Kind},
};

/// The documents with the same keys and values, so that users, cursors and checkpoints go on. Each has what its function
/// reads, and no other secret.
pub fn split(document: &Value) -> Documents {
    let part = |name: &str| document[name].clone();
    let mut documents = Documents::from([
        (Holder::EdgeAuth, json!({ "sessions": part("sessions"), "logins": part("logins"), "wechat": part("wechat") })),
        (Holder::Status, json!({ "sessions": public_halves(document), "cursors": part("cursors") })),
        (
            Holder::Worker,
            json!({ "openclaw": part("openclaw"), "wechat": { "app_secrets": document["wechat"]["app_secrets"] } }),
        ),
        (Holder::Sweep, json!({ "checkpoints": part("checkpoints") })),
    ]);
    // A rotation that has begun goes on there with its waiting times.
    for kind in Kind::value_variants() {
        let mark = &document["rotation"][kind.name()];
        for holder in kind.holders().iter().filter(|_| !mark.is_null()) {
            documents.entry(*holder).and_modify(|document| document["rotation"][kind.name()] = mark.clone());
        }
    }
    documents
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::secrets::{EdgeSecrets, StatusSecrets, SweepSecrets, WorkerSecrets};

    #[test]
    fn each_function_reads_its_document_and_private_keys_stay_with_their_signer() {
        let key = |kid: &str| json!({ "kid": kid, "public": "cHVibGlj", "private_pem": "private" });
        let random = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE";
        let document = json!({
            "dev": false, "sessions": { "active": "a", "keys": [key("a")] }, "logins": [random], "cursors": [random],
            "wechat": { "app_secrets": ["app"] }, "openclaw": { "tokens": ["token"] },
            "checkpoints": { "active": "c", "keys": [key("c")] },
            "rotation": { "session-keys": { "stage": "added", "at": "2026-11-29T00:00:00Z" } },
        });
        let documents = split(&document);
        let text = |holder: Holder| documents[&holder].to_string();
        domain::json::kept::<EdgeSecrets>(text(Holder::EdgeAuth)).unwrap();
        domain::json::kept::<StatusSecrets>(text(Holder::Status)).unwrap();
        domain::json::kept::<WorkerSecrets>(text(Holder::Worker)).unwrap();
        domain::json::kept::<SweepSecrets>(text(Holder::Sweep)).unwrap();
        for holder in [Holder::Status, Holder::Worker] {
            assert!(!text(holder).contains("private"), "{}", holder.function());
        }
        for (holder, marked) in [(Holder::EdgeAuth, true), (Holder::Status, true), (Holder::Sweep, false)] {
            assert_eq!(documents[&holder]["rotation"]["session-keys"].is_object(), marked);
        }
    }
}
