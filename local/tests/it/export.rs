//! `local export` as an operator runs it, read back into another table.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use dynoxide::{Database, ImportOptions, Item};
use local::emulation::{
    backend::TABLE,
    engines::{EngineOptions, Engines},
};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{directory, installed::Installed};

fn local(args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_local")).args(args).current_dir("/").output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

async fn log_in(service: &Installed) -> (Value, String) {
    let session = service.request(Method::POST, "/v1/sessions", "", None, r#"{"code":"dev-alice"}"#).await.1;
    (session["user_id"].clone(), session["token"].as_str().unwrap().to_owned())
}

/// Sends the one request; status of the response and the job.
async fn submit(service: &Installed, token: &str, id: &str) -> (u16, Value) {
    let body = r#"{"tool":"ledger_append","arguments":{"note":"two coffees"}}"#;
    service.request(Method::POST, "/v1/jobs", token, Some(id), body).await
}

async fn ended(service: &Installed, token: &str, id: &str) -> Value {
    let path = format!("/v1/jobs/{id}?wait=20");
    for _ in 0..3 {
        let job = service.request(Method::GET, &path, token, None, "").await.1;
        if job["status"] == "explained" {
            return job;
        }
    }
    panic!("the job does not end");
}

fn records(service: &Installed) -> String {
    let verified = service.command(&["audit", "verify", "--everything"]);
    verified.lines().find(|line| line.starts_with("ok: ")).unwrap().to_owned()
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "Item")]
    item: Item,
}

/// What `import-table` and `secrets put` do on AWS, on another host.
async fn import(from: &Path, data: &Path) {
    fs::create_dir_all(data).unwrap();
    let file = data.join("table.db");
    let options = EngineOptions { table_file: Some(file.clone()), ..EngineOptions::default() };
    Engines::start(options).await.unwrap().stop().await;
    let text = fs::read_to_string(from.join("table/items.json")).unwrap();
    let items = text.lines().map(|line| domain::json::kept::<Line>(line).unwrap().item).collect();
    let database = Database::new(file.to_str().unwrap()).unwrap();
    database.import_items(TABLE, items, ImportOptions::default()).unwrap();
    let read = |name: &str| -> Value {
        domain::json::kept(fs::read_to_string(from.join("secrets").join(format!("{name}.json"))).unwrap()).unwrap()
    };
    let (edge, status, worker, sweep) = (read("edge-auth"), read("status"), read("worker"), read("sweep"));
    let document = json!({
        "dev": false, "sessions": edge["sessions"], "logins": edge["logins"], "wechat": edge["wechat"],
        "cursors": status["cursors"], "openclaw": worker["openclaw"], "checkpoints": sweep["checkpoints"],
    });
    fs::write(data.join("secrets.json"), document.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_has_the_same_users_and_jobs_and_a_resent_id_has_no_second_effect() {
    let root = directory("export");
    let (here, there) = (root.join("here"), root.join("there"));
    for dir in [&here, &there] {
        fs::create_dir(dir).unwrap();
    }
    let service = Installed::start_in(&here, "", &[]).await;
    service.command(&["mode", "set", "explain_only", "--reason", "a test without a gateway"]);
    let (user, token) = log_in(&service).await;
    let id = local(&["id"]).1.trim().to_owned();
    let accepted = submit(&service, &token, &id).await;
    assert_eq!(accepted.0, 202, "{}", accepted.1);
    let job = ended(&service, &token, &id).await;
    let verified = records(&service);
    let (config, to) = (service.file.display().to_string(), root.join("moved").display().to_string());
    let export = || local(&["export", "--to", &to, "--config", &config]);
    let again = |to: &str| local(&["export", "--again", "--to", to, "--config", &config]);
    assert!(export().1.contains("in use by another process"), "the service runs");
    assert!(!Path::new(&to).exists());
    service.stop().await;
    let (code, said) = export();
    assert!(code == Some(0) && said.contains("This service does not start again"), "{said}");
    assert!(again(&to).1.contains("is not empty"));
    assert!(export().1.contains("was exported"));
    let (code, said) = local(&["run", "--config", &config]);
    assert!(code == Some(78) && said.contains("delete the file `exported`"), "{said}");
    let (code, said) = again(&root.join("moved-again").display().to_string());
    assert_eq!(code, Some(0), "{said}");
    for private in ["", "secrets/edge-auth.json", "table/items.json"] {
        let mode = fs::metadata(Path::new(&to).join(private)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{private}");
    }

    import(Path::new(&to), &there.join("data")).await;
    let moved = Installed::start_in(&there, "", &[]).await;
    assert!(moved.ready.contains("mode: explain_only"), "{}", moved.ready);
    let (same_user, token) = log_in(&moved).await;
    assert_eq!(same_user, user);
    assert_eq!(moved.request(Method::GET, &format!("/v1/jobs/{id}"), &token, None, "").await.1, job);
    let (code, again) = submit(&moved, &token, &id).await;
    assert_eq!((code, &again), (200, &job), "the stored job, which has ended");
    let other = r#"{"tool":"ledger_append","arguments":{"note":"three coffees"}}"#;
    assert_eq!(moved.request(Method::POST, "/v1/jobs", &token, Some(&id), other).await.0, 422);
    assert_eq!(records(&moved), verified, "every chain verifies, and nothing was added");
    moved.stop().await;
}

#[test]
fn users_of_the_stub_are_not_exported() {
    let root = directory("export-dev");
    let data = root.join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("table.db"), "").unwrap();
    fs::write(data.join("secrets.json"), r#"{"dev":true}"#).unwrap();
    let to = root.join("moved");
    let (code, said) = local(&["export", "--to", to.to_str().unwrap(), "--data", data.to_str().unwrap()]);
    assert!(code == Some(1) && said.contains("--dev") && !to.exists(), "{said}");
}
