//! Checkpoints go to a bucket of S3 in requests that are signed as AWS computes it, and never over one that is there.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hmac::{Hmac, KeyInit, Mac};
use integration_tests::{App, Fault};
use platform::{config::CheckpointTarget, metrics::Metric, runtime::Clock};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::runtime;

/// A fake S3: objects by path, and planned faults.
#[derive(Clone, Default)]
struct Bucket {
    objects: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    instead: Arc<Mutex<Vec<u16>>>,
    /// Carries the request out, and loses the response.
    silent: Arc<Mutex<bool>>,
    /// Takes connections, and never answers.
    hung: Arc<AtomicBool>,
}

struct Request {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Bucket {
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let bucket = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let bucket = bucket.clone();
                tokio::spawn(async move { bucket.serve(stream).await });
            }
        });
        url
    }

    async fn serve(&self, mut stream: TcpStream) {
        if self.hung.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        let request = read(&mut stream).await;
        assert_eq!(signature(&request), request.headers["authorization"], "as AWS computes it");
        let (status, body) = self.answer(request);
        if std::mem::take(&mut *self.silent.lock().unwrap()) {
            return;
        }
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        stream.write_all(&[head.into_bytes(), body].concat()).await.unwrap();
    }

    fn answer(&self, request: Request) -> (u16, Vec<u8>) {
        if let Some(status) = self.instead.lock().unwrap().pop() {
            return (status, Vec::new());
        }
        let mut objects = self.objects.lock().unwrap();
        let there = objects.get(&request.path).cloned();
        match (request.method.as_str(), there) {
            ("GET", Some(object)) => (200, object),
            ("PUT", Some(_)) => (412, Vec::new()),
            ("PUT", None) => {
                assert_eq!(request.headers["if-none-match"], "*");
                objects.insert(request.path, request.body);
                (200, Vec::new())
            }
            _ => (404, Vec::new()),
        }
    }
}

async fn read(stream: &mut TcpStream) -> Request {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        stream.read_buf(&mut bytes).await.unwrap();
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap().split(' ').map(str::to_owned);
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers: BTreeMap<String, String> = lines.filter_map(header).collect();
    let length = end + headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < length {
        stream.read_buf(&mut bytes).await.unwrap();
    }
    let (method, path) = (first.next().unwrap(), first.next().unwrap());
    Request { method, path, headers, body: bytes.split_off(end) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// AWS Signature Version 4, written down from its description.
fn signature(request: &Request) -> String {
    let authorization = &request.headers["authorization"];
    let signed = authorization.split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap();
    for needed in ["host", "x-amz-content-sha256", "x-amz-date"] {
        assert!(signed.split(';').any(|name| name == needed), "{needed} is signed");
    }
    assert_eq!(request.headers["x-amz-content-sha256"], hex(&Sha256::digest(&request.body)));
    let headers: String = signed.split(';').map(|name| format!("{name}:{}\n", request.headers[name].trim())).collect();
    let Request { method, path, .. } = request;
    let canonical = format!("{method}\n{path}\n\n{headers}\n{signed}\n{}", request.headers["x-amz-content-sha256"]);
    let at = &request.headers["x-amz-date"];
    let scope = format!("{}/us-east-1/s3/aws4_request", &at[..8]);
    let text = format!("AWS4-HMAC-SHA256\n{at}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let key =
        ["us-east-1", "s3", "aws4_request"].iter().fold(keyed(b"AWS4local", &at[..8]), |key, part| keyed(&key, part));
    let signature = hex(&keyed(&key, &text));
    format!("AWS4-HMAC-SHA256 Credential=local/{scope}, SignedHeaders={signed}, Signature={signature}")
}

async fn with_bucket() -> (App, Bucket) {
    let mut app = App::start().await;
    let bucket = Bucket::default();
    let mut config = app.deployment.sweep();
    config.table.aws.s3_endpoint = Some(bucket.start().await);
    config.checkpoints_to = CheckpointTarget::Bucket("proofs".to_owned());
    app.sweep = sweep::Sweep::new(config, app.metrics.metered(runtime(&app))).unwrap();
    (app, bucket)
}

#[tokio::test]
async fn what_is_in_the_bucket_is_what_is_in_the_table_whatever_the_bucket_answers() {
    let (mut app, bucket) = with_bucket().await;
    app.sweep().await;
    // Busy twice; a conflict; refused until the next run; put, and the answer lost.
    for instead in [vec![503, 500], vec![409], vec![403]] {
        *bucket.instead.lock().unwrap() = instead;
        app.advance(Duration::from_secs(301)).await;
        app.sweep().await;
    }
    *bucket.silent.lock().unwrap() = true;
    app.advance(Duration::from_secs(301)).await;
    app.sweep().await;
    let kept = app.inspect().table().checkpoints_after(0, 100).await.unwrap();
    let expected: BTreeMap<String, Vec<u8>> = kept
        .iter()
        .map(|kept| {
            (
                format!("/proofs/{}/{}", app.deployment.backend.table, kept.checkpoint.file_name()),
                kept.document.clone().into_bytes(),
            )
        })
        .collect();
    assert!(*bucket.objects.lock().unwrap() == expected, "the bucket has other objects than the table");
    assert_eq!(kept.len(), 5);
    assert!(kept.iter().all(|kept| kept.exported_at.is_some()));
    assert_eq!(app.metrics.values(Metric::CheckpointFailures, &[]), [0.0, 0.0, 0.0, 1.0, 0.0]);
}

#[tokio::test]
async fn another_object_of_that_name_is_kept_and_reported() {
    let (mut app, bucket) = with_bucket().await;
    let name = format!("/proofs/{}/000000000001.json", app.deployment.backend.table);
    bucket.objects.lock().unwrap().insert(name.clone(), b"somebody else's".to_vec());
    app.sweep().await;
    assert_eq!(bucket.objects.lock().unwrap()[&name], b"somebody else's");
    assert_eq!(app.metrics.values(Metric::CheckpointFailures, &[]), [1.0]);
}

#[tokio::test]
async fn a_bucket_that_never_answers_costs_a_run_its_export_and_neither_its_metrics_nor_its_time() {
    let (app, bucket) = with_bucket().await;
    bucket.hung.store(true, Ordering::SeqCst);
    for run in 1..=2 {
        // As Lambda does it: what is not over by the deadline is killed, and so is what it has not written.
        let deadline = app.clock.now().plus(Duration::from_secs(4));
        let ended = tokio::time::timeout(Duration::from_secs(4), app.sweep.run(deadline)).await;
        assert!(ended.is_ok_and(|ran| ran.is_ok()), "jobs were looked at all the same, in time");
        assert_eq!(app.metrics.sum(Metric::SweepRuns, &[]), f64::from(run));
        assert_eq!(app.metrics.sum(Metric::CheckpointFailures, &[]), f64::from(run));
        assert!(app.inspect().table().heartbeat().await.unwrap().is_some());
    }
    bucket.hung.store(false, Ordering::SeqCst);
    app.sweep.run(app.clock.now().plus(Duration::from_secs(30))).await.unwrap();
    let kept = app.inspect().table().checkpoints_after(0, 100).await.unwrap();
    assert_eq!(
        bucket.objects.lock().unwrap().len(),
        kept.len(),
        "what was kept goes out when the bucket answers again"
    );
    assert!(kept.iter().all(|kept| kept.exported_at.is_some()));
    assert_eq!(app.metrics.values(Metric::CheckpointFailures, &[]), [1.0, 1.0, 0.0]);
}

#[tokio::test]
async fn whatever_does_not_answer_a_run_writes_its_metrics_before_its_deadline() {
    let (app, _) = with_bucket().await;
    for (run, silent) in (1..).zip(["GetItem", "PutItem", "Query", "UpdateItem"]) {
        app.clock.advance(Duration::from_secs(301));
        app.faults.plan(move |operation, _| (operation == silent).then_some(Fault::Silent));
        let deadline = app.clock.now().plus(Duration::from_secs(4));
        let ended = tokio::time::timeout(Duration::from_secs(4), app.sweep.run(deadline)).await;
        app.faults.none();
        assert!(ended.is_ok(), "{silent}: it was over in time");
        assert_eq!(app.metrics.sum(Metric::SweepRuns, &[]), f64::from(run), "{silent}");
    }
}
