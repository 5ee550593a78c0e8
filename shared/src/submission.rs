//! A submission: what the body of `POST /v1/jobs` asks for, parsed once, at the edge.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{canonical, digest::Digest, digest::DigestKey, timestamp::Timestamp};

/// One tool call: a name of the catalogue and its arguments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The tool's name.
    pub tool: String,
    /// Its arguments, as validated, digested and sent.
    pub arguments: Value,
}

/// What a user asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    calls: Vec<Call>,
    not_after: Option<Timestamp>,
}

/// Why a body is no submission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmissionFault {
    /// Not a JSON object.
    #[error("the body must be a JSON object")]
    NotAnObject,
    /// A field that this version does not know.
    #[error("the body has a field that is not known here: {0}")]
    UnknownField(String),
    /// A field that is needed.
    #[error("the body needs the field {0}")]
    Missing(&'static str),
    /// A field of the wrong type.
    #[error("the field {0} is not {1}")]
    WrongType(&'static str, &'static str),
}

impl Submission {
    /// Parses `{"tool", "arguments", "not_after"?, "sent_at"?}`.
    pub fn parse(body: Value) -> Result<Self, SubmissionFault> {
        let Value::Object(mut fields) = body else { return Err(SubmissionFault::NotAnObject) };
        let tool = match take(&mut fields, "tool")? {
            Value::String(tool) => tool,
            _ => return Err(SubmissionFault::WrongType("tool", "a string")),
        };
        let arguments = take(&mut fields, "arguments")?;
        if !arguments.is_object() {
            return Err(SubmissionFault::WrongType("arguments", "an object"));
        }
        let not_after = take_time(&mut fields, "not_after")?;
        // Informative: when the client says it sent this. A repetition may carry another value, so it is not kept.
        take_time(&mut fields, "sent_at")?;
        match fields.keys().next() {
            Some(field) => Err(SubmissionFault::UnknownField(field.chars().take(40).collect())),
            None => Ok(Self { calls: vec![Call { tool, arguments }], not_after }),
        }
    }

    /// The calls, in order.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Gives the calls away.
    pub fn into_calls(self) -> Vec<Call> {
        self.calls
    }

    /// The latest time to start, when the client gave one.
    pub fn not_after(&self) -> Option<Timestamp> {
        self.not_after
    }

    /// Invariant 6, *same id, same request*: the keyed digest of everything that makes it this request and no other.
    pub fn fingerprint(&self, key: &DigestKey) -> Digest {
        let steps: Vec<Value> =
            self.calls.iter().map(|call| json!({ "tool": call.tool, "arguments": call.arguments })).collect();
        let whole = json!({ "steps": steps, "not_after": self.not_after.map(Timestamp::millis) });
        key.digest_bytes(&canonical::canonical(&whole))
    }
}

fn take(fields: &mut Map<String, Value>, name: &'static str) -> Result<Value, SubmissionFault> {
    fields.remove(name).ok_or(SubmissionFault::Missing(name))
}

fn take_time(fields: &mut Map<String, Value>, name: &'static str) -> Result<Option<Timestamp>, SubmissionFault> {
    match fields.remove(name) {
        None => Ok(None),
        Some(value) => Timestamp::parse(&value)
            .map(Some)
            .map_err(|_| SubmissionFault::WrongType(name, "a time (RFC 3339, or seconds or milliseconds since 1970)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(body: Value) -> Digest {
        Submission::parse(body).unwrap().fingerprint(&DigestKey::from_random([3; 32]))
    }

    #[test]
    fn the_fingerprint_sees_the_request_and_not_its_spelling() {
        let one = fingerprint(json!({"tool":"t","arguments":{"a":1,"b":2.0},"sent_at":"2026-11-22T10:00:00Z"}));
        let two = fingerprint(json!({"arguments":{"b":2,"a":1.0},"tool":"t","sent_at":1_795_341_999}));
        assert_eq!(one, two);
        for other in [
            json!({"tool":"u","arguments":{"a":1,"b":2}}),
            json!({"tool":"t","arguments":{"a":1,"b":3}}),
            json!({"tool":"t","arguments":{"a":"1","b":2}}),
            json!({"tool":"t","arguments":{"a":1,"b":2},"not_after":1_795_341_999}),
        ] {
            assert_ne!(one, fingerprint(other.clone()), "{other}");
        }
    }

    #[test]
    fn bodies_that_ask_for_nothing_known_are_refused() {
        for (body, fault) in [
            (json!([]), SubmissionFault::NotAnObject),
            (json!({"arguments":{}}), SubmissionFault::Missing("tool")),
            (json!({"tool":"t"}), SubmissionFault::Missing("arguments")),
            (json!({"tool":7,"arguments":{}}), SubmissionFault::WrongType("tool", "a string")),
            (json!({"tool":"t","arguments":[]}), SubmissionFault::WrongType("arguments", "an object")),
            (json!({"tool":"t","arguments":{},"dryRun":true}), SubmissionFault::UnknownField("dryRun".into())),
        ] {
            assert_eq!(Submission::parse(body.clone()), Err(fault), "{body}");
        }
        let bad_time = Submission::parse(json!({"tool":"t","arguments":{},"sent_at":"soon"}));
        assert!(matches!(bad_time, Err(SubmissionFault::WrongType("sent_at", _))));
    }
}
