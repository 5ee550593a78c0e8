//! Calls of a gateway with two listed tokens, tested with a local server in place of a proxy.
#![allow(missing_docs, clippy::unwrap_used, reason = "in a test an unwrap is a failure")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    thread,
    time::Duration,
};

use platform::{
    openclaw::{
        CallAnswer, Gateway, GatewayTokens, ToolEnd,
        journal::{Expected, JournaledCall},
    },
    runtime::Runtime,
};
use secrecy::SecretString;
use serde_json::Value;

const OWN_401: (u16, &str) = (401, r#"{"error":{"type":"unauthorized"}}"#);
const SECONDS: Duration = Duration::from_secs(5);

/// Answers one connection after the other, then accepts no more. Returns the URL.
fn script(answers: &'static [(u16, &'static str)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for (status, body) in answers {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            let (mut line, mut length) = (String::new(), 0);
            while stream.read_line(&mut line).unwrap() > 2 {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            stream.read_exact(&mut vec![0; length]).unwrap();
            let head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.get_mut().write_all(format!("{head}{body}").as_bytes()).unwrap();
        }
    });
    base
}

fn tokens(listed: &[&str]) -> GatewayTokens {
    let listed: Vec<SecretString> = listed.iter().map(|token| (*token).into()).collect();
    GatewayTokens::new(listed.try_into().unwrap())
}

fn gateway(base: &str) -> Gateway {
    Gateway::new(base, Runtime::system()).unwrap()
}

/// Outcome of a write, as the worker records it.
async fn invoke(base: &str) -> CallAnswer {
    let arguments = serde_json::json!({});
    let not_after = Runtime::system().now().plus(SECONDS);
    let call = JournaledCall { tool: "t", arguments: &arguments, not_after, wait: false, at_most: None };
    let expected = Expected { journal: "j", sequence: 0 };
    gateway(base).invoke(&tokens(&["old", "new"]), expected, "key", call, None, SECONDS).await.noted()
}

#[tokio::test]
async fn what_a_second_token_meets_does_not_prove_that_the_first_sending_did_not_start() {
    // A proxy that refused the first token may have passed the call on before.
    assert_eq!(
        invoke(&script(&[OWN_401, (503, r#"{"error":{"type":"not_started"}}"#)])).await,
        CallAnswer::Lost,
        "not started by the second sending"
    );
    assert_eq!(invoke(&script(&[OWN_401])).await, CallAnswer::Lost, "no connection for the second sending");
    assert_eq!(
        invoke(&script(&[(503, r#"{"error":{"type":"not_started"}}"#)])).await,
        CallAnswer::NotStarted(None),
        "without another sending it is proven"
    );
    assert_eq!(invoke(&script(&[OWN_401, OWN_401])).await, CallAnswer::Unauthorized, "no token is the right one");
    assert_eq!(
        invoke(&script(&[OWN_401, (202, r#"{"entry":{"state":"started"}}"#)])).await,
        CallAnswer::StillRunning,
        "what the journal says of the key holds for both"
    );
}

#[tokio::test]
async fn a_token_that_no_header_can_hold_is_never_sent() {
    let base = script(&[(200, r#"{"ok":true}"#)]);
    let call = ("t", &serde_json::json!({}));
    let answer = gateway(&base).call_directly(&tokens(&["two\nlines"]), call, "key", None, SECONDS).await;
    assert_eq!(answer, CallAnswer::NotStarted(None));
}

/// Outcome of a call without a journal.
async fn call_directly(base: &str) -> CallAnswer {
    let call = ("t", &serde_json::json!({}));
    gateway(base).call_directly(&tokens(&["old", "new"]), call, "key", None, SECONDS).await
}

#[tokio::test]
async fn without_a_journal_a_second_sending_proves_nothing_of_the_first_either() {
    const NOT_STARTED: (u16, &str) = (503, r#"{"error":{"type":"service_unavailable"}}"#);
    let cases: [(&'static [(u16, &'static str)], CallAnswer); 6] = [
        (&[OWN_401, NOT_STARTED], CallAnswer::Lost),
        (&[OWN_401], CallAnswer::Lost),
        (&[OWN_401, (400, "{}")], CallAnswer::Lost),
        (&[NOT_STARTED], CallAnswer::NotStarted(None)),
        (&[OWN_401, OWN_401], CallAnswer::Unauthorized),
        (&[OWN_401, (200, r#"{"ok":true}"#)], CallAnswer::Ended(ToolEnd::Succeeded(Ok(Value::Null)))),
    ];
    for (answers, expected) in cases {
        assert_eq!(call_directly(&script(answers)).await, expected, "{answers:?}");
    }
}
