//! A panic on one host is one failed invocation, and the process lives on.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use local::host::service::{Options, Service};
use platform::runtime::{Random, Runtime, System};

use super::{directory, http};

/// A source of random bytes that panics once on request: every event of API Gateway takes some.
#[derive(Debug, Default)]
struct Broken(AtomicBool);

impl Random for Broken {
    fn fill(&self, bytes: &mut [u8]) {
        assert!(!self.0.swap(false, Ordering::SeqCst), "a test breaks this call");
        System.fill(bytes);
    }
}

#[tokio::test]
async fn a_request_that_panics_is_a_500_and_the_next_one_is_answered() {
    let broken = Arc::new(Broken::default());
    let runtime = Runtime::new(Arc::new(System), broken.clone());
    let options = Options::dev(directory("panics"), "http://127.0.0.1:9".to_owned(), "no-token".to_owned());
    let service = Service::start(Options { runtime, ..options }).await.unwrap();
    let url = format!("{}/healthz", service.base_url);
    assert_eq!(http().get(&url).send().await.unwrap().status(), 200);
    broken.0.store(true, Ordering::SeqCst);
    let answer = http().get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 500);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert_eq!(http().get(&url).send().await.unwrap().status(), 200);
    service.stop().await;
}

#[test]
fn the_profile_for_one_host_unwinds_and_the_one_for_lambda_does_not() {
    let manifest = std::fs::read_to_string(local::data::checkout().unwrap().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let profile = |name: &str| manifest["profile"].get(name).unwrap_or_else(|| panic!("no profile {name}"));
    assert_eq!(profile("host")["inherits"].as_str(), Some("release"));
    assert_eq!(profile("host")["panic"].as_str(), Some("unwind"));
    assert_eq!(profile("release")["panic"].as_str(), Some("abort"));
}
