//! WeChat's API for development, on loopback, under `--dev` and in rehearsals only: `GET /sns/jscode2session`,
//! `POST /cgi-bin/stable_token`, `POST /cgi-bin/message/subscribe/send`, `POST /wxa/msg_sec_check` and
//! `POST /wxa/getuserriskrank`.
//!
//! | code | answer |
//! |---|---|
//! | `dev-<name>` | logs that name in, again and again |
//! | `dev-<name>.<nonce>` | logs that name in once, then errcode 40163, as a real code does |
//! | `dev-busy` `dev-blocked` `dev-limited` `dev-quota` `dev-expired` | errcode -1, 40226, 45011, 45009, 42003 |
//! | `dev-html` `dev-empty` `dev-500` `dev-slow` | an HTML page, nothing, HTTP 502, no answer at all |
//! | anything else | errcode 40029 |
//!
//! Answers are HTTP 200 with JSON as `text/plain`, as WeChat's are. `docs/api/push.md` shows how to plan the next answers,
//! and to let a user accept a template, from the command line.

use std::{
    collections::{HashMap, HashSet},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::ids::{Digest, Timestamp};
use http::{Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use platform::runtime::Runtime;
use serde_json::{Value, json};

use crate::emulation::{
    listener::{self, BindError, Server},
    loopback_guard::Hosts,
};

mod messages;
mod risk;
mod texts;

use messages::Messages;
pub use messages::{PlannedAnswer, PlannedCall};
use texts::Visitor;

/// For how long after a login a user's texts are checked.
const VISIT_COUNTS: Duration = Duration::from_secs(2 * 3600);

/// The app id that the stub accepts with `--dev`.
pub const DEV_APP_ID: &str = "wx00000000000000de";

/// The app secrets that the stub accepts.
#[derive(Clone)]
pub enum AppSecrets {
    /// This one secret.
    One(String),
    /// Those in a file, one on each line. The file is read for every request, so that a secret can be reset as in
    /// WeChat's console.
    File(PathBuf),
}

/// A running stub.
#[derive(Debug)]
pub struct WechatStub {
    server: Server,
    asked: Arc<AtomicU64>,
    app_id: String,
    messages: Arc<Messages>,
}

impl WechatStub {
    /// Starts the stub on `port`; 0 takes a free port.
    pub async fn start(app_id: &str, app_secret: &str, port: u16, runtime: Runtime) -> Result<Self, BindError> {
        Self::with_secrets(app_id, AppSecrets::One(app_secret.to_owned()), (port, "--wechat-port"), runtime).await
    }

    /// The same with any secrets. The port comes with the option that changes it, for the error when it is taken.
    pub async fn with_secrets(
        app_id: &str,
        app_secrets: AppSecrets,
        (port, flag): (u16, &'static str),
        runtime: Runtime,
    ) -> Result<Self, BindError> {
        let listener = listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), flag).await?;
        let asked = Arc::new(AtomicU64::new(0));
        let (app_id, messages) = (app_id.to_owned(), Arc::<Messages>::default());
        let account = Account {
            app_id: app_id.clone(),
            app_secrets,
            used: Arc::default(),
            known: Arc::default(),
            asked: asked.clone(),
            messages: messages.clone(),
            runtime,
        };
        Ok(Self { server: listener::serve(listener, move |_| account.clone()), asked, app_id, messages })
    }

    /// A user accepts a template in a dialog: one more message is permitted.
    pub fn accept(&self, name: &str, template_id: &str) {
        self.messages.accept(&openid(&self.app_id, name), template_id);
    }

    /// Another caller forces a new access token.
    pub fn rotate_token(&self) {
        self.messages.rotate_token();
    }

    /// Plans the next answer of a call, after those that are planned already.
    pub fn plan(&self, call: PlannedCall, answer: PlannedAnswer) {
        self.messages.plan(call, answer);
    }

    /// The messages that it has taken.
    pub fn messages(&self) -> Vec<Value> {
        self.messages.received()
    }

    /// How often a token was asked for, and how often a message was offered.
    pub fn messages_asked(&self) -> (u64, u64) {
        self.messages.asked()
    }

    /// The texts that it has checked, in order.
    pub fn checked(&self) -> Vec<String> {
        self.messages.checked()
    }

    /// Sets the rank of a user's risk, which is 0 otherwise.
    pub fn set_rank(&self, name: &str, rank: u64) {
        self.messages.set_rank(&openid(&self.app_id, name), rank);
    }

    /// The requests about the risk of users, in order.
    pub fn ranked(&self) -> Vec<Value> {
        self.messages.ranked()
    }

    /// The value for WeChat's base URL.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// How many codes it was asked about.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    /// Stops the stub.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

#[derive(Clone)]
struct Account {
    app_id: String,
    app_secrets: AppSecrets,
    used: Arc<Mutex<HashSet<String>>>,
    /// The openids that have logged in, and when they last did.
    known: Arc<Mutex<HashMap<String, Timestamp>>>,
    asked: Arc<AtomicU64>,
    messages: Arc<Messages>,
    runtime: Runtime,
}

/// Closes the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the answer is lost, as planned")]
struct LostAnswer;

/// A response of the stub.
#[derive(Debug, PartialEq, Eq)]
enum Reply {
    Login(String),
    Json(Value),
    Errcode(i64, &'static str),
    Html,
    Empty,
    BadGateway,
    Never,
    Lost,
}

impl hyper::service::Service<http::Request<Incoming>> for Account {
    type Response = Response<Full<Bytes>>;
    type Error = LostAnswer;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, LostAnswer>> + Send>>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        let account = self.clone();
        Box::pin(async move {
            if !Hosts::Loopback.admit(&request) {
                return Ok(respond(StatusCode::FORBIDDEN, "text/plain", String::new()));
            }
            let Some(reply) = account.route(request).await else {
                return Ok(respond(StatusCode::NOT_FOUND, "text/plain", String::new()));
            };
            Ok(match reply {
                Reply::Login(name) => respond(StatusCode::OK, "text/plain", account.login(&name)),
                Reply::Json(body) => respond(StatusCode::OK, "text/plain", body.to_string()),
                Reply::Lost => return Err(LostAnswer),
                Reply::Errcode(code, message) => {
                    let rid = Digest::sha256(account.runtime.nonce().as_bytes()).to_string();
                    let errmsg = format!("{message} rid: {}", rid.get(..8).unwrap_or_default());
                    respond(StatusCode::OK, "text/plain", json!({"errcode": code, "errmsg": errmsg}).to_string())
                }
                Reply::Html => respond(StatusCode::OK, "text/html; charset=gbk", "<html>502</html>".to_owned()),
                Reply::Empty => respond(StatusCode::OK, "text/html; charset=gbk", String::new()),
                Reply::BadGateway => respond(StatusCode::BAD_GATEWAY, "text/html", "<html>502</html>".to_owned()),
                Reply::Never => std::future::pending().await,
            })
        })
    }
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

impl AppSecrets {
    /// Whether the secret is accepted. A file that cannot be read accepts none.
    fn hold(&self, secret: &str) -> bool {
        match self {
            Self::One(right) => secret == right,
            Self::File(file) => {
                std::fs::read_to_string(file).is_ok_and(|text| text.lines().any(|right| right.trim() == secret))
            }
        }
    }
}

/// The fields of a query string. The values that this service sends need no percent encoding, but a client may encode
/// more than it must.
fn fields(query: &str) -> HashMap<&str, String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name, unescape(value))).collect()
}

impl Account {
    /// The reply to a request; `None` for a path that the stub does not have.
    async fn route(&self, request: http::Request<Incoming>) -> Option<Reply> {
        let (head, body) = request.into_parts();
        let query = head.uri.query().unwrap_or_default().to_owned();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        match head.uri.path() {
            "/sns/jscode2session" => {
                self.asked.fetch_add(1, Ordering::SeqCst);
                Some(self.reply(&query))
            }
            "/cgi-bin/stable_token" => Some(self.messages.token(&self.app_id, &self.app_secrets, &body, &self.runtime)),
            "/cgi-bin/message/subscribe/send" => {
                let token = fields(&query).remove("access_token");
                let knows = |openid: &str| self.known().contains_key(openid);
                Some(self.messages.send(token.as_deref(), &body, knows, self.runtime.now()))
            }
            "/wxa/msg_sec_check" => {
                let (token, now) = (fields(&query).remove("access_token"), self.runtime.now());
                Some(self.messages.check(token.as_deref(), &body, |openid| self.visitor(openid, now), now))
            }
            "/wxa/getuserriskrank" => {
                let (token, now) = (fields(&query).remove("access_token"), self.runtime.now());
                let visitor = |openid: &str| self.visitor(openid, now);
                Some(self.messages.rank(&self.app_id, token.as_deref(), &body, visitor, now))
            }
            path => self.messages.order(path, &body, |name| openid(&self.app_id, name)).map(Reply::Json),
        }
    }

    fn visitor(&self, openid: &str, now: Timestamp) -> Visitor {
        match self.known().get(openid) {
            None => Visitor::Unknown,
            Some(login) if now >= login.plus(VISIT_COUNTS) => Visitor::Away,
            Some(_) => Visitor::Here,
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Timestamp>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The response to a query string.
    fn reply(&self, query: &str) -> Reply {
        let fields = fields(query);
        let field = |name| fields.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let (Some(app_id), Some(secret)) = (field("appid"), field("secret")) else {
            return if field("appid").is_none() {
                Reply::Errcode(41002, "appid missing,")
            } else {
                Reply::Errcode(41004, "appsecret missing,")
            };
        };
        let Some(code) = field("js_code") else { return Reply::Errcode(41008, "missing code,") };
        if app_id != self.app_id {
            return Reply::Errcode(40013, "invalid appid,");
        }
        if !self.app_secrets.hold(secret) {
            return Reply::Errcode(40125, "invalid appsecret,");
        }
        self.code(code)
    }

    fn code(&self, code: &str) -> Reply {
        let plain = |text: &str| {
            (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let Some(rest) = code.strip_prefix("dev-") else { return Reply::Errcode(40029, "invalid code,") };
        let (name, nonce) = rest.split_once('.').map_or((rest, None), |(name, nonce)| (name, Some(nonce)));
        if !plain(name) || nonce.is_some_and(|nonce| !plain(nonce)) {
            return Reply::Errcode(40029, "invalid code,");
        }
        match name {
            "busy" => return Reply::Errcode(-1, "system error"),
            "blocked" => return Reply::Errcode(40226, "code blocked"),
            "limited" => return Reply::Errcode(45011, "api minute-quota reach limit, must slower, retry next minute"),
            "quota" => return Reply::Errcode(45009, "reach max api daily quota limit"),
            "expired" => return Reply::Errcode(42003, "code expired,"),
            "html" => return Reply::Html,
            "empty" => return Reply::Empty,
            "500" => return Reply::BadGateway,
            "slow" => return Reply::Never,
            _ => {}
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if nonce.is_some() && !used.insert(code.to_owned()) {
            return Reply::Errcode(40163, "code been used,");
        }
        Reply::Login(name.to_owned())
    }

    fn login(&self, name: &str) -> String {
        let openid = openid(&self.app_id, name);
        self.known().insert(openid.clone(), self.runtime.now());
        json!({"session_key": STANDARD.encode(self.runtime.bytes::<16>()), "openid": openid}).to_string()
    }
}

/// The openid of a name: 28 characters, always the same, and different for every app.
pub fn openid(app_id: &str, name: &str) -> String {
    let digest = Digest::sha256(format!("{app_id}\n{name}").as_bytes()).to_string();
    format!("o{}", digest.get(..27).unwrap_or_default())
}

/// Decodes percent encoding.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match hex.filter(|_| first == b'%').and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(if first == b'+' { b' ' } else { first });
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account {
            app_id: "app".into(),
            app_secrets: AppSecrets::One("s".into()),
            used: Arc::default(),
            known: Arc::default(),
            asked: Arc::default(),
            messages: Arc::default(),
            runtime: Runtime::system(),
        }
    }

    fn errcode(reply: &Reply) -> i64 {
        match reply {
            Reply::Errcode(code, _) => *code,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_code_gets_what_wechat_would_answer() {
        let account = account();
        for (code, expected) in [
            ("dev-busy", -1),
            ("dev-blocked", 40226),
            ("dev-limited", 45011),
            ("dev-quota", 45009),
            ("dev-expired", 42003),
            ("dev-", 40029),
            ("dev-a.b.c", 40029),
            ("dev-a b", 40029),
            ("dev-a.", 40029),
            ("0a1b2c", 40029),
        ] {
            assert_eq!(errcode(&account.code(code)), expected, "{code}");
        }
    }

    #[test]
    fn a_code_with_a_nonce_works_once_and_one_without_for_ever() {
        let account = account();
        for _ in 0..2 {
            assert_eq!(account.code("dev-alice"), Reply::Login("alice".to_owned()));
        }
        assert_eq!(account.code("dev-alice.1"), Reply::Login("alice".to_owned()));
        assert_eq!(errcode(&account.code("dev-alice.1")), 40163);
        assert_eq!(account.code("dev-alice.2"), Reply::Login("alice".to_owned()));
    }

    #[test]
    fn an_incomplete_query_is_answered_with_what_is_missing() {
        let account = account();
        for (query, expected) in [
            ("", 41002),
            ("appid=app", 41004),
            ("appid=app&secret=s", 41008),
            ("appid=app&secret=s&js_code=", 41008),
            ("appid=other&secret=s&js_code=dev-a", 40013),
            ("appid=app&secret=wrong&js_code=dev-a", 40125),
        ] {
            assert_eq!(errcode(&account.reply(query)), expected, "{query}");
        }
        assert_eq!(account.reply("appid=app&secret=%73&js_code=dev%2Da"), Reply::Login("a".to_owned()));
    }

    #[test]
    fn an_openid_is_stable_and_of_the_usual_length() {
        assert_eq!(openid("app", "alice"), openid("app", "alice"));
        assert_ne!(openid("app", "alice"), openid("other", "alice"));
        assert_eq!(openid("app", "alice").len(), 28);
    }
}
