//! Makes the secrets document on the first start, and keeps it afterwards, so that sessions and cursors survive a
//! restart.

use std::{fs, path::Path};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use domain::json;
use platform::runtime::Runtime;
use serde_json::{Value, json};

use crate::{
    data::{DataError, TABLE_FILE, failed, write_private},
    secrets::rotation::Documents,
};

pub mod complete;
pub mod rekey;
pub mod rotate;
pub mod rotation;
pub mod split;
pub mod store;

/// Values from outside that go into the document at every start.
#[derive(Clone)]
pub struct Given {
    /// WeChat's app secret; `None` only with `--dev`, where one is generated.
    pub wechat_app_secret: Option<String>,
    /// The gateway's token.
    pub gateway_token: String,
}

/// The document cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretsFault {
    /// An I/O error.
    #[error(transparent)]
    File(#[from] DataError),
    /// The document has another shape.
    #[error(
        "{0} is not a secrets document; restore the one that was there, or choose another data directory with --data \
         (its login keys tell who is who: a new document would make every user another one, without their jobs)"
    )]
    Shape(String),
    /// An earlier version has written the document.
    #[error(
        "{0} was made by an earlier version and cannot be read by this one; choose another data directory with --data, or \
         delete this one with its users and jobs"
    )]
    Outdated(String),
    /// The table exists, but the keys that identify its users are missing.
    #[error(
        "{0} is missing, but the table of the same directory exists; put the file back, or choose another data directory with --data \
         (new login keys would make every user another one, and a request that is sent again could run again)"
    )]
    Lost(String),
    /// Users of the WeChat stub must not become users of the real service.
    #[error("this data directory was made {made} --dev; choose another one with --data")]
    OtherMode {
        /// `with` or `without`.
        made: &'static str,
    },
    /// The Ed25519 key could not be generated.
    #[error("no session key can be made")]
    Key,
}

/// Makes or updates the document, and returns the WeChat app secret in it.
pub fn install(file: &Path, runtime: &Runtime, given: &Given) -> Result<String, SecretsFault> {
    let dev = given.wechat_app_secret.is_none();
    let mut document = match fs::read(file) {
        Ok(bytes) => json::kept(&bytes).map_err(|_| SecretsFault::Shape(file.display().to_string()))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let table = file.with_file_name(TABLE_FILE);
            // If the directory cannot be read, a table may exist, so the error is returned.
            if table.try_exists().map_err(failed(&table, "read"))? {
                return Err(SecretsFault::Lost(file.display().to_string()));
            }
            fresh(runtime, dev)?
        }
        Err(error) => return Err(failed(file, "read")(error).into()),
    };
    // Earlier versions stored one value instead of a list.
    if document["cursors"].is_string() {
        return Err(SecretsFault::Outdated(file.display().to_string()));
    }
    if document["dev"] != dev {
        return Err(SecretsFault::OtherMode { made: if dev { "without" } else { "with" } });
    }
    if let Some(secret) = &given.wechat_app_secret {
        accept(&mut document["wechat"]["app_secrets"], secret);
    }
    accept(&mut document["openclaw"]["tokens"], &given.gateway_token);
    // Earlier versions had no keys for checkpoints.
    if document["checkpoints"].is_null() {
        document["checkpoints"] = signing_keys(runtime)?;
    }
    // Earlier versions had no settings of message push. Without `--dev` they are the operator's to add.
    if dev && document["wechat"]["events"].is_null() {
        document["wechat"]["events"] = push_settings(runtime);
    }
    let text = serde_json::to_vec_pretty(&document).expect("a JSON value serialises");
    write_private(file, &text)?;
    document
        .pointer("/wechat/app_secrets/0")
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| SecretsFault::Shape(file.display().to_string()))
}

/// All parts in one document, as one host stores them.
fn fresh(runtime: &Runtime, dev: bool) -> Result<Value, SecretsFault> {
    let key = session_key(runtime)?;
    Ok(json!({
        "dev": dev,
        "sessions": {"active": key["kid"], "keys": [key]},
        "logins": [random_key(runtime)],
        "cursors": [random_key(runtime)],
        "wechat": {"app_secrets": [random_key(runtime)]},
        "openclaw": {"tokens": []},
        "checkpoints": signing_keys(runtime)?,
    }))
}

/// One document per function, as Secrets Manager stores them.
pub fn documents(runtime: &Runtime, wechat_app_secret: &str, gateway_token: &str) -> Result<Documents, SecretsFault> {
    let mut all = fresh(runtime, false)?;
    all["wechat"]["app_secrets"] = json!([wechat_app_secret]);
    all["openclaw"]["tokens"] = json!([gateway_token]);
    Ok(split::split(&all))
}

/// New settings of message push: a token, and an `EncodingAESKey` for safe mode.
fn push_settings(runtime: &Runtime) -> Value {
    let (token, key) = (runtime.bytes::<16>(), STANDARD_NO_PAD.encode(runtime.bytes::<32>()));
    json!({"tokens": [URL_SAFE_NO_PAD.encode(token).replace(['-', '_'], "0")], "encoding_aes_keys": [key]})
}

/// A list of one new signing key.
fn signing_keys(runtime: &Runtime) -> Result<Value, SecretsFault> {
    let key = session_key(runtime)?;
    Ok(json!({"active": key["kid"], "keys": [key]}))
}

/// 32 random bytes, as a login key or a cursor key.
pub fn random_key(runtime: &Runtime) -> String {
    URL_SAFE_NO_PAD.encode(runtime.bytes::<32>())
}

/// A new key that signs sessions or checkpoints, with both halves.
pub fn session_key(runtime: &Runtime) -> Result<Value, SecretsFault> {
    let kid = format!("k-{}", runtime.nonce());
    let pair = Ed25519KeyPair::from_seed_unchecked(&runtime.bytes::<32>()).map_err(|_| SecretsFault::Key)?;
    let private = pair.to_pkcs8v1().map_err(|_| SecretsFault::Key)?;
    Ok(json!({
        "kid": kid,
        "public": URL_SAFE_NO_PAD.encode(pair.public_key().as_ref()),
        "private_pem": pem(private.as_ref()),
    }))
}

/// A listed value keeps its place, and the list its other values; any other value replaces the list.
fn accept(list: &mut Value, given: &str) {
    let listed = list.as_array().is_some_and(|all| all.iter().any(|value| value == given));
    if !listed {
        *list = json!([given]);
    }
}

/// PKCS #8 in the text form of RFC 7468.
fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::access::session::Audience;
    use platform::secrets::{EdgeSecrets, StatusSecrets, WorkerSecrets};
    use std::{os::unix::fs::PermissionsExt, time::Duration};

    fn directory(name: &str) -> std::path::PathBuf {
        let root = crate::data::checkout().unwrap().join(".local/tmp/local-secrets");
        let path = root.join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        path
    }

    fn given(secret: Option<&str>, token: &str) -> Given {
        Given { wechat_app_secret: secret.map(str::to_owned), gateway_token: token.to_owned() }
    }

    #[test]
    fn what_is_made_is_what_the_functions_read() {
        let file = directory("made").join("secrets.json");
        let runtime = Runtime::system();
        install(&file, &runtime, &given(None, "token")).unwrap();
        let bytes = fs::read(&file).unwrap();
        let edge: EdgeSecrets = json::kept(&bytes).unwrap();
        let status: StatusSecrets = json::kept(&bytes).unwrap();
        let _: WorkerSecrets = json::kept(&bytes).unwrap();
        let audience = Audience { issuer: "i".to_owned(), audience: "a".to_owned() };
        let user = domain::ids::UserId::from_random(runtime.bytes());
        let signer = edge.sessions.signer(&audience).unwrap();
        let (token, session) = signer.mint(user, runtime.now(), Duration::from_secs(60)).unwrap();
        assert_eq!(status.sessions.verifier(&audience).unwrap().verify(&token, runtime.now()), Ok(session));
    }

    #[test]
    fn only_the_owner_may_read_it() {
        let file = directory("mode").join("secrets.json");
        for _ in 0..2 {
            install(&file, &Runtime::system(), &given(None, "token")).unwrap();
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_restart_keeps_keys_and_takes_the_new_token() {
        let file = directory("restart").join("secrets.json");
        let read = || -> Value { json::kept(fs::read(&file).unwrap()).unwrap() };
        let secret = install(&file, &Runtime::system(), &given(None, "one")).unwrap();
        let before = read();
        assert_eq!(install(&file, &Runtime::system(), &given(None, "two")).unwrap(), secret);
        let after = read();
        assert_eq!(before["sessions"], after["sessions"]);
        assert_eq!(before["logins"], after["logins"]);
        assert_eq!(after["openclaw"]["tokens"], json!(["two"]));
    }

    #[test]
    fn a_restart_in_the_middle_of_a_rotation_keeps_both_values() {
        let file = directory("rotating").join("secrets.json");
        install(&file, &Runtime::system(), &given(None, "one")).unwrap();
        let mut document: Value = json::kept(fs::read(&file).unwrap()).unwrap();
        document["openclaw"]["tokens"] = json!(["one", "two"]);
        fs::write(&file, document.to_string()).unwrap();
        for token in ["one", "two"] {
            install(&file, &Runtime::system(), &given(None, token)).unwrap();
            let after: Value = json::kept(fs::read(&file).unwrap()).unwrap();
            assert_eq!(after["openclaw"]["tokens"], json!(["one", "two"]), "started with {token}");
        }
    }

    #[test]
    fn a_data_directory_of_an_earlier_version_stops_the_start_with_a_sentence() {
        let file = directory("earlier").join("secrets.json");
        fs::write(&file, r#"{"dev":true,"cursors":"k","wechat":{"app_secret":"s"},"openclaw":{"token":"t"}}"#).unwrap();
        let error = install(&file, &Runtime::system(), &given(None, "t")).unwrap_err().to_string();
        assert!(error.contains("earlier version") && error.contains("--data"), "{error}");
    }

    #[test]
    fn lost_keys_are_not_replaced_while_their_table_exists() {
        let file = directory("lost").join("secrets.json");
        install(&file, &Runtime::system(), &given(None, "t")).unwrap();
        fs::write(file.with_file_name("table.db"), "").unwrap();
        install(&file, &Runtime::system(), &given(None, "t")).unwrap();
        fs::remove_file(&file).unwrap();
        let error = install(&file, &Runtime::system(), &given(None, "t")).unwrap_err().to_string();
        assert!(error.contains("put the file back") && !error.contains('\n') && !file.exists(), "{error}");
    }

    #[test]
    fn users_of_the_stub_do_not_become_users_of_the_real_service() {
        let file = directory("crossed").join("secrets.json");
        install(&file, &Runtime::system(), &given(None, "t")).unwrap();
        let error = install(&file, &Runtime::system(), &given(Some("real"), "t")).unwrap_err();
        assert!(error.to_string().contains("with --dev"), "{error}");
    }
}
