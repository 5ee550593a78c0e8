//! The account of the Mini Program at the stub: who has logged in, and the reply to each request.

use std::{
    collections::{HashMap, HashSet},
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
use serde_json::json;

use super::{AppSecrets, Reply, messages::Messages, openid, texts::Visitor};
use crate::emulation::loopback_guard::Hosts;

/// For how long after a login a user's texts are checked.
const VISIT_COUNTS: Duration = Duration::from_secs(2 * 3600);

#[derive(Clone)]
pub(super) struct Account {
    pub(super) app_id: String,
    pub(super) app_secrets: AppSecrets,
    pub(super) used: Arc<Mutex<HashSet<String>>>,
    /// The openids that have logged in, and when they last did.
    pub(super) known: Arc<Mutex<HashMap<String, Timestamp>>>,
    pub(super) asked: Arc<AtomicU64>,
    pub(super) messages: Arc<Messages>,
    pub(super) runtime: Runtime,
}

/// Closes the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the answer is lost, as planned")]
pub(super) struct LostAnswer;

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

/// The fields of a query string; none if it is not one.
fn fields(query: &str) -> HashMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://stub/?{query}"));
    url.map(|url| url.query_pairs().into_owned().collect()).unwrap_or_default()
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
}
