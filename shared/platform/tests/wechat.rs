//! The WeChat client, tested with a local server that fails as WeChat and the network can.
#![allow(missing_docs, clippy::unwrap_used, reason = "in a test an unwrap is a failure")]

use std::{
    error::Error,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use platform::{
    runtime::{Random, Runtime, System},
    wechat::{LoginCode, OpenId, WechatClient, WechatError},
};
use secrecy::SecretString;

const APP_ID: &str = "wx0123456789abcdef";
const SECRET: &str = "the-app-secret&x=1";
const CODE: &str = "0a1B2c3D+/4e=";
const OPENID: &str = "oGZUI0egBJY1zhBYw2KhdUfwVJJE";
const SESSION_KEY: &str = "tiihtNczf5v6AKRyjwEUhQ==";
const SUCCESS: &str = r#"{"session_key":"tiihtNczf5v6AKRyjwEUhQ==","openid":"oGZUI0egBJY1zhBYw2KhdUfwVJJE"}"#;
const BUSY: &str = r#"{"errcode":-1,"errmsg":"system error rid: 60000000-00000000-00000004"}"#;

/// What the server does with one connection.
#[derive(Clone, Copy)]
enum Act {
    /// Answers one request and closes.
    Response { status: &'static str, content_type: &'static str, body: &'static str },
    /// Answers one request, says that the connection stays open, and closes it.
    AnswerAndLeave(&'static str),
    /// Redirects to itself.
    Redirect,
    /// Sends a body without end.
    Flood,
    /// Reads the request and closes without an answer: it may have been processed.
    Cut,
    /// Reads the request, sends half of an answer and closes.
    CutInBody,
    /// Closes with unread data, which resets the connection.
    Reset,
    /// Reads the request and never answers.
    Hang,
}

const fn answer(body: &'static str) -> Act {
    Act::Response { status: "200 OK", content_type: "text/plain", body }
}

/// Handles connections as the script says, then answers every request with success: a request that should not
/// have been repeated shows as a login.
struct FakeWechat {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl FakeWechat {
    fn start(script: &[Act]) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), script)
    }

    fn on(listener: TcpListener, script: &[Act]) -> Self {
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (script, recorded) = (script.to_vec(), requests.clone());
        thread::spawn(move || {
            let script = script.into_iter().chain(std::iter::repeat(answer(SUCCESS)));
            for (connection, act) in listener.incoming().zip(script) {
                // Some scripts expect the client to close first, so that is no error.
                let _ = play(connection.unwrap(), act, &recorded);
            }
        });
        Self { address, requests }
    }

    fn client(&self) -> WechatClient {
        WechatClient::new("tests", &format!("http://{}/", self.address), Runtime::system()).unwrap()
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn play(mut connection: TcpStream, act: Act, requests: &Mutex<Vec<String>>) -> std::io::Result<()> {
    if matches!(act, Act::Reset) {
        requests.lock().unwrap().push("reset".to_owned());
        return connection.read_exact(&mut [0]);
    }
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        connection.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    requests.lock().unwrap().push(String::from_utf8(head).unwrap());
    match act {
        Act::Response { status, content_type, body } => write!(
            connection,
            "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        ),
        Act::AnswerAndLeave(body) => {
            write!(connection, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        }
        Act::Redirect => {
            write!(connection, "HTTP/1.1 302 Found\r\nlocation: /sns/jscode2session\r\ncontent-length: 0\r\n\r\n")
        }
        Act::Flood => {
            write!(connection, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{{\"errmsg\":\"")?;
            loop {
                connection.write_all(&[b'a'; 4096])?;
            }
        }
        Act::CutInBody => write!(connection, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{{\"openid\":\"half"),
        Act::Hang => {
            thread::sleep(Duration::from_secs(30));
            Ok(())
        }
        Act::Cut | Act::Reset => Ok(()),
    }
}

async fn log_in(client: &WechatClient) -> Result<OpenId, WechatError> {
    let code = LoginCode::try_from(CODE.to_owned()).unwrap();
    let result = client.code_to_session(APP_ID, &SecretString::from(SECRET), &code).await;
    if let Err(error) = &result {
        assert_says_nothing(error);
    }
    result
}

/// Neither the error, nor any cause of it, in either form, has anything of the URL or of the answer.
fn assert_says_nothing(error: &WechatError) {
    let mut texts = vec![format!("{error} {error:?} {error:#?}")];
    let mut cause = error.source();
    while let Some(inner) = cause {
        texts.push(format!("{inner} {inner:?}"));
        cause = inner.source();
    }
    assert_nothing_secret(&texts.join("\n"));
}

fn assert_nothing_secret(text: &str) {
    for word in
        ["the-app-secret", "secret=", "jscode2session", "js_code", CODE, "0a1B2c3D", OPENID, SESSION_KEY, APP_ID]
    {
        assert!(!text.contains(word), "{word} in {text}");
    }
}

/// Serves `script`, logs in once, and returns the number of connections.
async fn outcome(script: &[Act]) -> (Result<OpenId, WechatError>, usize) {
    let wechat = FakeWechat::start(script);
    let result = log_in(&wechat.client()).await;
    (result, wechat.requests().len())
}

#[tokio::test]
async fn the_request_is_the_documented_one() {
    let wechat = FakeWechat::start(&[]);
    assert_eq!(log_in(&wechat.client()).await.unwrap().expose(), OPENID);
    let requests = wechat.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(
        requests[0].lines().next().unwrap(),
        "GET /sns/jscode2session?appid=wx0123456789abcdef&secret=the-app-secret%26x%3D1&js_code=0a1B2c3D%2B%2F4e%3D\
         &grant_type=authorization_code HTTP/1.1"
    );
}

#[tokio::test]
async fn success_is_an_openid_without_an_errcode() {
    for body in [
        SUCCESS,
        r#"{"openid":"oGZUI0egBJY1zhBYw2KhdUfwVJJE","session_key":"x","errcode":0,"errmsg":"ok"}"#,
        r#"{"openid":"oGZUI0egBJY1zhBYw2KhdUfwVJJE","session_key":"x","errcode":"0"}"#,
        r#"{"openid":"oGZUI0egBJY1zhBYw2KhdUfwVJJE","session_key":"x","errcode":null}"#,
        r#"{"session_key":"x","expires_in":7200,"openid":"oGZUI0egBJY1zhBYw2KhdUfwVJJE","unionid":"or4zX05h"}"#,
    ] {
        for content_type in ["text/plain", "application/json; charset=UTF-8", "text/html; charset=gbk", "image/png"] {
            let (result, _) = outcome(&[Act::Response { status: "200 OK", content_type, body }]).await;
            assert_eq!(result.unwrap().expose(), OPENID, "{content_type} {body}");
        }
    }
}

#[tokio::test]
async fn every_errcode_tells_the_caller_what_to_do() {
    type Expected = fn(&WechatError) -> bool;
    let rejected: Expected = |e| matches!(e, WechatError::CodeRejected { .. });
    let misconfigured: Expected = |e| matches!(e, WechatError::Misconfigured { .. });
    let cases: [(&str, Expected); 22] = [
        (r#"{"errcode":40029,"errmsg":"invalid code, rid: 617833f5-4d39a245-36d3a896"}"#, rejected),
        (r#"{"errcode":40163,"errmsg":"code been used, rid: 60000000-00000000-00000001"}"#, rejected),
        (r#"{"errcode":42003,"errmsg":"code expired"}"#, rejected),
        (r#"{"errcode":"40029","errmsg":"invalid code"}"#, rejected),
        (r#"{"errcode":40163,"openid":"oGZUI0egBJY1zhBYw2KhdUfwVJJE"}"#, rejected),
        (r#"{"errcode":40226,"errmsg":"code blocked rid: 60000000-00000000-00000003"}"#, |e| {
            matches!(e, WechatError::Blocked)
        }),
        (
            r#"{"errcode":45011,"errmsg":"api minute-quota reach limit"}"#,
            |e| matches!(e, WechatError::Limited { errcode: 45011, wait } if wait.as_secs() == 60),
        ),
        (
            r#"{"errcode":45009,"errmsg":"reach max api daily quota limit"}"#,
            |e| matches!(e, WechatError::Limited { errcode: 45009, wait } if wait.as_secs() == 3600),
        ),
        (r#"{"errcode":87007}"#, rejected),
        (r#"{"errcode":87009}"#, rejected),
        (r#"{"errcode":87008}"#, misconfigured),
        (r#"{"errcode":40013,"errmsg":"invalid appid"}"#, misconfigured),
        (r#"{"errcode":40097}"#, misconfigured),
        (r#"{"errcode":40125,"errmsg":"invalid appsecret, rid: 61783524-6e9fd6bc-59d4a1b8"}"#, misconfigured),
        (r#"{"errcode":40164,"errmsg":"invalid ip 203.0.113.9, not in whitelist"}"#, misconfigured),
        (r#"{"errcode":40243}"#, misconfigured),
        (r#"{"errcode":41002}"#, misconfigured),
        (r#"{"errcode":41004}"#, misconfigured),
        (r#"{"errcode":41008,"errmsg":"missing code, hints: [ req_id: QkacMBore-rt6w3 ]"}"#, misconfigured),
        (r#"{"errcode":48001}"#, |e| matches!(e, WechatError::Other { errcode: 48001 })),
        (r#"{"errcode":-2}"#, |e| matches!(e, WechatError::Other { errcode: -2 })),
        (r#"{"errcode":9223372036854775807}"#, |e| matches!(e, WechatError::Other { errcode: i64::MAX })),
    ];
    for (body, expected) in cases {
        let (result, requests) = outcome(&[answer(body)]).await;
        let error = result.unwrap_err();
        assert!(expected(&error), "{body}: {error:?}");
        assert_eq!(requests, 1, "{body}: only \"busy\" is repeated");
    }
}

#[tokio::test]
async fn an_answer_outside_the_protocol_is_unintelligible_and_not_repeated() {
    const HTML: &str = "<html><body>oGZUI0egBJY1zhBYw2KhdUfwVJJE</body></html>";
    let with_status = |status| Act::Response { status, content_type: "application/json", body: SUCCESS };
    for (name, act) in [
        ("html", Act::Response { status: "200 OK", content_type: "text/html", body: HTML }),
        ("empty", Act::Response { status: "200 OK", content_type: "text/html; charset=gbk", body: "" }),
        ("neither", answer("{}")),
        ("errcode 0 alone", answer(r#"{"errcode":0,"errmsg":"ok"}"#)),
        ("openid null", answer(r#"{"openid":null,"session_key":"x"}"#)),
        ("openid empty", answer(r#"{"openid":"","session_key":"x"}"#)),
        ("openid with a space", answer(r#"{"openid":"a b","session_key":"x"}"#)),
        ("openid a number", answer(r#"{"openid":7,"session_key":"x"}"#)),
        ("openid twice", answer(r#"{"openid":"a","openid":"b"}"#)),
        ("errcode a word", answer(r#"{"errcode":"busy"}"#)),
        ("errcode a fraction", answer(r#"{"errcode":0.5,"openid":"a"}"#)),
        ("errcode an object", answer(r#"{"errcode":{},"openid":"a"}"#)),
        ("array", answer(r#"["openid"]"#)),
        ("half", answer(r#"{"openid":"a"#)),
        ("two documents", answer(r#"{"openid":"a"}{"openid":"b"}"#)),
        ("502", with_status("502 Bad Gateway")),
        ("500", with_status("500 Internal Server Error")),
        ("404", with_status("404 Not Found")),
        ("redirect", Act::Redirect),
        ("oversize", Act::Flood),
    ] {
        let (result, requests) = outcome(&[act]).await;
        let error = result.unwrap_err();
        assert!(matches!(error, WechatError::Unintelligible { .. }), "{name}: {error:?}");
        assert_eq!(requests, 1, "{name}");
    }
}

#[tokio::test]
async fn a_lost_answer_is_never_asked_for_again() {
    for act in [Act::Cut, Act::CutInBody, Act::Reset] {
        let (result, requests) = outcome(&[act]).await;
        assert!(matches!(result.unwrap_err(), WechatError::Unreachable(_)));
        assert_eq!(requests, 1);
    }
}

#[tokio::test]
async fn a_slow_answer_is_given_up_in_time_and_not_asked_for_again() {
    let wechat = FakeWechat::start(&[Act::Hang]);
    let result =
        tokio::time::timeout(Duration::from_secs(8), log_in(&wechat.client())).await.expect("5 s are the limit");
    assert!(matches!(result.unwrap_err(), WechatError::Unreachable(error) if error.is_timeout()));
    assert_eq!(wechat.requests().len(), 1);
}

#[tokio::test]
async fn busy_is_asked_again_once() {
    let (result, requests) = outcome(&[answer(BUSY)]).await;
    assert_eq!(result.unwrap().expose(), OPENID);
    assert_eq!(requests, 2);

    let (result, requests) = outcome(&[answer(BUSY), answer(BUSY)]).await;
    assert!(matches!(result.unwrap_err(), WechatError::Busy));
    assert_eq!(requests, 2);

    let (result, requests) = outcome(&[answer(BUSY), Act::Cut]).await;
    assert!(matches!(result.unwrap_err(), WechatError::Unreachable(_)));
    assert_eq!(requests, 2);
}

#[tokio::test]
async fn a_refused_connection_ends_as_unreachable() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = WechatClient::new("tests", &format!("http://{address}"), Runtime::system()).unwrap();
    assert!(matches!(log_in(&client).await.unwrap_err(), WechatError::Unreachable(error) if error.is_connect()));
}

/// Starts the server at the moment when the client draws the jitter of its one repetition.
#[derive(Debug)]
struct ListensWhenAsked(SocketAddr);

impl Random for ListensWhenAsked {
    fn fill(&self, bytes: &mut [u8]) {
        FakeWechat::on(TcpListener::bind(self.0).unwrap(), &[]);
        bytes.fill(0);
    }
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_once() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let runtime = Runtime::new(Arc::new(System), Arc::new(ListensWhenAsked(address)));
    let client = WechatClient::new("tests", &format!("http://{address}"), runtime).unwrap();
    assert_eq!(log_in(&client).await.unwrap().expose(), OPENID);
}

#[tokio::test]
async fn a_pooled_connection_that_was_closed_meanwhile_fails_no_login() {
    let wechat = FakeWechat::start(&[Act::AnswerAndLeave(SUCCESS)]);
    let client = wechat.client();
    for _ in 0..2 {
        assert_eq!(log_in(&client).await.unwrap().expose(), OPENID);
        // Lets the client notice that the connection is gone.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(wechat.requests().len(), 2);
}

#[tokio::test]
async fn the_log_has_the_errcode_and_nothing_secret() {
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    const REFUSAL: &str =
        r#"{"errcode":40029,"errmsg":"oGZUI0egBJY1zhBYw2KhdUfwVJJE, rid: 617833f5-4d39a245-36d3a896"}"#;
    for act in [answer(SUCCESS), answer(REFUSAL), Act::Cut] {
        let _ = outcome(&[act]).await;
    }
    drop(guard);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("errcode=40029") && log.contains("617833f5-4d39a245-36d3a896"), "{log}");
    assert_nothing_secret(&log);
}

#[test]
fn a_base_url_that_is_none_stops_the_start() {
    assert!(WechatClient::new("tests", "api.weixin.qq.com", Runtime::system()).is_err());
}
