//! `local setup` as an operator runs it, with stand-ins for OpenClaw and for the host's commands that write down what they
//! were asked.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::directory;

/// A unit, a user's lingering and a group are a file each, which the command that makes it leaves.
const STAND_INS: [(&str, &str); 6] = [
    ("runuser", r#"[ "$1 $2 $3" = "-l nobody -c" ] || exit 9; echo "as nobody: $4" >> "$here/asked"; exec sh -c "$4""#),
    (
        "openclaw",
        r#"case "$*" in
             "config file") echo "$here/openclaw.json" ;;
             "config get plugins --json"|"config get tools --json")
               if [ -e "$here/$3.json" ]; then cat "$here/$3.json"; else
                 echo '{"ok":false,"error":{"message":"Config path is valid but unset: x."}}'; exit 1; fi ;;
             "config patch --stdin --dry-run") cat > "$here/trial.json"
               [ ! -e "$here/invalid" ] || { echo "schema: not allowed" >&2; exit 1; } ;;
             "config patch --stdin") cat > "$here/patch.json" ;;
             *) exit 9 ;;
           esac"#,
    ),
    (
        "systemctl",
        r#"echo "systemctl $*" >> "$here/asked"
           [ ! -e "$here/broken" ] || case "$*" in *"$(cat "$here/broken")"*) echo "Job failed" >&2; exit 1 ;; esac
           case "$1" in is-enabled|is-active) [ -e "$here/unit-$3" ] ;; enable) touch "$here/unit-$3" ;; esac"#,
    ),
    (
        "loginctl",
        r#"case "$1" in
             show-user) [ -e "$here/lingers" ] || exit 1; echo yes ;;
             enable-linger) touch "$here/lingers" ;;
           esac"#,
    ),
    ("usermod", r#"echo "$*" > "$here/in-group""#),
    (
        "id",
        r#"case "$*" in
             "-u nobody") echo 65534 ;; "-u root") echo 0 ;; "-u") echo 65534 ;;
             "-nG caddy") echo caddy; [ ! -e "$here/in-group" ] || echo miniprogram ;;
             *) exit 1 ;;
           esac"#,
    ),
];

struct Fresh(PathBuf);

impl Fresh {
    /// A host right after the installation of the package, with an OpenClaw that was onboarded.
    fn host(name: &str) -> Self {
        let root = directory(name);
        for (name, body) in STAND_INS {
            fs::write(root.join(name), format!("#!/bin/sh\nhere={}\n{body}\n", root.display())).unwrap();
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let gateway = json!({ "gateway": { "port": 18790, "auth": { "token": "the-gateways-token" } } });
        fs::write(root.join("openclaw.json"), gateway.to_string()).unwrap();
        fs::write(root.join("plugins.json"), r#"{"allow":["telegram"]}"#).unwrap();
        fs::create_dir(root.join("caddy")).unwrap();
        let packaged = include_str!("../../../packaging/config.toml");
        let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/../policy");
        fs::write(root.join("config.toml"), packaged.replace("/etc/miniprogram/policy", policy)).unwrap();
        Self(root)
    }

    fn run(&self, args: &[&str], secret: &str) -> (Option<i32>, String) {
        let at = |name: &str| self.0.join(name).display().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
        command.arg("setup").args(args);
        command.args(["--config", &at("config.toml"), "--caddyfile", &at("caddy/Caddyfile")]).current_dir("/");
        command.args(["--state", &at("state/setup.json")]);
        command.env("PATH", format!("{}:/usr/bin:/bin", self.0.display())).stdin(Stdio::piped());
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let _not_always_read = process.stdin.take().unwrap().write_all(secret.as_bytes());
        let output = process.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    }

    /// OpenClaw has what was written.
    fn openclaw_has(&self, patch: &Value) {
        for name in ["plugins", "tools"] {
            fs::write(self.0.join(format!("{name}.json")), patch[name].to_string()).unwrap();
        }
    }

    /// The restarts since the last call.
    fn restarts(&self) -> Vec<String> {
        let asked = self.read("asked");
        let _ = fs::remove_file(self.0.join("asked"));
        asked
            .lines()
            .filter_map(|line| line.strip_prefix("systemctl "))
            .filter(|line| line.contains("restart"))
            .map(str::to_owned)
            .collect()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }

    fn json(&self, name: &str) -> Value {
        domain::json::kept(self.read(name)).unwrap()
    }
}

#[test]
fn a_setup_finds_what_it_can_changes_the_rest_and_has_nothing_to_do_the_second_time() {
    let host = Fresh::host("setup");
    let first = ["--openclaw-user", "nobody", "--domain", "mini.example.org", "--app-id", "wxfedcba9876543210"];
    let before = host.read("config.toml");
    let (code, said) = host.run(&[&first[..], &["--dry-run"]].concat(), "");
    assert!(code == Some(0) && said.contains("would do: write the site mini.example.org"), "{said}");
    assert!(said.contains(r#"OpenClaw: plugins.allow: ["telegram"] -> ["telegram","miniprogram-journal"]"#), "{said}");
    assert_eq!((host.read("config.toml"), host.read("patch.json")), (before.clone(), String::new()));
    assert!(!host.0.join("secrets").exists() && !host.0.join("caddy/Caddyfile").exists());

    let (code, said) = host.run(&first, "the-app-secret\n");
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("the-app-secret") && !said.contains("the-gateways-token"), "{said}");
    assert_eq!(host.read("secrets/wechat-app-secret"), "the-app-secret\n");
    assert_eq!(host.read("secrets/gateway-token"), "the-gateways-token\n");
    let config = host.read("config.toml");
    for line in [
        "app_id = \"wxfedcba9876543210\"",
        "user = \"nobody\"",
        "url = \"http://127.0.0.1:18790\"",
        "# The Mini Program's app id.",
    ] {
        assert!(config.contains(line), "{line}: {config}");
    }
    assert!(
        host.read("caddy/Caddyfile").contains("mini.example.org {\n\treverse_proxy unix//run/miniprogram/http.sock")
    );
    let patch = host.json("patch.json");
    assert_eq!(patch, host.json("trial.json"), "OpenClaw has checked what was written");
    let plugin = &patch["plugins"]["entries"]["miniprogram-journal"]["config"];
    assert_eq!(plugin["ringUrl"], "http://127.0.0.1:8787/v1/rings");
    assert!(config.contains(&format!("journal = {}", plugin["db"])), "{config}");
    let asked = host.read("asked");
    assert!(asked.contains("systemctl --user restart 'openclaw-gateway.service'"), "{asked}");
    for unit in ["miniprogram.service", "miniprogram-backup.timer", "miniprogram-watch.timer"] {
        assert!(asked.contains(&format!("enable --now {unit}")), "{asked}");
    }

    assert_eq!(host.read("config.before-setup"), before);

    host.openclaw_has(&patch);
    fs::remove_file(host.0.join("asked")).unwrap();
    let (code, said) = host.run(&first, "");
    assert!(code == Some(0) && said.starts_with("Nothing is to be changed."), "{said}");
    // The configuration knows the rest by now, so that a changed policy needs no argument.
    let (code, said) = host.run(&[], "");
    assert!(code == Some(0) && said.contains("Nothing is to be changed."), "{said}");
    let asked = host.read("asked");
    assert!(!asked.contains("restart") && !asked.contains("enable "), "{asked}");
    // A later change, by which neither the file of before the first setup nor a URL that was set is lost.
    let gateway = host.read("openclaw.json").replace("18790", "18791");
    fs::write(host.0.join("openclaw.json"), gateway).unwrap();
    let (code, said) = host.run(&["--app-id", "wxaaaaaaaaaaaaaaaa"], "");
    assert!(code == Some(0) && host.read("config.toml").contains("wxaaaaaaaaaaaaaaaa"), "{said}");
    assert_eq!(host.read("config.before-setup"), before);
    assert!(host.read("config.toml").contains("url = \"http://127.0.0.1:18790\""), "{}", host.read("config.toml"));
}

#[test]
fn a_setup_that_openclaw_refuses_or_that_would_run_it_as_root_changes_nothing() {
    let host = Fresh::host("setup-refused");
    fs::write(host.0.join("invalid"), "").unwrap();
    let before = host.read("config.toml");
    let refused = |args: &[&str], why: &str| {
        let (code, said) = host.run(&[args, &["--app-id", "wxfedcba9876543210"]].concat(), "the-app-secret\n");
        assert!(code == Some(1) && said.contains(why), "{code:?} {said}");
        assert_eq!(host.read("config.toml"), before);
        assert!(!host.0.join("secrets").exists() && host.read("patch.json").is_empty());
    };
    refused(&["--openclaw-user", "nobody"], "schema: not allowed");
    refused(&[], "--openclaw-user is needed the first time");
    refused(&["--openclaw-user", "root"], "must not run as root");
    refused(&["--openclaw-user", "nobodyelse"], "there is no user nobodyelse");
    fs::remove_file(host.0.join("invalid")).unwrap();
    assert!(host.run(&["--openclaw-user", "nobody"], "").1.contains("--app-id is needed the first time"));
    let gateway = host.read("openclaw.json");
    fs::write(host.0.join("openclaw.json"), format!("// mine\n{gateway}")).unwrap();
    refused(&["--openclaw-user", "nobody"], "openclaw.json is not plain JSON");
    fs::write(host.0.join("openclaw.json"), gateway).unwrap();
    // No UTF-8: its sites cannot be read, so they must not be replaced.
    fs::write(host.0.join("caddy/Caddyfile"), b"# \xe9\nshop.example.org {\n}\n").unwrap();
    refused(&["--openclaw-user", "nobody", "--domain", "mini.example.org"], "caddy/Caddyfile cannot be read");
    fs::write(host.0.join("openclaw.json"), r#"{"gateway":{"auth":{"token":"${TOKEN}"}}}"#).unwrap();
    refused(&["--openclaw-user", "nobody"], "secrets set gateway-token");
}

#[test]
fn a_setup_that_broke_off_before_a_restart_leaves_it_to_the_next_run() {
    let restarts = ["--user restart openclaw-gateway.service", "restart caddy.service", "restart miniprogram.service"];
    for (place, broken) in restarts.into_iter().enumerate() {
        let host = Fresh::host("setup-broken");
        for unit in ["miniprogram.service", "miniprogram-backup.timer", "miniprogram-watch.timer"] {
            fs::write(host.0.join(format!("unit-{unit}")), "").unwrap();
        }
        fs::write(host.0.join("broken"), broken).unwrap();
        let first = ["--openclaw-user", "nobody", "--domain", "mini.example.org", "--app-id", "wxfedcba9876543210"];
        let (code, said) = host.run(&first, "the-app-secret\n");
        assert!(code == Some(1) && said.contains("Job failed"), "{broken}: {said}");
        assert_eq!(host.restarts(), restarts[..=place], "{broken}: it breaks off there");
        host.openclaw_has(&host.json("patch.json"));
        fs::remove_file(host.0.join("broken")).unwrap();

        let mark = host.read("state/setup.json");
        let (code, said) = host.run(&["--dry-run"], "");
        assert!(code == Some(0) && said.contains("would do: restart"), "{broken}: {said}");
        assert_eq!((host.restarts(), host.read("state/setup.json")), (Vec::new(), mark), "{broken}");
        let (code, said) = host.run(&first, "");
        assert_eq!(
            (code, host.restarts()),
            (Some(0), restarts[place..].iter().map(ToString::to_string).collect()),
            "{said}"
        );
        let (code, said) = host.run(&first, "");
        assert!(code == Some(0) && said.starts_with("Nothing is to be changed."), "{broken}: {said}");
        assert!(host.restarts().is_empty() && !host.0.join("state/setup.json").exists(), "{broken}");
    }
}

#[test]
fn a_restart_of_the_service_is_not_forgotten_when_the_unit_was_not_enabled() {
    let host = Fresh::host("setup-enabled");
    // Runs, and is not started at boot.
    let systemctl = fs::read_to_string(host.0.join("systemctl")).unwrap();
    fs::write(host.0.join("systemctl"), systemctl.replace("is-enabled|", "is-enabled) exit 1 ;; ")).unwrap();
    fs::write(host.0.join("unit-miniprogram.service"), "").unwrap();
    let (code, said) = host.run(&["--openclaw-user", "nobody", "--app-id", "wxfedcba9876543210"], "the-app-secret\n");
    assert_eq!(code, Some(0), "{said}");
    let restarts = host.restarts();
    assert!(restarts.contains(&"restart miniprogram.service".to_owned()), "{restarts:?}");
}
