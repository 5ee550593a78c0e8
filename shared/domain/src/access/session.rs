//! Sessions: JWTs signed with EdDSA (RFC 8725). Only edge-auth has the private key; other functions have public keys.

use std::{collections::BTreeMap, time::Duration};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::ids::{Timestamp, UserId};

/// The `typ` of session tokens. A token of another kind signed with the same key is refused.
pub const TOKEN_TYPE: &str = "mp-session+jwt";
/// Tolerated difference of clocks.
pub const SKEW: Duration = Duration::from_secs(5);

/// Issuer and audience of sessions.
#[derive(Debug, Clone)]
pub struct Audience {
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
}

/// A verified session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// The user.
    pub user_id: UserId,
    /// Start of the session in milliseconds; compared with the user's last revocation.
    pub began_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What a token with a valid signature says, whatever the time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedSession {
    session: Session,
    /// `nbf`, in seconds.
    not_before: i64,
    /// `exp`, in seconds.
    expires: i64,
}

impl SignedSession {
    /// The session, if it has begun and is not over at this time.
    pub fn at(&self, now: Timestamp) -> Result<Session, SessionFault> {
        let (now, skew) = (now.seconds_floor(), SKEW.as_secs().cast_signed());
        if now >= self.expires.saturating_add(skew) || now.saturating_add(skew) < self.not_before {
            return Err(SessionFault::Expired);
        }
        Ok(self.session)
    }
}

/// Why a token is not a valid session. Clients only get `no_session`; the reason is logged and measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionFault {
    /// Not a JWT, or its signature does not verify.
    #[error("signature")]
    Signature,
    /// The algorithm is not EdDSA.
    #[error("algorithm")]
    Algorithm,
    /// Another `typ`, or a critical extension.
    #[error("type")]
    Type,
    /// The `kid` is not one of the listed keys.
    #[error("key_id")]
    KeyId,
    /// Another `iss` or `aud`.
    #[error("audience")]
    Audience,
    /// Expired, or not valid yet.
    #[error("expired")]
    Expired,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    /// `iat` in milliseconds, so that revocation is exact to the millisecond.
    began_ms: i64,
}

/// Verifies sessions with a list of public keys by `kid`.
pub struct SessionVerifier {
    keys: BTreeMap<String, DecodingKey>,
    audience: Audience,
}

/// Issues sessions.
pub struct SessionSigner {
    kid: String,
    key: EncodingKey,
    audience: Audience,
}

/// A key cannot be used. The error has its id, never its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("signing key {kid} is not a usable Ed25519 key")]
pub struct BadSessionKey {
    /// Key id.
    pub kid: String,
}

impl SessionVerifier {
    /// From `(kid, base64url of the 32-byte public key)`.
    pub fn new<'a>(
        keys: impl IntoIterator<Item = (&'a str, &'a str)>,
        audience: Audience,
    ) -> Result<Self, BadSessionKey> {
        let keys = keys
            .into_iter()
            .map(|(kid, x)| {
                let key = DecodingKey::from_ed_components(x).map_err(|_| BadSessionKey { kid: kid.to_owned() })?;
                Ok((kid.to_owned(), key))
            })
            .collect::<Result<_, BadSessionKey>>()?;
        Ok(Self { keys, audience })
    }

    /// Verifies a token, and its times against `now`.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Session, SessionFault> {
        self.signed(token)?.at(now)
    }

    /// Verifies all of a token but its times. The algorithm is fixed, and the key is from the list.
    pub fn signed(&self, token: &str) -> Result<SignedSession, SessionFault> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| SessionFault::Signature)?;
        if header.alg != Algorithm::EdDSA {
            return Err(SessionFault::Algorithm);
        }
        // No critical extension is supported (RFC 7515, 4.1.11).
        if header.crit.is_some() {
            return Err(SessionFault::Type);
        }
        if header.typ.as_deref() != Some(TOKEN_TYPE) {
            return Err(SessionFault::Type);
        }
        let key = header.kid.as_deref().and_then(|kid| self.keys.get(kid)).ok_or(SessionFault::KeyId)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        // `SignedSession` checks the times, against the caller's clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.set_issuer(&[&self.audience.issuer]);
        validation.set_audience(&[&self.audience.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
        let claims = jsonwebtoken::decode::<Claims>(token, key, &validation)
            .map_err(|e| match e.kind() {
                jsonwebtoken::errors::ErrorKind::InvalidIssuer
                | jsonwebtoken::errors::ErrorKind::InvalidAudience
                | jsonwebtoken::errors::ErrorKind::MissingRequiredClaim(_) => SessionFault::Audience,
                _ => SessionFault::Signature,
            })?
            .claims;
        let session = Session {
            user_id: claims.sub.parse().map_err(|_| SessionFault::Audience)?,
            began_at: Timestamp::from_millis(claims.began_ms),
            expires_at: Timestamp::from_millis(claims.exp.saturating_mul(1000)),
        };
        Ok(SignedSession { session, not_before: claims.nbf, expires: claims.exp })
    }
}

impl SessionSigner {
    /// From a `kid` and the PKCS #8 PEM of its private key.
    pub fn new(kid: &str, private_pem: &str, audience: Audience) -> Result<Self, BadSessionKey> {
        let key =
            EncodingKey::from_ed_pem(private_pem.as_bytes()).map_err(|_| BadSessionKey { kid: kid.to_owned() })?;
        Ok(Self { kid: kid.to_owned(), key, audience })
    }

    /// Issues a session that starts at `began_at` and lasts for `lifetime`.
    pub fn mint(
        &self,
        user_id: UserId,
        began_at: Timestamp,
        lifetime: Duration,
    ) -> Result<(String, Session), BadSessionKey> {
        let expires_at = Timestamp::from_millis(began_at.plus(lifetime).seconds_ceil() * 1000);
        let claims = Claims {
            iss: self.audience.issuer.clone(),
            aud: self.audience.audience.clone(),
            sub: user_id.to_string(),
            iat: began_at.seconds_floor(),
            nbf: began_at.seconds_floor(),
            exp: expires_at.seconds_floor(),
            began_ms: began_at.millis(),
        };
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TOKEN_TYPE.to_owned());
        header.kid = Some(self.kid.clone());
        let token =
            jsonwebtoken::encode(&header, &claims, &self.key).map_err(|_| BadSessionKey { kid: self.kid.clone() })?;
        Ok((token, Session { user_id, began_at, expires_at }))
    }
}

impl std::fmt::Debug for SessionVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionVerifier").field("kids", &self.keys.keys()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for SessionSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionSigner").field("kid", &self.kid).finish_non_exhaustive()
    }
}
