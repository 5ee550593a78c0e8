//! What is measured, of every kind of flow: once, with the right dimensions, and none of them a client's.

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
    let id = app.new_id();
    assert_eq!(alice.submit(&id, tool, arguments).await.status, 202);
    id
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
        include_str!("../../jobs/wechat_events.rs"),
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

/// What docs/operate/metrics.md says of the cost.
#[tokio::test]
async fn a_request_and_a_job_cost_few_bytes_of_measurements() {
    let mut app = unlimited().await;
    let alice = app.login("alice").await;
    let bytes = |app: &App| {
        let lines: Vec<usize> = app.metrics.documents().iter().map(|document| document.to_string().len() + 1).collect();
        app.metrics.clear();
        (lines.len(), lines.iter().sum::<usize>())
    };
    alice.get("/v1/tools").await;
    bytes(&app);
    alice.get("/v1/tools").await;
    let read = bytes(&app);
    let id = submitted(&app, &alice, "ledger_append", serde_json::json!({"note":"n"})).await;
    let accepted = bytes(&app);
    app.run(&alice, "ledger_append", serde_json::json!({"note":"warm"})).await;
    app.finish(&alice, &id).await;
    bytes(&app);
    let id = submitted(&app, &alice, "ledger_append", serde_json::json!({"note":"n"})).await;
    bytes(&app);
    app.deliver().await;
    let worked = bytes(&app);
    assert_eq!(alice.job(&id).await["status"], "succeeded");
    bytes(&app);
    // The first one reads its secret, too.
    app.sweep().await;
    bytes(&app);
    app.sweep().await;
    let swept = bytes(&app);
    println!(
        "METRICS (lines, bytes): read {read:?}, accept {accepted:?}, job at the worker {worked:?}, sweep {swept:?}"
    );
    assert_eq!((read.0, accepted.0, swept.0), (1, 2, 1));
    assert!(read.1 <= 512 && accepted.1 <= 1024 && worked.1 <= 2048 && swept.1 <= 1024);
}
