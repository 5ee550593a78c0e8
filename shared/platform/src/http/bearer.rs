//! The session token of a request: `Authorization: Bearer <token>`.
//!
//! Every fault has the response `no_session`. Only the log has the reason, and it never quotes the header.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use http::{HeaderMap, header::AUTHORIZATION};

use crate::http::{ApiError, Code};
use domain::{
    access::session::{Session, SessionFault, SessionVerifier, SignedSession},
    ids::Timestamp,
};

/// Maximum length of a token in bytes. Session tokens have some 400.
const MAX_TOKEN_LEN: usize = 2048;
/// Tokens whose signatures a function remembers: some half a megabyte.
const MAX_SIGNED: usize = 1000;

/// Verifies the session tokens of requests, the signature of each token once: a phone that polls sends the same token each
/// time. Times are checked at each request.
///
/// It belongs to one reading of the secrets: with a key that is withdrawn, what it signed is forgotten.
pub struct SessionTokens {
    verifier: SessionVerifier,
    /// By token. Only what has a valid signature is in it, so invalid tokens cannot fill it.
    signed: Mutex<HashMap<Box<str>, SignedSession>>,
}

impl SessionTokens {
    /// Of the keys of this verifier.
    pub fn new(verifier: SessionVerifier) -> Self {
        Self { verifier, signed: Mutex::default() }
    }

    /// The verified session of a request. Revocation is not checked here: it is stored in the user's item.
    pub fn authenticate(&self, headers: &HeaderMap, now: Timestamp) -> Result<Session, ApiError> {
        let token = token(headers, MAX_TOKEN_LEN).map_err(no_session)?;
        let session = self.signed(token).and_then(|signed| signed.at(now));
        session.map_err(|fault| no_session(&fault.to_string()))
    }

    fn signed(&self, token: &str) -> Result<SignedSession, SessionFault> {
        if let Some(known) = self.lock().get(token) {
            return Ok(*known);
        }
        let signed = self.verifier.signed(token)?;
        let mut known = self.lock();
        if known.len() >= MAX_SIGNED {
            known.clear();
        }
        known.insert(token.into(), signed);
        Ok(signed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Box<str>, SignedSession>> {
        self.signed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for SessionTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The tokens are secrets.
        f.debug_struct("SessionTokens").field("verifier", &self.verifier).finish_non_exhaustive()
    }
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
    use std::time::Duration;

    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    use base64::{
        Engine,
        engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
    };
    use domain::{
        access::session::{Audience, SessionSigner},
        ids::UserId,
    };
    use http::HeaderValue;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);
    const LIFETIME: Duration = Duration::from_secs(7200);

    fn keys() -> (SessionSigner, SessionTokens) {
        let audience = || Audience { issuer: "issuer".to_owned(), audience: "audience".to_owned() };
        let pair = Ed25519KeyPair::generate().unwrap();
        let pkcs8 = STANDARD.encode(pair.to_pkcs8v1().unwrap().as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{pkcs8}\n-----END PRIVATE KEY-----\n");
        let public = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let verifier = SessionVerifier::new([("k1", public.as_str())], audience()).unwrap();
        (SessionSigner::new("k1", &pem, audience()).unwrap(), SessionTokens::new(verifier))
    }

    fn headers(token: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).unwrap())])
    }

    fn user(number: u16) -> UserId {
        let [high, low] = number.to_be_bytes();
        UserId::from_random([high, low, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7])
    }

    #[test]
    fn a_token_whose_signature_is_known_ends_all_the_same() {
        let (signer, tokens) = keys();
        let (token, session) = signer.mint(user(1), NOW, LIFETIME).unwrap();
        let at = |now| tokens.authenticate(&headers(&token), now).ok();
        assert_eq!([at(NOW), at(NOW)], [Some(session), Some(session)]);
        assert_eq!(tokens.lock().len(), 1);
        assert_eq!(at(NOW.plus(LIFETIME + Duration::from_secs(6))), None, "its time is over");
        assert_eq!(at(NOW.minus(Duration::from_secs(10))), None, "its time has not begun");
    }

    #[test]
    fn only_what_verifies_is_remembered_and_nothing_that_resembles_it_passes() {
        let (signer, tokens) = keys();
        let (others, _) = keys();
        let (token, session) = signer.mint(user(1), NOW, LIFETIME).unwrap();
        assert_eq!(tokens.authenticate(&headers(&token), NOW).unwrap(), session);
        let (payload, signature) = token.rsplit_once('.').unwrap();
        let (foreign, _) = others.mint(user(1), NOW, LIFETIME).unwrap();
        let (of_another, _) = signer.mint(user(2), NOW, LIFETIME).unwrap();
        let of_another = of_another.rsplit_once('.').unwrap().0;
        for forged in [
            payload.to_owned(),
            format!("{payload}."),
            format!("{of_another}.{signature}"),
            format!("{payload}.{}", foreign.rsplit_once('.').unwrap().1),
            foreign,
        ] {
            assert!(tokens.authenticate(&headers(&forged), NOW).is_err(), "{forged}");
        }
        assert_eq!(tokens.lock().len(), 1);
    }

    #[test]
    fn a_bounded_number_of_tokens_is_remembered() {
        let (signer, tokens) = keys();
        for number in 0..=u16::try_from(MAX_SIGNED).unwrap() {
            let (token, session) = signer.mint(user(number), NOW, LIFETIME).unwrap();
            assert_eq!(tokens.authenticate(&headers(&token), NOW).unwrap(), session);
            assert!(tokens.lock().len() <= MAX_SIGNED);
        }
        assert_eq!(tokens.lock().len(), 1, "they were forgotten when no more had room");
    }

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
