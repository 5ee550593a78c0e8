//! A verifier in another language, written from the documentation.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use domain::{
    audit::{AuditHead, Owner, verify},
    ids::{Digest, support_code},
    json::canonical,
};
use integration_tests::mini_gateway::checkout;
use serde_json::{Value, json};

use super::Signed;

type Tampering<'a> = Box<dyn Fn(&mut Value) + 'a>;

/// The verifier in Python, over files.
fn python(directory: &Path, answer: &Value, more: &[(&str, &Value)]) -> Result<String, String> {
    let script = checkout().join("docs/design/verify_audit.py");
    let write = |name: String, value: &Value| {
        let file: PathBuf = directory.join(name);
        std::fs::write(&file, value.to_string()).unwrap();
        file
    };
    let mut command = Command::new("python3");
    command.arg(script).arg(write("answer.json".into(), answer));
    for (place, (option, value)) in more.iter().enumerate() {
        command.arg(option);
        match value {
            Value::String(text) => command.arg(text),
            value => command.arg(write(format!("{place}.json"), value)),
        };
    }
    let output = command.output().unwrap();
    let said = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    if output.status.success() { Ok(said(output.stdout)) } else { Err(said(output.stderr)) }
}

/// Both verifiers say the same of an answer, whole and tampered with. Returns how often they were compared.
fn agree(directory: &Path, answer: &Value) -> usize {
    let records = answer["records"].as_array().unwrap();
    let tampered: Vec<Tampering<'_>> = vec![
        Box::new(|_| {}),
        Box::new(|a| a["records"][0]["tool"] = json!("other")),
        Box::new(|a| a["records"].as_array_mut().unwrap().last_mut().unwrap()["extra"] = json!(1.5)),
        Box::new(|a| drop(a["records"].as_array_mut().unwrap().remove(0))),
        Box::new(|a| drop(a["records"].as_array_mut().unwrap().pop())),
        Box::new(|a| a["records"].as_array_mut().unwrap().swap(0, 1)),
        Box::new(|a| a["head"]["length"] = json!(records.len() + 1)),
        Box::new(|a| a["head"]["digest"] = json!(Digest::ZERO.to_string())),
        Box::new(|a| a["records"][1]["prev"] = json!(Digest::ZERO.to_string())),
        Box::new(|a| a["records"][1]["request_id"] = json!("019a8f3c-7e10-7abc-9def-0123456789ab")),
    ];
    let compared = tampered.len();
    for change in tampered {
        let mut answer = answer.clone();
        change(&mut answer);
        let digest: Digest = answer["head"]["digest"].as_str().unwrap().to_owned().try_into().unwrap();
        let head = AuditHead { length: answer["head"]["length"].as_u64().unwrap(), digest };
        let job = Owner::Job(answer["request_id"].as_str().unwrap().parse().unwrap());
        let ours = verify(answer["records"].as_array().unwrap(), job, head).map_err(|fault| fault.to_string());
        let theirs = python(directory, &answer, &[]);
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{ours:?} {theirs:?}: {answer}");
    }
    compared
}

/// The answer with changed records, and links and head that match them.
fn relinked(answer: &Value, change: impl Fn(&mut Value)) -> Value {
    let mut answer = answer.clone();
    let mut prev = Digest::ZERO.to_string();
    for record in answer["records"].as_array_mut().unwrap() {
        change(record);
        record["prev"] = json!(prev);
        prev = Digest::sha256(&canonical::canonical(record)).to_string();
    }
    answer["head"]["digest"] = json!(prev);
    answer
}

#[tokio::test]
async fn a_verifier_in_another_language_agrees_over_whole_and_tampered_chains() {
    let mut signed = Signed::start().await;
    let script = std::fs::read_to_string(checkout().join("docs/design/verify_audit.py")).unwrap();
    assert!(script.lines().count() <= 100);
    let directory = signed.app.secrets_file.with_file_name("python");
    std::fs::create_dir(&directory).unwrap();
    let mut answers = Vec::new();
    let alice = signed.app.login("alice").await;
    // One that succeeded, one that was refused halfway, one that was asked about and cancelled.
    let asked = signed.app.new_id();
    let arguments = json!({"amount": 12.0, "note": "tea \u{202e}é\n\"ü\" 茶"});
    assert_eq!(alice.submit(&asked, "ledger_pay", arguments.clone()).await.status, 202);
    alice.cancel(&asked).await;
    let failed = signed.app.run(&alice, "ledger_fail", json!({"kind":"throw"})).await;
    for id in [&signed.job, &asked, &failed["request_id"].as_str().unwrap().to_owned()] {
        answers.push(alice.get(&format!("/v1/jobs/{id}/audit")).await.body);
    }
    let compared: usize = answers.iter().map(|answer| agree(&directory, answer)).sum();
    assert_eq!(compared, 30);
    // What it was given, and what it returned.
    let job = signed.alice.job(&signed.job).await;
    let given = [("--arguments", &json!({"note":"n"})), ("--result", &job["result"])];
    assert!(python(&directory, &answers[0], &given).is_ok());
    assert!(python(&directory, &answers[0], &[("--arguments", &json!({"note":"m"}))]).is_err());
    assert!(python(&directory, &answers[0], &[("--result", &json!({}))]).is_err());
    // What was asked about.
    let owner = json!(signed.user.to_string());
    assert!(python(&directory, &answers[1], &[("--arguments", &arguments), ("--user", &owner)]).is_ok());
    let another = json!({"amount": 13, "note": arguments["note"]});
    assert!(python(&directory, &answers[1], &[("--arguments", &another), ("--user", &owner)]).is_err());
    // The checkpoints, and one chain that was written anew.
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(signed.app.deployment.checkpoints()).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let checkpoints: Vec<Value> =
        files.iter().map(|file| serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()).collect();
    let all: Vec<(&str, &Value)> = checkpoints.iter().map(|one| ("--checkpoint", one)).collect();
    assert!(python(&directory, &answers[0], &all).unwrap().ends_with("1 anchors"));
    assert!(python(&directory, &answers[0], &[all[0], all[2]]).is_err());
    let anew = relinked(&answers[0], |record| record["tool"] = json!("ledger_read"));
    assert!(python(&directory, &anew, &[]).is_ok());
    assert!(python(&directory, &anew, &all).unwrap_err().contains("has signed another record 3"));
    // A number of a record that Python takes for another one.
    let truth = relinked(&answers[0], |record| {
        if record["seq"] == 1 {
            record["seq"] = json!(true);
        }
    });
    assert!(python(&directory, &truth, &[]).unwrap_err().contains("record 1 is not the one"));
    // An id is the same in upper case.
    let upper = json!(signed.job.to_uppercase());
    assert!(python(&directory, &answers[0], &[("--job", &upper)]).is_ok());
    // Two users may have chosen the same request id.
    let (mine, other) = (json!(signed.user.to_string().to_uppercase()), "019a8f3c-7e10-4abc-9def-0123456789ab");
    assert!(python(&directory, &answers[0], &[all[2], ("--user", &mine)]).is_ok());
    assert!(python(&directory, &answers[0], &[("--user", &json!(other))]).unwrap_err().contains("is not the one"));
    let code = support_code(other.parse().unwrap(), signed.job.parse().unwrap());
    let theirs =
        json!({"seq": 1, "prev": "", "heads": [{"job": code, "length": 1, "digest": Digest::ZERO.to_string()}]});
    let found = python(&directory, &answers[0], &[("--checkpoint", &theirs), ("--user", &mine)]);
    assert!(found.unwrap().ends_with("0 anchors"));
}
