//! What is stored about a user, for the user: every item of the user's partition, in the order of the keys.

use std::{fmt, str::FromStr};

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;

use super::{
    Item, Payload, Stored, Table, TableError, at_most, conversations, jobs, keys, number_of, records, text, text_of,
};
use domain::{
    access::cursor::Place,
    conversation::KnownConversation,
    erasure::Erasure,
    ids::{Digest, RequestId, Timestamp, UserId},
    json,
};

/// An item of a user.
#[derive(Debug)]
pub enum Owned {
    /// The user.
    User {
        /// WeChat's name of the user.
        openid: Option<String>,
        /// When the user last logged in.
        last_login: Option<Timestamp>,
        /// The groups that operators have set.
        groups: Vec<String>,
        /// What limits the user, by the risk that WeChat saw at the last login: a mode.
        limited_to: Option<String>,
    },
    /// A job.
    Job(Stored),
    /// What a job was submitted with, and its first audit record.
    Submission(RequestId, Option<Payload>, Option<Value>),
    /// A result.
    Result(RequestId, Value),
    /// What a step sends if it differs from the submission, and the digest that names it.
    Request(RequestId, Digest, Value),
    /// An audit record of a job.
    AuditRecord(RequestId, Value),
    /// A record of a refusal.
    Refusal(Value),
    /// A conversation.
    Conversation(KnownConversation),
    /// The erasure of the user.
    Erasure(Erasure),
    /// An item of another kind, by its sort key: it only counts or orders others, or a newer version has written it.
    Other(String, Value),
}

/// A position in the export: a sort key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportPlace(String);

impl Place for ExportPlace {
    const LIST: &'static str = "e1";
}

impl fmt::Display for ExportPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ExportPlace {
    type Err = TableError;

    fn from_str(text: &str) -> Result<Self, TableError> {
        // A cursor has its parts between dots, and no sort key of a user has one.
        let fits = !text.is_empty() && text.len() <= 512 && !text.contains('.');
        if fits { Ok(Self(text.to_owned())) } else { Err(TableError::Malformed("position")) }
    }
}

impl Table {
    /// One page of everything that is stored about a user, and the position of the next one. An item that cannot be
    /// read is the name of its kind.
    pub async fn owned(
        &self,
        user: UserId,
        after: Option<ExportPlace>,
        limit: usize,
    ) -> Result<(Vec<Owned>, Option<ExportPlace>), TableError> {
        let pk = keys::user(user);
        let query = self.query("pk = :pk", [(":pk", text(&pk))]).limit(at_most(limit));
        let (items, next) = self.page(query, pk, after.map(|ExportPlace(sk)| sk)).await?;
        let next = next.map(ExportPlace);
        Ok((items.into_iter().filter_map(|item| Some(owned(text_of(&item, "sk")?.to_owned(), item))).collect(), next))
    }
}

fn owned(sk: String, item: Item) -> Owned {
    known(&sk, &item).unwrap_or_else(|| {
        let attributes = item.iter().filter(|(name, _)| !["pk", "sk", "ttl", "nonce"].contains(&name.as_str()));
        Owned::Other(
            sk,
            attributes.map(|(name, value)| (name.clone(), plain(value))).collect::<serde_json::Map<_, _>>().into(),
        )
    })
}

fn known(sk: &str, item: &Item) -> Option<Owned> {
    let parsed = |name: &str| json::kept::<Value>(text_of(item, name)?).ok();
    let id = |prefix: &str| sk.strip_prefix(prefix)?.split('#').next()?.parse().ok();
    if sk == keys::USER {
        let groups = item.get("gr").and_then(|groups| groups.as_ss().ok()).cloned().unwrap_or_default();
        let last_login = number_of(item, "la").map(Timestamp::from_millis);
        let [openid, limited_to] = ["openid", "rk"].map(|name| text_of(item, name).map(str::to_owned));
        return Some(Owned::User { openid, last_login, groups, limited_to });
    }
    if sk == keys::ERASURE {
        return serde_dynamo::from_item(item.clone()).ok().map(Owned::Erasure);
    }
    if let Some(id) = id(keys::PAYLOADS) {
        return Some(Owned::Submission(id, records::parse_payload(item).ok()?, parsed("rec")));
    }
    if let Some(id) = id(keys::RESULTS) {
        return Some(Owned::Result(id, parsed("body")?));
    }
    if let Some(id) = id(keys::INPUTS) {
        let digest = Digest::try_from(sk.rsplit('#').next()?.to_owned()).ok()?;
        return Some(Owned::Request(id, digest, parsed("body")?));
    }
    // It may be what content safety does not let the user read.
    if sk.starts_with(keys::HELD_TEXTS) {
        return Some(Owned::Other(sk.to_owned(), serde_json::json!({ "omitted": "held" })));
    }
    if let Some(id) = id(keys::AUDIT) {
        return Some(Owned::AuditRecord(id, parsed("rec")?));
    }
    if sk.starts_with(keys::JOBS) {
        return jobs::parse(item).ok().map(Owned::Job);
    }
    if sk.starts_with(keys::CHAIN_RECORDS) {
        return Some(Owned::Refusal(parsed("rec")?));
    }
    conversations::parse(item).map(Owned::Conversation)
}

/// A value as JSON.
fn plain(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => text.clone().into(),
        AttributeValue::N(digits) => digits.parse::<i64>().map_or_else(|_| digits.clone().into(), Value::from),
        AttributeValue::Bool(flag) => (*flag).into(),
        AttributeValue::Ss(texts) => texts.clone().into(),
        AttributeValue::L(values) => values.iter().map(plain).collect::<Vec<_>>().into(),
        AttributeValue::M(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect::<serde_json::Map<_, _>>().into()
        }
        _ => Value::Null,
    }
}
