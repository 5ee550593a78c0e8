//! A bucket that records its requests. It loses its first response, so that a writer has to check whether the object
//! exists.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::recorder::Recorder;

/// Objects by their paths.
type Objects = Arc<Mutex<BTreeMap<String, String>>>;

/// Serves it on loopback until the test ends. The first part of a path is the bucket's name.
pub(super) async fn serve(function: &'static str, recorder: Recorder) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
    let address = listener.local_addr().expect("it is bound");
    let objects = Objects::default();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (recorder, objects) = (recorder.clone(), objects.clone());
            tokio::spawn(async move { drop(answer(stream, function, &recorder, &objects).await) });
        }
    });
    address
}

/// One request on each connection.
async fn answer(
    mut stream: TcpStream,
    function: &'static str,
    recorder: &Recorder,
    objects: &Objects,
) -> std::io::Result<()> {
    let mut read = Vec::new();
    let (head, body) = loop {
        let mut part = [0; 4096];
        let length = stream.read(&mut part).await?;
        read.extend_from_slice(part.get(..length).unwrap_or_default());
        if let Some(whole) = whole_request(&read) {
            break whole;
        }
        if length == 0 {
            return Ok(());
        }
    };
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let action = match method {
        "PUT" => "PutObject",
        "GET" => "GetObject",
        other => other,
    };
    let bucket = path.split('/').nth(1).unwrap_or_default();
    recorder.insert(function, format!("s3:{action} on {bucket}"));
    let Some((status, answer)) = act(objects, method, path, &head, body) else { return Ok(()) };
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
    stream.write_all((head + &answer).as_bytes()).await
}

/// What S3 would answer; nothing when the answer is lost.
fn act(objects: &Objects, method: &str, path: &str, head: &str, body: String) -> Option<(&'static str, String)> {
    let mut objects = objects.lock().expect("no panic holds it");
    if method == "GET" {
        return Some(objects.get(path).map_or(("404 Not Found", String::new()), |object| ("200 OK", object.clone())));
    }
    // Object Lock rejects a put without a checksum.
    if !head.to_ascii_lowercase().contains("\r\nx-amz-checksum-sha256:") {
        return Some(("400 Bad Request", String::new()));
    }
    if objects.contains_key(path) {
        return Some(("412 Precondition Failed", String::new()));
    }
    let first = objects.is_empty();
    objects.insert(path.to_owned(), body);
    (!first).then(|| ("200 OK", String::new()))
}

/// Head and body of a request that is here as a whole.
fn whole_request(read: &[u8]) -> Option<(String, String)> {
    let text = String::from_utf8_lossy(read);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let lower = head.to_ascii_lowercase();
    let length = lower.split("\r\ncontent-length:").nth(1).and_then(|rest| rest.lines().next());
    let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
    (body.len() >= length).then(|| (head.to_owned(), body.to_owned()))
}
