//! A service on one host sends alarms to its webhook, and pings its heartbeat URL.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain::ids::Timestamp;
use local::host::{
    alerts::{AlertOptions, Format, Webhook},
    service::{Options, Service},
};
use platform::{
    metrics::Metric,
    runtime::{Clock, Runtime, System},
};
use serde_json::Value;

use super::{directory, http};

/// The system's clock, some minutes later.
#[derive(Debug, Default)]
struct Ahead(AtomicI64);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        let minutes = u64::try_from(self.0.load(Ordering::SeqCst)).unwrap();
        System.now().plus(Duration::from_secs(minutes * 60))
    }
}

/// One listener on loopback for webhook, heartbeat URL and the gateway's health check, with the requests that it got.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) messages: Mutex<Vec<Value>>,
    beats: AtomicUsize,
    /// How many messages are refused before one is accepted.
    refuses: AtomicUsize,
}

fn hear(mut stream: TcpStream, heard: &Heard) {
    let (mut bytes, mut some) = (Vec::new(), [0; 4096]);
    let (head, body) = loop {
        let count = stream.read(&mut some).unwrap_or(0);
        bytes.extend_from_slice(&some[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if count == 0 {
                return;
            }
            continue;
        };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            break (head.to_owned(), body.to_owned());
        }
    };
    let taken = r#"{"errcode":0,"errmsg":"ok"}"#;
    let refuses = || heard.refuses.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
    let answer = match head.split(' ').nth(1).unwrap_or_default() {
        "/robot?key=secret" if refuses() => r#"{"errcode":45009,"errmsg":"too many"}"#,
        "/robot?key=secret" => {
            heard.messages.lock().unwrap().push(domain::json::kept(&body).unwrap());
            taken
        }
        "/alive" => {
            heard.beats.fetch_add(1, Ordering::SeqCst);
            taken
        }
        _ => taken,
    };
    let length = answer.len();
    let _ = write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{answer}");
}

pub(super) fn listen() -> (String, Arc<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (url, heard) = (format!("http://{}", listener.local_addr().unwrap()), Arc::new(Heard::default()));
    let hears = heard.clone();
    std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| hear(stream, &hears)));
    (url, heard)
}

struct Host {
    service: Service,
    clock: Arc<Ahead>,
}

impl Host {
    async fn start(name: &str, url: &str, alerts: AlertOptions) -> Self {
        Self::start_in(directory(name), Arc::default(), url, alerts).await
    }

    /// In a directory that may have the state of an earlier one.
    async fn start_in(data: PathBuf, clock: Arc<Ahead>, url: &str, alerts: AlertOptions) -> Self {
        let service = Service::start(Options {
            alerts: Some(AlertOptions { every: Duration::from_millis(20), retry_pause: Duration::ZERO, ..alerts }),
            sweep_every: Duration::from_millis(50),
            metrics_port: Some(0),
            runtime: Runtime::new(clock.clone(), Arc::new(System)),
            ..Options::dev(data, url.to_owned(), "no-token".to_owned())
        });
        Self { service: service.await.unwrap(), clock }
    }

    async fn value(&self, metric: Metric) -> f64 {
        let text = http().get(self.service.metrics_url().unwrap()).send().await.unwrap().text().await.unwrap();
        let named = format!("miniprogram_{}", metric.name());
        let line = text.lines().find_map(|line| line.strip_prefix(&named)?.rsplit_once(' ')?.1.parse().ok());
        line.unwrap_or(0.0)
    }

    /// Waits until `sweep` has run once more, so that a minute of the moved clock is not empty.
    async fn swept(&self) {
        let before = self.value(Metric::SweepRuns).await;
        while self.value(Metric::SweepRuns).await <= before {}
    }

    /// Lets a minute pass, and the sweep run in the next one.
    async fn minute(&self) {
        self.swept().await;
        self.clock.0.fetch_add(1, Ordering::SeqCst);
        self.swept().await;
    }

    /// Lets minutes pass until a condition holds.
    async fn until(&self, so: impl Fn() -> bool) {
        for _ in 0..10 {
            if so() {
                return;
            }
            self.minute().await;
        }
        panic!("it did not come to be within ten minutes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_sends_the_robot_one_message_and_its_end_one_more() {
    let (url, heard) = listen();
    let webhook = Webhook::parse(&format!("{url}/robot?key=secret"), Format::Wecom).unwrap();
    let heartbeat = Webhook::parse(&format!("{url}/alive"), Format::Json).unwrap();
    let alerts = AlertOptions { webhook: Some(webhook), heartbeat: Some(heartbeat), ..AlertOptions::default() };
    let host = Host::start("alerts", &url, alerts).await;
    host.until(|| heard.beats.load(Ordering::SeqCst) > 0).await;
    assert!(heard.messages.lock().unwrap().is_empty(), "nothing is wrong");

    // As in `docs/operate/alarms.md`. The message is taken at the second attempt only.
    heard.refuses.store(1, Ordering::SeqCst);
    let backend = &host.service.deployment.backend;
    let sent = backend.aws.sqs().send_message().queue_url(&backend.queue_url).message_body("{\"hello\":\"world\"}");
    sent.send().await.unwrap();
    while host.value(Metric::UndecodableMessages).await == 0.0 {}
    let count = |wanted: usize| {
        let heard = heard.clone();
        move || heard.messages.lock().unwrap().len() >= wanted
    };
    host.until(count(1)).await;
    host.until(count(2)).await;
    for _ in 0..2 {
        host.minute().await;
    }
    let messages = heard.messages.lock().unwrap().clone();
    let texts: Vec<&str> = messages.iter().map(|one| one["markdown"]["content"].as_str().unwrap()).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].contains("ALARM") && texts[0].contains("**undecodable-messages** (ticket)"), "{texts:?}");
    assert!(texts[1].contains("OK") && texts[1].contains("**undecodable-messages**"), "{texts:?}");
    assert_eq!(host.value(Metric::AlertFailures).await, 0.0, "the second attempt counts");
    for (metric, value) in [(Metric::DiskLow, 0.0), (Metric::DeadLetters, 0.0), (Metric::FunctionErrors, 0.0)] {
        assert_eq!(host.value(metric).await, value, "{metric:?}");
    }
    assert!(host.value(Metric::BackupAge).await > 0.0, "since the table was made");
    host.service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_does_not_answer_delays_no_request_and_gets_the_message_later() {
    let (url, heard) = listen();
    let webhook = Webhook::parse(&format!("{url}/robot?key=secret"), Format::Wecom).unwrap();
    // No gateway answers at port 9, so there is no heartbeat.
    let heartbeat = Webhook::parse(&format!("{url}/alive"), Format::Json).unwrap();
    let alerts = AlertOptions { webhook: Some(webhook), heartbeat: Some(heartbeat), ..AlertOptions::default() };
    let host = Host::start("alerts-late", "http://127.0.0.1:9", alerts).await;
    heard.refuses.store(2, Ordering::SeqCst);
    host.until(|| heard.refuses.load(Ordering::SeqCst) == 0).await;
    assert_eq!(http().get(format!("{}/healthz", host.service.base_url)).send().await.unwrap().status(), 200);
    host.until(|| !heard.messages.lock().unwrap().is_empty()).await;
    let first = heard.messages.lock().unwrap()[0].to_string();
    assert!(first.contains("gateway-not-ready") && !first.contains("secret"), "{first}");
    assert_eq!(host.value(Metric::AlertFailures).await, 1.0);
    assert_eq!(heard.beats.load(Ordering::SeqCst), 0);
    host.service.stop().await;
}

/// The names of the changes in the state that no message has reported.
fn waiting(data: &Path) -> Vec<String> {
    let text = fs::read_to_string(data.join("alerts.json")).unwrap_or_else(|_| "{}".to_owned());
    let state: Value = domain::json::kept(text).unwrap();
    let waiting = state["waiting"].as_array().cloned().unwrap_or_default();
    waiting.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_that_no_message_has_told_yet_is_told_after_a_restart_and_once() {
    let (url, heard) = listen();
    let (data, clock) = (directory("alerts-restart"), Arc::<Ahead>::default());
    let started = async |alerts: AlertOptions| {
        // No gateway answers at port 9.
        Host::start_in(data.clone(), clock.clone(), "http://127.0.0.1:9", alerts).await
    };
    let webhook = Webhook::parse(&format!("{url}/robot?key=secret"), Format::Wecom).unwrap();
    let with_webhook = AlertOptions { webhook: Some(webhook), ..AlertOptions::default() };

    // Without a webhook it is only logged, so it counts as not reported.
    let host = started(AlertOptions::default()).await;
    for _ in 0..5 {
        host.minute().await;
    }
    host.service.stop().await;
    assert!(!data.join("alerts.json").exists());

    // The service is restarted, as `secrets set` demands; its webhook accepts no message yet.
    heard.refuses.store(1_000_000, Ordering::SeqCst);
    let host = started(with_webhook.clone()).await;
    host.until(|| waiting(&data).contains(&"gateway-not-ready".to_owned())).await;
    host.service.stop().await;

    heard.refuses.store(0, Ordering::SeqCst);
    let host = started(with_webhook).await;
    host.until(|| !heard.messages.lock().unwrap().is_empty()).await;
    host.until(|| waiting(&data).is_empty()).await;
    for _ in 0..2 {
        host.minute().await;
    }
    host.service.stop().await;
    let messages = heard.messages.lock().unwrap().clone();
    let texts: Vec<&str> = messages.iter().map(|one| one["markdown"]["content"].as_str().unwrap()).collect();
    let told: usize = texts.iter().map(|text| text.matches("ALARM</font> **gateway-not-ready**").count()).sum();
    assert_eq!(told, 1, "{texts:?}");
}
