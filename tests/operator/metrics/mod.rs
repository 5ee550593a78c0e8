//! Metrics of every kind of flow: measured once, with the right dimensions, never with client input.

use std::time::Duration;

use domain::limits::Rate;
use integration_tests::{App, Client, Setup, mini_gateway::checkout};
use local::host::service::{Options, Service};
use platform::metrics::{Dimension, Metric};
use serde_json::Value;

mod faults;
mod jobs;
mod labels;
mod requests;

fn state(name: &str) -> [(Dimension, &str); 1] {
    [(Dimension::State, name)]
}

fn tool(name: &str) -> [(Dimension, &str); 1] {
    [(Dimension::Tool, name)]
}

async fn unlimited() -> App {
    let edge = |edge: &mut platform::config::EdgeAuthConfig| {
        edge.limits.submissions = Rate::new(Duration::from_millis(1), 1000);
        edge.login_rate = Rate::new(Duration::from_millis(1), 1000);
    };
    App::with(Setup { edge, ..Setup::default() }).await
}

async fn submitted(app: &App, alice: &Client, tool: &str, arguments: Value) -> String {
    app.submit(alice, tool, arguments).await
}

fn count(app: &App, metric: Metric) -> f64 {
    app.metrics.sum(metric, &[])
}

#[test]
fn every_metric_of_the_list_is_looked_for_in_some_flow() {
    let tests = [
        include_str!("mod.rs"),
        include_str!("faults.rs"),
        include_str!("jobs.rs"),
        include_str!("requests.rs"),
        include_str!("../audit/checkpoints.rs"),
        include_str!("../modes/mod.rs"),
        include_str!("../modes/fault_watch.rs"),
        include_str!("../../jobs/policy/errors.rs"),
        include_str!("../../jobs/erasure/mod.rs"),
        include_str!("../../jobs/content_safety.rs"),
        include_str!("../../jobs/content_safety/decisions.rs"),
        include_str!("../../jobs/risk.rs"),
        include_str!("../../jobs/notifications.rs"),
        include_str!("../../jobs/wechat_events.rs"),
        include_str!("../../../local/tests/it/alerts.rs"),
    ];
    for metric in Metric::ALL {
        let name = format!("Metric::{metric:?}");
        assert!(tests.iter().any(|test| test.contains(&name)), "{name} is not looked for");
    }
}

#[tokio::test]
async fn on_one_host_the_same_is_read_as_prometheus_text_on_loopback_and_only_if_asked_for() {
    let data = checkout().join(".local/tmp/flows").join(uuid::Uuid::now_v7().to_string());
    let options = || Options::dev(data.clone(), "http://127.0.0.1:9".to_owned(), "token".to_owned());
    let service = Service::start(Options { metrics_port: Some(0), ..options() }).await.unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let status = async |url: String| http.get(url).send().await.unwrap().status().as_u16();
    assert_eq!(status(format!("{}/v1/tools", service.base_url)).await, 401);
    assert_eq!(status(format!("{}/metrics", service.base_url)).await, 404, "not where the public may be");
    let url = service.metrics_url().unwrap();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    let text = http.get(url).send().await.unwrap().text().await.unwrap();
    for line in [
        r#"miniprogram_cold_starts_total{function="local"} 1"#,
        r#"miniprogram_requests_total{function="status",route="GET /v1/tools"} 1"#,
        r#"miniprogram_requests_total{function="local",route="other"} 1"#,
        r#"miniprogram_rejections_total{code="no_session"} 1"#,
    ] {
        assert!(text.lines().any(|known| known == line), "{line} in {text}");
    }
    assert_eq!(Metric::ColdStarts.name(), "cold_starts");
    service.stop().await;
    let silent = Service::start(options()).await.unwrap();
    assert_eq!(silent.metrics_url(), None);
    silent.stop().await;
    let _best_effort = std::fs::remove_dir_all(data);
}
