//! Sources of secrets, and their failures.

use std::{sync::Arc, time::Duration};

use integration_tests::{
    App,
    clock::ManualClock,
    secrets_manager::{SecretFault, SecretsManager},
};
use local::secrets::{self, rotation::Holder, store::SecretStore};
use platform::{
    aws::AwsSettings,
    config::StatusConfig,
    runtime::{Clock, Runtime, System},
    secrets::{FORCED_EVERY, MAX_AGE, RETRY_AFTER, SecretSource, Secrets, SecretsError, WorkerSecrets},
};
use serde_json::Value;

const NAME: &str = "stack/worker";

struct Fixture {
    manager: SecretsManager,
    secrets: Secrets<String>,
    clock: ManualClock,
    runtime: Runtime,
}

impl Fixture {
    fn new() -> Self {
        let manager = SecretsManager::default();
        let secrets = Secrets::new("worker", SecretSource::Manager(NAME.into()), &manager.alone());
        let clock = ManualClock::default();
        let runtime = Runtime::new(Arc::new(clock.clone()), Arc::new(System));
        Self { manager, secrets, clock, runtime }
    }

    fn put(&self, text: &str) {
        self.manager.put(NAME, Some(text), 1_700_000_000);
    }

    async fn get(&self) -> Result<String, SecretsError> {
        self.secrets.get(&self.runtime, |document: Value| Ok(document.to_string())).await.map(|value| value.to_string())
    }
}

#[tokio::test]
async fn a_secret_is_read_once_in_five_minutes_however_many_ask() {
    let it = Fixture::new();
    it.put("1");
    assert_eq!(it.get().await.unwrap(), "1");
    it.put("2");
    it.clock.advance(MAX_AGE - Duration::from_secs(2));
    assert_eq!((it.get().await.unwrap().as_str(), it.manager.reads()), ("1", 1));
    it.clock.advance(Duration::from_secs(3));
    // Eight at once, while the one read takes its time.
    it.manager.fail(Some(SecretFault::Slow));
    let all = async { tokio::join!(it.get(), it.get(), it.get(), it.get(), it.get(), it.get(), it.get(), it.get()) };
    let (all, ()) = tokio::join!(all, it.manager.release());
    let all = [all.0, all.1, all.2, all.3, all.4, all.5, all.6, all.7];
    assert!(all.iter().all(|value| value.as_deref() == Ok("2")), "{all:?}");
    assert_eq!(it.manager.reads(), 2);
}

#[tokio::test]
async fn a_refusal_during_a_read_forces_another_read_for_that_one_may_have_come_too_early() {
    let it = Fixture::new();
    it.put("1");
    // While the first read is under way, its value is refused elsewhere.
    let refused = |document: Value| {
        assert!(it.secrets.expire(&it.runtime));
        Ok(document.to_string())
    };
    assert_eq!(it.secrets.get(&it.runtime, refused).await.unwrap().as_str(), "1");
    it.put("2");
    assert_eq!((it.get().await.unwrap().as_str(), it.manager.reads()), ("2", 2));
    assert_eq!((it.get().await.unwrap().as_str(), it.manager.reads()), ("2", 2), "once");
}

#[tokio::test]
async fn the_age_of_a_secret_counts_from_when_it_was_asked_for() {
    let it = Fixture::new();
    it.put("1");
    let late = Duration::from_secs(200);
    let slow = |document: Value| {
        it.clock.advance(late);
        Ok(document.to_string())
    };
    it.secrets.get(&it.runtime, slow).await.unwrap();
    it.put("2");
    it.clock.advance(MAX_AGE - late);
    assert_eq!(it.get().await.unwrap(), "2");
}

#[tokio::test]
async fn a_caller_that_stops_waiting_for_a_read_does_not_block_others() {
    let it = Fixture::new();
    it.put("1");
    it.manager.fail(Some(SecretFault::Slow));
    let gave_up = tokio::time::timeout(Duration::from_millis(20), async { tokio::join!(it.get(), it.get()) }).await;
    assert!(gave_up.is_err(), "it was read already");
    it.manager.fail(None);
    assert_eq!(it.get().await.unwrap(), "1");
}

#[tokio::test]
async fn while_it_cannot_be_read_the_last_good_one_stays_in_use_and_it_is_tried_every_few_seconds() {
    let it = Fixture::new();
    it.put("1");
    it.get().await.unwrap();
    for fault in [SecretFault::Denied, SecretFault::Unreachable] {
        it.clock.advance(MAX_AGE + Duration::from_secs(1));
        it.manager.fail(Some(fault));
        for _ in 0..10 {
            assert_eq!(it.get().await.unwrap(), "1", "{fault:?}");
        }
        let once = it.manager.reads();
        it.clock.advance(RETRY_AFTER - Duration::from_secs(1));
        assert_eq!(it.get().await.unwrap(), "1");
        assert_eq!(it.manager.reads(), once, "{fault:?}: not yet");
        it.clock.advance(Duration::from_secs(2));
        assert_eq!(it.get().await.unwrap(), "1");
        assert!(it.manager.reads() > once, "{fault:?}: again");
        it.manager.fail(None);
        it.clock.advance(RETRY_AFTER + Duration::from_secs(1));
        it.get().await.unwrap();
    }
}

#[tokio::test]
async fn a_version_that_has_the_wrong_shape_does_not_displace_the_good_one() {
    let it = Fixture::new();
    it.put("1");
    it.get().await.unwrap();
    it.put("{");
    it.clock.advance(MAX_AGE + Duration::from_secs(1));
    assert_eq!(it.get().await.unwrap(), "1");
    it.put("2");
    it.clock.advance(RETRY_AFTER + Duration::from_secs(1));
    assert_eq!(it.get().await.unwrap(), "2");
}

#[tokio::test]
async fn a_flood_of_refusals_is_no_flood_of_reads() {
    let it = Fixture::new();
    it.put("1");
    it.get().await.unwrap();
    for round in 0..3 {
        for _ in 0..50 {
            it.secrets.expire(&it.runtime);
            it.get().await.unwrap();
        }
        assert_eq!(it.manager.reads(), 2 + round);
        it.clock.advance(FORCED_EVERY + Duration::from_secs(1));
    }
}

/// What the log says when a function cannot start.
async fn refusal(it: &Fixture) -> String {
    let parsed = it.secrets.get(&it.runtime, |secrets: WorkerSecrets| Ok(format!("{secrets:?}")));
    let text = parsed.await.unwrap_err().to_string();
    // The next attempt is not held back by the failed one.
    it.clock.advance(RETRY_AFTER + Duration::from_secs(1));
    assert!(text.contains(NAME) && !text.contains('\n'), "{text}");
    text
}

#[tokio::test]
async fn each_way_to_have_no_secret_is_a_sentence_that_names_it_and_not_its_content() {
    let it = Fixture::new();
    let text = refusal(&it).await;
    assert!(text.contains("does not exist") && text.contains("deploy the stack"), "{text}");
    for nothing in [None, Some("")] {
        it.manager.put(NAME, nothing, 0);
        let text = refusal(&it).await;
        assert!(text.contains("has no value yet") && text.contains("local secrets put"), "{text}");
    }
    for wrong in ["no-json-4711", r#"{"openclaw":{"token":"no-json-4711"}}"#, r#"{"openclaw":{"tokens":[]}}"#, "[]"] {
        it.put(wrong);
        let text = refusal(&it).await;
        assert!(text.contains("shape") && text.contains("local secrets new") && !text.contains("4711"), "{text}");
    }
    it.manager.fail(Some(SecretFault::Denied));
    let text = refusal(&it).await;
    assert!(text.contains("refused for good (AccessDeniedException)") && !text.contains("quoted"), "{text}");
    it.manager.fail(Some(SecretFault::Unreachable));
    let text = refusal(&it).await;
    assert!(text.contains("cannot be read"), "{text}");
}

/// Engines with Secrets Manager in them: the second engine when there is one.
async fn engines() -> (App, AwsSettings) {
    let app = App::start().await;
    let aws = SecretsManager::default().beside(&app.aws);
    (app, aws)
}

fn store(aws: &AwsSettings) -> SecretStore {
    let ids = Holder::ALL.map(|holder| (holder, format!("stack/{}", holder.function())));
    SecretStore::Manager { aws: aws.clone(), ids: ids.into() }
}

async fn create(aws: &AwsSettings, holder: Holder) {
    let create = aws.secrets_manager().create_secret().name(format!("stack/{}", holder.function()));
    create.send().await.expect("the engine makes a secret");
}

#[tokio::test]
async fn secrets_that_a_stack_made_are_filled_once_and_not_overwritten() {
    let (_app, aws) = engines().await;
    let store = store(&aws);
    let documents = secrets::documents(&Runtime::system(), "app-secret", "token").unwrap();
    let missing = store.fill(&documents).await.unwrap_err().to_string();
    assert!(missing.contains("stack/edge-auth") && missing.contains("ResourceNotFound"), "{missing}");
    for holder in Holder::ALL {
        create(&aws, holder).await;
    }
    let empty = store.read(&Holder::ALL).await.unwrap_err().to_string();
    assert!(empty.contains("stack/edge-auth has no value yet"), "{empty}");
    store.fill(&documents).await.unwrap();
    assert_eq!(store.read(&Holder::ALL).await.unwrap(), documents);
    store.fill(&documents).await.expect("the same again is no other value");
    let others = secrets::documents(&Runtime::system(), "app-secret", "other-token").unwrap();
    let taken = store.fill(&others).await.unwrap_err().to_string();
    assert!(taken.contains("has another value already") && !taken.contains("token"), "{taken}");
    assert_eq!(store.read(&Holder::ALL).await.unwrap(), documents);
}

#[tokio::test]
async fn a_function_starts_with_its_own_document_and_with_no_other() {
    let (app, aws) = engines().await;
    let config = |name: &str| StatusConfig {
        table: platform::config::TableConfig { aws: aws.clone(), ..app.deployment.status().table },
        secrets: SecretSource::Manager(name.to_owned()),
        ..app.deployment.status()
    };
    let start = |name: &'static str| {
        let status = status::Status::new(config(name), Runtime::system()).unwrap();
        async move { status.load_secrets().await.map_err(|error| error.to_string()) }
    };
    let missing = start("stack/status").await.unwrap_err();
    assert!(missing.contains("the secret stack/status does not exist"), "{missing}");
    for holder in Holder::ALL {
        create(&aws, holder).await;
    }
    let empty = start("stack/status").await.unwrap_err();
    assert!(empty.contains("the secret stack/status has no value yet"), "{empty}");
    store(&aws).fill(&secrets::documents(&Runtime::system(), "app-secret", "token").unwrap()).await.unwrap();
    assert_eq!(start("stack/status").await, Ok(()));
    let foreign = start("stack/worker").await.unwrap_err();
    assert!(foreign.contains("stack/worker") && foreign.contains("shape"), "{foreign}");
}

#[tokio::test]
async fn a_key_that_cannot_be_used_stops_the_start_by_its_id() {
    let it = Fixture::new();
    let mut document = secrets::documents(&Runtime::system(), "s", "t").unwrap().remove(&Holder::Status).unwrap();
    document["sessions"]["keys"][0]["public"] = "not-a-key-4711".into();
    let kid = document["sessions"]["keys"][0]["kid"].as_str().unwrap().to_owned();
    it.put(&document.to_string());
    let (app, aws) = (App::start().await, it.manager.alone());
    let config = StatusConfig {
        table: platform::config::TableConfig { aws, ..app.deployment.status().table },
        secrets: SecretSource::Manager(NAME.to_owned()),
        ..app.deployment.status()
    };
    let error = status::Status::new(config, Runtime::system()).unwrap().load_secrets().await.unwrap_err().to_string();
    assert!(error.contains(NAME) && error.contains(&kid) && !error.contains("4711"), "{error}");
}

#[tokio::test]
async fn the_age_of_a_secret_and_each_read_that_failed_are_measured() {
    let it = Fixture::new();
    it.put("1");
    let (meter, measured) = integration_tests_meter();
    let runtime = it.runtime.clone().metered(meter);
    let get = || it.secrets.get(&runtime, |document: Value| Ok(document.to_string()));
    get().await.unwrap();
    it.clock.advance(MAX_AGE + Duration::from_secs(1));
    it.manager.fail(Some(SecretFault::Denied));
    get().await.unwrap();
    let measured = measured.lock().unwrap().clone();
    let age = (it.clock.now().millis() / 1000 - 1_700_000_000) as f64 - MAX_AGE.as_secs_f64();
    let of = |metric: &str| measured.iter().filter(|(name, _)| name == metric).map(|(_, v)| *v).collect::<Vec<_>>();
    assert_eq!(of("secret_refresh_failures"), [0.0, 1.0]);
    assert_eq!(of("secret_age_s").len(), 1);
    assert!((of("secret_age_s")[0] - age).abs() < 30.0, "{measured:?}");
}

type Measured = Arc<std::sync::Mutex<Vec<(String, f64)>>>;

#[derive(Debug)]
struct Kept(Measured);

impl platform::metrics::Sink for Kept {
    fn take(&self, measurement: platform::metrics::Measurement<'_>) {
        let function = measurement.dimension(platform::metrics::Dimension::Function);
        assert_eq!(function, Some("worker"));
        let values = measurement.values.iter().map(|(metric, value)| (metric.name().to_owned(), *value));
        self.0.lock().unwrap().extend(values);
    }
}

fn integration_tests_meter() -> (platform::metrics::Meter, Measured) {
    let measured = Measured::default();
    (platform::metrics::Meter::into_sink(Kept(measured.clone())), measured)
}
