//! Which session tokens are accepted, and why the others are refused.
#![allow(missing_docs, clippy::unwrap_used, reason = "in a test an unwrap is a failure")]

use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use domain::{
    access::session::{Audience, SKEW, Session, SessionFault, SessionSigner, SessionVerifier, TOKEN_TYPE},
    ids::{Timestamp, UserId},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_123);
const LIFETIME: Duration = Duration::from_secs(7200);

fn audience() -> Audience {
    Audience { issuer: "issuer".to_owned(), audience: "audience".to_owned() }
}

fn user() -> UserId {
    UserId::from_random([0xab; 16])
}

/// A key pair under an id.
struct Key {
    kid: &'static str,
    private_pem: String,
    public: Vec<u8>,
}

impl Key {
    fn new(kid: &'static str) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let pkcs8 = STANDARD.encode(pair.to_pkcs8v1().unwrap().as_ref());
        Self {
            kid,
            private_pem: format!("-----BEGIN PRIVATE KEY-----\n{pkcs8}\n-----END PRIVATE KEY-----\n"),
            public: pair.public_key().as_ref().to_vec(),
        }
    }

    fn signer(&self) -> SessionSigner {
        SessionSigner::new(self.kid, &self.private_pem, audience()).unwrap()
    }

    fn mint(&self) -> (String, Session) {
        self.signer().mint(user(), NOW, LIFETIME).unwrap()
    }

    /// Signs any header and any claims.
    fn sign(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &EncodingKey::from_ed_pem(self.private_pem.as_bytes()).unwrap()).unwrap()
    }
}

fn verifier(keys: &[&Key]) -> SessionVerifier {
    let keys: Vec<_> = keys.iter().map(|key| (key.kid, URL_SAFE_NO_PAD.encode(&key.public))).collect();
    SessionVerifier::new(keys.iter().map(|(kid, public)| (*kid, public.as_str())), audience()).unwrap()
}

fn header(kid: &str) -> Header {
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some(TOKEN_TYPE.to_owned());
    header.kid = Some(kid.to_owned());
    header
}

fn claims() -> Value {
    let now = NOW.seconds_floor();
    json!({
        "iss": "issuer", "aud": "audience", "sub": user().to_string(),
        "iat": now, "nbf": now, "exp": now + 7200, "began_ms": NOW.millis(),
    })
}

fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

#[test]
fn what_was_minted_is_a_session_exact_to_the_millisecond() {
    let key = Key::new("k1");
    let (token, minted) = key.mint();
    assert_eq!(minted, verifier(&[&key]).verify(&token, NOW).unwrap());
    assert_eq!((minted.user_id, minted.began_at), (user(), NOW));
    assert_eq!(minted.expires_at.millis(), 1_795_348_801_000, "whole seconds, never less than the lifetime");
    // The helper of the tests below makes valid sessions too, so each refusal is due to the one change of its test.
    assert!(verifier(&[&key]).verify(&key.sign(&header("k1"), &claims()), NOW).is_ok());
}

#[test]
fn what_is_no_token_is_no_session() {
    let key = Key::new("k1");
    let (token, _) = key.mint();
    let [head, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("a JWT has three parts") };
    for text in [
        "",
        ".",
        "..",
        "...",
        "session",
        "a.b",
        "a.b.c",
        "e30.e30.",
        "\u{0}",
        "令牌",
        &format!("{head}.{claims}"),
        &format!("{head}.{claims}."),
        &format!("{head}..{signature}"),
        &format!(".{claims}.{signature}"),
        &format!("{claims}.{head}.{signature}"),
        &format!("{token}."),
        &format!("{token}.{signature}"),
        &format!(".{token}"),
        &format!("{token} "),
        &format!(" {token}"),
        &format!("{token}\n"),
        &format!("{token}="),
        &format!("Bearer {token}"),
        &"a.".repeat(100_000),
    ] {
        let fault = verifier(&[&key]).verify(text, NOW).unwrap_err();
        assert_eq!(fault, SessionFault::Signature, "{}", text.chars().take(500).collect::<String>());
    }
}

#[test]
fn a_change_of_any_character_is_noticed() {
    let key = Key::new("k1");
    let (token, _) = key.mint();
    let verifier = verifier(&[&key]);
    for place in 0..token.len() {
        for other in [b'A', b'B', b'_'] {
            let mut changed = token.clone().into_bytes();
            if changed[place] == other {
                continue;
            }
            changed[place] = other;
            let changed = String::from_utf8(changed).unwrap();
            assert!(verifier.verify(&changed, NOW).is_err(), "character {place} of {token} as {}", other as char);
        }
    }
}

#[test]
fn another_users_claims_under_a_good_signature_are_refused() {
    let key = Key::new("k1");
    let (token, _) = key.mint();
    let parts: Vec<_> = token.split('.').collect();
    let forged = claims_with("sub", json!(UserId::from_random([8; 16])));
    let forged = format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(forged.to_string()), parts[2]);
    assert_eq!(verifier(&[&key]).verify(&forged, NOW), Err(SessionFault::Signature));
}

#[test]
fn a_session_lives_from_its_beginning_to_its_end_give_or_take_the_skew() {
    let key = Key::new("k1");
    let (token, session) = key.mint();
    let begins = Timestamp::from_millis(NOW.seconds_floor() * 1000);
    let last = session.expires_at.plus(SKEW).minus(Duration::from_millis(1));
    for (now, alive) in [
        (begins.minus(SKEW), true),
        (begins.minus(SKEW).minus(Duration::from_millis(1)), false),
        (Timestamp::from_millis(0), false),
        (NOW, true),
        (session.expires_at, true),
        (last, true),
        (session.expires_at.plus(SKEW), false),
        (Timestamp::from_millis(i64::MAX), false),
    ] {
        let expected = if alive { Ok(session) } else { Err(SessionFault::Expired) };
        assert_eq!(verifier(&[&key]).verify(&token, now), expected, "{now}");
    }
    for claims in
        [claims_with("exp", json!(0)), claims_with("nbf", json!(i64::MAX)), claims_with("nbf", json!(NOW.millis()))]
    {
        let token = key.sign(&header("k1"), &claims);
        assert_eq!(verifier(&[&key]).verify(&token, NOW), Err(SessionFault::Expired), "{claims}");
    }
}

#[test]
fn every_claim_must_be_there_and_ours() {
    let key = Key::new("k1");
    for (name, value) in [
        ("iss", json!("another")),
        ("iss", json!("")),
        ("aud", json!("another")),
        ("aud", json!("Audience")),
        ("sub", json!("")),
        ("sub", json!("oGZUI0egBJY1zhBYw2KhdUfwVJJE")),
        ("sub", json!(user().to_string().to_uppercase())),
        ("sub", json!(format!("{}#", user()))),
    ] {
        let token = key.sign(&header("k1"), &claims_with(name, value.clone()));
        assert_eq!(verifier(&[&key]).verify(&token, NOW), Err(SessionFault::Audience), "{name} {value}");
    }
    for name in ["iss", "aud", "sub", "iat", "nbf", "exp", "began_ms"] {
        let mut missing = claims();
        missing.as_object_mut().unwrap().remove(name);
        for claims in
            [missing, claims_with(name, json!(null)), claims_with(name, json!({})), claims_with(name, json!(0.5))]
        {
            let token = key.sign(&header("k1"), &claims);
            assert!(verifier(&[&key]).verify(&token, NOW).is_err(), "{claims}");
        }
    }
}

#[test]
fn a_token_of_another_type_or_key_is_refused() {
    let (key, other) = (Key::new("k1"), Key::new("k2"));
    let with = |change: fn(&mut Header)| {
        let mut header = header("k1");
        change(&mut header);
        key.sign(&header, &claims())
    };
    for (name, token, fault) in [
        ("typ JWT", with(|h| h.typ = Some("JWT".to_owned())), SessionFault::Type),
        ("no typ", with(|h| h.typ = None), SessionFault::Type),
        ("no kid", with(|h| h.kid = None), SessionFault::KeyId),
        ("empty kid", with(|h| h.kid = Some(String::new())), SessionFault::KeyId),
        ("unknown kid", with(|h| h.kid = Some("k3".to_owned())), SessionFault::KeyId),
        ("kid of another key", with(|h| h.kid = Some("k2".to_owned())), SessionFault::Signature),
        ("a key that is not ours", Key::new("k1").mint().0, SessionFault::Signature),
    ] {
        assert_eq!(verifier(&[&key, &other]).verify(&token, NOW), Err(fault), "{name}");
    }
}

#[test]
fn a_key_inside_the_token_is_not_trusted() {
    let (key, attacker) = (Key::new("k1"), Key::new("k1"));
    let mut header = header("k1");
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": URL_SAFE_NO_PAD.encode(&attacker.public)});
    header.jwk = Some(serde_json::from_value(jwk).unwrap());
    header.jku = Some("https://attacker.example/keys".to_owned());
    let token = attacker.sign(&header, &claims());
    assert_eq!(verifier(&[&key]).verify(&token, NOW), Err(SessionFault::Signature));
}

#[test]
fn only_eddsa_is_verified() {
    let key = Key::new("k1");
    let by_hand = |algorithm: &str, signature: &str| {
        let header = json!({"alg": algorithm, "typ": TOKEN_TYPE, "kid": "k1"});
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.{signature}", encode(&header), encode(&claims()))
    };
    let (token, _) = key.mint();
    let good_signature = token.rsplit('.').next().unwrap();
    for algorithm in ["none", "None", "NONE", "", "eddsa", "Ed25519"] {
        for signature in ["", good_signature] {
            let fault = verifier(&[&key]).verify(&by_hand(algorithm, signature), NOW).unwrap_err();
            assert_eq!(fault, SessionFault::Signature, "{algorithm}");
        }
    }

    // Algorithm confusion: the public key used as the secret of an HMAC.
    let public = URL_SAFE_NO_PAD.encode(&key.public);
    for secret in [key.public.as_slice(), public.as_bytes()] {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let header = Header { alg: algorithm, ..header("k1") };
            let token = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(secret)).unwrap();
            assert_eq!(verifier(&[&key]).verify(&token, NOW), Err(SessionFault::Algorithm), "{algorithm:?}");

            // The same with `alg: EdDSA` in the header.
            let parts: Vec<_> = token.split('.').collect();
            let token = by_hand("EdDSA", parts[2]);
            assert_eq!(verifier(&[&key]).verify(&token, NOW), Err(SessionFault::Signature));
        }
    }
}

#[test]
fn two_keys_are_valid_at_once_so_that_rotation_needs_no_outage() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let (before, after) = (old.mint().0, new.mint().0);
    let alive = |keys: &[&Key], token: &str| verifier(keys).verify(token, NOW).is_ok();
    // The new key is listed, then it signs, then the old one is dropped.
    assert!(alive(&[&old, &new], &before) && alive(&[&old, &new], &after));
    assert!(alive(&[&new, &old], &before) && alive(&[&new, &old], &after));
    assert_eq!(verifier(&[&new]).verify(&before, NOW), Err(SessionFault::KeyId));
    assert!(alive(&[&new], &after));
    assert!(!alive(&[], &after));
}

#[test]
fn a_key_that_cannot_be_used_is_named_and_not_shown() {
    let key = Key::new("k1");
    let public_pem = key.private_pem.replace("PRIVATE", "PUBLIC");
    for pem in ["", "no pem", public_pem.as_str(), &key.private_pem[..60]] {
        let error = SessionSigner::new("k1", pem, audience()).unwrap_err();
        assert_eq!(error.to_string(), "signing key k1 is not a usable Ed25519 key");
    }
    assert!(SessionVerifier::new([("k1", "not base64url!")], audience()).is_err());
    let shown = format!("{:?} {:?}", key.signer(), verifier(&[&key]));
    assert!(shown.contains("k1") && !shown.contains(&URL_SAFE_NO_PAD.encode(&key.public)), "{shown}");
}
