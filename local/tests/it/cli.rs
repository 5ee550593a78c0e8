//! The command line, as a process.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    audit::{AuditContext, AuditEvent, AuditHead, AuditRecord},
    ids::{Actor, Timestamp},
};
use platform::aws::AwsSettings;
use serde_json::json;

use super::directory;

fn local(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_local")).args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// One sentence on standard error, and exit code 1.
fn refusal(args: &[&str]) -> String {
    let (code, out, err) = local(args);
    assert_eq!((code, out.as_str(), err.lines().count()), (Some(1), "", 1), "{err}");
    err
}

#[test]
fn a_start_that_must_not_be_is_refused_in_one_sentence() {
    let data = directory("refused");
    let data = data.to_str().unwrap();
    assert!(refusal(&["run", "--data", data, "--dev", "--bind", "0.0.0.0"]).contains("loopback only"));
    assert!(refusal(&["run", "--data", data]).contains("--wechat-secret-file"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let sentence = refusal(&["run", "--dev", "--data", data, "--port", &port]);
    assert!(sentence.contains(&format!("port {port} is taken")), "{sentence}");
    let sentence = refusal(&["engines", "--data", data, "--table-port", &port]);
    assert!(sentence.contains("--table-port"), "{sentence}");
}

/// `local engines` on free ports.
struct Running {
    process: Child,
    aws: AwsSettings,
}

fn engines(data: &Path) -> Running {
    let mut process = Command::new(env!("CARGO_BIN_EXE_local"))
        .args(["engines", "--table-port", "0", "--queue-port", "0", "--wechat-port", "0", "--data"])
        .arg(data)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
    let exports: Vec<String> = lines.take_while(|line| line.starts_with("export ")).collect();
    let value = |name: &str| {
        let prefix = format!("export {name}='");
        let found = exports.iter().find_map(|line| line.strip_prefix(&prefix)?.strip_suffix('\''));
        found.unwrap_or_else(|| panic!("{name} in {exports:?}")).to_owned()
    };
    let mut aws = AwsSettings::loopback(&value("AWS_ENDPOINT_URL_DYNAMODB"), &value("AWS_ENDPOINT_URL_SQS"));
    let (key_id, secret) = (value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY"));
    aws.credentials = aws_sdk_dynamodb::config::Credentials::new(key_id, secret, None, None, "environment");
    assert!(Path::new(&value("SECRETS_FILE")).is_file());
    Running { process, aws }
}

impl Running {
    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[tokio::test]
async fn what_was_acknowledged_before_a_kill_is_there_after_it() {
    let data = directory("killed");
    let engines_before = engines(&data);
    let table = engines_before.aws.dynamodb();
    for place in 0..50 {
        let put =
            table.put_item().table_name(local::emulation::backend::TABLE).item("pk", AttributeValue::S("p".to_owned()));
        put.item("sk", AttributeValue::S(place.to_string())).send().await.unwrap();
    }
    engines_before.kill();
    let engines_after = engines(&data);
    let query = engines_after.aws.dynamodb().query().table_name(local::emulation::backend::TABLE);
    let query =
        query.key_condition_expression("pk = :p").expression_attribute_values(":p", AttributeValue::S("p".to_owned()));
    assert_eq!(query.consistent_read(true).send().await.unwrap().count(), 50);
    engines_after.kill();
}

#[test]
fn a_saved_chain_is_verified_offline_and_its_first_broken_record_is_named() {
    let id = "019a8f3c-7e10-7abc-9def-0123456789ab";
    let (mut head, mut records) = (AuditHead::EMPTY, Vec::new());
    for millis in 0..3 {
        let context = AuditContext {
            request_id: id.parse().unwrap(),
            at: Timestamp::from_millis(1_795_341_600_000 + millis),
            actor: Actor::Worker,
            step: 0,
            round: 0,
            tool: "t",
            policy_version: "p",
        };
        let record = AuditRecord::after(head, context, AuditEvent::CancelRequested { status: "running".into() });
        head = record.head();
        records.push(serde_json::to_value(record).unwrap());
    }
    let file = directory("audit").join("audit.json");
    let verify = |records: &[serde_json::Value], request_id: &str| {
        let head = json!({"length": head.length, "digest": head.digest});
        std::fs::write(&file, json!({"request_id": request_id, "records": records, "head": head}).to_string()).unwrap();
        local(&["audit", "verify", file.to_str().unwrap()])
    };
    let (code, out, _) = verify(&records, id);
    assert_eq!((code, out), (Some(0), format!("ok: 3 records of job {id}\n")));
    let (code, _, err) = verify(&records, "019a8f3c-7e10-7abc-9def-0123456789ac");
    assert!(code == Some(1) && err.contains("record 1 belongs to another job"), "{err}");
    // The complete chain of another job is refused when the chain of this job is expected.
    let (code, _, err) = {
        verify(&records, id);
        local(&["audit", "verify", file.to_str().unwrap(), "--request-id", "019a8f3c-7e10-7abc-9def-0123456789ac"])
    };
    assert!(code == Some(1) && err.contains("another job than the one that is expected"), "{err}");
    assert_eq!(local(&["audit", "verify", file.to_str().unwrap(), "--request-id", id]).0, Some(0));
    records[1]["tool"] = json!("other");
    let (code, _, err) = verify(&records, id);
    assert!(code == Some(1) && err.contains("record 3"), "{err}");
    let empty = json!({"length": 0, "digest": domain::ids::Digest::ZERO});
    std::fs::write(&file, json!({"request_id": id, "records": [], "head": empty}).to_string()).unwrap();
    assert!(refusal(&["audit", "verify", file.to_str().unwrap()]).contains("has no record"), "every job has one");
    std::fs::write(&file, json!({"request_id": "x\nok: 3", "records": [], "head": empty}).to_string()).unwrap();
    assert!(refusal(&["audit", "verify", file.to_str().unwrap()]).contains("is not an audit answer"));
    std::fs::write(&file, "{}").unwrap();
    assert!(refusal(&["audit", "verify", file.to_str().unwrap()]).contains("is not an audit answer"));
    assert!(refusal(&["audit", "verify", "no-such-file"]).contains("no-such-file cannot be read"));
}

#[test]
fn many_saved_chains_are_verified_at_once_and_each_broken_one_is_named() {
    let directory = directory("audits");
    let chain = |id: &str, said: bool| {
        let context = AuditContext {
            request_id: id.parse().unwrap(),
            at: Timestamp::from_millis(1_795_341_600_000),
            actor: Actor::Worker,
            step: 0,
            round: 0,
            tool: "t",
            policy_version: "p",
        };
        let record =
            AuditRecord::after(AuditHead::EMPTY, context, AuditEvent::CancelRequested { status: "running".into() });
        let head = record.head();
        let mut record = serde_json::to_value(record).unwrap();
        record["status"] = if said { "running" } else { "queued" }.into();
        json!({"request_id": id, "records": [record], "head": {"length": 1, "digest": head.digest}}).to_string()
    };
    let ids = ["019a8f3c-7e10-7abc-9def-0123456789aa", "019a8f3c-7e10-7abc-9def-0123456789ab"];
    let verify = |what: &str| local(&["audit", "verify", what]);
    let directory = directory.to_str().unwrap();
    assert!(verify(directory).2.contains("there is no audit answer to check"), "nothing is not a success");
    for id in ids {
        std::fs::write(format!("{directory}/{id}.json"), chain(id, true)).unwrap();
    }
    std::fs::write(format!("{directory}/notes.txt"), "no answer").unwrap();
    let all = format!("ok: 1 records of job {}\nok: 1 records of job {}\n", ids[0], ids[1]);
    assert_eq!(verify(directory), (Some(0), all.clone(), String::new()));
    std::fs::write(format!("{directory}/{}.json", ids[1]), chain(ids[1], false)).unwrap();
    let (code, out, err) = verify(directory);
    assert_eq!((code, out.lines().count(), err.lines().count()), (Some(1), 1, 2), "{err}");
    assert!(err.contains(&format!("{}: the chain does not end in its head: record 1", ids[1])), "{err}");
    assert!(err.ends_with("local: 1 of 2 chains are broken\n"), "{err}");

    for (second, code, last) in [(true, Some(0), ""), (false, Some(1), "local: 1 of 2 chains are broken\n")] {
        let file = format!("{directory}/lines.jsonl");
        std::fs::write(&file, format!("{}\n\n{}\n", chain(ids[0], true), chain(ids[1], second))).unwrap();
        let lines = std::fs::File::open(&file).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_local")).args(["audit", "verify", "-"]).stdin(lines).output();
        let output = output.unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), code, "{err}");
        assert!(err.ends_with(last) && err.contains("line 3") != second, "{err}");
    }
}

#[tokio::test]
async fn the_wechat_stub_runs_alone_and_reads_its_secrets_anew_for_each_request() {
    let directory = directory("stub");
    let file = directory.join("secrets");
    let start = |file: &Path| {
        let arguments = ["wechat-stub", "--port", "0", "--app-id", "app", "--app-secret-file"];
        Command::new(env!("CARGO_BIN_EXE_local")).args(arguments).arg(file).stdout(Stdio::piped()).spawn().unwrap()
    };
    std::fs::write(&file, "\n").unwrap();
    let empty = refusal(&["wechat-stub", "--port", "0", "--app-secret-file", file.to_str().unwrap()]);
    assert!(empty.contains("is empty"), "{empty}");
    std::fs::write(&file, "old\n").unwrap();
    let mut stub = start(&file);
    let mut line = String::new();
    BufReader::new(stub.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.strip_prefix("Ready on ").unwrap().split(',').next().unwrap().to_owned();
    let login = async |secret: &str| {
        let url = format!("{url}/sns/jscode2session?appid=app&secret={secret}&js_code=dev-a");
        let text = super::http().get(url).send().await.unwrap().text().await.unwrap();
        domain::json::kept::<serde_json::Value>(&text).unwrap()["errcode"].clone()
    };
    assert_eq!((login("old").await, login("new").await), (json!(null), json!(40125)));
    std::fs::write(&file, "old\nnew\n").unwrap();
    assert_eq!((login("old").await, login("new").await), (json!(null), json!(null)));
    std::fs::write(&file, "new\n").unwrap();
    assert_eq!((login("old").await, login("new").await), (json!(40125), json!(null)));
    stub.kill().unwrap();
    stub.wait().unwrap();
}
