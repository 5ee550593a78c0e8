//! Secrets Manager in a test: the second engine where there is one, and otherwise a small one in the SDK's HTTP client,
//! which can also be made to fail.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use platform::aws::AwsSettings;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// The fault of every read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretFault {
    /// No connection.
    Unreachable,
    /// The role lacks the permission.
    Denied,
    /// The response waits for [`SecretsManager::release`].
    Slow,
}

#[derive(Debug, Clone)]
struct Version {
    text: String,
    made_at_s: i64,
}

/// A fake Secrets Manager. Clones share their state.
#[derive(Clone)]
pub struct SecretsManager {
    secrets: Arc<Mutex<BTreeMap<String, Option<Version>>>>,
    fault: Arc<Mutex<Option<SecretFault>>>,
    reads: Arc<AtomicUsize>,
    begun: Arc<Semaphore>,
    released: Arc<Semaphore>,
}

impl Default for SecretsManager {
    fn default() -> Self {
        let empty = || Arc::new(Semaphore::new(0));
        Self {
            secrets: Arc::default(),
            fault: Arc::default(),
            reads: Arc::default(),
            begun: empty(),
            released: empty(),
        }
    }
}

impl fmt::Debug for SecretsManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretsManager")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SecretsManager {
    /// The same settings with this Secrets Manager added. Engines on a socket are the second engine, which has its own.
    pub fn beside(&self, engines: &AwsSettings) -> AwsSettings {
        let mut aws = engines.clone();
        aws.secrets_manager_endpoint = aws.dynamodb_endpoint.clone();
        if aws.dynamodb_endpoint.as_deref().is_some_and(|url| url.contains("in-process")) {
            let inner = aws.http_client.take().expect("engines in the process have their own client");
            aws.http_client = Some(SharedHttpClient::new(Beside { manager: self.clone(), inner }));
        }
        aws
    }

    /// Settings with this Secrets Manager only.
    pub fn alone(&self) -> AwsSettings {
        let engines = local::emulation::connector::InProcess::memory().settings();
        self.beside(&engines)
    }

    /// From now on, every read has this fault.
    pub fn fail(&self, fault: Option<SecretFault>) {
        *lock(&self.fault) = fault;
    }

    /// Reads so far.
    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    /// Waits until a slow read has begun, and lets it and all later ones go on.
    pub async fn release(&self) {
        self.begun.acquire().await.expect("it is never closed").forget();
        self.fail(None);
        self.released.add_permits(1);
    }

    /// Makes a secret, or another version of it, with this creation time.
    pub fn put(&self, name: &str, text: Option<&str>, made_at_s: i64) {
        lock(&self.secrets).insert(name.to_owned(), text.map(|text| Version { text: text.to_owned(), made_at_s }));
    }

    fn answer(&self, operation: &str, body: &Value) -> HttpResponse {
        let id = body["SecretId"].as_str().or(body["Name"].as_str()).unwrap_or_default().to_owned();
        let mut secrets = lock(&self.secrets);
        let text =
            body["SecretString"].as_str().map(|text| Version { text: text.to_owned(), made_at_s: 1_700_000_000 });
        match (operation, secrets.get(&id).cloned()) {
            ("CreateSecret", None) => {
                secrets.insert(id.clone(), text);
                respond(200, &json!({ "ARN": id, "Name": id }))
            }
            ("PutSecretValue", Some(_)) => {
                secrets.insert(id.clone(), text);
                respond(200, &json!({ "ARN": id, "Name": id, "VersionId": "v" }))
            }
            ("GetSecretValue", Some(Some(version))) => respond(
                200,
                &json!({
                    "ARN": id, "Name": id, "VersionId": "v", "SecretString": version.text,
                    "CreatedDate": version.made_at_s, "VersionStages": ["AWSCURRENT"],
                }),
            ),
            ("GetSecretValue", Some(None)) => refuse(
                "ResourceNotFoundException",
                "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
            ),
            (_, None) => refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret."),
            _ => refuse("InvalidRequestException", "not known here"),
        }
    }
}

fn respond(status: u16, body: &Value) -> HttpResponse {
    let status = status.try_into().expect("a real status");
    HttpResponse::new(status, body.to_string().into_bytes().into())
}

fn refuse(kind: &str, message: &str) -> HttpResponse {
    respond(400, &json!({ "__type": kind, "Message": message }))
}

#[derive(Debug, Clone)]
struct Beside<I> {
    manager: SecretsManager,
    inner: I,
}

impl HttpClient for Beside<SharedHttpClient> {
    fn http_connector(&self, s: &HttpConnectorSettings, c: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Beside { manager: self.manager.clone(), inner: self.inner.http_connector(s, c) })
    }
}

impl HttpConnector for Beside<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        let Some(operation) = target.strip_prefix("secretsmanager.").map(str::to_owned) else {
            return self.inner.call(request);
        };
        let body = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
        let manager = self.manager.clone();
        let fault = if operation == "GetSecretValue" {
            manager.reads.fetch_add(1, Ordering::SeqCst);
            *lock(&manager.fault)
        } else {
            None
        };
        HttpConnectorFuture::new(async move {
            match fault {
                Some(SecretFault::Unreachable) => return Err(ConnectorError::io("injected".into())),
                Some(SecretFault::Denied) => return Ok(refuse("AccessDeniedException", "who and what is quoted here")),
                Some(SecretFault::Slow) => {
                    manager.begun.add_permits(1);
                    manager.released.acquire().await.expect("it is never closed").forget();
                }
                None => {}
            }
            Ok(manager.answer(&operation, &body))
        })
    }
}
