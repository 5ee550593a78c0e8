//! Who an operator is: a bearer token of the operators' own issuer, verified (RFC 8725). What they may do is
//! [`crate::policy::OperatorPolicy`]'s to say.
//!
//! Operators are not users: another issuer, another audience, other keys. The algorithm is the key's, never the token's, so
//! that no token chooses how it is checked; whatever else a token's header points to is not looked at.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey, Header, Validation,
    errors::ErrorKind,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

use crate::{
    catalogue::visible_text,
    ids::{Digest, Timestamp},
    json,
};

/// How far clocks may differ: an issuer's is not ours.
pub const SKEW: Duration = Duration::from_secs(60);
/// The longest token that is looked at. Issuers put much into them; API Gateway takes headers of 10 kB in all.
pub const MAX_TOKEN_LEN: usize = 8192;
/// The longest subject and the longest role.
const MAX_NAME: usize = 255;
/// The most roles of a token.
const MAX_ROLES: usize = 64;
/// How much of a name is shown.
const SHOWN_NAME: usize = 80;
/// The shortest RSA modulus: 2048 bits.
const MIN_RSA_BYTES: usize = 256;

/// Whose tokens count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorAudience {
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
    /// Where a token has its roles: the name of a claim, or a JSON pointer such as `/realm_access/roles`.
    pub roles_claim: String,
}

/// What a token says of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Names issuer and subject without telling them.
    pub subject: Digest,
    /// For display only: nothing is decided by it.
    pub name: Option<String>,
    /// The roles, known ones and others.
    pub roles: BTreeSet<String>,
}

/// Why a token is no operator's. Operators are told "no operator" and nothing more; the reason goes to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// Not a JWT, or its signature does not verify.
    #[error("signature")]
    Signature,
    /// Another algorithm than its key's.
    #[error("algorithm")]
    Algorithm,
    /// A token of another kind, or one that needs what we do not know.
    #[error("type")]
    Type,
    /// No `kid`, or one that the issuer does not list.
    #[error("key_id")]
    KeyId,
    /// Another `iss` or `aud`, or a claim that is missing.
    #[error("audience")]
    Audience,
    /// Over, or not begun.
    #[error("expired")]
    Expired,
    /// The subject is empty or too long.
    #[error("subject")]
    Subject,
    /// The roles are neither a list of texts nor a text.
    #[error("roles")]
    Roles,
}

/// The issuer's keys, by `kid`, each with the one algorithm that it is for.
pub struct OperatorKeys(BTreeMap<String, (Algorithm, DecodingKey)>);

/// The text is not a JSON Web Key Set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON Web Key Set")]
pub struct NotAKeySet;

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl std::fmt::Debug for OperatorKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("OperatorKeys").field(&self.0.keys()).finish()
    }
}

/// What a token says of its key and its kind. Nothing of it is believed before the signature is checked.
#[derive(Debug, Clone)]
pub struct Unverified {
    header: Header,
    kid: String,
}

impl Unverified {
    /// Reads the header of a token.
    pub fn read(token: &str) -> Result<Self, TokenFault> {
        if token.len() > MAX_TOKEN_LEN {
            return Err(TokenFault::Signature);
        }
        // `none` and every other name that the library does not know ends here.
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenFault::Signature)?;
        // An extension that the token calls critical is one that we do not know (RFC 7515, 4.1.11).
        if header.crit.is_some() || !is_kind_of_ours(header.typ.as_deref()) {
            return Err(TokenFault::Type);
        }
        let kid = header.kid.clone().ok_or(TokenFault::KeyId)?;
        Ok(Self { header, kid })
    }

    /// The key that it names.
    pub fn kid(&self) -> &str {
        &self.kid
    }
}

/// ID tokens and access tokens; a session of a Mini Program has a `typ` of its own.
fn is_kind_of_ours(typ: Option<&str>) -> bool {
    typ.is_none_or(|typ| ["jwt", "at+jwt", "application/at+jwt"].iter().any(|kind| typ.eq_ignore_ascii_case(kind)))
}

impl OperatorKeys {
    /// From a JSON Web Key Set. A key that is not for checking signatures by RS256, ES256 or EdDSA is left out, and so are
    /// keys that share a `kid`: it would be the token that chose between them.
    pub fn parse(text: &str) -> Result<Self, NotAKeySet> {
        let set: Value = json::foreign(text.as_bytes()).map_err(|_| NotAKeySet)?;
        let listed = set.get("keys").and_then(Value::as_array).ok_or(NotAKeySet)?;
        let mut seen = BTreeSet::new();
        let mut keys = BTreeMap::new();
        for jwk in listed.iter().filter_map(|value| serde_json::from_value::<Jwk>(value.clone()).ok()) {
            let Some(kid) = jwk.common.key_id.clone() else { continue };
            if !seen.insert(kid.clone()) {
                keys.remove(&kid);
                continue;
            }
            if let Some(key) = usable(&jwk) {
                keys.insert(kid, key);
            }
        }
        Ok(Self(keys))
    }

    /// Whether the issuer lists this key.
    pub fn has(&self, kid: &str) -> bool {
        self.0.contains_key(kid)
    }

    /// Verifies a token whose header was read before, every claim against `now`.
    pub fn verify(
        &self,
        token: &str,
        unverified: &Unverified,
        expected: &OperatorAudience,
        now: Timestamp,
    ) -> Result<Identity, TokenFault> {
        let (algorithm, key) = self.0.get(unverified.kid()).ok_or(TokenFault::KeyId)?;
        if unverified.header.alg != *algorithm {
            return Err(TokenFault::Algorithm);
        }
        let mut validation = Validation::new(*algorithm);
        // Times are checked below, against the caller's clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.set_issuer(&[&expected.issuer]);
        validation.set_audience(&[&expected.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        let claims = jsonwebtoken::decode::<Claims>(token, key, &validation)
            .map_err(|fault| match fault.kind() {
                ErrorKind::InvalidIssuer
                | ErrorKind::InvalidAudience
                | ErrorKind::MissingRequiredClaim(_)
                | ErrorKind::Json(_) => TokenFault::Audience,
                ErrorKind::InvalidAlgorithm => TokenFault::Algorithm,
                _ => TokenFault::Signature,
            })?
            .claims;
        let (seconds, skew) = (seconds(now), SKEW.as_secs_f64());
        if seconds >= claims.exp + skew || claims.nbf.is_some_and(|nbf| seconds + skew < nbf) {
            return Err(TokenFault::Expired);
        }
        if claims.sub.is_empty() || claims.sub.len() > MAX_NAME {
            return Err(TokenFault::Subject);
        }
        Ok(Identity {
            subject: subject(&expected.issuer, &claims.sub),
            name: name(&claims.others),
            roles: roles(&claims.others, &expected.roles_claim)?,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are exact up to 2^53")]
fn seconds(now: Timestamp) -> f64 {
    now.seconds_floor() as f64
}

/// The key with its one algorithm, if it may check signatures.
fn usable(jwk: &Jwk) -> Option<(Algorithm, DecodingKey)> {
    let for_signatures = jwk.common.public_key_use.as_ref().is_none_or(|of| *of == PublicKeyUse::Signature);
    let operations = jwk.common.key_operations.as_ref();
    let may_verify = operations.is_none_or(|all| all.contains(&KeyOperations::Verify));
    if !for_signatures || !may_verify {
        return None;
    }
    let (algorithm, named) = match &jwk.algorithm {
        AlgorithmParameters::RSA(key) => {
            let long = URL_SAFE_NO_PAD.decode(&key.n).is_ok_and(|n| n.len() >= MIN_RSA_BYTES);
            long.then_some((Algorithm::RS256, KeyAlgorithm::RS256))?
        }
        AlgorithmParameters::EllipticCurve(key) => {
            (key.curve == EllipticCurve::P256).then_some((Algorithm::ES256, KeyAlgorithm::ES256))?
        }
        AlgorithmParameters::OctetKeyPair(key) => {
            (key.curve == EllipticCurve::Ed25519).then_some((Algorithm::EdDSA, KeyAlgorithm::EdDSA))?
        }
        // A secret that a public list tells is none. What the library does not know yet, we do not either.
        AlgorithmParameters::OctetKey(_) | AlgorithmParameters::Other(_) | _ => return None,
    };
    if jwk.common.key_algorithm.is_some_and(|told| told != named) {
        return None;
    }
    Some((algorithm, DecodingKey::from_jwk(jwk).ok()?))
}

/// Names an operator without telling who they are.
pub fn subject(issuer: &str, sub: &str) -> Digest {
    Digest::sha256(format!("{issuer}|{sub}").as_bytes())
}

fn name(claims: &Map<String, Value>) -> Option<String> {
    let told = ["name", "preferred_username"].iter().find_map(|claim| claims.get(*claim)?.as_str());
    let shown: String = visible_text::visible(told?.trim()).chars().take(SHOWN_NAME).collect();
    (!shown.is_empty()).then_some(shown)
}

/// A token without the claim has no roles; one with something else there is refused.
fn roles(claims: &Map<String, Value>, claim: &str) -> Result<BTreeSet<String>, TokenFault> {
    let told = match claim.strip_prefix('/') {
        None => claims.get(claim),
        Some(pointer) => {
            let mut parts = pointer.split('/');
            let first = parts.next().and_then(|part| claims.get(part));
            parts.fold(first, |at, part| at?.get(part))
        }
    };
    let roles: Vec<&str> = match told {
        None => Vec::new(),
        Some(Value::String(text)) => text.split(' ').filter(|role| !role.is_empty()).collect(),
        Some(Value::Array(all)) => all.iter().map(Value::as_str).collect::<Option<_>>().ok_or(TokenFault::Roles)?,
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => return Err(TokenFault::Roles),
    };
    if roles.len() > MAX_ROLES || roles.iter().any(|role| role.len() > MAX_NAME) {
        return Err(TokenFault::Roles);
    }
    Ok(roles.into_iter().map(str::to_owned).collect())
}
