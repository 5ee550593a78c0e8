//! Strict JSON in, canonical JSON out.
//!
//! What the client sent is read once, here: no duplicate keys, bounded depth, I-JSON numbers only (RFC 7493), so that the
//! value that was validated, digested and sent to a tool is one and the same for every parser on the way.

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How deep arrays and objects may nest.
pub const MAX_DEPTH: usize = 32;
/// The largest magnitude that every JSON implementation keeps exactly: 2^53 - 1.
const MAX_SAFE: u64 = 9_007_199_254_740_991;

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
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("the body nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// One object names a key twice.
    #[error("an object in the body has the same key twice")]
    DuplicateKey,
    /// A number beyond ±(2^53 − 1), which parsers disagree about.
    #[error("a number in the body is outside ±(2^53 - 1); send it as a string")]
    Number,
}

/// Parses strictly.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonFault> {
    let fault = Cell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let syntax = |e: &serde_json::Error| JsonFault::Syntax { line: e.line(), column: e.column() };
    let value = Strict { depth: 0, fault: &fault }
        .deserialize(&mut deserializer)
        .map_err(|e| fault.take().unwrap_or_else(|| syntax(&e)))?;
    deserializer.end().map_err(|e| syntax(&e))?;
    Ok(value)
}

/// The canonical form of RFC 8785, by which two spellings of one value are the same bytes.
pub fn canonical(value: &Value) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(value).expect("a JSON value with finite numbers always serialises")
}

struct Strict<'a> {
    depth: usize,
    fault: &'a Cell<Option<JsonFault>>,
}

impl Strict<'_> {
    fn refuse<E: serde::de::Error>(&self, fault: JsonFault) -> E {
        let text = fault.to_string();
        self.fault.set(Some(fault));
        E::custom(text)
    }

    fn deeper<E: serde::de::Error>(&self) -> Result<Strict<'_>, E> {
        if self.depth == MAX_DEPTH {
            return Err(self.refuse(JsonFault::TooDeep));
        }
        Ok(Strict { depth: self.depth + 1, fault: self.fault })
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
        if value > MAX_SAFE { Err(self.refuse(JsonFault::Number)) } else { Ok(Value::Number(value.into())) }
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        if value.unsigned_abs() > MAX_SAFE {
            Err(self.refuse(JsonFault::Number))
        } else {
            Ok(Value::Number(value.into()))
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "2^53 - 1 is exact as a double, which is its point")]
    #[expect(clippy::cast_possible_truncation, reason = "a whole double of at most 2^53 - 1 is exact as an integer")]
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        // serde_json turns integers beyond 64 bits into doubles, so magnitude is checked here as well.
        if value.abs() > MAX_SAFE as f64 {
            return Err(self.refuse(JsonFault::Number));
        }
        // `60.0` is the integer 60 to JSON Schema and to JavaScript: a field of whole numbers must take it as well.
        if value.fract() == 0.0 {
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
            if map.contains_key(&key) {
                return Err(self.refuse(JsonFault::DuplicateKey));
            }
            let value = entries.next_value_seed(Strict { depth: deeper.depth, fault: deeper.fault })?;
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
    fn depth_is_bounded_before_it_costs_anything() {
        let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(parse(nested(MAX_DEPTH + 1).as_bytes()), Err(JsonFault::TooDeep));
        assert_eq!(parse(nested(16_000).as_bytes()), Err(JsonFault::TooDeep));
    }

    #[test]
    fn two_spellings_of_one_value_have_one_canonical_form() {
        let one = parse(br#"{"b":1.0,"a":"\u00e9"}"#).unwrap();
        let two = parse("{ \"a\": \"é\", \"b\": 1 }".as_bytes()).unwrap();
        assert_eq!(canonical(&one), canonical(&two));
        assert_eq!(canonical(&one), "{\"a\":\"é\",\"b\":1}".as_bytes());
    }

    #[test]
    fn a_whole_number_is_an_integer_however_it_is_written() {
        assert_eq!(parse(b"[60.0, 6e1, -0.0, 0.5]").unwrap(), json!([60, 60, 0, 0.5]));
    }
}
