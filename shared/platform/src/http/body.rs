//! Reads a request's body: the size cap is checked first, then the content type, then strict JSON.

use http::header::CONTENT_TYPE;
use lambda_http::Request;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IntoDeserializer},
};
use serde_json::Value;

use crate::http::{ApiError, Code};
use domain::json::{self, JsonFault};

/// Maximum size of a body in bytes.
const MAX_BYTES: usize = 32 * 1024;

/// Parses a body that is a JSON object of exactly these fields. serde's own message would quote the body, which may
/// contain a login code or a token, so the error shows `expected` instead.
pub fn read<T: DeserializeOwned>(request: &Request, expected: &'static str) -> Result<T, ApiError> {
    let value = read_json(request)?;
    // serde's derive also accepts an array of a struct's fields.
    let read = if value.is_object() { serde_json::from_value(value).ok() } else { None };
    read.ok_or_else(|| ApiError::new(Code::BodyInvalid).detail(format!("expected {expected}")))
}

/// Reads an enum of a body from a text, for `deserialize_with`. serde's derive also accepts an object with the name as
/// its only key.
pub fn name<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::deserialize(IntoDeserializer::<D::Error>::into_deserializer(String::deserialize(deserializer)?))
}

/// The bytes of a body, of any content type.
pub fn bytes(request: &Request) -> Result<&[u8], ApiError> {
    let body: &[u8] = request.body().as_ref();
    if body.len() > MAX_BYTES { Err(ApiError::new(Code::BodyTooLarge)) } else { Ok(body) }
}

/// The JSON value of a body.
pub fn read_json(request: &Request) -> Result<Value, ApiError> {
    let body = bytes(request)?;
    if !is_json(request) {
        return Err(ApiError::new(Code::ContentType));
    }
    json::parse(body).map_err(|fault| {
        let code = match fault {
            JsonFault::Syntax { .. } => Code::BodyNotJson,
            JsonFault::TooDeep => Code::BodyTooDeep,
            JsonFault::DuplicateKey => Code::BodyDuplicateKey,
            JsonFault::Number => Code::BodyNumber,
            JsonFault::PoisonKey | JsonFault::Shape => Code::BodyInvalid,
        };
        ApiError::new(code).detail(fault.to_string())
    })
}

/// Whether the only content type is JSON. Parameters are ignored: JSON is always UTF-8.
fn is_json(request: &Request) -> bool {
    let mut types = request.headers().get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    let media_type = only.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::Body;

    fn code_of(types: &[&str], body: impl Into<Body>) -> Option<Code> {
        let mut request = Request::new(body.into());
        for value in types {
            request.headers_mut().append(CONTENT_TYPE, value.parse().unwrap());
        }
        read_json(&request).err().map(|error| error.code)
    }

    #[test]
    fn only_application_json_is_read() {
        for value in ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json ;x"]
        {
            assert_eq!(code_of(&[value], "{}"), None, "{value}");
        }
        for types in [
            &[][..],
            &[""],
            &["text/plain"],
            &["application/jsonp"],
            &["application/json, text/plain"],
            &["application/json", "application/json"],
        ] {
            assert_eq!(code_of(types, "{}"), Some(Code::ContentType), "{types:?}");
        }
    }

    #[test]
    fn each_fault_of_a_body_has_its_code() {
        let full = format!("\"{}\"", "a".repeat(MAX_BYTES - 2));
        for (body, expected) in [
            (full.clone(), None),
            (format!("{full} "), Some(Code::BodyTooLarge)),
            (String::new(), Some(Code::BodyNotJson)),
            ("{} {}".to_owned(), Some(Code::BodyNotJson)),
            ("[".repeat(33), Some(Code::BodyTooDeep)),
            (r#"{"a":1,"a":1}"#.to_owned(), Some(Code::BodyDuplicateKey)),
            ("9007199254740992".to_owned(), Some(Code::BodyNumber)),
            (r#"{"__proto__":1}"#.to_owned(), Some(Code::BodyInvalid)),
        ] {
            assert_eq!(code_of(&["application/json"], body.clone()), expected, "{body:.60}");
        }
        assert_eq!(code_of(&["application/json"], Body::Binary(b"\xff".to_vec())), Some(Code::BodyNotJson));
        assert_eq!(code_of(&["application/json"], Body::Empty), Some(Code::BodyNotJson));
    }

    #[test]
    fn a_body_is_an_object_and_an_enum_in_it_is_a_text() {
        #[derive(Debug, PartialEq, Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Word {
            Yes,
        }
        #[derive(Debug, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Words {
            #[serde(deserialize_with = "name")]
            word: Word,
        }
        let parse = |body: &str| {
            let mut request = Request::new(body.into());
            request.headers_mut().insert(CONTENT_TYPE, "application/json".parse().unwrap());
            read::<Words>(&request, "a word").map_err(|error| error.code)
        };
        assert_eq!(parse(r#"{"word":"yes"}"#).unwrap(), Words { word: Word::Yes });
        for body in [
            r#"["yes"]"#,
            r#"{"word":{"yes":null}}"#,
            r#"{"word":["yes"]}"#,
            r#"{"word":"no"}"#,
            r#"{"word":0}"#,
            r#"{"word":"yes","x":1}"#,
            "{}",
            "null",
            r#""yes""#,
        ] {
            assert_eq!(parse(body), Err(Code::BodyInvalid), "{body}");
        }
    }

    #[test]
    fn the_size_is_looked_at_before_anything_else() {
        assert_eq!(code_of(&["text/plain"], "[".repeat(MAX_BYTES + 1)), Some(Code::BodyTooLarge));
    }
}
