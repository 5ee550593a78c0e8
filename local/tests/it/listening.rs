//! Which requests the listeners accept: engines in a process of their own, and the service under `--dev`.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use local::{
    emulation::wechat_stub::WechatStub,
    host::{
        prometheus::Exporter,
        service::{Login, Options, Service},
    },
};
use platform::runtime::Runtime;

use super::{directory, http};

/// `local engines` on free ports, and the environment that it gives.
struct EngineProcess {
    process: Child,
    environment: Vec<(String, String)>,
}

impl EngineProcess {
    fn start(data: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_local"))
            .args(["engines", "--table-port", "0", "--queue-port", "0", "--wechat-port", "0", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let exports = lines.map_while(|line| line.strip_prefix("export ").map(str::to_owned));
        let pair = |line: String| line.split_once('=').map(|(name, value)| (name.to_owned(), value.replace('\'', "")));
        Self { environment: exports.filter_map(pair).collect(), process }
    }

    fn value(&self, name: &str) -> &str {
        &self.environment.iter().find(|(known, _)| known == name).unwrap().1
    }

    fn address(&self, name: &str) -> SocketAddr {
        self.value(name).strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// What an SDK would make of an environment in which these values differ.
    fn dynamodb(&self, key_id: &str, secret: &str) -> aws_sdk_dynamodb::Client {
        let mut aws =
            platform::aws::AwsSettings::loopback(self.value("AWS_ENDPOINT_URL_DYNAMODB"), "http://127.0.0.1:9");
        aws.credentials = aws_sdk_dynamodb::config::Credentials::new(key_id, secret, None, None, "test");
        aws.dynamodb()
    }
}

impl Drop for EngineProcess {
    fn drop(&mut self) {
        let _best_effort = self.process.kill();
        let _best_effort = self.process.wait();
    }
}

/// Sends bytes as they are; the answer in lower case.
fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let _until_it_closes = stream.read_to_string(&mut answer);
    answer.to_ascii_lowercase()
}

fn status(answer: &str) -> u16 {
    answer.strip_prefix("http/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test]
async fn no_web_page_reaches_the_engines_and_no_name_but_their_own() {
    let engines = EngineProcess::start(&directory("engines-pages"));
    for variable in ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SQS"] {
        let address = engines.address(variable);
        let request = |method: &str, target: &str, host: &str, rest: &str| {
            raw(address, &format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{rest}\r\n"))
        };
        let own = address.to_string();
        let asks = "access-control-request-method: POST\r\naccess-control-request-headers: x-amz-target\r\n";
        let preflight = request("OPTIONS", "/", &own, &format!("origin: http://evil.example\r\n{asks}"));
        assert_eq!(status(&preflight), 403, "{preflight}");
        assert!(!preflight.contains("access-control-"), "{preflight}");
        let list = "x-amz-target: DynamoDB_20120810.ListTables\r\ncontent-length: 2\r\n\r\n{}";
        for origin in ["http://evil.example", "null", "http://127.0.0.1:9876", &format!("http://{own}")] {
            let answer = request("POST", "/", &own, &format!("origin: {origin}\r\n{list}"));
            assert_eq!(status(&answer), 403, "{origin}: {answer}");
            assert!(!answer.contains("access-control-"), "{answer}");
        }
        let foreign = ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", "localhost", ""];
        for host in foreign {
            let answer = request("POST", "/", host, list);
            assert_eq!(status(&answer), 403, "{host}: {answer}");
        }
        let absolute = request("POST", "http://evil.example/", &own, list);
        assert_eq!(status(&absolute), 403, "{absolute}");
        // A page may send this much without asking first.
        let simple = request("POST", "/", &own, "content-type: text/plain\r\ncontent-length: 2\r\n\r\n{}");
        assert_eq!(status(&simple), 403, "{simple}");
    }
}

#[tokio::test]
async fn the_engines_take_the_credential_of_their_environment_and_no_other() {
    let engines = EngineProcess::start(&directory("engines-credential"));
    let (key_id, secret) = (engines.value("AWS_ACCESS_KEY_ID"), engines.value("AWS_SECRET_ACCESS_KEY"));
    let scan = async |key_id: &str, secret: &str| {
        let scan = engines.dynamodb(key_id, secret).scan().table_name(local::emulation::backend::TABLE).send().await;
        scan.map(drop).map_err(|error| error.raw_response().map(|answer| answer.status().as_u16()))
    };
    assert_eq!(scan(key_id, secret).await, Ok(()));
    for (wrong_id, wrong_secret) in [("local", "local"), (key_id, "local"), ("local", secret)] {
        assert_eq!(scan(wrong_id, wrong_secret).await, Err(Some(403)), "{wrong_id} {wrong_secret}");
    }
    let next = EngineProcess::start(&directory("engines-credential-2"));
    assert_ne!(next.value("AWS_SECRET_ACCESS_KEY"), secret, "each start makes its own");
}

/// The local ports on which this process listens, from the kernel's table of sockets.
fn listening_ports() -> Vec<u16> {
    let inodes: Vec<String> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let listed = [std::fs::read_to_string("/proc/self/net/tcp"), std::fs::read_to_string("/proc/self/net/tcp6")];
    let listens = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // 0A is the kernel's TCP_LISTEN.
        let own = *fields.get(3)? == "0A" && inodes.iter().any(|inode| Some(&inode.as_str()) == fields.get(9));
        let port = fields.get(1)?.rsplit_once(':')?.1;
        own.then(|| u16::from_str_radix(port, 16).ok())?
    };
    listed.into_iter().flatten().flat_map(|text| text.lines().filter_map(listens).collect::<Vec<_>>()).collect()
}

fn options(name: &str) -> Options {
    Options::dev(directory(name), "http://127.0.0.1:9".to_owned(), "no-token".to_owned())
}

/// Runs in a process of its own, where nothing else listens.
#[tokio::test]
async fn the_service_listens_on_its_own_port_alone_and_gives_table_and_queue_none() {
    const ALONE: &str = "LISTENING_ALONE";
    #[expect(clippy::disallowed_methods, reason = "a test that starts itself again has no configuration")]
    let alone = std::env::var(ALONE).is_ok();
    if !alone {
        let name = "listening::the_service_listens_on_its_own_port_alone_and_gives_table_and_queue_none";
        let mut again = Command::new(std::env::current_exe().unwrap());
        let output = again.args(["--exact", name, "--nocapture"]).env(ALONE, "1").output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let login = Login::Wechat {
        base_url: "http://127.0.0.1:9".to_owned(),
        app_id: "wx0123456789abcdef".to_owned(),
        app_secret: "0123456789abcdef0123456789abcdef".to_owned(),
    };
    let service = Service::start(Options { login, ..options("listening-alone") }).await.unwrap();
    let own: SocketAddr = service.base_url.strip_prefix("http://").unwrap().parse().unwrap();
    assert_eq!(listening_ports(), [own.port()]);
    assert_eq!(http().get(format!("{}/healthz", service.base_url)).send().await.unwrap().status(), 200);
    service.stop().await;
}

#[tokio::test]
async fn under_dev_a_page_reached_by_a_foreign_name_logs_no_user_in() {
    let service = Service::start(options("rebinding")).await.unwrap();
    let address: SocketAddr = service.base_url.strip_prefix("http://").unwrap().parse().unwrap();
    let port = address.port();
    let log_in = |target: &str, host: &str, rest: &str| {
        let body = r#"{"code":"dev-alice"}"#;
        let (head, length) = (format!("POST {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n"), body.len());
        let json = format!("content-type: application/json\r\ncontent-length: {length}\r\n");
        let head = head.replace("host: -\r\n", "");
        tokio::task::spawn_blocking({
            let rest = rest.to_owned();
            move || raw(address, &format!("{head}{json}{rest}\r\n{body}"))
        })
    };
    for host in
        ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "a@127.0.0.1", "", "-", "10.0.0.1"]
    {
        let answer = log_in("/v1/sessions", host, "").await.unwrap();
        assert_eq!(status(&answer), 403, "{host}: {answer}");
        assert!(answer.contains("application/problem+json") && answer.contains("\"host_not_allowed\""), "{answer}");
    }
    let rebound = log_in("http://evil.example/v1/sessions", "127.0.0.1", "").await.unwrap();
    assert_eq!(status(&rebound), 403, "{rebound}");
    for origin in ["http://evil.example", "null", "https://localhost.evil.example", "file://", "chrome-extension://abc"]
    {
        let answer = log_in("/v1/sessions", "127.0.0.1", &format!("origin: {origin}\r\n")).await.unwrap();
        assert_eq!(status(&answer), 403, "{origin}: {answer}");
        assert!(answer.contains("\"host_not_allowed\""), "{answer}");
    }
    for (host, origin) in [
        (format!("127.0.0.1:{port}"), ""),
        (format!("LOCALHOST:{port}"), "origin: http://localhost:5173\r\n"),
        ("localhost".to_owned(), "origin: http://127.0.0.1:1\r\n"),
        ("[::1]:8787".to_owned(), "origin: http://[::1]:8787\r\n"),
    ] {
        let answer = log_in("/v1/sessions", &host, origin).await.unwrap();
        assert_eq!(status(&answer), 201, "{host} {origin}: {answer}");
    }
    service.stop().await;
}

#[tokio::test]
async fn measurements_and_the_wechat_stub_answer_to_names_of_this_host_only() {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let metrics = Exporter::new().unwrap().serve(listener);
    let stub = WechatStub::start("app", "s", 0, Runtime::system()).await.unwrap();
    for (url, path) in [(metrics.base_url(), "metrics"), (stub.base_url(), "sns/jscode2session?appid=app")] {
        let get = async |host: &str| {
            let get = http().get(format!("{url}/{path}")).header("host", host).send().await;
            get.unwrap().status().as_u16()
        };
        assert_eq!((get("evil.example").await, get("localhost:9464").await), (403, 200), "{path}");
    }
    metrics.stop().await;
    stub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_silent_connections_of_one_address_do_not_keep_another_ones_out() {
    let service = Service::start(options("crowd")).await.unwrap();
    let address: SocketAddr = service.base_url.strip_prefix("http://").unwrap().parse().unwrap();
    let mut silent = Vec::new();
    for _ in 0..1024 {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 2], 0))).unwrap();
        silent.push(tokio::time::timeout(Duration::from_secs(5), socket.connect(address)).await);
    }
    let asked = Instant::now();
    let health = http().get(format!("{}/healthz", service.base_url)).timeout(Duration::from_secs(1)).send().await;
    assert_eq!(health.map(|answer| answer.status().as_u16()).ok(), Some(200), "after {:?}", asked.elapsed());
    drop(silent);
    service.stop().await;
}
