//! `docs/operate/cost.md` is up to date: a change that adds an alarm, a series, a secret or bytes of log fails here
//! until the page has it, and a sum that is not the sum of its rows fails too.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use domain::alarms::{Alarm, AlarmTable, Level, Series, Shape};
use integration_tests::App;
use serde_json::json;

use crate::{references::OBSERVE, rollbacks, samples::Captured};

const PAGE: &str = include_str!("../../docs/operate/cost.md");
const TEMPLATE: &str = include_str!("../../template.yaml");
/// Runs of sweep in a month of 730 hours.
const SWEEPS: f64 = 43_800.0;
const MILLION: f64 = 1e6;

/// The rows of a section of the page: the first cell, and the numbers of the others.
fn rows(section: &str) -> BTreeMap<&'static str, Vec<f64>> {
    let text = PAGE.split_once(&format!("\n## {section}\n")).unwrap_or_else(|| panic!("## {section}")).1;
    let text = text.split("\n## ").next().unwrap();
    let row = |line: &'static str| {
        let mut cells = line.strip_prefix("| ")?.split('|').map(str::trim);
        let name = cells.next()?;
        Some((name, cells.filter_map(|cell| cell.trim_matches('*').parse().ok()).collect::<Vec<f64>>()))
    };
    text.lines().filter_map(row).filter(|(_, numbers)| !numbers.is_empty()).collect()
}

/// Whether the number of the page is about the measured one, and not lower.
fn about(said: f64, measured: f64) -> bool {
    (measured..=measured * 1.35).contains(&said)
}

/// How many metrics CloudWatch bills for an alarm: each that it reads, and the count of the samples of a percentile.
fn billed(alarm: &Alarm) -> usize {
    let counted = matches!(alarm.shape(), Shape::Threshold { floor: Some(_), .. });
    alarm.series().len() + usize::from(counted)
}

fn of_level(level: Level) -> usize {
    let table = AlarmTable::built_in().unwrap();
    table.alarms().iter().filter(|alarm| alarm.level() <= level).map(billed).sum()
}

/// A sum of the rows of a table, each by the price in its first number; `column` is the one after it.
fn sum(rows: &BTreeMap<&str, Vec<f64>>, column: usize) -> f64 {
    rows.iter().filter(|(name, _)| !name.starts_with("**")).map(|(_, numbers)| numbers[0] * numbers[1 + column]).sum()
}

fn cents(usd: f64) -> f64 {
    (usd * 100.0).round() / 100.0
}

#[test]
fn the_page_has_every_price_once_and_its_sums_are_the_sums_of_their_rows() {
    let prices = rows("Prices");
    for section in ["A month without requests", "A million jobs"] {
        let rows = rows(section);
        for (name, numbers) in rows.iter().filter(|(name, _)| !name.starts_with("**")) {
            let known = prices.values().any(|price| price[0] == numbers[0]);
            assert!(known, "{name}: {} is no price of the page", numbers[0]);
        }
        for (column, said) in rows["**USD**"].iter().enumerate() {
            let sum = cents(sum(&rows, column));
            assert!((said - sum).abs() < 0.011, "{section}, column {column}: {sum}, and the page says {said}");
        }
    }
    let [off, basic, full] = rows("A month without requests")["**USD**"][..] else { panic!("three levels") };
    let rollbacks = 0.1 * f64::from(u32::try_from(rollbacks::alarms().len()).unwrap());
    assert!(off < basic && basic + rollbacks <= 5.0 && full + rollbacks <= 15.0, "{basic} {full} {rollbacks}");
}

#[test]
fn the_page_counts_the_alarms_rules_dashboards_and_secrets_that_there_are() {
    let idle = rows("A month without requests");
    let count = |text: &str, kind: &str| text.matches(&format!("Type: {kind}\n")).count();
    let counts =
        |off: usize, basic: usize, full: usize| [off, basic, full].map(|n| f64::from(u32::try_from(n).unwrap()));
    let secrets = count(TEMPLATE, "AWS::SecretsManager::Secret");
    for (name, counts) in [
        ("metrics that alarms read", counts(0, of_level(Level::Basic), of_level(Level::Full))),
        ("rules by user", counts(0, 0, count(OBSERVE, "AWS::CloudWatch::InsightRule"))),
        ("dashboards", counts(0, 0, count(OBSERVE, "AWS::CloudWatch::Dashboard"))),
        ("secrets", counts(secrets, secrets, secrets)),
    ] {
        assert_eq!(idle[name][1..], counts, "{name}");
    }
    assert_eq!(rows("With traffic")["rollback alarms in staging and prod"], [rollbacks::alarms().len() as f64]);
}

#[tokio::test]
async fn the_page_says_what_an_idle_month_measures_writes_and_logs() {
    let mut app = App::start().await;
    let _listening = app.metrics.listen();
    app.sweep().await;
    app.metrics.clear();
    let units = |app: &App| {
        let consumed = app.sweep.table().consumed();
        (consumed.read_units(), consumed.write_units())
    };
    let (before, mut series) = (units(&app), BTreeMap::<Level, BTreeSet<Series>>::new());
    let (minutes, levels) = (15, [Level::Basic, Level::Full]);
    for _ in 0..minutes {
        app.advance(Duration::from_secs(60)).await;
        app.sweep().await;
    }
    let after = units(&app);
    for level in levels {
        let mut captured = Captured::default();
        app.metrics.documents().iter().for_each(|document| captured.add_document(level, document));
        series.insert(level, captured.series().cloned().collect());
    }
    let a_month = |quantity: f64| quantity / f64::from(minutes) * SWEEPS;
    let (read, written) = (a_month(after.0 - before.0) / MILLION, a_month(after.1 - before.1) / MILLION);
    let logged = levels.map(|level| a_month(app.metrics.bytes(level) as f64) / 1e9);
    println!("COST idle: series {series:?}; read units {read:.3} M, write units {written:.3} M, logs {logged:.4?} GB");
    let idle = rows("A month without requests");
    let alive = levels.map(|level| series[&level].len() as f64);
    assert_eq!(idle["series that the schedule keeps alive"][2..], alive);
    assert!(about(idle["million read units"][1], read), "read units {read}");
    assert!(about(idle["million write units"][1], written), "write units {written}");
    for (said, logged) in idle["GB of logs"][2..].iter().zip(logged) {
        assert!(about(*said, logged), "logs {logged}");
    }
}

/// The line that API Gateway writes for a request.
fn access_line() -> usize {
    let format = TEMPLATE.split_once("Format: >-\n").unwrap().1.lines().next().unwrap().trim();
    let line = format
        .replace("$context.requestId", "JKJaXmPLvHcESHA=")
        .replace("$context.routeKey", "GET /v1/jobs/{request_id}")
        .replace("$context.status", "200")
        .replace("$context.responseLatency", "12")
        .replace("$context.integrationErrorMessage", "-");
    assert!(!line.contains('$'), "{line}");
    line.len() + 1
}

#[tokio::test]
async fn the_page_says_how_many_bytes_a_job_logs_and_they_are_few() {
    let (mut app, alice) = App::start_with("alice").await;
    let _listening = app.metrics.listen();
    app.run(&alice, "ledger_append", json!({"note": "warm"})).await;
    app.metrics.clear();
    let id = app.new_id();
    assert_eq!(alice.submit(&id, "ledger_append", json!({"note": "n"})).await.status, 202);
    while app.deliver().await {}
    for _ in 0..3 {
        assert_eq!(alice.get(&format!("/v1/jobs/{id}")).await.body["status"], "succeeded");
    }
    let access = 4 * access_line();
    let logged = [Level::Basic, Level::Full].map(|level| (app.metrics.bytes(level) + access) as f64 / 1e3);
    println!("COST a job logs {logged:?} kB, {access} bytes of it in the access log");
    assert!(logged[0] <= 1.2 && logged[1] <= 2.5, "{logged:?}");
    for (said, logged) in rows("A million jobs")["GB of logs"][1..].iter().zip(logged) {
        assert!(about(*said, logged), "{said}, measured {logged}");
    }
}
