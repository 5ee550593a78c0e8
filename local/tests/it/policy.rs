//! `local policy`, as a process.

use std::{path::Path, process::Command};

use super::directory;

const USER: &str = "01010101-0101-4101-8101-010101010101";

fn policy(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_local")).arg("policy").args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn explain(args: &[&str]) -> (Option<i32>, String) {
    let (code, out, err) = policy(&[&["explain", "--user", USER], args].concat());
    assert_eq!(err, "", "{args:?}");
    (code, out)
}

/// A copy of the policy files, to be broken.
pub(super) fn copy(name: &str) -> std::path::PathBuf {
    let (from, to) = (local::data::checkout().unwrap().join("policy"), directory(name));
    std::fs::create_dir(to.join("schemas")).unwrap();
    for folder in ["", "schemas"] {
        for file in std::fs::read_dir(from.join(folder)).unwrap().map(|entry| entry.unwrap().path()) {
            if file.is_file() {
                std::fs::copy(&file, to.join(folder).join(file.file_name().unwrap())).unwrap();
            }
        }
    }
    to
}

fn append(file: &Path, text: &str) {
    let old = std::fs::read_to_string(file).unwrap();
    std::fs::write(file, old + text).unwrap();
}

#[test]
fn a_call_is_explained_and_the_exit_code_says_what_becomes_of_it() {
    for (args, code, says) in [
        (&["--tool", "ledger_read"][..], 0, &["gate       run\n", "policies   reads-run\n"][..]),
        (
            &["--tool", "ledger_pay", "--args", r#"{"amount":500,"note":"tea\u202e"}"#],
            10,
            &["gate       ask: user\n", "policies   writes-need-the-user\n", "asks       Pay 500: \"tea\\u202e\"\n"],
        ),
        (
            &["--tool", "ledger_pay", "--args", r#"{"amount":501,"note":"tea"}"#],
            11,
            &["ask: operator", "payments-above-500-need-an-operator, the-rest-needs-an-operator"],
        ),
        (
            &["--tool", "ledger_append", "--args", r#"{"note":"n"}"#, "--mode", "explain_only"],
            12,
            &["explain: mode_explain_only", "policy     run\n", "policies   demo-notes-run\n"],
        ),
        (
            &["--tool", "ledger_pay", "--args", r#"{"amount":10001,"note":"tea"}"#],
            13,
            &["refuse: policy_denied", "payments-above-10000-are-refused"],
        ),
        (&["--tool", "ledger_delete"], 13, &["refuse: tool_not_opened", "policy     run_if_operator_approves\n"]),
        (&["--tool", "ledger_delete", "--opened"], 13, &["refuse: audit_unproven"]),
        (&["--tool", "ledger_delete", "--opened", "--audit-proven"], 11, &["ask: operator"]),
        (&["--tool", "ledger_append", "--args", r#"{"note":"n"}"#, "--derived"], 10, &["ask: user"]),
        (&["--tool", "ledger_append", "--args", r#"{"note":"n"}"#, "--unaudited"], 13, &["refuse: audit_unproven"]),
        (&["--tool", "exec"], 13, &["refuse: tool_unknown"]),
        (&["--tool", "ledger_read", "--derived"], 0, &["gate       run\n"]),
        (&["--tool", "ledger_pay", "--args", r#"{"amount":0,"note":"tea"}"#], 13, &["arguments_invalid", "/amount"]),
        (
            &["--tool", "ledger_read", "--group", "a", "--group", "b", "--at", "2026-11-22T18:00:00+08:00"],
            0,
            &["looked at  groups a, b, mode full, 2026-11-22T10:00:00.000Z\n"],
        ),
    ] {
        let (exit, out) = explain(args);
        assert_eq!(exit, Some(code), "{args:?}: {out}");
        assert!(says.iter().all(|text| out.contains(text)), "{args:?}: {out}");
    }
}

#[test]
fn a_turn_is_explained_with_what_the_agent_uses_by_itself() {
    let runs = &["gate       run\n", "policies   agents-talk\n", "uses       ledger_read\n", "proposes   none\n"][..];
    for (args, code, says) in [
        (&["--agent", "main"][..], 0, runs),
        (&["--agent", "main", "--mode", "read_only"], 0, runs),
        (&["--agent", "main", "--mode", "explain_only"], 12, &["gate       run without tools\n", "mode explain_only"]),
        (
            &["--agent", "main", "--mode", "closed"],
            13,
            &["refuse: mode_closed", "policy     run\n", "policies   agents-talk\n"],
        ),
        (&["--agent", "nobody"], 13, &["refuse: agent_unknown", "policies   none\n"]),
        (&["--agent", "ledger_read"], 13, &["refuse: agent_unknown"]),
    ] {
        let (exit, out) = explain(args);
        assert_eq!(exit, Some(code), "{args:?}: {out}");
        assert!(says.iter().all(|text| out.contains(text)), "{args:?}: {out}");
    }
    let dir = copy("policy-turn");
    append(
        &dir.join("tools.cedar"),
        "\n@id(\"few-at-once\") forbid (principal, action == MiniProgram::Action::\"run\", resource) when { \
         context.arguments has ledger_read && context.arguments.ledger_read has limit && context.arguments.ledger_read.limit > 50 };\n\
         @id(\"members-talk\") forbid (principal, action == MiniProgram::Action::\"talk\", resource) \
         unless { principal in MiniProgram::Group::\"members\" };\n",
    );
    let turn = |group: &str| explain(&["--agent", "main", "--group", group, "--dir", dir.to_str().unwrap()]);
    let (exit, out) = turn("members");
    assert!(exit == Some(0) && out.contains("uses       none\nproposes   ledger_read\n"), "{out}");
    let (exit, out) = turn("others");
    assert!(
        exit == Some(13) && out.contains("refuse: policy_denied") && out.contains("policies   members-talk\n"),
        "{out}"
    );
}

#[test]
fn a_query_that_cannot_be_evaluated_is_an_error() {
    let user = ["explain", "--user", USER, "--tool", "ledger_read"];
    for (args, code) in [
        (&[&user[..], &["--args", "{"]].concat(), 1),
        (&[&user[..], &["--dir", "no-such-folder"]].concat(), 1),
        (&[&user[..], &["--mode", "fulll"]].concat(), 2),
        (&[&user[..], &["--at", "yesterday"]].concat(), 2),
        (&[&user[..], &["--agent", "main"]].concat(), 2),
        (&vec!["explain", "--user", USER], 2),
        (&vec!["explain", "--user", USER, "--agent", "main", "--derived"], 2),
        (&vec!["explain", "--user", USER, "--agent", "main", "--args", "{}"], 2),
        (&vec!["explain", "--user", "alice", "--tool", "ledger_read"], 2),
    ] {
        let (exit, out, err) = policy(args);
        assert_eq!((exit, out.as_str()), (Some(code), ""), "{args:?}: {err}");
        assert!(!err.is_empty(), "{args:?}");
    }
}

#[test]
fn a_check_names_file_line_and_column() {
    let dir = copy("policy-check");
    let args = ["check", "--dir", dir.to_str().unwrap()];
    let (code, out, err) = policy(&args);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.starts_with("ok: 7 tools, 1 agents, 8 policies"), "{out}");

    std::fs::write(dir.join("shop.cedar"), "// ours\n@id(\"a\")\npermit (principal, action, resource)\nwhen { 1 };\n")
        .unwrap();
    let (code, out, err) = policy(&args);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.starts_with("local: policy/shop.cedar:4:8: "), "{err}");
    std::fs::remove_file(dir.join("shop.cedar")).unwrap();

    append(&dir.join("operators.cedar"), "\n@id(\"b\") permit (principal, action, resource");
    let (code, _, err) = policy(&args);
    assert!(code == Some(1) && err.starts_with("local: policy/operators.cedar:"), "{err}");
}

#[test]
fn an_outdated_schema_is_reported_and_written_again() {
    let dir = copy("policy-schema");
    let dir_arg = dir.to_str().unwrap();
    std::fs::write(dir.join("schemas/ledger_pay.json"), r#"{"type":"object","required":["amount","note"],"properties":{"amount":{"type":"integer"},"note":{"type":"string","maxLength":200},"to":{"type":"string"}}}"#).unwrap();
    let (code, _, err) = policy(&["check", "--dir", dir_arg]);
    assert!(code == Some(1) && err.contains("local policy schema --write"), "{err}");
    assert_eq!(policy(&["schema", "--dir", dir_arg, "--write"]).0, Some(0));
    assert_eq!(policy(&["check", "--dir", dir_arg]).0, Some(0));
    let printed = policy(&["schema", "--dir", dir_arg]).1;
    assert_eq!(printed, std::fs::read_to_string(dir.join("schema.cedarschema")).unwrap());
    assert!(printed.contains("ledger_pay?: { amount: Long, note: String, to?: String },"), "{printed}");
}

#[test]
fn the_lists_for_the_gateways_plugin_have_every_tool_and_the_agents_own_reads() {
    let folder = copy("policy-guard");
    append(
        &folder.join("tools.toml"),
        "\n[[agent]]\nname = \"clerk\"\ntitle = \"Clerk\"\ntools = [\"memory_search\"]\n",
    );
    let (code, out, err) = policy(&["guard", "--dir", folder.to_str().unwrap()]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let lists: serde_json::Value = domain::json::kept(out.as_bytes()).unwrap();
    let list = |name: &str| -> Vec<String> {
        lists[name].as_array().unwrap().iter().map(|tool| tool.as_str().unwrap().to_owned()).collect()
    };
    let (guard, reads) = (list("guard"), list("reads"));
    assert!(guard.contains(&"ledger_pay".to_owned()) && guard.contains(&"ledger_delete".to_owned()), "{guard:?}");
    assert!(reads.contains(&"ledger_read".to_owned()) && reads.contains(&"memory_search".to_owned()), "{reads:?}");
    assert!(!guard.iter().any(|tool| reads.contains(tool)));
}
