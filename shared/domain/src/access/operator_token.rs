//! Verifies operators' bearer tokens (RFC 8725). Their permissions are decided by [`crate::policy::OperatorPolicy`].
//!
//! Operators are not users: they have another issuer, audience and keys. The algorithm is that of the listed key,
//! never that of the token, so that a token cannot choose how it is verified; references in its header (`jku`, `x5c`)
//! are ignored.

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

/// Tolerated difference from the issuer's clock.
pub const SKEW: Duration = Duration::from_secs(60);
/// Maximum length of a token in bytes. Issuers put many claims into tokens; API Gateway accepts headers of 10 kB in
/// total.
pub const MAX_TOKEN_LEN: usize = 8192;
/// Maximum length of a subject and of a role.
const MAX_NAME: usize = 255;
/// Maximum number of roles in a token.
const MAX_ROLES: usize = 64;
/// Maximum number of characters of the display name.
const SHOWN_NAME: usize = 80;
/// Minimum length of an RSA modulus in bytes: 2048 bits.
const MIN_RSA_BYTES: usize = 256;

/// The accepted issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorAudience {
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
    /// Where a token has the roles: the name of a claim, or a JSON pointer such as `/realm_access/roles`.
    pub roles_claim: String,
}

/// Verified content of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Digest of issuer and subject, which does not reveal them.
    pub subject: Digest,
    /// Display name. No decision depends on it.
    pub name: Option<String>,
    /// The roles, including those that no policy knows.
    pub roles: BTreeSet<String>,
}

/// Why a token is refused. Operators only get `no_operator`; the reason is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// Not a JWT, or its signature does not verify.
    #[error("signature")]
    Signature,
    /// The algorithm is not that of the key.
    #[error("algorithm")]
    Algorithm,
    /// A token of another kind, or with a critical extension.
    #[error("type")]
    Type,
    /// No `kid`, or one that the issuer does not list.
    #[error("key_id")]
    KeyId,
    /// Another `iss` or `aud`, or a claim that is missing.
    #[error("audience")]
    Audience,
    /// Expired, or not valid yet.
    #[error("expired")]
    Expired,
    /// The subject is empty or too long.
    #[error("subject")]
    Subject,
    /// The roles are neither a list of texts nor a text.
    #[error("roles")]
    Roles,
}

/// The issuer's keys by `kid`, each with the only algorithm that it may be used with.
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

/// Header of a token. It only selects the key; no field is trusted before the signature is verified.
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
        // `none` and every name that the library does not know fail here.
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenFault::Signature)?;
        // No critical extension is supported (RFC 7515, 4.1.11).
        if header.crit.is_some() || !is_kind_of_ours(header.typ.as_deref()) {
            return Err(TokenFault::Type);
        }
        let kid = header.kid.clone().ok_or(TokenFault::KeyId)?;
        Ok(Self { header, kid })
    }

    /// Id of the key.
    pub fn kid(&self) -> &str {
        &self.kid
    }
}

/// Accepts ID tokens and access tokens. Sessions of the Mini Program have another `typ`.
fn is_kind_of_ours(typ: Option<&str>) -> bool {
    typ.is_none_or(|typ| ["jwt", "at+jwt", "application/at+jwt"].iter().any(|kind| typ.eq_ignore_ascii_case(kind)))
}

impl OperatorKeys {
    /// Parses a JSON Web Key Set. Keys that cannot verify RS256, ES256 or EdDSA are left out, and so are keys that
    /// share a `kid`, since a token could choose between them.
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

    /// Verifies a token whose header was read before; every claim is checked against `now`.
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

/// The key with its algorithm, if it may verify signatures.
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
        // A symmetric key in a public list is no secret. Types that the library does not know yet are refused as
        // well.
        AlgorithmParameters::OctetKey(_) | AlgorithmParameters::Other(_) | _ => return None,
    };
    if jwk.common.key_algorithm.is_some_and(|told| told != named) {
        return None;
    }
    Some((algorithm, DecodingKey::from_jwk(jwk).ok()?))
}

/// The digest of issuer and subject.
pub fn subject(issuer: &str, sub: &str) -> Digest {
    Digest::sha256(format!("{issuer}|{sub}").as_bytes())
}

fn name(claims: &Map<String, Value>) -> Option<String> {
    let told = ["name", "preferred_username"].iter().find_map(|claim| claims.get(*claim)?.as_str());
    let shown: String = visible_text::visible(told?.trim()).chars().take(SHOWN_NAME).collect();
    (!shown.is_empty()).then_some(shown)
}

/// The roles of a token; none without the claim. A claim of another type is an error.
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
