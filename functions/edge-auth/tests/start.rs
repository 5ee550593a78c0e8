//! The function as Lambda starts it: without its secret it ends, with one line that says what is missing.
#![allow(missing_docs, clippy::unwrap_used, reason = "in a test an unwrap is a failure")]

use std::process::Command;

use serde_json::Value;

/// The function with what it always needs.
fn function() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_edge-auth"));
    command.env_clear().envs([
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "none"),
        ("AWS_SECRET_ACCESS_KEY", "none"),
        // No process listens there.
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("TABLE_NAME", "table"),
        ("QUEUE_URL", "http://127.0.0.1:1/queue"),
        ("SESSION_ISSUER", "issuer"),
        ("SESSION_AUDIENCE", "audience"),
        ("WECHAT_BASE_URL", "http://127.0.0.1:1"),
        ("WECHAT_APP_ID", "app"),
    ]);
    command
}

/// Starts the function with these additional variables, and returns its only line.
fn refused(secret: &[(&str, &str)]) -> Value {
    let output = function().envs(secret.iter().copied()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("cannot start")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    domain::json::kept(lines[0]).unwrap()
}

#[test]
fn without_its_secret_the_function_does_not_start_and_says_which_one_is_missing() {
    let none = refused(&[]);
    assert_eq!(none["function"], "edge-auth");
    let both = refused(&[("SECRETS_FILE", "/nowhere"), ("SECRET_ID", "stack/edge-auth")]);
    for line in [none, both] {
        let error = line["error"].as_str().unwrap();
        assert!(error.contains("SECRETS_FILE") && error.contains("SECRET_ID"), "{error}");
    }
    let error = refused(&[("SECRETS_FILE", "/nowhere/secrets.json")]);
    let error = error["error"].as_str().unwrap();
    assert!(error.contains("/nowhere/secrets.json does not exist") && error.contains("local secrets new"), "{error}");
    let error = refused(&[("SECRET_ID", "stack/edge-auth")]);
    let error = error["error"].as_str().unwrap();
    assert!(error.contains("the secret stack/edge-auth cannot be read"), "{error}");
}

#[test]
fn a_reader_of_its_lines_that_has_gone_is_no_reason_to_panic() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut function = function();
    function.env("METRICS_NAMESPACE", "stack").stdout(writer.try_clone().unwrap()).stderr(writer);
    assert_eq!(function.status().unwrap().code(), Some(1), "it cannot start, and a panic is 101");
}
