//! The service from a configuration file, behind a reverse proxy on the same host.

use std::{
    os::unix::net::UnixDatagram,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use domain::{limits::Rate, policy::PolicyFiles};
use local::{
    emulation::wechat_stub::WechatStub,
    host::{
        service::{Login, Options, Service},
        settings::Settings,
    },
};
use platform::runtime::Runtime;
use reqwest::Method;
use serde_json::Value;

use super::{
    directory, http,
    installed::{Installed, json, over_socket},
    policy,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_phone_logs_in_while_the_first_exhausts_its_limit_and_no_header_of_a_client_changes_that() {
    let root = directory("proxied");
    let socket = root.join("http.sock");
    // A killed process leaves its socket.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let stub = WechatStub::start("wx0123456789abcdef", "stub-secret", 0, Runtime::system()).await.unwrap();
    let login = Login::Wechat {
        base_url: stub.base_url(),
        app_id: "wx0123456789abcdef".to_owned(),
        app_secret: "stub-secret".to_owned(),
    };
    let login_rate = Rate::new(Duration::from_secs(3600), 2);
    let service = Service::start(Options {
        login,
        socket: Some(socket.clone()),
        settings: Settings { login_rate, ..Settings::default() },
        opens_new_table: false,
        ..Options::dev(root.join("data"), "http://127.0.0.1:9".to_owned(), "no-token".to_owned())
    });
    let service = service.await.unwrap();
    assert!(!service.controls.is_set(), "a new table reads only until an operator opens it");

    let request = {
        let socket = socket.clone();
        async move |line: &'static str, forwarded: &'static [&'static str], body: &'static str| {
            let socket = socket.clone();
            tokio::task::spawn_blocking(move || over_socket(&socket, line, forwarded, body)).await.unwrap()
        }
    };
    let log_in = async |forwarded| request("POST /v1/sessions", forwarded, r#"{"code":"dev-alice"}"#).await;
    assert_eq!((log_in(&["192.0.2.1"]).await, log_in(&["192.0.2.1"]).await), (201, 201));
    assert_eq!(log_in(&["192.0.2.1"]).await, 429);
    assert_eq!(log_in(&["203.0.113.7, 192.0.2.1"]).await, 429, "the client wrote the first address");
    assert_eq!(log_in(&["203.0.113.7", "192.0.2.1"]).await, 429);
    assert_eq!(log_in(&["192.0.2.2"]).await, 201);
    assert_eq!(log_in(&[]).await, 400);
    assert_eq!(log_in(&["unknown"]).await, 400);
    assert_eq!(request("GET /healthz", &["192.0.2.1"], "").await, 200);
    assert_eq!(request("GET /readyz", &["192.0.2.1"], "").await, 404);
    assert_eq!(request("POST /v1/rings", &["192.0.2.1"], "{}").await, 404);

    // On loopback no header is believed, and a public name is not answered.
    let log_in = async |forwarded: &str| {
        let post = http().post(format!("{}/v1/sessions", service.base_url)).header("x-forwarded-for", forwarded);
        let post = post.header("content-type", "application/json").body(r#"{"code":"dev-alice"}"#);
        post.send().await.unwrap().status().as_u16()
    };
    assert_eq!((log_in("192.0.2.11").await, log_in("192.0.2.12").await), (201, 201));
    assert_eq!(log_in("192.0.2.13").await, 429);
    let named = http().get(format!("{}/healthz", service.base_url)).header("host", "api.example.com").send().await;
    assert_eq!(named.unwrap().status().as_u16(), 403);
    service.stop().await;
    stub.stop().await;
}

#[test]
fn a_configuration_that_is_wrong_ends_with_78_and_names_key_and_file() {
    let file = directory("config-wrong").join("config.toml");
    std::fs::write(&file, "[wechat]\napp_id = \"wx0123456789abcdef\"\n[limits]\nsubmit_bursts = 3\n").unwrap();
    let path = file.to_str().unwrap();
    for command in [&["run", "--config", path][..], &["config", "check", "--config", path]] {
        let output = Command::new(env!("CARGO_BIN_EXE_local")).args(command).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), text.lines().count()), (Some(78), 1), "{text}");
        assert!(text.contains(path) && text.contains("line 4") && text.contains("`submit_bursts`"), "{text}");
    }
    std::fs::write(&file, "[wechat]\napp_id = \"wx0123456789abcdef\"\n").unwrap();
    let checked = Command::new(env!("CARGO_BIN_EXE_local")).args(["config", "check", "--config", path]).output();
    assert_eq!(checked.unwrap().status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_runs_from_its_file_outside_a_checkout_and_logs_json_alone() {
    let service = Installed::start("config-run").await;
    let ready = &service.ready;
    assert!(ready.starts_with("Ready on http://127.0.0.1:") && ready.contains("mode: read_only"), "{ready}");
    let socket = service.socket();
    let found = tokio::task::spawn_blocking(move || over_socket(&socket, "GET /v1/nothing", &["192.0.2.1"], "")).await;
    assert_eq!(found.unwrap(), 404);
    let (rest, log) = service.stop().await;
    assert!(!rest.iter().any(|line| line.contains("curl")), "no lesson goes to the journal: {rest:?}");
    assert!(!log.is_empty());
    for line in log.lines() {
        assert!(domain::json::kept::<serde_json::Value>(line).is_ok(), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_cannot_be_used_is_an_error_of_the_log_and_the_service_starts() {
    let root = directory("config-webhook");
    let file = root.join("robot");
    std::fs::write(&file, "ftp://example.com/hidden-key\n").unwrap();
    let section = format!("[alerts]\nwebhook_file = \"{}\"\n", file.display());
    let service = Installed::start_in(&root, &section, &[]).await;
    assert!(service.ready.starts_with("Ready on "), "{}", service.ready);
    let (_, log) = service.stop().await;
    let said: Vec<&str> = log.lines().filter(|line| line.contains("alarms are only logged")).collect();
    let fault: Value = json(said.first().unwrap_or_else(|| panic!("{log}")));
    assert_eq!((said.len(), &fault["level"]), (1, &Value::from("ERROR")), "{log}");
    assert!(said[0].contains("robot") && !log.contains("hidden-key"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_opens_and_audits_the_service_with_its_file_outside_a_checkout() {
    let service = Installed::start("config-commands").await;
    assert!(service.command(&["mode", "get"]).starts_with("service  read_only: no mode was ever set"));
    let opened = service.command(&["mode", "set", "full", "--reason", "first opening"]);
    assert!(opened.starts_with("service  full  since "), "{opened}");
    let token = service.command(&["operator", "token", "--role", "viewer"]);
    let me = http().get(format!("{}/v1/operator/me", service.base_url())).bearer_auth(token.trim()).send().await;
    assert_eq!(me.unwrap().status().as_u16(), 200);
    let audited = service.command(&["audit", "verify", "--operators"]);
    assert!(audited.starts_with("ok: 1 records"), "{audited}");
    assert!(service.command(&["clock", "show"]).contains("expired items are deleted as of"));
    service.stop().await;
}

const NEW_TOOL: &str = r#"
[[tool]]
name = "weather_read"
title = "Read the weather"
effect = "read"
timeout_s = 30
attempts = 5
expected_ms = 50
schema = "weather_read.json"
example = { city = "Hangzhou" }
"#;
const NEW_SCHEMA: &str = r#"{"type": "object", "additionalProperties": false, "required": ["city"],
    "properties": {"city": {"type": "string", "maxLength": 40}}}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_is_added_by_folder_and_reload_and_a_broken_policy_keeps_the_old() {
    let folder = policy::copy("policy-added");
    let section = format!("[policy]\ndir = \"{}\"\n", folder.display());
    let mut service = Installed::start_with("config-policy", &section).await;
    let built_in = PolicyFiles::built_in().version();
    assert_eq!(service.policy_version().await, built_in, "the same folder has the same version everywhere");
    let (_, session) = service.request(Method::POST, "/v1/sessions", "", None, r#"{"code":"dev-alice"}"#).await;
    let token = session["token"].as_str().unwrap();
    let submit = async |service: &Installed, id: &str| {
        let body = r#"{"tool":"weather_read","arguments":{"city":"Hangzhou"}}"#;
        service.request(Method::POST, "/v1/jobs", token, Some(id), body).await
    };
    let id = || {
        let id = Command::new(env!("CARGO_BIN_EXE_local")).arg("id").output().unwrap();
        String::from_utf8(id.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(submit(&service, &id()).await.1["code"], "tool_unknown");

    let tools = folder.join("tools.toml");
    let before = std::fs::read_to_string(&tools).unwrap();
    std::fs::write(&tools, format!("{before}{NEW_TOOL}")).unwrap();
    std::fs::write(folder.join("schemas/weather_read.json"), NEW_SCHEMA).unwrap();
    let said = service.reload();
    let version = service.policy_version().await;
    assert_ne!(version, built_in);
    assert!(said.starts_with(&format!("Reloaded: policy {version}, ")), "{said}");
    let waiting = id();
    assert_eq!(submit(&service, &waiting).await.0, 202);
    let reason = ["mode", "tool", "weather_read", "read_only", "--reason", "a tool that only the folder has"];
    assert!(service.command(&reason).contains("weather_read  read_only"));

    let policies = folder.join("tools.cedar");
    let sound = std::fs::read_to_string(&policies).unwrap();
    std::fs::write(&policies, format!("{sound}\npermit (principal, action == nonsense, resource);\n")).unwrap();
    let said = service.reload();
    assert!(said.starts_with("Not reloaded") && said.contains("tools.cedar:") && said.contains(&version), "{said}");
    assert_eq!(service.policy_version().await, version);
    let file = service.file.to_str().unwrap();
    let check = Command::new(env!("CARGO_BIN_EXE_local")).args(["config", "check", "--config", file]).output();
    let check = check.unwrap();
    assert_eq!(check.status.code(), Some(78));
    assert!(String::from_utf8(check.stderr).unwrap().contains("tools.cedar:"));
    let refused = Command::new(env!("CARGO_BIN_EXE_local")).args(["reload", "--config", file]).output().unwrap();
    assert_eq!(refused.status.code(), Some(78), "a broken policy is not even tried");
    let set = service.command(&["mode", "set", "read_only", "--reason", "the policy is broken"]);
    assert!(set.starts_with("service  read_only"), "{set}");

    // The worker acts on the folder as well: its job, which no gateway has taken, ends once the tool is gone.
    std::fs::write(&policies, sound).unwrap();
    std::fs::write(&tools, before).unwrap();
    std::fs::remove_file(folder.join("schemas/weather_read.json")).unwrap();
    let said = service.command(&["reload"]);
    assert!(said.starts_with(&format!("Reloaded: policy {built_in}, ")), "{said}");
    let path = format!("/v1/jobs/{waiting}?wait=20");
    let mut job = Value::Null;
    for _ in 0..3 {
        job = service.request(Method::GET, &path, token, None, "").await.1;
        if job["status"] == "refused" {
            break;
        }
    }
    assert_eq!((&job["status"], &job["error"]["code"]), (&"refused".into(), &"tool_unknown".into()), "{job}");
    let (_, log) = service.stop().await;
    assert_eq!(log.lines().filter(|line| line.contains("not reloaded")).count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_reloaded_and_a_key_that_needs_a_start_is_named() {
    let mut service =
        Installed::start_with("config-limits", "[limits]\nlogin_burst = 1\nlogin_interval_ms = 3600000\n").await;
    let code = r#"{"code":"dev-alice"}"#;
    let log_in = async |service: &Installed| service.request(Method::POST, "/v1/sessions", "", None, code).await.0;
    assert_eq!((log_in(&service).await, log_in(&service).await), (201, 429));
    let text = std::fs::read_to_string(&service.file).unwrap();
    std::fs::write(&service.file, text.replace("login_burst = 1", "login_burst = 30")).unwrap();
    let said = service.reload();
    assert!(!said.contains("next start"), "{said}");
    assert_eq!(log_in(&service).await, 201);
    std::fs::write(&service.file, format!("{text}[metrics]\nport = 9464\n")).unwrap();
    assert!(service.reload().contains("take effect at the next start"));
    assert!(service.reload().contains("take effect at the next start"), "until then");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_with_a_secrets_document_that_cannot_be_used_is_refused_and_logins_go_on() {
    let mut service = Installed::start_with("config-secrets", "").await;
    let code = r#"{"code":"dev-alice"}"#;
    let log_in = async |service: &Installed| service.request(Method::POST, "/v1/sessions", "", None, code).await.0;
    assert_eq!(log_in(&service).await, 201);
    let secrets = service.file.with_file_name("data").join("secrets.json");
    let sound = std::fs::read_to_string(&secrets).unwrap();
    std::fs::write(&secrets, "{}").unwrap();
    let said = service.reload();
    assert!(said.starts_with("Not reloaded"), "{said}");
    assert_eq!(log_in(&service).await, 201, "the last valid document is in use");
    std::fs::write(&secrets, sound).unwrap();
    assert!(service.reload().starts_with("Reloaded"));
    assert_eq!(log_in(&service).await, 201);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn systemd_is_told_when_the_service_is_ready_alive_reloaded_and_stopping() {
    let root = directory("notify");
    let path = root.join("notify.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let next = |part: &str| {
        let mut buffer = [0; 1024];
        loop {
            let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("no {part}: {error}"));
            let told = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if told.contains(part) {
                return told;
            }
        }
    };
    let variables = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "400000")];
    let mut service = Installed::start_in(&root, "", &variables).await;
    assert!(next("READY=1").contains(&format!("STATUS=policy {}", PolicyFiles::built_in().version())));
    next("WATCHDOG=1");
    next("WATCHDOG=1");
    std::fs::write(&service.file, "[wrong").unwrap();
    assert!(service.reload().starts_with("Not reloaded"));
    next("the last reload was refused");
    service.stop().await;
    next("STOPPING=1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_nearly_full_refuses_new_jobs_and_says_so_before_the_table_fails() {
    let root = directory("disk-low");
    let options = |min_free_mb| Options {
        min_free_mb,
        ..Options::dev(root.join("data"), "http://127.0.0.1:9".to_owned(), "no-token".to_owned())
    };
    let service = Service::start(options(1_000_000_000)).await.unwrap();
    let url = service.base_url.clone();
    let ready = http().get(format!("{url}/readyz")).send().await.unwrap();
    assert_eq!(ready.status().as_u16(), 503);
    let ready = json(&ready.text().await.unwrap());
    assert!(ready["failing"].as_array().unwrap().contains(&"disk_low".into()) && ready["ready"] == false, "{ready}");
    let refused = http().post(format!("{url}/v1/jobs")).body("{}").send().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (503, "60"));
    assert_eq!(json(&refused.text().await.unwrap())["code"], "unavailable");
    let login = http().post(format!("{url}/v1/sessions")).header("content-type", "application/json");
    let login = login.body(r#"{"code":"dev-alice"}"#).send().await.unwrap();
    assert_eq!(login.status().as_u16(), 201, "a user can still read jobs");
    service.stop().await;

    let service = Service::start(options(1)).await.unwrap();
    let submitted = http().post(format!("{}/v1/jobs", service.base_url)).body("{}").send().await.unwrap();
    assert_eq!(submitted.status().as_u16(), 401, "with room it goes on to the function");
    let ready = http().get(format!("{}/readyz", service.base_url)).send().await.unwrap().text().await.unwrap();
    assert!(!ready.contains("disk_low"), "{ready}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_names_what_is_wrong_and_the_command_that_mends_it() {
    let service = Installed::start("doctor").await;
    let port = service.base_url().rsplit(':').next().unwrap().to_owned();
    let text =
        std::fs::read_to_string(&service.file).unwrap().replace("rings_port = 0", &format!("rings_port = {port}"));
    std::fs::write(&service.file, text + "[backup]\ndir = \"/does/not/exist\"\n").unwrap();
    // The first sweep has to have asked the gateway, or there is no heartbeat to read.
    let began = Instant::now();
    while !service.readiness().await.contains("gateway_unreachable") {
        assert!(began.elapsed() < Duration::from_secs(60), "sweep has not asked the gateway");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let doctor = |file: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
        let output = command.args(["doctor", "--json", "--config"]).arg(file).current_dir("/").output().unwrap();
        (output.status.code(), json(&String::from_utf8(output.stdout).unwrap()))
    };
    let (code, found) = doctor(&service.file);
    assert_eq!(code, Some(2), "{found}");
    let of = |check: &str| found.as_array().unwrap().iter().find(|one| one["check"] == check).unwrap().clone();
    for check in ["configuration", "policy", "permissions", "disk"] {
        assert_eq!(of(check)["state"], "ok", "{found}");
    }
    assert_eq!(of("backup")["state"], "warn");
    assert!(of("backup")["mend"].as_str().unwrap().contains("miniprogram backup create"));
    assert_eq!(of("mode")["reason"], "read_only");
    assert!(of("readiness")["reason"].as_str().unwrap().contains("gateway_unreachable"), "{found}");
    assert_eq!(of("gateway")["state"], "fail", "nothing listens on its port");
    assert!(!found.to_string().contains("stub-secret") && !found.to_string().contains("no-token"));
    service.stop().await;

    let broken = directory("doctor-broken").join("config.toml");
    std::fs::write(&broken, "[server]\nsockets = 3\n").unwrap();
    let (code, found) = doctor(&broken);
    assert_eq!((code, &found[0]["state"]), (Some(2), &Value::from("fail")), "{found}");
    assert!(found[0]["reason"].as_str().unwrap().contains("`sockets`"));
}
