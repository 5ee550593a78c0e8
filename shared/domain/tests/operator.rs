//! Which operator tokens are accepted, and why the others are refused (RFC 8725).
#![allow(missing_docs, clippy::unwrap_used, reason = "in a test an unwrap is a failure")]

use std::time::Duration;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use domain::{
    access::{
        operator_token::{Identity, MAX_TOKEN_LEN, OperatorAudience, OperatorKeys, SKEW, TokenFault, Unverified},
        session::{Audience, SessionSigner},
    },
    ids::{Timestamp, UserId},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_123);

fn audience() -> OperatorAudience {
    OperatorAudience {
        issuer: "https://issuer.example".to_owned(),
        audience: "operators".to_owned(),
        roles_claim: "roles".to_owned(),
    }
}

fn pem(pkcs8: &[u8]) -> String {
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(pkcs8))
}

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key of the issuer: the private half that signs, and the published half.
struct Key {
    algorithm: Algorithm,
    signing: EncodingKey,
    private_pem: String,
    public: Vec<u8>,
    jwk: Value,
}

impl Key {
    fn ed25519(kid: &str) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let (private_pem, public) = (pem(pair.to_pkcs8v1().unwrap().as_ref()), pair.public_key().as_ref().to_vec());
        Self {
            algorithm: Algorithm::EdDSA,
            signing: EncodingKey::from_ed_pem(private_pem.as_bytes()).unwrap(),
            jwk: json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(&public)}),
            private_pem,
            public,
        }
    }

    fn p256(kid: &str) -> Self {
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref()).unwrap();
        let (private_pem, public) = (pem(made.as_ref()), pair.public_key().as_ref().to_vec());
        Self {
            algorithm: Algorithm::ES256,
            signing: EncodingKey::from_ec_pem(private_pem.as_bytes()).unwrap(),
            jwk: json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": b64(&public[1..33]), "y": b64(&public[33..])}),
            private_pem,
            public,
        }
    }

    fn rsa(kid: &str, size: KeySize) -> Self {
        let pair = aws_lc_rs::rsa::KeyPair::generate(size).unwrap();
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let private_pem = pem(pkcs8.as_ref());
        let public = pair.public_key();
        let modulus = public.modulus().big_endian_without_leading_zero();
        let exponent = public.exponent().big_endian_without_leading_zero();
        Self {
            algorithm: Algorithm::RS256,
            signing: EncodingKey::from_rsa_pem(private_pem.as_bytes()).unwrap(),
            jwk: json!({"kty": "RSA", "kid": kid, "n": b64(modulus), "e": b64(exponent)}),
            private_pem,
            public: public.as_ref().to_vec(),
        }
    }

    fn header(&self, kid: &str) -> Header {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(kid.to_owned());
        header
    }

    fn sign(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.signing).unwrap()
    }
}

fn keys(jwks: &[&Value]) -> OperatorKeys {
    OperatorKeys::parse(&json!({ "keys": jwks }).to_string()).unwrap()
}

fn claims() -> Value {
    let now = NOW.seconds_floor();
    json!({
        "iss": "https://issuer.example", "aud": "operators", "sub": "zhang@example.com", "name": "Zhang San",
        "roles": ["approver", "of something else"], "iat": now, "nbf": now, "exp": now + 600,
    })
}

fn with(change: impl FnOnce(&mut Value)) -> Value {
    let mut claims = claims();
    change(&mut claims);
    claims
}

fn verify(keys: &OperatorKeys, token: &str) -> Result<Identity, TokenFault> {
    keys.verify(token, &Unverified::read(token)?, &audience(), NOW)
}

/// A token of any header, without a valid signature.
fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}.", b64(header.to_string().as_bytes()), b64(claims.to_string().as_bytes()))
}

#[test]
fn a_token_of_each_algorithm_that_is_taken_verifies() {
    let (ed, ec, rsa) = (Key::ed25519("a"), Key::p256("b"), Key::rsa("c", KeySize::Rsa2048));
    let keys = keys(&[&ed.jwk, &ec.jwk, &rsa.jwk]);
    for (key, kid) in [(&ed, "a"), (&ec, "b"), (&rsa, "c")] {
        let identity = verify(&keys, &key.sign(&key.header(kid), &claims())).unwrap();
        assert_eq!(identity.name.as_deref(), Some("Zhang San"));
        assert_eq!(identity.roles, ["approver".to_owned(), "of something else".to_owned()].into());
        assert_eq!(
            identity.subject,
            domain::access::operator_token::subject("https://issuer.example", "zhang@example.com")
        );
    }
}

#[test]
fn no_token_chooses_how_it_is_checked() {
    let (ed, ec, rsa) = (Key::ed25519("a"), Key::p256("b"), Key::rsa("c", KeySize::Rsa2048));
    let keys = keys(&[&ed.jwk, &ec.jwk, &rsa.jwk]);
    for spelling in ["none", "None", "NONE", ""] {
        let token = unsigned(&json!({"alg": spelling, "kid": "a", "typ": "JWT"}), &claims());
        assert_eq!(verify(&keys, &token), Err(TokenFault::Signature), "{spelling}");
    }
    // The public key as the secret of an HMAC, in every form that it is known in.
    let public_pem =
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&rsa.public));
    for secret in [rsa.public.as_slice(), public_pem.as_bytes(), ed.public.as_slice(), ec.public.as_slice()] {
        for kid in ["a", "b", "c"] {
            for algorithm in [Algorithm::HS256, Algorithm::HS512] {
                let mut header = Header::new(algorithm);
                header.kid = Some(kid.to_owned());
                let token = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(secret)).unwrap();
                assert_eq!(verify(&keys, &token), Err(TokenFault::Algorithm), "{kid}");
            }
        }
    }
    // A real signature, under a key for another algorithm, or for another variant of its own.
    assert_eq!(verify(&keys, &ed.sign(&ed.header("b"), &claims())), Err(TokenFault::Algorithm));
    assert_eq!(verify(&keys, &ec.sign(&ec.header("c"), &claims())), Err(TokenFault::Algorithm));
    for algorithm in [Algorithm::RS384, Algorithm::RS512, Algorithm::PS256] {
        let header = Header { alg: algorithm, ..rsa.header("c") };
        assert_eq!(verify(&keys, &rsa.sign(&header, &claims())), Err(TokenFault::Algorithm), "{algorithm:?}");
    }
}

#[test]
fn a_key_is_accepted_for_its_issuer_only() {
    let (ours, theirs) = (Key::ed25519("a"), Key::ed25519("a"));
    let keys = keys(&[&ours.jwk]);
    assert_eq!(verify(&keys, &theirs.sign(&theirs.header("a"), &claims())), Err(TokenFault::Signature));
    for kid in ["b", "A", "", "a ", "../a", "' OR 1=1"] {
        assert_eq!(verify(&keys, &ours.sign(&ours.header(kid), &claims())), Err(TokenFault::KeyId), "{kid}");
    }
    let header = Header { kid: None, ..ours.header("a") };
    assert_eq!(verify(&keys, &ours.sign(&header, &claims())), Err(TokenFault::KeyId));
    // A header with a key, or with the URL of one, is ignored.
    let mut header = theirs.header("a");
    header.jku = Some("https://attacker.example/keys".to_owned());
    header.x5u = Some("https://attacker.example/chain".to_owned());
    header.jwk = serde_json::from_value(theirs.jwk.clone()).ok();
    assert_eq!(verify(&keys, &theirs.sign(&header, &claims())), Err(TokenFault::Signature));
    let header = Header { jku: Some("https://attacker.example/keys".to_owned()), ..ours.header("a") };
    assert!(verify(&keys, &ours.sign(&header, &claims())).is_ok(), "ignored, not refused");
}

#[test]
fn a_token_of_another_kind_is_none_of_an_operator() {
    let key = Key::ed25519("a");
    let keys = keys(&[&key.jwk]);
    for (typ, taken) in [
        ("JWT", true),
        ("jwt", true),
        ("at+jwt", true),
        ("application/at+jwt", true),
        ("mp-session+jwt", false),
        ("x", false),
    ] {
        let header = Header { typ: Some(typ.to_owned()), ..key.header("a") };
        let expected = if taken { None } else { Some(TokenFault::Type) };
        assert_eq!(verify(&keys, &key.sign(&header, &claims())).err(), expected, "{typ}");
    }
    // A session of a Mini Program, even if issuer, audience and key were the same.
    let same = Audience { issuer: audience().issuer, audience: audience().audience };
    let signer = SessionSigner::new("a", &key.private_pem, same).unwrap();
    let (session, _) = signer.mint(UserId::from_random([7; 16]), NOW, Duration::from_secs(600)).unwrap();
    assert_eq!(verify(&keys, &session), Err(TokenFault::Type));
    let critical = unsigned(&json!({"alg": "EdDSA", "kid": "a", "crit": ["exp"], "exp": 1}), &claims());
    assert!(matches!(verify(&keys, &critical), Err(TokenFault::Type | TokenFault::Signature)));
}

#[test]
fn every_claim_is_checked() {
    let key = Key::ed25519("a");
    let keys = keys(&[&key.jwk]);
    let verdict = |claims: &Value| verify(&keys, &key.sign(&key.header("a"), claims)).err();
    let (now, skew) = (NOW.seconds_floor(), SKEW.as_secs().cast_signed());
    for (claims, fault) in [
        (with(|c| c["iss"] = json!("https://other.example")), Some(TokenFault::Audience)),
        (with(|c| c["iss"] = json!("https://issuer.example/")), Some(TokenFault::Audience)),
        (with(|c| c["aud"] = json!("openclaw-miniprogram")), Some(TokenFault::Audience)),
        (with(|c| c["aud"] = json!(["others", "operators"])), None),
        (with(|c| c["aud"] = json!([])), Some(TokenFault::Audience)),
        (with(|c| c["aud"] = json!({"operators": true})), Some(TokenFault::Audience)),
        (with(|c| drop(c.as_object_mut().unwrap().remove("iss"))), Some(TokenFault::Audience)),
        (with(|c| drop(c.as_object_mut().unwrap().remove("aud"))), Some(TokenFault::Audience)),
        (with(|c| drop(c.as_object_mut().unwrap().remove("exp"))), Some(TokenFault::Audience)),
        (with(|c| drop(c.as_object_mut().unwrap().remove("sub"))), Some(TokenFault::Audience)),
        (with(|c| drop(c.as_object_mut().unwrap().remove("nbf"))), None),
        (with(|c| c["exp"] = json!(now - skew + 1)), None),
        (with(|c| c["exp"] = json!(now - skew)), Some(TokenFault::Expired)),
        (with(|c| c["exp"] = json!("9999999999")), Some(TokenFault::Audience)),
        (with(|c| c["nbf"] = json!(now + skew)), None),
        (with(|c| c["nbf"] = json!(now + skew + 1)), Some(TokenFault::Expired)),
        (with(|c| c["sub"] = json!("")), Some(TokenFault::Subject)),
        (with(|c| c["sub"] = json!("x".repeat(256))), Some(TokenFault::Subject)),
        (with(|c| c["sub"] = json!(7)), Some(TokenFault::Audience)),
    ] {
        assert_eq!(verdict(&claims), fault, "{claims}");
    }
    let long = with(|c| c["more"] = json!("x".repeat(MAX_TOKEN_LEN)));
    assert_eq!(verdict(&long), Some(TokenFault::Signature));
    for garbage in ["", ".", "..", "a.b.c", "eyJhbGciOiJFZERTQSJ9", &"x".repeat(MAX_TOKEN_LEN + 1)] {
        assert!(verify(&keys, garbage).is_err(), "{garbage:.20}");
    }
}

#[test]
fn roles_are_texts_wherever_the_issuer_puts_them() {
    let key = Key::ed25519("a");
    let keys = keys(&[&key.jwk]);
    let roles = |claim: &str, claims: &Value| {
        let token = key.sign(&key.header("a"), claims);
        let expected = OperatorAudience { roles_claim: claim.to_owned(), ..audience() };
        let identity = keys.verify(&token, &Unverified::read(&token).unwrap(), &expected, NOW)?;
        Ok::<_, TokenFault>(identity.roles.into_iter().collect::<Vec<_>>().join("|"))
    };
    let set = |value: Value| with(|c| c["roles"] = value);
    assert_eq!(roles("roles", &set(json!(["admin", "viewer"]))).as_deref(), Ok("admin|viewer"));
    assert_eq!(roles("roles", &set(json!("admin  viewer"))).as_deref(), Ok("admin|viewer"));
    assert_eq!(roles("roles", &set(json!([]))).as_deref(), Ok(""));
    assert_eq!(roles("groups", &claims()).as_deref(), Ok(""), "no claim, no role");
    let nested = with(|c| c["realm_access"] = json!({"roles": ["admin"]}));
    assert_eq!(roles("/realm_access/roles", &nested).as_deref(), Ok("admin"));
    assert_eq!(roles("/realm_access/none", &nested).as_deref(), Ok(""));
    let namespaced = with(|c| c["https://example.com/roles"] = json!(["viewer"]));
    assert_eq!(roles("https://example.com/roles", &namespaced).as_deref(), Ok("viewer"));
    for wrong in [json!(true), json!(1), json!(null), json!({"admin": true}), json!(["admin", 1]), json!([["admin"]])] {
        assert_eq!(roles("roles", &set(wrong.clone())), Err(TokenFault::Roles), "{wrong}");
    }
    assert_eq!(roles("roles", &set(json!(vec!["r"; 65]))), Err(TokenFault::Roles));
}

#[test]
fn a_name_is_shown_and_shows_nothing_else() {
    let key = Key::ed25519("a");
    let keys = keys(&[&key.jwk]);
    let name = |claims: &Value| verify(&keys, &key.sign(&key.header("a"), claims)).unwrap().name;
    assert_eq!(name(&with(|c| c["name"] = json!("a\u{202e}b\n"))).as_deref(), Some("a\\u202eb"));
    assert_eq!(name(&with(|c| c["name"] = json!("张".repeat(200)))).unwrap().chars().count(), 80);
    let other = with(|c| {
        c.as_object_mut().unwrap().remove("name");
        c["preferred_username"] = json!("zhang");
    });
    assert_eq!(name(&other).as_deref(), Some("zhang"));
    assert_eq!(name(&with(|c| c["name"] = json!(7))), None);
}

#[test]
fn keys_that_are_for_something_else_are_left_out_and_break_no_set() {
    let (ed, ec) = (Key::ed25519("a"), Key::p256("b"));
    let changed = |jwk: &Value, name: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        jwk
    };
    let small = Key::rsa("small", KeySize::Rsa2048);
    let n = URL_SAFE_NO_PAD.decode(small.jwk["n"].as_str().unwrap()).unwrap();
    let unusable = [
        changed(&ec.jwk, "use", json!("enc")),
        changed(&ec.jwk, "key_ops", json!(["sign"])),
        changed(&ec.jwk, "alg", json!("ES384")),
        changed(&ec.jwk, "crv", json!("P-384")),
        changed(&ec.jwk, "crv", json!("secp256k1")),
        changed(&small.jwk, "n", json!(b64(&n[..128]))),
        json!({"kty": "oct", "kid": "b", "k": b64(b"secret")}),
        json!({"kty": "new", "kid": "b"}),
        json!({"kid": "b"}),
        json!("b"),
    ];
    for jwk in &unusable {
        let keys = keys(&[jwk, &ed.jwk]);
        assert!(keys.has("a") && !keys.has("b") && !keys.has("small"), "{jwk}");
    }
    assert!(keys(&[&changed(&ec.jwk, "use", json!("sig"))]).has("b"));
    // Two keys with one id: the token could choose between them.
    let twice = keys(&[&ed.jwk, &Key::ed25519("a").jwk, &ec.jwk]);
    assert!(!twice.has("a") && twice.has("b"));
    let thrice = keys(&[&ed.jwk, &Key::ed25519("a").jwk, &Key::ed25519("a").jwk]);
    assert!(!thrice.has("a"));
    for text in ["", "{}", "[]", r#"{"keys": {}}"#, "null"] {
        assert!(OperatorKeys::parse(text).is_err(), "{text}");
    }
}
