//! The shared vectors, which the plugin, the console and the Python verifier read as well: `docs/design/text.md`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "in a test an unwrap is a failure, and the items have no other reader"
)]

use domain::{
    audit::{AuditHead, ChainFault, ChainName, Owner, verify},
    json::{self, JsonFault, canonical, text},
};
use serde_json::{Value, json};

fn vectors(name: &str) -> Value {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors").join(name);
    json::kept(std::fs::read(file).unwrap()).unwrap()
}

fn list<'a>(vectors: &'a Value, name: &str) -> &'a Vec<Value> {
    vectors[name].as_array().unwrap()
}

fn bytes(vector: &Value) -> Vec<u8> {
    match &vector["hex"] {
        Value::String(hex) => {
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
        }
        _ => vector["text"].as_str().unwrap().as_bytes().to_vec(),
    }
}

fn shown(value: &Value) -> Value {
    json!({ "canonical": String::from_utf8(canonical::canonical(value)).unwrap() })
}

/// The rules by which a vector may be refused, for one fault of ours. serde_json says of half a pair, and of a number that no
/// double holds, no more than that the text is not JSON.
fn rules(fault: &JsonFault) -> &'static [&'static str] {
    match fault {
        JsonFault::Syntax { .. } => &["syntax", "unicode", "number"],
        JsonFault::TooDeep => &["too_deep"],
        JsonFault::DuplicateKey => &["duplicate_key"],
        JsonFault::Number => &["number"],
        JsonFault::PoisonKey => &["poison_key"],
        JsonFault::Shape => &[],
    }
}

#[test]
fn a_client_is_read_strictly() {
    let vectors = vectors("text.json");
    assert!(list(&vectors, "json").len() >= 300);
    for vector in list(&vectors, "json") {
        match json::parse(&bytes(vector)) {
            Ok(value) => assert_eq!(shown(&value), vector["client"], "{vector}"),
            Err(fault) => {
                let rule = vector["client"]["refused"].as_str().unwrap_or_default();
                assert!(rules(&fault).contains(&rule), "{fault:?}: {vector}");
            }
        }
    }
}

#[test]
fn what_others_wrote_is_shown_or_omitted() {
    for vector in list(&vectors("text.json"), "json") {
        let said = match json::foreign::<Value>(&bytes(vector)) {
            Ok(value) => shown(&value),
            Err(fault) => fault.omission().shown(),
        };
        assert_eq!(said, vector["foreign"], "{vector}");
        // Rust and JavaScript read the stored form as the same value.
        if let Some(canonical) = vector["foreign"]["canonical"].as_str() {
            assert_eq!(json::kept::<Value>(canonical).map(|value| shown(&value)).unwrap(), said, "{vector}");
        }
    }
}

#[test]
fn a_text_is_blank_or_not_and_as_long_as_its_code_points() {
    let vectors = vectors("text.json");
    for vector in list(&vectors, "blank") {
        assert_eq!(text::is_blank(vector["text"].as_str().unwrap()), vector["blank"], "{vector}");
    }
    for vector in list(&vectors, "length") {
        assert_eq!(vector["text"].as_str().unwrap().chars().count(), vector["code_points"], "{vector}");
    }
    for vector in list(&vectors, "cut") {
        let at_most = usize::try_from(vector["at_most"].as_u64().unwrap()).unwrap();
        assert_eq!(
            vector["text"].as_str().unwrap().chars().take(at_most).collect::<String>(),
            vector["cut"],
            "{vector}"
        );
    }
}

fn chain_name(name: &str) -> ChainName {
    match name.strip_prefix("refusals:") {
        Some(user) => ChainName::Refusals(user.parse().unwrap()),
        None => ChainName::Operators,
    }
}

#[test]
fn a_chain_is_its_owners_and_whole_or_the_first_broken_record_is_named() {
    let vectors = vectors("chains.json");
    assert!(list(&vectors, "chains").len() > 30);
    for chain in list(&vectors, "chains") {
        let owner = match chain["owner"]["request_id"].as_str() {
            Some(id) => Owner::Job(id.parse().unwrap()),
            None => Owner::Chain(chain_name(chain["owner"]["chain"].as_str().unwrap())),
        };
        let digest = chain["head"]["digest"].as_str().unwrap().to_owned().try_into().unwrap();
        let head = AuditHead { length: chain["head"]["length"].as_u64().unwrap(), digest };
        let found = match verify(list(chain, "records"), owner, head) {
            Ok(()) => (Value::Null, Value::Null),
            Err(ChainFault::Unreadable { place }) => (json!("unreadable"), json!(place)),
            Err(ChainFault::Misplaced { place }) => (json!("misplaced"), json!(place)),
            Err(ChainFault::Unlinked { place }) => (json!("unlinked"), json!(place)),
            Err(ChainFault::Head { place }) => (json!("head"), json!(place)),
        };
        assert_eq!(found, (chain["fault"].clone(), chain["place"].clone()), "{}", chain["name"]);
    }
}
