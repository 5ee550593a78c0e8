//! When the gateway counts as ready, tested with a local server in place of the gateway or of a proxy.
#![allow(missing_docs, clippy::unwrap_used, reason = "in a test an unwrap is a failure")]

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    thread,
    time::Duration,
};

use platform::{openclaw::Gateway, runtime::Runtime};

const SECONDS: Duration = Duration::from_secs(5);

async fn reachable(status: u16) -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}/behind", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let mut asked = String::new();
        stream.read_line(&mut asked).unwrap();
        let mut line = String::new();
        while stream.read_line(&mut line).unwrap() > 2 {
            assert!(!line.to_ascii_lowercase().starts_with("authorization"), "no credential is needed");
            line.clear();
        }
        write!(stream.get_mut(), "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").unwrap();
        asked
    });
    let answer = Gateway::new(&base, Runtime::system()).unwrap().reachable(SECONDS).await;
    assert!(server.join().unwrap().starts_with("GET /behind/healthz "));
    answer
}

#[tokio::test]
async fn only_a_success_says_that_the_gateway_lives() {
    assert!(reachable(200).await);
    // What a proxy answers for a gateway that is down, drains, or was never published.
    for status in [302, 401, 404, 500, 502, 503, 504] {
        assert!(!reachable(status).await, "{status}");
    }
}
