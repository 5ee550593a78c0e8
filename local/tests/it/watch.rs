//! `local watch`, as a process, with a `systemctl` that only records its arguments.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use local::data::DataDir;
use serde_json::Value;

use super::directory;

/// One listener for both health checks and the webhook.
#[derive(Debug, Default)]
struct Host {
    is_gateway_ready: AtomicBool,
    messages: Mutex<Vec<Value>>,
}

fn answer(mut stream: TcpStream, host: &Host) {
    let (mut bytes, mut some) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut some).unwrap_or(0);
        bytes.extend_from_slice(&some[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let is_whole =
            text.split_once("\r\n\r\n").is_some_and(|(head, body)| head.starts_with("GET") || body.ends_with('}'));
        if count == 0 || is_whole {
            break;
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status =
        if text.starts_with("GET /readyz") && !host.is_gateway_ready.load(Ordering::SeqCst) { 503 } else { 200 };
    if let Some((_, body)) = text.split_once("\r\n\r\n").filter(|_| text.starts_with("POST /robot")) {
        host.messages.lock().unwrap().push(domain::json::kept(body).unwrap());
    }
    let _ = write!(stream, "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
}

struct Watched {
    root: PathBuf,
    host: Arc<Host>,
    state: PathBuf,
}

impl Watched {
    fn start(root: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let host = Arc::new(Host::default());
        let answers = host.clone();
        std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| answer(stream, &answers)));
        let user = Command::new("id").arg("-un").output().unwrap();
        let user = String::from_utf8(user.stdout).unwrap();
        fs::create_dir_all(root.join("secrets")).unwrap();
        fs::write(root.join("secrets/alerts-webhook"), format!("http://127.0.0.1:{port}/robot\n")).unwrap();
        let config = format!(
            "[server]\ndata = \"{}\"\nrings_port = {port}\n[wechat]\napp_id = \"wx0123456789abcdef\"\n\
             [gateway]\nurl = \"http://127.0.0.1:{port}\"\nuser = \"{}\"\n",
            root.join("data").display(),
            user.trim()
        );
        fs::write(root.join("config.toml"), config).unwrap();
        let systemctl = root.join("systemctl");
        let script = "#!/bin/sh\nhere=$(dirname \"$0\")\necho \"$@\" >> \"$here/asked\"\n\
                      case \"$*\" in --user*show*) cat \"$here/gateway\" ;; *show*) cat \"$here/service\" ;; esac\n";
        fs::write(&systemctl, script).unwrap();
        fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).unwrap();
        let state = root.join("state.json");
        Self { root, host, state }
    }

    /// A gateway that works, and a service whose health check fails: nothing listens there.
    fn without_service(root: PathBuf) -> Self {
        let watched = Self::start(root);
        let config = watched.root.join("config.toml");
        let text = fs::read_to_string(&config).unwrap();
        let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (first, rest) = text.split_once("rings_port = ").unwrap();
        let rest = rest.split_once('\n').unwrap().1;
        fs::write(&config, format!("{first}rings_port = {unused}\n{rest}")).unwrap();
        watched.host.is_gateway_ready.store(true, Ordering::SeqCst);
        watched.unit("gateway", "active", "0");
        watched
    }

    /// The state of a unit that the fake `systemctl` reports.
    fn unit(&self, what: &str, active: &str, code: &str) {
        let shown = format!("LoadState=loaded\nActiveState={active}\nExecMainStatus={code}\n");
        fs::write(self.root.join(what), shown).unwrap();
    }

    /// One run that ends well; what it printed.
    fn run(&self) -> String {
        let (ok, said) = self.run_to_its_end();
        assert!(ok, "{said}");
        said
    }

    /// One run that fails at its end; what it printed.
    fn fail(&self) -> String {
        let (ok, said) = self.run_to_its_end();
        assert!(!ok, "{said}");
        said
    }

    fn run_to_its_end(&self) -> (bool, String) {
        let path = format!("{}:/usr/bin:/bin", self.root.display());
        let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
        command.args(["watch", "--config"]).arg(self.root.join("config.toml")).arg("--state").arg(&self.state);
        command.arg("--packages").arg(self.root.join("packages"));
        let output = command.env("PATH", path).output().unwrap();
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    }

    /// What was restarted since the last call.
    fn restarted(&self) -> Vec<String> {
        let asked = self.root.join("asked");
        let lines = fs::read_to_string(&asked).unwrap_or_default();
        let _ = fs::remove_file(&asked);
        lines.lines().filter(|line| line.contains("restart ")).map(str::to_owned).collect()
    }

    fn messages(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let alarm = |message: &Value| (text(&message["alarms"][0]["name"]), text(&message["alarms"][0]["state"]));
        self.host.messages.lock().unwrap().iter().map(alarm).collect()
    }
}

fn said(name: &str, state: &str) -> (String, String) {
    (name.to_owned(), state.to_owned())
}

#[test]
fn a_gateway_that_systemd_gave_up_on_is_restarted_three_times_then_told_once_and_once_when_it_is_back() {
    let watched = Watched::start(directory("watch"));
    watched.unit("service", "active", "0");
    watched.unit("gateway", "failed", "78");
    for _ in 0..3 {
        assert_eq!(watched.run(), "gateway: restarted\n");
        assert_eq!(watched.restarted(), ["--user restart openclaw-gateway.service"]);
    }
    assert!(watched.messages().is_empty());
    assert!(watched.run().contains("a person is told"));
    assert_eq!((watched.run(), watched.restarted().len()), (String::new(), 0), "no storm, and no second message");
    watched.host.is_gateway_ready.store(true, Ordering::SeqCst);
    watched.unit("gateway", "active", "0");
    watched.run();
    assert_eq!(watched.run(), "");
    assert_eq!(watched.messages(), [said("gateway-stays-down", "alarm"), said("gateway-stays-down", "ok")]);
    assert_private(&watched.root.join("state.json"));
}

/// Runs the watch twelve times beside a gateway that ends with 78 at so many starts, and then works. How often it was restarted.
fn restarts_of_a_gateway_that_ends_with_78(watched: &Watched, mut starts: usize) -> usize {
    let mut restarts = 0;
    watched.unit("service", "active", "0");
    watched.unit("gateway", "failed", "78");
    for _ in 0..12 {
        watched.run();
        for _ in watched.restarted() {
            (restarts, starts) = (restarts + 1, starts - 1);
            if starts == 0 {
                watched.unit("gateway", "active", "0");
                watched.host.is_gateway_ready.store(true, Ordering::SeqCst);
            }
        }
    }
    restarts
}

#[test]
fn a_gateway_that_ends_with_78_twice_is_back_without_an_alert_and_one_that_does_ten_times_is_told_once() {
    let watched = Watched::start(directory("watch-78-twice"));
    assert_eq!(restarts_of_a_gateway_that_ends_with_78(&watched, 2), 2);
    assert_eq!(watched.messages(), []);
    let watched = Watched::start(directory("watch-78-ten-times"));
    assert_eq!(restarts_of_a_gateway_that_ends_with_78(&watched, 10), 3, "no storm");
    assert_eq!(watched.messages(), [said("gateway-stays-down", "alarm")]);
}

#[test]
fn a_service_with_a_fault_in_its_configuration_is_told_and_not_restarted() {
    let watched = Watched::without_service(directory("watch-78"));
    watched.unit("service", "failed", "78");
    watched.run();
    assert_eq!(watched.run(), "");
    assert!(watched.restarted().is_empty());
    assert_eq!(watched.messages(), [said("service-stays-down", "alarm")]);
    watched.unit("service", "failed", "1");
    assert_eq!(watched.run(), "service: restarted\n", "another failure may be over");
}

#[test]
fn a_configuration_that_cannot_be_read_is_the_fault_that_a_person_is_told_of() {
    let watched = Watched::without_service(directory("watch-broken"));
    watched.unit("service", "active", "0");
    assert_eq!(watched.run(), "", "it may still become ready");
    let config = watched.root.join("config.toml");
    let sound = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{sound}\n[wrong")).unwrap();
    watched.unit("service", "failed", "78");
    let said = watched.fail();
    assert!(said.contains("service: does not work; a person is told") && said.contains("config.toml, line"), "{said}");
    assert!(!watched.fail().contains("service:"), "once");
    assert_eq!(watched.messages(), [said_of_service("alarm")]);
    // Without any configuration that was read, the watch does not know the target.
    fs::remove_file(&watched.state).unwrap();
    assert!(watched.fail().contains("config.toml, line"));
    assert_eq!(watched.messages().len(), 1);
}

#[test]
fn a_webhook_that_cannot_be_used_does_not_keep_the_gateway_from_a_restart_and_gets_the_alert_later() {
    let watched = Watched::without_service(directory("watch-webhook"));
    let webhook = watched.root.join("secrets/alerts-webhook");
    let sound = fs::read_to_string(&webhook).unwrap();
    fs::write(&webhook, "ftp://example.com/hidden-key\n").unwrap();
    watched.unit("service", "failed", "1");
    let said = watched.fail();
    assert!(said.starts_with("service: restarted\n") && said.contains("alerts-webhook"), "{said}");
    assert!(!said.contains("hidden-key"), "{said}");
    assert_eq!(watched.restarted(), ["restart miniprogram.service"]);
    watched.unit("service", "failed", "78");
    for _ in 0..2 {
        assert!(watched.fail().starts_with("service: does not work; no person could be told\n"));
    }
    fs::write(&webhook, "none\n").unwrap();
    assert_eq!(watched.run(), "service: does not work; no person could be told\n");
    fs::write(&webhook, sound).unwrap();
    assert_eq!(watched.run(), "service: does not work; a person is told\n");
    assert_eq!((watched.run(), watched.messages()), (String::new(), vec![said_of_service("alarm")]));
}

#[test]
fn a_state_that_cannot_be_written_restarts_nothing_and_a_person_is_told() {
    let mut watched = Watched::without_service(directory("watch-full"));
    // As on a full disk.
    watched.state = watched.root.join("missing/state.json");
    watched.unit("service", "failed", "1");
    let said = watched.fail();
    assert!(said.starts_with("service: does not work; a person is told\n"), "{said}");
    assert!(said.contains("missing/state.json cannot be written"), "{said}");
    assert!(watched.restarted().is_empty());
    assert_eq!(watched.messages(), [said_of_service("alarm")]);
}

#[test]
fn while_a_restore_runs_or_is_to_be_run_again_nothing_is_restarted() {
    let watched = Watched::without_service(directory("watch-restore"));
    watched.unit("service", "failed", "1");
    let data = watched.root.join("data");
    let waits = "restore: not finished, so nothing is looked after\n";
    let restoring = DataDir::take_for_restore(&data).unwrap();
    assert_eq!(watched.run(), waits);
    let marker = restoring.restoring();
    fs::write(&marker, "").unwrap();
    drop(restoring);
    assert_eq!(watched.run(), waits, "it was interrupted");
    assert!(watched.restarted().is_empty());
    fs::remove_file(&marker).unwrap();
    assert_eq!(watched.run(), "service: restarted\n");
    // The lock of a service is no restore.
    let _service = DataDir::take(&data).unwrap();
    assert_eq!(watched.run(), "service: restarted\n");
}

#[test]
fn while_an_upgrade_runs_nothing_is_restarted_and_no_alert_is_sent() {
    let watched = Watched::without_service(directory("watch-upgrade"));
    watched.unit("service", "failed", "78");
    fs::create_dir(watched.root.join("packages")).unwrap();
    let lock = fs::File::create(watched.root.join("packages/lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(watched.run(), "upgrade: not finished, so nothing is looked after\n");
    assert!(watched.messages().is_empty());
    // A process that was killed holds no lock.
    drop(lock);
    assert!(watched.run().contains("a person is told"));
}

#[test]
fn a_service_that_systemd_restarts_again_and_again_is_told_though_it_answers() {
    let watched = Watched::start(directory("watch-loop"));
    watched.host.is_gateway_ready.store(true, Ordering::SeqCst);
    watched.unit("gateway", "active", "0");
    let restarts = |count: u32| {
        let shown = format!("LoadState=loaded\nActiveState=active\nExecMainStatus=0\nNRestarts={count}\n");
        fs::write(watched.root.join("service"), shown).unwrap();
    };
    for count in [5, 7] {
        restarts(count);
        assert_eq!(watched.run(), "", "{count}");
    }
    restarts(8);
    assert!(watched.run().contains("three times or more; a person is told"));
    assert_eq!(watched.run(), "");
    assert_eq!(watched.messages(), [said("service-restarts", "alarm")]);
}

fn said_of_service(state: &str) -> (String, String) {
    said("service-stays-down", state)
}

fn assert_private(file: &Path) {
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
}
