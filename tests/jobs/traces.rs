//! A client's trace context goes through the queue to the gateway.

use std::sync::{Arc, Mutex};

use integration_tests::{App, Setup};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// A gateway without a journal whose every tool succeeds. Keeps the heads of the requests that it gets.
async fn gateway() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = heads.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let (status, body) =
                if head.starts_with("POST /tools/invoke") { (200, r#"{"ok":true,"result":1}"#) } else { (404, "{}") };
            seen.lock().unwrap().push(head);
            let length = body.len();
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            let _gone = stream.write_all(answer.as_bytes()).await;
            let _gone = stream.shutdown().await;
        }
    });
    (url, heads)
}

#[tokio::test]
async fn the_gateway_gets_the_traceparent_of_the_client_and_none_that_is_malformed() {
    let (url, heads) = gateway().await;
    let mut app = App::with(Setup { gateway: Some((url, "token".to_owned())), ..Setup::default() }).await;
    let alice = app.login("alice").await;
    let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (traceparent, passed_on) in [(good, true), ("00-evil", false)] {
        heads.lock().unwrap().clear();
        let id = app.new_id();
        let headers =
            [("idempotency-key", id.as_str()), ("content-type", "application/json"), ("traceparent", traceparent)];
        let body = json!({"tool":"ledger_read","arguments":{}}).to_string();
        assert_eq!(alice.send("POST", "/v1/jobs", &headers, body.as_bytes()).await.status, 202);
        assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
        let calls: Vec<String> =
            heads.lock().unwrap().iter().filter(|head| head.starts_with("POST /tools/invoke")).cloned().collect();
        let line = format!("traceparent: {traceparent}\r\n");
        assert!(!calls.is_empty());
        assert!(calls.iter().all(|head| head.contains(&line) == passed_on), "{traceparent}: {calls:?}");
    }
}
