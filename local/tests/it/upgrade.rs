//! `local upgrade` and `local rollback` as an operator runs them, with stand-ins for dpkg, apt and systemctl that only
//! write down what they were asked.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use local::{
    emulation::engines::{EngineOptions, Engines},
    host::service::{Options, Service},
};
use platform::runtime::Runtime;
use serde_json::{Value, json};

use super::directory;

/// The commands of the package system. A package is a file of one line, its name and version; "installing" it lets the
/// service answer what `ready-VERSION` says.
const STAND_INS: [(&str, &str); 5] = [
    (
        "dpkg-deb",
        r#"case "$1 $3" in
            "--field Package") cut -d' ' -f1 "$2" ;;
            "--field Version") cut -d' ' -f2 "$2" ;;
            "--extract "*) mkdir -p "$3/usr/bin"; v=$(cut -d' ' -f2 "$2")
              printf '#!/bin/sh\n[ ! -e %s/refuses-%s ] || { echo "key unknown" >&2; exit 78; }\n' "$here" "$v" > "$3/usr/bin/miniprogram"
              chmod +x "$3/usr/bin/miniprogram" ;;
          esac"#,
    ),
    ("dpkg-query", r#"cat "$here/installed""#),
    (
        "dpkg",
        r#"if [ "$1" = --compare-versions ]; then
             [ "$2" != "$4" ] && [ "$(printf '%s\n' "$2" "$4" | sort -V | tail -1)" = "$2" ]; exit
           fi
           if [ -e "$here/locked" ]; then
             rm "$here/locked"; echo "dpkg: error: dpkg frontend lock was locked by another process with pid 1" >&2; exit 2
           fi
           echo "dpkg $@" >> "$here/asked"; install "$3""#,
    ),
    (
        "apt-get",
        r#"echo "apt-get $@" >> "$here/asked"
           [ ! -e "$here/apt-fails" ] || exit 100
           for deb; do :; done
           if [ -e "$here/power-cut" ]; then
             rm "$here/power-cut" "$here/ready"; echo "half-configured $(cut -d' ' -f2 "$deb")" > "$here/installed"; kill -9 $PPID
           else install "$deb"; fi"#,
    ),
    ("systemctl", r#"echo "systemctl $@" >> "$here/asked""#),
];
const INSTALL: &str = r#"install() {
    v=$(cut -d' ' -f2 "$1"); echo "installed $v" > "$here/installed"
    if [ -e "$here/ready-$v" ]; then cp "$here/ready-$v" "$here/ready"; else rm -f "$here/ready"; fi
}"#;

/// Answers `/readyz` with what `ready` says, and not at all if it is missing.
fn answer(mut stream: TcpStream, root: &Path) {
    let mut request = [0; 2048];
    let _ = stream.read(&mut request);
    let Ok(text) = fs::read_to_string(root.join("ready")) else { return };
    if text.contains("migrates") {
        set_schema(root, "99");
        return;
    }
    let failing: Vec<&str> = text.split_whitespace().collect();
    let at = Runtime::system().now().to_string();
    let body = json!({ "failing": failing, "mode": "full", "heartbeat": { "at": at } }).to_string();
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}

fn table(root: &Path) -> PathBuf {
    root.join("data/table.db")
}

fn set_schema(root: &Path, to: &str) {
    let table = rusqlite::Connection::open(table(root)).unwrap();
    table.execute("UPDATE _config SET value = ?1 WHERE key = 'schema_version'", [to]).unwrap();
}

fn schema(root: &Path) -> String {
    let table = rusqlite::Connection::open(table(root)).unwrap();
    table.query_row("SELECT value FROM _config WHERE key = 'schema_version'", [], |row| row.get(0)).unwrap()
}

/// A host with version 0.1.0 installed.
struct Upgraded(PathBuf);

impl Upgraded {
    /// With an empty table.
    async fn host(name: &str) -> Self {
        let root = directory(name);
        fs::create_dir(root.join("data")).unwrap();
        let options = EngineOptions { table_file: Some(table(&root)), ..EngineOptions::default() };
        Engines::start(options).await.unwrap().stop().await;
        Self::around(root)
    }

    fn around(root: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers = root.clone();
        std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| answer(stream, &answers)));
        for (name, body) in STAND_INS {
            let script = format!("#!/bin/sh\nhere={}\n{INSTALL}\n{body}\n", root.display());
            fs::write(root.join(name), script).unwrap();
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        symlink(env!("CARGO_BIN_EXE_local"), root.join("miniprogram")).unwrap();
        fs::create_dir_all(root.join("secrets")).unwrap();
        for secret in ["wechat-app-secret", "gateway-token"] {
            fs::write(root.join("secrets").join(secret), "x\n").unwrap();
        }
        let config = format!(
            "[server]\ndata = \"{0}/data\"\nrings_port = {port}\nmin_free_mb = 1\n[wechat]\napp_id = \"wx0123456789abcdef\"\n\
             [gateway]\nurl = \"http://127.0.0.1:9\"\n[backup]\ndir = \"{0}/backups\"\nmin_free_mb = 1\n",
            root.display()
        );
        fs::write(root.join("config.toml"), config).unwrap();
        let host = Self(root);
        host.write("installed", "installed 0.1.0\n");
        host.write("ready", "");
        host.version("0.1.0", Some(""));
        host
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    /// A package, and what its `/readyz` names; `None` for a version that does not start.
    fn version(&self, version: &str, failing: Option<&str>) -> String {
        let name = format!("{version}.deb");
        self.write(&name, &format!("miniprogram {version}\n"));
        failing.into_iter().for_each(|failing| self.write(&format!("ready-{version}"), failing));
        self.0.join(name).display().to_string()
    }

    /// Runs a command; its exit code and what it printed.
    fn run(&self, args: &[&str]) -> (Option<i32>, String) {
        let at = |name: &str| self.0.join(name).display().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
        command.args(args).args(["--config", &at("config.toml"), "--packages", &at("packages")]).current_dir("/");
        if args[0] != "doctor" {
            command.args(["--wait", "1"]);
        }
        let output = command.env("PATH", format!("{}:/usr/bin:/bin", self.0.display())).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    }

    fn installed(&self) -> String {
        fs::read_to_string(self.0.join("installed")).unwrap().trim().to_owned()
    }

    /// What the package system was asked since the last call.
    fn asked(&self) -> String {
        let asked = fs::read_to_string(self.0.join("asked")).unwrap_or_default();
        self.write("asked", "");
        asked
    }

    /// The names of the files in a folder.
    fn files(&self, dir: &str) -> Vec<String> {
        let names = fs::read_dir(self.0.join(dir)).into_iter().flatten().flatten();
        let mut names: Vec<_> = names.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[tokio::test]
async fn an_upgrade_makes_a_backup_keeps_both_packages_and_can_be_taken_back() {
    let host = Upgraded::host("upgrade").await;
    let (old, new) = (host.version("0.1.0", Some("")), host.version("0.2.0", Some("")));
    let (code, said) = host.run(&["upgrade", &new, "--previous", &old]);
    assert!(code == Some(0) && said.contains("ok: version 0.2.0 is installed"), "{said}");
    assert_eq!(host.files("packages"), ["0.1.0.deb", "0.2.0.deb", "lock", "state.json"]);
    assert_eq!(host.files("backups").iter().filter(|name| name.ends_with(".tar")).count(), 1);
    let asked = host.asked();
    assert!(asked.contains("--force-confold") && asked.contains("/packages/0.2.0.deb"), "{asked}");
    // A failed unit stays down with `try-restart`, so the way back restarts it in its own words.
    let (code, said) = host.run(&["rollback"]);
    assert!(code == Some(0) && host.installed() == "installed 0.1.0", "{said}");
    let asked = host.asked();
    assert!(
        asked.contains("systemctl reset-failed miniprogram.service\nsystemctl restart miniprogram.service"),
        "{asked}"
    );
    assert!(host.run(&["rollback"]).1.contains("no version is kept"));
    let packages = fs::metadata(host.0.join("packages")).unwrap();
    assert_eq!(packages.permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_rollback_to_a_version_that_is_not_ready_can_be_run_again() {
    let host = Upgraded::host("rollback-again").await;
    let (old, new) = (host.version("0.1.0", Some("")), host.version("0.2.0", Some("")));
    let (code, said) = host.run(&["upgrade", &new, "--previous", &old]);
    assert_eq!(code, Some(0), "{said}");
    host.asked();
    fs::remove_file(host.0.join("ready-0.1.0")).unwrap();
    // As unattended upgrades do.
    host.write("locked", "");
    let (code, said) = host.run(&["rollback"]);
    assert!(
        code == Some(4) && !host.0.join("locked").exists() && said.contains("installed again, and does not work"),
        "{said}"
    );
    let asked = host.asked();
    assert!(asked.starts_with("systemctl stop miniprogram.service\n"), "it migrates nothing meanwhile: {asked}");
    host.version("0.1.0", Some(""));
    let (code, said) = host.run(&["rollback"]);
    assert!(code == Some(0) && host.installed() == "installed 0.1.0", "{said}");
}

#[tokio::test]
async fn a_version_that_does_not_become_ready_is_taken_back_by_itself() {
    let host = Upgraded::host("upgrade-broken").await;
    let (old, broken) = (host.version("0.1.0", Some("")), host.version("0.2.0", None));
    let worse = host.version("0.2.1", Some("gateway_unreachable table"));
    // What failed before is not the new version's fault.
    let good = host.version("0.2.2", Some("gateway_unreachable"));
    host.write("ready", "gateway_unreachable");
    host.write("ready-0.1.0", "gateway_unreachable");
    let (code, said) = host.run(&["upgrade", &broken, "--previous", &old]);
    assert!(code == Some(3) && said.contains("does not answer") && said.contains("rolled back"), "{said}");
    assert_eq!((host.installed().as_str(), host.files("packages").len()), ("installed 0.1.0", 3));
    let (code, said) = host.run(&["upgrade", &worse]);
    assert!(code == Some(3) && said.contains("not ready: table\n"), "{said}");
    let (code, said) = host.run(&["upgrade", &good]);
    assert!(code == Some(0) && host.installed() == "installed 0.2.2", "{said}");
    assert!(said.contains("/readyz names, as before: gateway_unreachable\n"), "{said}");
}

#[tokio::test]
async fn an_upgrade_that_could_not_be_judged_or_taken_back_is_refused_and_changes_nothing() {
    let host = Upgraded::host("upgrade-refused").await;
    let (old, new) = (host.version("0.1.0", Some("")), host.version("0.2.0", Some("")));
    let refused = |args: &[&str], why: &str| {
        let (code, said) = host.run(args);
        assert!(code == Some(1) && said.contains(why), "{args:?} {code:?} {said}");
        assert_eq!(host.installed(), "installed 0.1.0");
        assert_eq!(host.run(&["rollback"]).0, Some(1));
    };
    refused(&["upgrade", &old], "not newer");
    // A package made of the installed files would turn the operator's configuration into the defaults.
    host.write("dpkg-repack", &format!("#!/bin/sh\ntouch {}\n", host.0.join("asked-to-repack").display()));
    fs::set_permissions(host.0.join("dpkg-repack"), fs::Permissions::from_mode(0o755)).unwrap();
    refused(&["upgrade", &new], "is not kept, so the upgrade could not be rolled back: name its file with --previous");
    assert!(!host.0.join("asked-to-repack").exists());
    refused(&["upgrade", &new, "--previous", &new], "is version 0.2.0, and 0.1.0 is installed");
    host.write("other.deb", "caddy 2.6.2\n");
    refused(&["upgrade", host.0.join("other.deb").to_str().unwrap()], "not a package of this service");
    host.write("refuses-0.2.0", "");
    refused(
        &["upgrade", &new, "--previous", &old],
        "version 0.2.0 refuses the configuration of this host: key unknown",
    );
    fs::remove_file(host.0.join("refuses-0.2.0")).unwrap();
    fs::remove_file(host.0.join("ready")).unwrap();
    refused(&["upgrade", &new], "does not answer");
    host.write("ready", "");
    fs::remove_file(host.0.join("secrets/gateway-token")).unwrap();
    refused(&["upgrade", &new], "repair this first: gateway-token");
    host.write("secrets/gateway-token", "x\n");
    assert_eq!(host.asked(), "");
    host.write("apt-fails", "");
    refused(&["upgrade", &new], "apt-get");
    assert!(!host.asked().contains("dpkg"), "nothing is taken back that was not installed");
}

#[tokio::test]
async fn an_upgrade_that_a_power_cut_ended_is_named_by_the_doctor_and_goes_on_or_back() {
    let host = Upgraded::host("upgrade-cut").await;
    let (old, new) = (host.version("0.1.0", Some("")), host.version("0.2.0", Some("")));
    host.write("power-cut", "");
    assert_eq!(host.run(&["upgrade", &new, "--previous", &old]).0, None, "it is killed");
    assert_eq!(host.installed(), "half-configured 0.2.0");
    let found = host.run(&["doctor", "--json"]).1;
    let found: Value = domain::json::kept(found).unwrap();
    let upgrade = found.as_array().unwrap().iter().find(|found| found["check"] == "upgrade").unwrap();
    assert_eq!(
        (&upgrade["state"], &upgrade["reason"]),
        (&json!("fail"), &json!("an upgrade to 0.2.0 was interrupted"))
    );
    let other = host.version("0.3.0", Some(""));
    assert!(host.run(&["upgrade", &other]).1.contains("an upgrade to 0.2.0 was interrupted"));
    host.asked();
    let (code, said) = host.run(&["upgrade", &new]);
    assert!(code == Some(0) && host.installed() == "installed 0.2.0", "{said}");
    let asked = host.asked();
    assert!(asked.starts_with("dpkg ") && asked.contains("systemctl restart"), "{asked}");

    host.write("power-cut", "");
    assert_eq!(host.run(&["upgrade", &other]).0, None);
    let (code, said) = host.run(&["rollback"]);
    assert!(code == Some(0) && host.installed() == "installed 0.2.0", "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_the_new_version_has_migrated_is_restored_only_when_the_operator_says_so() {
    let root = directory("upgrade-schema");
    let data = Options::dev(root.join("data"), "http://127.0.0.1:9".to_owned(), "no-token".to_owned());
    Service::start(data).await.unwrap().stop().await;
    let before = schema(&root);
    let host = Upgraded::around(root);
    let (old, new) = (host.version("0.1.0", Some("")), host.version("0.2.0", Some("migrates")));
    let (code, said) = host.run(&["upgrade", &new, "--previous", &old]);
    assert!(code == Some(4) && said.contains("the table has schema 99"), "{said}");
    assert_eq!(host.installed(), "installed 0.2.0", "the old version would refuse the table");
    let (code, said) = host.run(&["rollback"]);
    assert!(code == Some(1) && said.contains("loses all") && said.contains("rollback --restore"), "{said}");
    // Installed by hand all the same, the old version leaves the table as it is.
    let options = EngineOptions { table_file: Some(table(&host.0)), ..EngineOptions::default() };
    let refused = Engines::start(options).await.unwrap_err().to_string();
    assert!(refused.contains("table.db cannot be opened") && refused.contains("schema version 99"), "{refused}");
    assert_eq!(schema(&host.0), "99");
    host.asked();
    let (code, said) = host.run(&["rollback", "--restore"]);
    assert!(code == Some(0) && said.contains("every chain is whole"), "{said}");
    assert_eq!((host.installed(), schema(&host.0)), ("installed 0.1.0".to_owned(), before));
    let asked = host.asked();
    assert!(asked.starts_with("systemctl stop miniprogram.service\ndpkg --force-confold --install"), "{asked}");
}
