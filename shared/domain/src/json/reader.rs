//! The only reader of external JSON: of a client, a gateway, a tool, WeChat, an identity provider, or stored by an
//! earlier version of this service.
//!
//! `serde_json::Value` is never read with serde_json's own functions. With the feature `raw_value`, which
//! `lambda_http` enables for the whole build, `Value` takes `{"$serde_json::private::RawValue": "TEXT"}` for the
//! parsed TEXT, so that one text would have two meanings. This reader refuses keys that a parser treats specially,
//! and keys that occur twice in one object, since parsers disagree about them. `clippy.toml` forbids
//! `serde_json::from_str` and `from_slice` everywhere else. `docs/design/text.md` has the rules, and
//! `tests/vectors/text.json` the cases.

use std::{borrow::Cow, cell::Cell, fmt};

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value, value::RawValue};

use super::Omission;

/// Maximum nesting of arrays and objects in a client's body.
pub const MAX_DEPTH: usize = 32;
/// Maximum nesting of arrays and objects in stored JSON and in responses of the gateway.
pub const MAX_DEPTH_KEPT: usize = 64;
/// The largest magnitude that every JSON implementation represents exactly: 2^53 - 1.
const MAX_SAFE: u64 = 9_007_199_254_740_991;
/// Prefix of keys that serde_json treats specially (`RawValue`, `Number`).
const PRIVATE: &str = "$serde_json::private::";
/// JavaScript interprets this key as an object's prototype.
const PROTOTYPE: &str = "__proto__";

/// Why bytes are not acceptable JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// Not JSON at all.
    #[error("the body is not valid JSON (line {line}, column {column})")]
    Syntax {
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, from 1.
        column: usize,
    },
    /// Nested deeper than [`MAX_DEPTH`], or [`MAX_DEPTH_KEPT`].
    #[error("the body nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// One object has a key twice.
    #[error("an object in the body has the same key twice")]
    DuplicateKey,
    /// A number beyond ±(2^53 − 1), which parsers disagree about.
    #[error("a number in the body is outside ±(2^53 - 1); send it as a string")]
    Number,
    /// A key that some parser treats specially.
    #[error("an object in the body has a key that is reserved: it begins with `{PRIVATE}`, or is `{PROTOTYPE}`")]
    PoisonKey,
    /// Valid JSON without the expected shape.
    #[error("the JSON does not have the expected shape")]
    Shape,
}

impl JsonFault {
    /// Why content with this fault is omitted.
    pub const fn omission(&self) -> Omission {
        match self {
            Self::TooDeep => Omission::TooDeep,
            Self::Syntax { .. } | Self::DuplicateKey | Self::Number | Self::PoisonKey | Self::Shape => {
                Omission::Unreadable
            }
        }
    }
}

/// Options of the readers.
#[derive(Debug, Clone, Copy)]
struct Limits {
    depth: usize,
    /// Numbers beyond ±(2^53 - 1) are refused. Otherwise only those that no double holds.
    exact_numbers: bool,
}

const CLIENT: Limits = Limits { depth: MAX_DEPTH, exact_numbers: true };
const KEPT: Limits = Limits { depth: MAX_DEPTH_KEPT, exact_numbers: false };

/// Reads a client's JSON: well-formed Unicode, no duplicate or special keys, at most [`MAX_DEPTH`] levels, I-JSON
/// numbers (RFC 7493).
pub fn parse(bytes: &[u8]) -> Result<Value, JsonFault> {
    read(bytes, CLIENT)
}

/// Reads JSON of this service, of any version, or of its operator: a stored item, a message of the queue, a secret
/// document. As [`parse`], but with at most [`MAX_DEPTH_KEPT`] levels, and any number that a double can represent.
pub fn kept<T: DeserializeOwned>(text: impl AsRef<[u8]>) -> Result<T, JsonFault> {
    T::deserialize(read(text.as_ref(), KEPT)?).map_err(|_| JsonFault::Shape)
}

/// Reads JSON of a gateway, a tool, WeChat or an identity provider. As [`kept`], but invalid Unicode becomes U+FFFD:
/// JavaScript may cut a text inside a surrogate pair, and a cut text must not make the whole response unreadable.
pub fn foreign<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonFault> {
    kept(well_formed(bytes).as_bytes())
}

/// The members of a JSON object, each as its unparsed text. `None` for anything but an object. Of a duplicate key the
/// last one counts.
pub fn members(text: &str) -> Option<Vec<(String, &RawValue)>> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut members: Self::Value = Vec::new();
            while let Some((key, value)) = entries.next_entry::<String, &RawValue>()? {
                members.retain(|(known, _)| *known != key);
                members.push((key, value));
            }
            Ok(members)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let members = deserializer.deserialize_map(Members).ok()?;
    deserializer.end().ok()?;
    Some(members)
}

/// The text with U+FFFD in place of every byte sequence that is not UTF-8, and of every escape of half a surrogate
/// pair.
pub fn well_formed(bytes: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(bytes);
    let mut mended = String::new();
    let mut done = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find('\\') {
        let escape = at + found;
        let unit = unit_at(&text, escape);
        let low = unit_at(&text, escape + 6).filter(|low| (0xdc00..0xe000).contains(low));
        at = match unit {
            None => {
                // The escaped character may itself be a backslash.
                let escaped = text[escape + 1..].chars().next().map_or(0, char::len_utf8);
                escape + 1 + escaped
            }
            Some(0xd800..=0xdbff) if low.is_some() => escape + 12,
            Some(0xd800..=0xdfff) => {
                mended.push_str(&text[done..escape]);
                mended.push('\u{fffd}');
                done = escape + 6;
                done
            }
            Some(_) => escape + 6,
        };
    }
    if done == 0 {
        return text;
    }
    mended.push_str(&text[done..]);
    Cow::Owned(mended)
}

/// The UTF-16 code unit that is escaped at this position, as `\uXXXX`.
fn unit_at(text: &str, at: usize) -> Option<u32> {
    let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
}

fn read(bytes: &[u8], limits: Limits) -> Result<Value, JsonFault> {
    let fault = Cell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let syntax = |e: &serde_json::Error| JsonFault::Syntax { line: e.line(), column: e.column() };
    let value = Strict { depth: 0, limits, fault: &fault }
        .deserialize(&mut deserializer)
        .map_err(|e| fault.take().unwrap_or_else(|| syntax(&e)))?;
    deserializer.end().map_err(|e| syntax(&e))?;
    Ok(value)
}

struct Strict<'a> {
    depth: usize,
    limits: Limits,
    fault: &'a Cell<Option<JsonFault>>,
}

impl Strict<'_> {
    fn refuse<E: serde::de::Error>(&self, fault: JsonFault) -> E {
        let text = fault.to_string();
        self.fault.set(Some(fault));
        E::custom(text)
    }

    fn deeper<E: serde::de::Error>(&self) -> Result<Strict<'_>, E> {
        if self.depth == self.limits.depth {
            return Err(self.refuse(JsonFault::TooDeep));
        }
        Ok(Strict { depth: self.depth + 1, ..*self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        if value > MAX_SAFE && self.limits.exact_numbers {
            return Err(self.refuse(JsonFault::Number));
        }
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        if value.unsigned_abs() > MAX_SAFE && self.limits.exact_numbers {
            return Err(self.refuse(JsonFault::Number));
        }
        Ok(Value::Number(value.into()))
    }

    #[expect(clippy::cast_precision_loss, reason = "2^53 - 1 is exact as a double, which is its point")]
    #[expect(clippy::cast_possible_truncation, reason = "a whole double of at most 2^53 - 1 is exact as an integer")]
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        // serde_json converts integers beyond 64 bits into doubles, so their magnitude is checked here as well.
        let is_safe = value.abs() <= MAX_SAFE as f64;
        if !is_safe && self.limits.exact_numbers {
            return Err(self.refuse(JsonFault::Number));
        }
        // `60.0` is an integer for JSON Schema and JavaScript, so a field for integers must accept it.
        if is_safe && value.fract() == 0.0 {
            return Ok(Value::Number((value as i64).into()));
        }
        Number::from_f64(value).map(Value::Number).ok_or_else(|| self.refuse(JsonFault::Number))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.deeper::<A::Error>()?)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let deeper = self.deeper::<A::Error>()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if key.starts_with(PRIVATE) || key == PROTOTYPE {
                return Err(self.refuse(JsonFault::PoisonKey));
            }
            if map.contains_key(&key) {
                return Err(self.refuse(JsonFault::DuplicateKey));
            }
            let value = entries.next_value_seed(Strict { ..deeper })?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ordinary_json_comes_through() {
        let text = br#" {"a":[1,-2,0.5,true,null,"\u00e9"],"b":{"c":9007199254740991}} "#;
        assert_eq!(parse(text).unwrap(), json!({"a":[1,-2,0.5,true,null,"é"],"b":{"c":9_007_199_254_740_991_i64}}));
    }

    #[test]
    fn what_parsers_disagree_about_is_refused() {
        for (text, fault) in [
            (r#"{"a":1,"a":2}"#, JsonFault::DuplicateKey),
            (r#"{"x":{"a":1,"\u0061":2}}"#, JsonFault::DuplicateKey),
            (r#"{"x":{"$serde_json::private::RawValue":"[1]"}}"#, JsonFault::PoisonKey),
            (r#"{"x":{"\u0024serde_json::private::Number":"1"}}"#, JsonFault::PoisonKey),
            (r#"[{"__proto__":{}}]"#, JsonFault::PoisonKey),
            ("9007199254740992", JsonFault::Number),
            ("-9007199254740992", JsonFault::Number),
            ("123456789012345678901234567890", JsonFault::Number),
            ("1e300", JsonFault::Number),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(fault), "{text}");
        }
        for text in ["", "{", "{a:1}", "NaN", "1e999", "[1,]", "{} {}", r#""\ud800""#, "\u{feff}{}", "01"] {
            assert!(matches!(parse(text.as_bytes()), Err(JsonFault::Syntax { .. })), "{text:?}");
        }
    }

    #[test]
    fn a_whole_number_is_an_integer_however_it_is_written() {
        assert_eq!(parse(b"[60.0, 6e1, -0.0, 0.5]").unwrap(), json!([60, 60, 0, 0.5]));
    }

    #[test]
    fn depth_is_bounded_before_it_costs_anything() {
        let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(parse(nested(MAX_DEPTH + 1).as_bytes()), Err(JsonFault::TooDeep));
        assert_eq!(parse(nested(16_000).as_bytes()), Err(JsonFault::TooDeep));
        assert!(kept::<Value>(nested(MAX_DEPTH_KEPT)).is_ok());
        assert_eq!(kept::<Value>(nested(MAX_DEPTH_KEPT + 1)), Err(JsonFault::TooDeep));
    }

    #[test]
    fn half_a_pair_and_what_is_no_utf8_are_replaced_and_nothing_else_is() {
        for (bytes, text) in [
            (&br#""half \ud83d""#[..], r#""half �""#),
            (br#""\ude00 \ud83d""#, r#""� �""#),
            (br#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (br#""\ud83d\ud83d\ude00""#, r#""�\ud83d\ude00""#),
            (br#""\\ud83d""#, r#""\\ud83d""#),
            (br#""\\\ud83d""#, r#""\\�""#),
            (br#""\uD83Dx\u""#, r#""�x\u""#),
            (b"\"\xff\"", "\"\u{fffd}\""),
            (b"\\", "\\"),
        ] {
            assert_eq!(well_formed(bytes), text);
        }
    }

    #[test]
    fn members_are_had_whatever_is_in_them() {
        let text = format!(r#"{{"a":{}1{},"b":{{"__proto__":"\ud83d"}},"a":2}}"#, "[".repeat(9000), "]".repeat(9000));
        let members = members(&text).unwrap();
        let shown: Vec<(&str, &str)> = members.iter().map(|(key, raw)| (key.as_str(), raw.get())).collect();
        assert_eq!(shown, [("b", r#"{"__proto__":"\ud83d"}"#), ("a", "2")]);
        for text in ["[]", "1", "{} {}", "{\"a\":}"] {
            assert!(super::members(text).is_none(), "{text}");
        }
    }
}
