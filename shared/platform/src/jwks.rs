//! The operators' public keys, as their issuer publishes them: cached for ten minutes, read sooner for an unknown
//! key, and used for a limited time while the issuer does not answer.

use std::{
    fmt,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reqwest::{Client, Url, redirect};

use crate::runtime::Runtime;
use domain::{access::operator_token::OperatorKeys, ids::Timestamp};

/// Maximum age of a key set.
pub const MAX_AGE: Duration = Duration::from_secs(600);
/// Minimum time between two reads that an unknown key causes, or that follow a failure: tokens with invented keys
/// must not cause a flood of reads.
pub const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// How long the last good set is used while the issuer does not answer. A key that the issuer has revoked is accepted
/// as long.
pub const LAST_GOOD_FOR: Duration = Duration::from_secs(3600);
/// Maximum size of the document in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// Timeout of a request to the issuer; an operator's request waits for it.
const PATIENCE: Duration = Duration::from_secs(3);

/// Location of the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JwksSource {
    /// The issuer's URL.
    Url(String),
    /// A file, on one host.
    File(PathBuf),
}

impl fmt::Display for JwksSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(url),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl JwksSource {
    /// Parses an absolute path, or an https URL; http is allowed on loopback only, where no other machine can
    /// intercept it.
    pub fn parse(text: &str) -> Option<Self> {
        if text.starts_with('/') {
            return Some(Self::File(text.into()));
        }
        let url = Url::parse(text).ok()?;
        let loopback = url.host_str().is_some_and(|host| {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        });
        let plain = url.username().is_empty() && url.password().is_none();
        let safe = url.scheme() == "https" || (url.scheme() == "http" && loopback);
        (safe && plain).then(|| Self::Url(text.to_owned()))
    }
}

/// The keys cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the operators' keys at {source_name} cannot be read: {cause}")]
pub struct JwksError {
    source_name: String,
    cause: String,
}

/// The HTTP client for the issuer could not be built.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client for the operators' issuer")]
pub struct BadJwksClient(#[source] reqwest::Error);

/// Cached keys.
pub struct Jwks {
    source: JwksSource,
    http: Client,
    state: Mutex<State>,
    /// Held during a read; other callers wait for it and then use the cached result.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    held: Option<(Timestamp, Arc<OperatorKeys>)>,
    /// Time of the last read, successful or not.
    tried_at: Option<Timestamp>,
    failed: Option<JwksError>,
}

impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwks").field("source", &self.source).finish_non_exhaustive()
    }
}

/// Whether `at` is less than `within` ago. False for a time in the future: after a clock was set back, a cached value
/// must not last for ever.
fn recent(at: Timestamp, now: Timestamp, within: Duration) -> bool {
    at <= now && now.since(at) < within
}

impl State {
    /// The result without a read, if the cache allows one.
    fn at_hand(&self, kid: &str, now: Timestamp) -> Option<Result<Arc<OperatorKeys>, JwksError>> {
        if let Some((read_at, keys)) = &self.held
            && recent(*read_at, now, MAX_AGE)
            && keys.has(kid)
        {
            return Some(Ok(keys.clone()));
        }
        self.tried_at.filter(|at| recent(*at, now, AGAIN_AFTER))?;
        self.last_good(now).map(Ok).or_else(|| self.failed.clone().map(Err))
    }

    fn last_good(&self, now: Timestamp) -> Option<Arc<OperatorKeys>> {
        self.held.as_ref().filter(|(at, _)| recent(*at, now, LAST_GOOD_FOR)).map(|(_, keys)| keys.clone())
    }
}

impl Jwks {
    /// Keys from `source`. Reads nothing yet.
    pub fn new(source: JwksSource) -> Result<Self, BadJwksClient> {
        let http = Client::builder()
            .connect_timeout(PATIENCE)
            .timeout(PATIENCE)
            // The configured URL is trusted, a target of a redirect is not.
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .build()
            .map_err(BadJwksClient)?;
        Ok(Self { source, http, state: Mutex::default(), reading: tokio::sync::Mutex::default() })
    }

    /// The keys, including `kid` if the issuer lists it.
    pub async fn keys(&self, kid: &str, runtime: &Runtime) -> Result<Arc<OperatorKeys>, JwksError> {
        if let Some(answer) = self.state().at_hand(kid, runtime.now()) {
            return answer;
        }
        let _one_at_a_time = self.reading.lock().await;
        if let Some(answer) = self.state().at_hand(kid, runtime.now()) {
            return answer;
        }
        let asked_at = runtime.now();
        let read = self.read().await;
        let mut state = self.state();
        state.tried_at = Some(asked_at);
        match read {
            Ok(keys) => {
                let keys = Arc::new(keys);
                state.held = Some((asked_at, keys.clone()));
                state.failed = None;
                Ok(keys)
            }
            Err(error) => {
                tracing::error!(function = "operator", code = "operator_keys_not_refreshed", error = %error, "the last good keys stay in use");
                state.failed = Some(error.clone());
                state.last_good(asked_at).ok_or(error)
            }
        }
    }

    async fn read(&self) -> Result<OperatorKeys, JwksError> {
        let failed = |cause: &str| JwksError { source_name: self.source.to_string(), cause: cause.to_owned() };
        let text = match &self.source {
            JwksSource::File(path) => {
                std::fs::read_to_string(path).map_err(|error| failed(&error.kind().to_string()))?
            }
            JwksSource::Url(url) => self.fetch(url).await.map_err(|cause| failed(&cause))?,
        };
        OperatorKeys::parse(&text).map_err(|fault| failed(&fault.to_string()))
    }

    async fn fetch(&self, url: &str) -> Result<String, String> {
        let unreachable = |error: reqwest::Error| {
            if error.is_timeout() { "timed out".to_owned() } else { "could not be reached".to_owned() }
        };
        let mut answer = self.http.get(url).send().await.map_err(unreachable)?;
        if !answer.status().is_success() {
            return Err(format!("answered {}", answer.status().as_u16()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_BYTES {
                return Err("answered more than a key set".to_owned());
            }
        }
        String::from_utf8(bytes).map_err(|_| "did not answer text".to_owned())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_by_https_from_loopback_or_from_a_file() {
        for text in [
            "https://issuer.example/keys",
            "http://127.0.0.1:9/keys",
            "http://[::1]:9/keys",
            "http://localhost/keys",
            "/etc/operators.json",
        ] {
            assert!(JwksSource::parse(text).is_some(), "{text}");
        }
        for text in [
            "http://issuer.example/keys",
            "http://127.0.0.1.example/keys",
            "https://me:secret@issuer.example/keys",
            "file:///etc/operators.json",
            "ftp://issuer.example/keys",
            "keys.json",
            "",
        ] {
            assert_eq!(JwksSource::parse(text), None, "{text}");
        }
    }
}
