//! Client input never creates a time series.

use std::collections::BTreeSet;

use domain::{
    alarms::Level,
    job::JobState,
    policy::{DenyReason, Policy},
};
use platform::{
    http::Code,
    metrics::{Dimension, Metric},
    wechat::events::Report,
};
use serde_json::json;

use super::unlimited;

fn list(list: &[&str]) -> Vec<String> {
    list.iter().map(|value| (*value).to_owned()).collect()
}

/// Why a notification was not sent.
const UNSENT: [&str; 20] = [
    "user_unknown",
    "template_unknown",
    "page_unknown",
    "no_credit",
    "banned",
    "quota",
    "word_refused",
    "value_refused",
    "not_permitted",
    "refused",
    "wechat_unreachable",
    "wechat_busy",
    "other_message",
    "token_refused",
    "not_configured",
    "notification_unknown",
    "secret_unreadable",
    "table_unavailable",
    "paused",
    "wechat_misconfigured",
];

/// Every value that a dimension of a metric may have on Lambda, from the lists of this service.
fn values(metric: Metric, dimension: Dimension) -> Vec<String> {
    match (metric, dimension) {
        (Metric::NotificationFailures, Dimension::Code) => [list(&UNSENT), list(&["unknown", "none"])].concat(),
        (Metric::RiskRanks, Dimension::Outcome) => {
            list(&["rank_0", "rank_1", "rank_2", "rank_3", "rank_4", "unranked"])
        }
        (_, dimension) => values_of(dimension),
    }
}

fn values_of(dimension: Dimension) -> Vec<String> {
    match dimension {
        Dimension::Function => list(&["edge-auth", "worker", "status", "sweep"]),
        Dimension::Route => {
            let routes = platform::http::routes::ROUTES.iter().map(|route| format!("{} {}", route.method, route.path));
            routes.chain(["other".to_owned()]).collect()
        }
        Dimension::Code => {
            let refusals = Code::ALL.iter().filter(|code| code.status().is_client_error());
            refusals.map(|code| code.text().to_owned()).collect()
        }
        Dimension::Outcome => list(&["ok", "refused", "unavailable", "misconfigured"]),
        Dimension::State => {
            JobState::ALL.iter().filter(|state| state.is_over()).map(|state| state.name().to_owned()).collect()
        }
        Dimension::Tool => {
            let policy = Policy::built_in().unwrap();
            let tools = policy.catalogue().tools().map(|tool| tool.entry.name.clone());
            let agents = policy.catalogue().agents().map(|agent| format!("agent:{}", agent.name));
            tools.chain(agents).chain(["other".to_owned()]).collect()
        }
        Dimension::Reason => {
            let worker = ["approval_insufficient", "arguments_invalid", "tool_changed"].map(str::to_owned);
            DenyReason::ALL.iter().map(|reason| reason.code().to_owned()).chain(worker).collect()
        }
        Dimension::Status => {
            let known = "200 202 400 401 403 404 410 412 413 422 429 500 502 503 504 2xx 3xx 4xx 5xx other";
            known.split(' ').chain(["unreachable", "timeout"]).map(str::to_owned).collect()
        }
        Dimension::Event => {
            let reports = Report::ALL.map(Report::name);
            reports.into_iter().chain(["duplicate", "malformed"]).map(str::to_owned).collect()
        }
        Dimension::Suggestion => list(&["pass", "review", "risky", "unchecked"]),
    }
}

/// How many series a level can publish at most.
fn most(level: Level) -> usize {
    let sets = Metric::ALL.iter().flat_map(|metric| metric.published(level).map(|set| (*metric, set)));
    sets.map(|(metric, set)| set.iter().map(|one| values(metric, *one).len()).product::<usize>()).sum()
}

#[test]
fn the_number_of_time_series_is_bounded_and_the_page_of_costs_has_it() {
    let [basic, full] = [Level::Basic, Level::Full].map(most);
    println!("METRICS at most {basic} time series at level basic, {full} at full");
    assert!(full <= 250, "{full}");
    let page = include_str!("../../../docs/operate/cost.md");
    let row = page.split_once("\n| series that there can be | ").unwrap().1;
    let mut said = row.split('|').map(|cell| cell.trim().parse::<usize>());
    assert_eq!(said.next(), Some(Ok(basic)));
    let said = said.next().unwrap().unwrap();
    assert!((full..=full * 5 / 4).contains(&said), "the page says {said}");
}

#[tokio::test]
async fn no_dimension_has_a_value_that_a_client_made_up() {
    let mut app = unlimited().await;
    let alice = app.login("alice").await;
    let evil = "evil\"},{\"route\":\"x";
    for (method, path) in [
        ("GET", "/v1/evil"),
        ("GET", "/v1/jobs/evil%22"),
        ("EVIL", "/v1/jobs"),
        ("GET", "/v1/jobs/evil/audit?wait=evil&cursor=evil"),
        ("POST", "/v1/jobs/evil/cancel"),
        ("DELETE", "/evil/../v1/sessions"),
        ("GET", "/v1/jobs?limit=evil"),
        ("GET", "/healthz/evil"),
    ] {
        let headers = [("idempotency-key", evil), ("traceparent", evil), ("x-evil", evil), ("user-agent", evil)];
        alice.send(method, path, &headers, evil.as_bytes()).await;
        app.anonymous().send(method, path, &headers, evil.as_bytes()).await;
    }
    for name in [evil, "", "ledger_append ", "LEDGER_APPEND", "\u{202e}ledger", &"x".repeat(5000)] {
        alice.submit(&app.new_id(), name, json!({})).await;
        alice.submit(name.get(..40).unwrap_or("x"), "ledger_append", json!({"note":evil})).await;
        app.log_in_with(name).await;
    }
    app.put_on_queue(evil).await;
    let foreign = json!({ "user_id": alice.user_id, "request_id": app.new_id(), "traceparent": evil, "tool": evil });
    app.put_on_queue(&foreign.to_string()).await;
    app.deliver().await;
    app.run(&alice, "ledger_append", json!({"note":evil})).await;
    app.sweep().await;
    let metrics: BTreeSet<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    let documents = app.metrics.documents();
    assert!(documents.len() > 40);
    for document in documents {
        for (name, value) in document.as_object().unwrap() {
            if let Some(value) = value.as_str() {
                let dimension = Dimension::ALL.into_iter().find(|dimension| dimension.name() == name.as_str());
                let mut known = dimension.map(values_of).unwrap_or_default();
                known.push("local".to_owned());
                assert!(known.iter().any(|known| known == value), "{name}={value} in {document}");
            } else {
                assert!(name == "_aws" || metrics.contains(name.as_str()), "{name} in {document}");
            }
        }
    }
}
