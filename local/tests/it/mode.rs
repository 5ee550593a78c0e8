//! `local mode`, while a service is running and after it has stopped.

use std::{path::Path, process::Command};

use domain::access::service_mode::Mode;
use local::host::service::{Options, Service};
use serde_json::Value;

use super::{directory, http};

/// Exit code, standard output and standard error of one command.
fn mode(data: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    let output = command.arg("mode").args(args).arg("--data").arg(data).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn done(data: &Path, args: &[&str]) -> String {
    let (code, out, err) = mode(data, args);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{args:?}");
    out
}

fn options(data: &Path) -> Options {
    Options::dev(data.to_owned(), "http://127.0.0.1:9".to_owned(), "no-token".to_owned())
}

async fn told(service: &Service) -> String {
    let ready = http().get(format!("{}/readyz", service.base_url)).send().await.unwrap().text().await.unwrap();
    domain::json::kept::<Value>(&ready).unwrap()["mode"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_directory_begins_in_full_and_the_command_changes_it_while_the_service_runs() {
    let data = directory("mode");
    let service = Service::start(options(&data)).await.unwrap();
    assert_eq!(service.controls.service.mode, Mode::Full);
    assert!(done(&data, &["get"]).starts_with("service  full  since "), "by the start");
    // The service has not read its mode yet, so its first read finds this one.
    let out = done(&data, &["set", "explain_only", "--reason", "a look"]);
    assert!(out.starts_with("service  explain_only  since ") && out.contains("by command: a look"), "{out}");
    assert_eq!(told(&service).await, "explain_only");
    service.stop().await;
    // Also after the service has stopped.
    let out = done(&data, &["tool", "ledger_pay", "closed", "--reason", "pays twice"]);
    assert!(out.contains("\nledger_pay  closed  since "), "{out}");
    let out = done(&data, &["open", "ledger_delete", "--minutes", "5", "--reason", "clean-up"]);
    assert!(out.contains("\nledger_delete  unlocked until "), "{out}");
    let out = done(&data, &["open", "ledger_delete", "--minutes", "0", "--reason", "done"]);
    assert!(out.contains("\nledger_delete  locked since "), "{out}");
    let again = Service::start(options(&data)).await.unwrap();
    assert_eq!(again.controls.service.mode, Mode::ExplainOnly, "a start changes nothing");
    again.stop().await;
}

#[tokio::test]
async fn a_table_that_was_lost_does_not_begin_in_full() {
    let data = directory("mode-lost");
    Service::start(options(&data)).await.unwrap().stop().await;
    for file in ["table.db", "table.db-wal", "table.db-shm"] {
        let _gone = std::fs::remove_file(data.join(file));
    }
    let service = Service::start(options(&data)).await.unwrap();
    assert!(!service.controls.is_set(), "what it was closed by may be lost with it");
    assert_eq!(told(&service).await, "read_only");
    service.stop().await;
}

#[test]
fn a_change_that_makes_no_sense_is_refused_in_a_sentence() {
    let data = directory("mode-refused");
    for (args, says) in [
        (&["get"][..], "there is no table at"),
        (&["set", "full", "--reason", "x"], "there is no table at"),
        (&["set", "sideways", "--reason", "x"], "closed, explain_only, read_only, full"),
        (&["set", "full"], "--reason"),
        (&["set", "full", "--reason", " "], "1 to 200 visible characters"),
        (&["tool", "ledger", "closed", "--reason", "x"], "ledger: there is no tool of this name"),
        (&["open", "ledger_append", "--minutes", "1", "--reason", "x"], "only a destructive tool"),
        (&["open", "ledger_delete", "--minutes", "1441", "--reason", "x"], "1 to 1440 minutes"),
    ] {
        let (code, out, err) = mode(&data, args);
        assert!(code != Some(0) && out.is_empty() && err.contains(says), "{args:?}: {err}");
    }
    assert!(!data.join("table.db").exists(), "a look makes no table");
}
