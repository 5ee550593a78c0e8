//! Operators of one host without an issuer: the key that signs their tokens, and the public key set that verifies them.
//! A reader of the key file can sign a token for any operator, so only its owner may read it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use domain::{access::operator_token::OperatorAudience, json};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use platform::runtime::Runtime;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    data::{DataError, failed, write_private},
    program,
    secrets::{SecretsFault, session_key},
};

/// `iss` of their tokens.
pub const ISSUER: &str = "openclaw-miniprogram-local-operators";
/// `aud` of their tokens.
pub const AUDIENCE: &str = "openclaw-miniprogram-operator";
/// The claim with their roles.
pub const ROLES_CLAIM: &str = "roles";
/// The file with the private key.
const KEY_FILE: &str = "operators.json";
/// The file with the public key set.
const KEY_SET_FILE: &str = "operators.jwks.json";
/// The roles in `policy/operators.cedar`.
pub const ROLES: [&str; 3] = ["viewer", "approver", "admin"];

/// The key of operators cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OperatorKeyFault {
    /// An I/O error.
    #[error(transparent)]
    File(#[from] DataError),
    /// A key could not be generated.
    #[error(transparent)]
    Key(#[from] SecretsFault),
    /// The file has another shape.
    #[error("{0} is not an operators' key; delete it, and `{program} run` makes a new one", program = program::name())]
    Shape(String),
    /// The file does not exist.
    #[error("{0} does not exist; start the service once, or make one with `{program} operator key`", program = program::name())]
    Missing(String),
}

#[derive(Serialize, Deserialize)]
struct Key {
    kid: String,
    public: String,
    private_pem: String,
}

/// The directory of the key and the key set.
#[derive(Debug, Clone)]
pub struct OperatorKey {
    dir: PathBuf,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    name: &'a str,
    roles: &'a [String],
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// Issuer and audience of tokens on a host without an issuer.
pub fn audience() -> OperatorAudience {
    OperatorAudience { issuer: ISSUER.to_owned(), audience: AUDIENCE.to_owned(), roles_claim: ROLES_CLAIM.to_owned() }
}

impl OperatorKey {
    /// The key in this directory.
    pub fn within(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The public key set.
    pub fn key_set(&self) -> PathBuf {
        self.dir.join(KEY_SET_FILE)
    }

    fn key_file(&self) -> PathBuf {
        self.dir.join(KEY_FILE)
    }

    /// Makes the key if it is missing, and writes its key set.
    pub fn keep(&self, runtime: &Runtime) -> Result<(), OperatorKeyFault> {
        if !self.key_file().exists() {
            let mut key = session_key(runtime)?;
            key["kid"] = format!("op-{}", runtime.nonce()).into();
            write_private(&self.key_file(), key.to_string().as_bytes())?;
        }
        let key = self.read()?;
        let set = json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key.kid, "x": key.public},
        ]});
        Ok(write_private(&self.key_set(), set.to_string().as_bytes())?)
    }

    fn read(&self) -> Result<Key, OperatorKeyFault> {
        let file = self.key_file();
        let name = || file.display().to_string();
        let bytes = fs::read(&file).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => OperatorKeyFault::Missing(name()),
            _ => OperatorKeyFault::File(failed(&file, "read")(error)),
        })?;
        json::kept(&bytes).map_err(|_| OperatorKeyFault::Shape(name()))
    }

    /// Signs a token for `subject` with these roles.
    pub fn mint(
        &self,
        runtime: &Runtime,
        subject: &str,
        roles: &[String],
        lifetime: Duration,
    ) -> Result<String, OperatorKeyFault> {
        let key = self.read()?;
        let bad = |_| OperatorKeyFault::Shape(self.key_file().display().to_string());
        let signing = EncodingKey::from_ed_pem(key.private_pem.as_bytes()).map_err(bad)?;
        let now = runtime.now();
        let claims = Claims {
            iss: ISSUER,
            aud: AUDIENCE,
            sub: subject,
            name: subject,
            roles,
            iat: now.seconds_floor(),
            nbf: now.seconds_floor(),
            exp: now.plus(lifetime).seconds_floor(),
        };
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(key.kid);
        jsonwebtoken::encode(&header, &claims, &signing).map_err(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::access::operator_token::{OperatorKeys, Unverified};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_minted_verifies_and_the_key_is_for_its_owner_alone() {
        let dir = crate::data::checkout().unwrap().join(".local/tmp/local-operators");
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let (key, runtime) = (OperatorKey::within(&dir), Runtime::system());
        let minute = Duration::from_secs(60);
        let missing = key.mint(&runtime, "zhang", &["admin".to_owned()], minute).unwrap_err().to_string();
        assert!(missing.contains("start the service once"), "{missing}");
        key.keep(&runtime).unwrap();
        let before = fs::read(dir.join(KEY_FILE)).unwrap();
        key.keep(&runtime).unwrap();
        assert_eq!(fs::read(dir.join(KEY_FILE)).unwrap(), before, "a restart keeps it");
        for file in [KEY_FILE, KEY_SET_FILE] {
            assert_eq!(fs::metadata(dir.join(file)).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
        }
        let set = fs::read_to_string(key.key_set()).unwrap();
        assert!(!set.contains("private"));
        let token = key.mint(&runtime, "zhang", &["admin".to_owned()], minute).unwrap();
        let keys = OperatorKeys::parse(&set).unwrap();
        let verified = keys.verify(&token, &Unverified::read(&token).unwrap(), &audience(), runtime.now()).unwrap();
        assert_eq!((verified.name.as_deref(), verified.roles), (Some("zhang"), ["admin".to_owned()].into()));
    }
}
