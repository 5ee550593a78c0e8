//! Secrets: a JSON document from a file or from Secrets Manager, cached for at most five minutes.
//!
//! Concurrent callers share one read. While the source cannot be read, the last good document stays in use, and a
//! read is tried every few seconds. When a service refuses a secret, one read is forced; a minimum interval keeps a
//! flood of refusals from becoming a flood of reads.

use std::{sync::Arc, time::Duration};

use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;

use crate::{
    aws::AwsSettings,
    cached::{CacheLimits, Cached},
    metrics::{self, Dimension, Metric},
    runtime::Runtime,
};
use domain::{access::session::BadSessionKey, ids::Timestamp};

mod document;
mod source;

pub use document::{
    EdgeSecrets, OpenclawSecrets, PublicSessionKey, PublicSessionKeys, SessionKey, SessionKeys, StatusSecrets,
    SweepSecrets, WechatSecrets, WorkerSecrets,
};
use source::{Read, Reader};
pub use source::{SecretSource, SecretsError, current_version};

/// Maximum age of a cached document.
pub const MAX_AGE: Duration = Duration::from_secs(300);
/// Time from a failed read to the next one.
pub const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Minimum time between two forced reads.
pub const FORCED_EVERY: Duration = Duration::from_secs(10);

const LIMITS: CacheLimits = CacheLimits { max_age: MAX_AGE, retry_after: RETRY_AFTER, last_good_for: None };

/// A source of secrets, and the value built from its document, cached for at most [`MAX_AGE`].
pub struct Secrets<T> {
    function: &'static str,
    reader: Reader,
    cached: Cached<T, SecretsError>,
}

impl<T> std::fmt::Debug for Secrets<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets")
            .field("function", &self.function)
            .field("reader", &self.reader)
            .finish_non_exhaustive()
    }
}

impl<T> Secrets<T> {
    /// The document of `function`, from `source`.
    pub fn new(function: &'static str, source: SecretSource, aws: &AwsSettings) -> Self {
        Self { function, reader: Reader::new(source, aws), cached: Cached::new(LIMITS) }
    }

    /// The value that `make` builds from the document, cached or read now. If the document cannot be read, the last
    /// good one stays in use.
    pub async fn get<D: DeserializeOwned>(
        &self,
        runtime: &Runtime,
        make: impl FnOnce(D) -> Result<T, BadSessionKey>,
    ) -> Result<Arc<T>, SecretsError> {
        let read = async {
            let made =
                self.reader.read().await.and_then(|read| self.make(&read, make).map(|value| (value, read.made_at)));
            self.measure(runtime, made.as_ref().ok().map(|(_, made_at)| *made_at));
            if let Err(error) = &made
                && self.cached.last_read().is_some()
            {
                tracing::error!(
                    function = self.function,
                    code = "secret_not_refreshed",
                    error = %error,
                    "the last good secret stays in use"
                );
            }
            made.map(|(value, _)| value)
        };
        self.cached.get(runtime, |_| true, read).await
    }

    /// Makes the next [`get`](Self::get) read the document, because a service has refused the cached secret. False if
    /// that was done a moment ago.
    pub fn expire(&self, runtime: &Runtime) -> bool {
        self.cached.expire(runtime.now(), FORCED_EVERY)
    }

    #[expect(clippy::disallowed_methods, reason = "our own document: no `Value` is in it, and a fault names its line")]
    fn make<D: DeserializeOwned>(
        &self,
        read: &Read,
        make: impl FnOnce(D) -> Result<T, BadSessionKey>,
    ) -> Result<T, SecretsError> {
        let document = serde_json::from_str(read.text.expose_secret()).map_err(|fault| SecretsError::Shape {
            source_name: self.reader.name(),
            line: fault.line(),
            column: fault.column(),
        })?;
        make(document).map_err(|fault| SecretsError::Key { source_name: self.reader.name(), fault })
    }

    /// Measures a read, and the age of the version that it returned.
    fn measure(&self, runtime: &Runtime, made_at: Option<Timestamp>) {
        let function = [(Dimension::Function, self.function)];
        runtime.measure(&[(Metric::SecretRefreshFailures, metrics::one_if(made_at.is_none()))], &function);
        if let Some(made_at) = made_at {
            runtime.measure(&[(Metric::SecretAge, runtime.now().since(made_at).as_secs_f64().round())], &function);
        }
    }
}
