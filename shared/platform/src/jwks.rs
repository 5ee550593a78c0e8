//! The operators' public keys, as their issuer publishes them: cached for ten minutes, read sooner for an unknown
//! key, and used for a limited time while the issuer does not answer.

use std::{fmt, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use reqwest::{Client, Url, redirect};

use crate::{
    cached::{CacheLimits, Cached},
    runtime::Runtime,
};
use domain::access::operator_token::OperatorKeys;

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
const TIMEOUT: Duration = Duration::from_secs(3);

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

const LIMITS: CacheLimits =
    CacheLimits { max_age: MAX_AGE, retry_after: AGAIN_AFTER, last_good_for: Some(LAST_GOOD_FOR) };

/// Cached keys.
pub struct Jwks {
    source: JwksSource,
    http: Client,
    cached: Cached<OperatorKeys, JwksError>,
}

impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwks").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Jwks {
    /// Keys from `source`. Reads nothing yet.
    pub fn new(source: JwksSource) -> Result<Self, BadJwksClient> {
        let http = Client::builder()
            .connect_timeout(TIMEOUT)
            .timeout(TIMEOUT)
            // The configured URL is trusted, a target of a redirect is not.
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .build()
            .map_err(BadJwksClient)?;
        Ok(Self { source, http, cached: Cached::new(LIMITS) })
    }

    /// The keys, including `kid` if the issuer lists it.
    pub async fn keys(&self, kid: &str, runtime: &Runtime) -> Result<Arc<OperatorKeys>, JwksError> {
        let read = async {
            self.read().await.inspect_err(|error| {
                tracing::error!(function = "operator", code = "operator_keys_not_refreshed", error = %error, "the last good keys stay in use");
            })
        };
        self.cached.get(runtime, |keys| keys.has(kid), read).await
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
