//! `local secrets`, as a process: documents in a directory, nothing overwritten, nothing printed, no step too early.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::directory;

const KINDS: [&str; 6] = ["session-keys", "login-keys", "cursor-keys", "wechat", "gateway-token", "checkpoint-keys"];
const DOCUMENTS: [&str; 4] = ["edge-auth.json", "status.json", "worker.json", "sweep.json"];

/// Exit code 0 or 1, and the output.
fn secrets(args: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_local")).arg("secrets").args(args).env_clear().output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// Every text in a document that is long enough to be a secret.
fn values(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) if text.len() > 24 => found.push(text.clone()),
        Value::Array(all) => all.iter().for_each(|value| values(value, found)),
        Value::Object(all) => {
            all.iter().filter(|(name, _)| *name != "rotation").for_each(|(_, value)| values(value, found));
        }
        _ => {}
    }
}

fn read(file: &Path) -> Value {
    domain::json::kept(fs::read(file).unwrap()).unwrap()
}

#[test]
fn documents_are_made_once_rotated_in_turn_and_never_shown() {
    let root = directory("secrets");
    let (out, given, next) = (root.join("documents"), root.join("given"), root.join("next"));
    fs::write(&given, "the-first-value-from-outside\n").unwrap();
    fs::write(&next, "the-second-value-from-outside\n").unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (dir, given, next) = (text(&out), text(&given), text(&next));
    let new = ["new", "--wechat-app-secret-file", &given, "--gateway-token-file", &given, "--out", &dir];
    let mut said = Vec::new();
    let mut tell = |args: &[&str], good: bool| {
        let (ok, text) = secrets(args);
        assert_eq!((ok, text.lines().count()), (good, 1), "{args:?}: {text}");
        said.push(text.clone());
        text
    };

    tell(&new, true);
    for document in DOCUMENTS {
        assert_eq!(fs::metadata(out.join(document)).unwrap().permissions().mode() & 0o777, 0o600, "{document}");
    }
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o700);
    let first = DOCUMENTS.map(|document| fs::read(out.join(document)).unwrap());
    assert!(tell(&new, false).contains("not overwritten"));
    assert_eq!(DOCUMENTS.map(|document| fs::read(out.join(document)).unwrap()), first);

    for kind in KINDS {
        let rotate = |phase: &'static str| ["rotate", kind, phase, "--dir", &dir].map(str::to_owned);
        let run = |phase, more: &[&str]| {
            let args = rotate(phase);
            args.iter().map(String::as_str).chain(more.iter().copied()).map(str::to_owned).collect::<Vec<_>>()
        };
        let mut tell = |args: Vec<String>, good| tell(&args.iter().map(String::as_str).collect::<Vec<_>>(), good);
        let is_given = ["wechat", "gateway-token"].contains(&kind);
        let value: &[&str] = if is_given { &["--value-file", &next] } else { &[] };
        assert!(tell(run("activate", &[]), false).contains("begin with `add`"), "{kind}");
        if is_given {
            assert!(tell(run("add", &[]), false).contains("--value-file"), "{kind}");
        }
        assert!(tell(run("add", value), true).contains("Next is activate, not before"), "{kind}");
        assert!(tell(run("add", value), true).contains("was done before"), "{kind}");
        assert!(tell(run("activate", &[]), false).contains("too early"), "{kind}");
        tell(run("activate", &["--at-once"]), true);
        let refused = tell(run("retire", &[]), false);
        let reason = if kind == "login-keys" { "rekey-logins" } else { "too early" };
        assert!(refused.contains(reason), "{kind}: {refused}");
    }

    let mut secret = Vec::new();
    for bytes in &first {
        values(&domain::json::kept(bytes).unwrap(), &mut secret);
    }
    DOCUMENTS.iter().for_each(|document| values(&read(&out.join(document)), &mut secret));
    assert!(secret.len() > 12, "there is something to be silent about");
    for said in &said {
        let shown = secret.iter().filter(|value| said.contains(value.as_str())).count();
        assert_eq!(shown, 0, "{said}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let root = directory("secrets-missing");
    let nowhere = root.join("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    let (ok, said) = secrets(&["rotate", "session-keys", "add", "--dir", nowhere]);
    assert!(!ok && said.contains("nowhere/edge-auth.json"), "{said}");
    let (ok, said) = secrets(&["rotate", "session-keys", "add", "--edge-auth-secret", "x"]);
    assert!(!ok && said.contains("AWS_REGION"), "{said}");
    let aws = [("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")];
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    let command = command.args(["secrets", "rotate", "cursor-keys", "add", "--edge-auth-secret", "x"]);
    let output = command.env_clear().envs(aws).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("--status-secret"), "{said}");
    let empty = root.join("empty");
    fs::write(&empty, "\n").unwrap();
    let empty = empty.to_str().unwrap();
    let (ok, said) =
        secrets(&["new", "--wechat-app-secret-file", empty, "--gateway-token-file", empty, "--out", nowhere]);
    assert!(!ok && said.contains("is empty"), "{said}");
}

#[test]
fn a_file_with_more_than_one_value_is_refused() {
    let root = directory("secrets-values");
    let (good, bad, out) = (root.join("good"), root.join("bad"), root.join("out"));
    fs::write(&good, "a-value\n").unwrap();
    for text in ["first\nsecond\n", "first second", "caf\u{e9}"] {
        fs::write(&bad, text).unwrap();
        let [good, bad, out] = [&good, &bad, &out].map(|path| path.to_str().unwrap());
        let new = ["new", "--wechat-app-secret-file", good, "--gateway-token-file", bad, "--out", out];
        let (ok, said) = secrets(&new);
        assert!(!ok && said.contains("one value"), "{said}");
        assert!(!text.split_whitespace().any(|word| said.contains(word)), "{said}");
    }
    assert!(!out.exists());
}

#[test]
fn a_credential_of_one_host_is_set_from_standard_input_and_a_wrong_one_changes_nothing() {
    let config = directory("secrets-set").join("config.toml");
    let set = |name: &str, value: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
        command.args(["secrets", "set", name, "--config", config.to_str().unwrap()]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        process.stdin.take().unwrap().write_all(value.as_bytes()).unwrap();
        let output = process.wait_with_output().unwrap();
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let file = config.with_file_name("secrets").join("gateway-token");
    let (ok, said) = set("gateway-token", "the-token-of-the-gateway\n");
    assert!(ok && said.contains("systemctl restart miniprogram") && !said.contains("the-token"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "the-token-of-the-gateway\n");
    for (path, mode) in [(&*file, 0o600), (file.parent().unwrap(), 0o700)] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, mode, "{}", path.display());
    }
    for wrong in ["", " \n", "two words\n", "zwölf"] {
        let (ok, said) = set("gateway-token", wrong);
        assert!(!ok && said.contains("standard input"), "{wrong:?}: {said}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "the-token-of-the-gateway\n");
    assert!(!set("alerts-webhook", "http://example.com/hook").0, "the secret URL would be sent in clear text");
    assert!(set("alerts-webhook", "https://example.com/hook").0);
    assert!(!set("../config.toml", "x").0, "only known names");
}
