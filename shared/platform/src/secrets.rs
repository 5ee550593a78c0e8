//! Secrets: a JSON document from a file or from Secrets Manager, cached for at most five minutes.
//!
//! Concurrent callers share one read. While the source cannot be read, the last good document stays in use, and a
//! read is tried every few seconds. When a service refuses a secret, one read is forced; a minimum interval keeps a
//! flood of refusals from becoming a flood of reads.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;

use crate::{
    aws::AwsSettings,
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

/// A source of secrets, and the value built from its document, cached for at most [`MAX_AGE`].
pub struct Secrets<T> {
    function: &'static str,
    reader: Reader,
    state: Mutex<State<T>>,
    /// Held during a read; other callers wait for it and then use the cached result.
    reading: tokio::sync::Mutex<()>,
}

struct State<T> {
    held: Option<Held<T>>,
    /// Time and error of the last read, if it failed.
    failed: Option<(Timestamp, SecretsError)>,
    forced_at: Option<Timestamp>,
    expired: bool,
}

struct Held<T> {
    value: Arc<T>,
    /// When the read was started: the data cannot be older, however long the response took.
    read_at: Timestamp,
}

impl<T> std::fmt::Debug for Secrets<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets")
            .field("function", &self.function)
            .field("reader", &self.reader)
            .finish_non_exhaustive()
    }
}

impl<T> State<T> {
    /// The result without a read, if the cache allows one.
    fn at_hand(&self, now: Timestamp) -> Option<Result<Arc<T>, SecretsError>> {
        let is_recent = |at: Timestamp, within| at <= now && now.since(at) < within;
        if let Some(held) = &self.held
            && !self.expired
            && is_recent(held.read_at, MAX_AGE)
        {
            return Some(Ok(held.value.clone()));
        }
        let (_, error) = self.failed.as_ref().filter(|(at, _)| is_recent(*at, RETRY_AFTER))?;
        Some(self.last_good().ok_or_else(|| error.clone()))
    }

    fn last_good(&self) -> Option<Arc<T>> {
        self.held.as_ref().map(|held| held.value.clone())
    }
}

impl<T> Secrets<T> {
    /// The document of `function`, from `source`.
    pub fn new(function: &'static str, source: SecretSource, aws: &AwsSettings) -> Self {
        let state = State { held: None, failed: None, forced_at: None, expired: false };
        Self {
            function,
            reader: Reader::new(source, aws),
            state: Mutex::new(state),
            reading: tokio::sync::Mutex::default(),
        }
    }

    /// The value that `make` builds from the document, cached or read now. If the document cannot be read, the last
    /// good one stays in use.
    pub async fn get<D: DeserializeOwned>(
        &self,
        runtime: &Runtime,
        make: impl FnOnce(D) -> Result<T, BadSessionKey>,
    ) -> Result<Arc<T>, SecretsError> {
        if let Some(answer) = self.state().at_hand(runtime.now()) {
            return answer;
        }
        let _one_at_a_time = self.reading.lock().await;
        if let Some(answer) = self.state().at_hand(runtime.now()) {
            return answer;
        }
        let (asked_at, forced_at) = (runtime.now(), self.state().forced_at);
        let made = self.reader.read().await.and_then(|read| self.make(&read, make).map(|value| (value, read.made_at)));
        self.measure(runtime, made.as_ref().ok().map(|(_, made_at)| *made_at));
        let made = made.map(|(value, _)| Held { value: Arc::new(value), read_at: asked_at });
        self.settle(runtime.now(), forced_at, made)
    }

    /// Makes the next [`get`](Self::get) read the document, because a service has refused the cached secret. False if
    /// that was done a moment ago.
    pub fn expire(&self, runtime: &Runtime) -> bool {
        let now = runtime.now();
        let mut state = self.state();
        let forced = state.forced_at.is_none_or(|at| at > now || now.since(at) >= FORCED_EVERY);
        if forced {
            state.forced_at = Some(now);
            state.expired = true;
        }
        forced
    }

    /// Stores the result of a read that started when the last forced read was at `forced_at`.
    fn settle(
        &self,
        now: Timestamp,
        forced_at: Option<Timestamp>,
        read: Result<Held<T>, SecretsError>,
    ) -> Result<Arc<T>, SecretsError> {
        let mut state = self.state();
        match read {
            Ok(held) => {
                let value = held.value.clone();
                state.held = Some(held);
                state.failed = None;
                // A refusal during this read may concern the document that it returned, so the next read is forced.
                state.expired = state.forced_at != forced_at;
                Ok(value)
            }
            Err(error) => {
                state.failed = Some((now, error.clone()));
                let last_good = state.last_good().ok_or_else(|| error.clone())?;
                tracing::error!(
                    function = self.function,
                    code = "secret_not_refreshed",
                    error = %error,
                    "the last good secret stays in use"
                );
                Ok(last_good)
            }
        }
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

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
