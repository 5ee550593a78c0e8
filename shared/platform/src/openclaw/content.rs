//! Separates the outcome in a response from its content. Tools and agents return arbitrary content: half a surrogate
//! pair, a thousand nested lists, a key that some parser interprets. Such content must not hide that the tool ran, so
//! state and status are read whatever the content is, and content that cannot be shown is omitted.

use domain::json::{self, Omission};
use serde_json::{Map, Value};

/// What a tool returned, or why it is not shown.
pub type Content = Result<Value, Omission>;

/// A part of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The response itself: of the journal, or of the tool layer.
    Answer,
    /// The journal's row.
    Entry,
    /// The response of the tool layer, as the journal stores it.
    ToolAnswer,
}

/// The body of a response, and why its content was omitted, if it was. `Null` when the body is not a JSON object.
pub(super) fn read(bytes: &[u8]) -> (Value, Option<Omission>) {
    let mut omitted = None;
    let body = object(&json::well_formed(bytes), Part::Answer, &mut omitted);
    (body.unwrap_or(Value::Null), omitted)
}

fn object(text: &str, part: Part, omitted: &mut Option<Omission>) -> Option<Value> {
    let mut fields = Map::new();
    for (name, raw) in json::members(text)? {
        let value = match (part, name.as_str()) {
            (Part::Answer, "entry") => object(raw.get(), Part::Entry, omitted),
            (Part::Entry, "result") => object(raw.get(), Part::ToolAnswer, omitted),
            (Part::Answer | Part::ToolAnswer, "result") | (Part::Entry, "reply") => {
                Some(json::kept(raw.get()).unwrap_or_else(|fault| {
                    *omitted = Some(fault.omission());
                    instead_of(raw.get())
                }))
            }
            _ => None,
        };
        fields.insert(name, value.unwrap_or_else(|| json::kept(raw.get()).unwrap_or_default()));
    }
    Some(Value::Object(fields))
}

/// Replacement of a result that cannot be read. It keeps whether the tool reported a failure, which is part of the
/// outcome.
fn instead_of(result: &str) -> Value {
    let members = json::members(result).unwrap_or_default();
    let failed = members.iter().any(|(name, raw)| name == "isError" && raw.get() == "true");
    serde_json::json!({ "isError": failed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_outcome_is_read_whatever_the_content_is() {
        let entry = |result: &str| {
            let text = format!(
                r#"{{"protocol":1,"journal":"j","entry":{{"state":"finished","status":200,"result":{{"ok":true,"result":{result}}}}}}}"#
            );
            read(text.as_bytes())
        };
        let deep = format!("{}{}", "[".repeat(150), "]".repeat(150));
        for (result, shown, omitted) in [
            ("{\"a\":1}", json!({"a":1}), None),
            ("\"half \\ud83d\"", json!("half \u{fffd}"), None),
            (&deep, json!({"isError":false}), Some(Omission::TooDeep)),
            ("{\"a\":{\"__proto__\":1},\"isError\":true}", json!({"isError":true}), Some(Omission::Unreadable)),
            ("{\"$serde_json::private::RawValue\":\"[1]\"}", json!({"isError":false}), Some(Omission::Unreadable)),
        ] {
            let (body, why) = entry(result);
            assert_eq!((&body["entry"]["result"]["result"], why), (&shown, omitted), "{result:.60}");
            assert_eq!((&body["entry"]["state"], &body["entry"]["status"]), (&json!("finished"), &json!(200)));
            assert_eq!((&body["protocol"], &body["journal"]), (&json!(1), &json!("j")));
        }
        assert_eq!(read(b"{\"result\":[[]],\"ok\":tru"), (Value::Null, None));
        assert_eq!(read(b"{\"result\":\"\xff\"}"), (json!({"result":"\u{fffd}"}), None));
        assert_eq!(read(b"[1]"), (Value::Null, None));
    }
}
