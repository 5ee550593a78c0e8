//! Backup and restore as an operator runs them.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use reqwest::Method;
use serde_json::Value;

use super::{directory, installed::Installed};

async fn log_in(service: &Installed) -> Value {
    service.request(Method::POST, "/v1/sessions", "", None, r#"{"code":"dev-alice"}"#).await.1["user_id"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_lost_its_data_is_restored_closed_with_its_users_and_its_configuration() {
    let root = directory("backups");
    let more = format!(
        "[backup]\ndir = \"{}\"\nkeep = 2\nmin_free_mb = 1\nafter_command = 'cp \"$BACKUP_FILE\" {}'\n",
        root.join("backups").display(),
        root.join("elsewhere.tar").display(),
    );
    let service = Installed::start_in(&root, &more, &[]).await;
    let user = log_in(&service).await;
    service.command(&["mode", "set", "full", "--reason", "a test"]);
    for _ in 0..3 {
        let made = service.command(&["backup", "create"]);
        assert!(made.contains("miniprogram-2") && made.contains("no journal"), "{made}");
    }
    let listed = service.command(&["backup", "list"]);
    assert_eq!(listed.lines().count(), 2, "the oldest is deleted: {listed}");
    let newest = listed.lines().last().unwrap().split("  ").next().unwrap().to_owned();
    assert_eq!(fs::metadata(&newest).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read(&newest).unwrap(), fs::read(root.join("elsewhere.tar")).unwrap());

    let config = service.file.display().to_string();
    let local = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_local")).args(args).current_dir("/").output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, out, err) = local(&["backup", "verify", &newest]);
    assert!(code == Some(0) && out.starts_with("ok: "), "{out}{err}");
    let (code, _, err) = local(&["restore", &newest, "--config", &config]);
    assert!(code == Some(1) && err.contains("in use"), "the service runs: {err}");
    service.stop().await;

    fs::remove_dir_all(root.join("data")).unwrap();
    fs::remove_file(&config).unwrap();
    let (code, out, err) = local(&["restore", &newest, "--with-configuration", "--config", &config]);
    assert!(code == Some(0) && out.contains("every chain is whole") && out.contains("mode set full"), "{out}{err}");
    assert!(fs::read_to_string(&config).unwrap().contains("after_command"));
    let again = Installed::start_in(&root, &more, &[]).await;
    assert!(again.ready.contains("mode: closed"), "{}", again.ready);
    assert_eq!(log_in(&again).await, user);
    let audit = again.command(&["audit", "verify", "--everything"]);
    assert!(audit.contains("ok: "), "{audit}");
    again.stop().await;
}

#[test]
fn a_backup_is_refused_before_it_fills_the_disk() {
    let root = directory("backups-full");
    let file = root.join("config.toml");
    let (data, dir) = (root.join("data"), root.join("backups"));
    fs::create_dir(&data).unwrap();
    fs::write(data.join("table.db"), "").unwrap();
    let text = format!(
        "[server]\ndata = \"{}\"\n[wechat]\napp_id = \"wx0123456789abcdef\"\n[backup]\ndir = \"{}\"\nmin_free_mb = 1000000\n",
        data.display(),
        dir.display()
    );
    fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    let output = command.args(["backup", "create", "--config"]).arg(&file).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && error.contains("has to leave 1000000 MiB"), "{error}");
    let left: Vec<_> = fs::read_dir(dir).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, [".lock"], "nothing is left behind");
}
