//! Canonical JSON.

use serde_json::Value;

/// The canonical form of RFC 8785, by which two spellings of one value are the same bytes.
pub fn canonical(value: &Value) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(value).expect("a JSON value with finite numbers always serialises")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    #[test]
    fn two_spellings_of_one_value_have_one_canonical_form() {
        let one = parse(br#"{"b":1.0,"a":"\u00e9"}"#).unwrap();
        let two = parse("{ \"a\": \"é\", \"b\": 1 }".as_bytes()).unwrap();
        assert_eq!(canonical(&one), canonical(&two));
        assert_eq!(canonical(&one), "{\"a\":\"é\",\"b\":1}".as_bytes());
    }
}
