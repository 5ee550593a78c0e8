//! The session token of a request: `Authorization: Bearer <token>`.
//!
//! Every fault has the response `no_session`. Only the log has the reason, and it never quotes the header.

use http::{HeaderMap, header::AUTHORIZATION};

use crate::http::{ApiError, Code};
use domain::{
    access::session::{Session, SessionVerifier},
    ids::Timestamp,
};

/// Maximum length of a token in bytes. Session tokens have some 400.
const MAX_TOKEN_LEN: usize = 2048;

/// The verified session of a request. Revocation is not checked here: it is stored in the user's item.
pub fn authenticate(headers: &HeaderMap, verifier: &SessionVerifier, now: Timestamp) -> Result<Session, ApiError> {
    let token = token(headers, MAX_TOKEN_LEN).map_err(no_session)?;
    verifier.verify(token, now).map_err(|fault| no_session(&fault.to_string()))
}

/// Why a request has no valid session.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Reason(String);

/// The response to a request without a valid session. The reason goes to the request's log line only.
pub fn no_session(reason: &str) -> ApiError {
    ApiError::new(Code::NoSession).because(Reason(reason.to_owned()))
}

/// The token of the only `Authorization` header, if it has at most `at_most` bytes.
pub fn token(headers: &HeaderMap, at_most: usize) -> Result<&str, &'static str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or("no_header")?;
    if values.next().is_some() {
        return Err("several_headers");
    }
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or("header_malformed")?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err("other_scheme");
    }
    let token = token.trim_start_matches(' ');
    // API Gateway joins repeated headers with commas. A token has no comma (`b64token` of RFC 6750), so a joined
    // header is refused.
    let of_a_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if (1..=at_most).contains(&token.len()) && token.bytes().all(of_a_token) {
        Ok(token)
    } else {
        Err("token_malformed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token_of(values: &[&str]) -> Result<String, &'static str> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        token(&headers, MAX_TOKEN_LEN).map(str::to_owned)
    }

    #[test]
    fn the_scheme_is_read_in_any_case() {
        for value in ["Bearer a.b-c_d", "bearer a.b-c_d", "BEARER a.b-c_d", "Bearer   a.b-c_d"] {
            assert_eq!(token_of(&[value]).as_deref(), Ok("a.b-c_d"), "{value}");
        }
    }

    #[test]
    fn anything_but_one_token_is_refused() {
        let long = format!("Bearer {}", "a".repeat(MAX_TOKEN_LEN + 1));
        for (values, reason) in [
            (&[][..], "no_header"),
            (&["Bearer a", "Bearer a"], "several_headers"),
            (&["Bearer a, Bearer a"], "token_malformed"),
            (&["Bearer a,b"], "token_malformed"),
            (&["Bearer "], "token_malformed"),
            (&["Bearer a b"], "token_malformed"),
            (&["Bearer a\tb"], "token_malformed"),
            (&[long.as_str()], "token_malformed"),
            (&["Basic YTpi"], "other_scheme"),
            (&["Bearer"], "header_malformed"),
            (&[""], "header_malformed"),
            (&["Bearer\ta"], "header_malformed"),
            (&["Bearer 令牌"], "header_malformed"),
        ] {
            assert_eq!(token_of(values), Err(reason), "{values:?}");
        }
    }
}
