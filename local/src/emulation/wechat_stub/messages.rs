//! WeChat's side of subscribe messages: `stable_token` and `subscribeMessage.send`, with the checks of the real ones; and
//! the planned answers of every call with a token.
//!
//! The limits of values are repeated here, from WeChat's page: the stub would otherwise accept what the
//! service believes to be valid.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{ids::Timestamp, json};
use platform::runtime::Runtime;
use serde_json::{Value, json};

use super::{AppSecrets, Reply};

/// Lifetime of a token.
const TOKEN_LASTS: Duration = Duration::from_secs(7200);
const TOKEN_REFUSED: &str = "invalid credential, access_token is invalid or not latest, could get access_token by \
                             getStableAccessToken";

/// A call whose next answers can be planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PlannedCall {
    /// `POST /cgi-bin/stable_token`: `token`.
    Token,
    /// `POST /cgi-bin/message/subscribe/send`: `send`.
    Send,
    /// `POST /wxa/msg_sec_check`: `check`.
    Check,
    /// `POST /wxa/getuserriskrank`: `risk`.
    Risk,
}

/// A planned answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlannedAnswer {
    /// This errcode; the call has no effect.
    Errcode(i64),
    /// An HTML page; the call has no effect.
    Html,
    /// Nothing; the call has no effect.
    Empty,
    /// HTTP 502; the call has no effect.
    BadGateway,
    /// The call has its effect, and the connection is closed before the answer.
    Lost,
    /// A check finds nothing, whatever the text says. Another call has its effect.
    Pass,
    /// A check finds that the text violates a rule. Another call has its effect.
    Risky,
}

impl PlannedCall {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "token" => Some(Self::Token),
            "send" => Some(Self::Send),
            "check" => Some(Self::Check),
            "risk" => Some(Self::Risk),
            _ => None,
        }
    }
}

impl PlannedAnswer {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "html" => Some(Self::Html),
            "empty" => Some(Self::Empty),
            "502" => Some(Self::BadGateway),
            "lost" => Some(Self::Lost),
            "pass" => Some(Self::Pass),
            "risky" => Some(Self::Risky),
            number => number.parse().ok().map(Self::Errcode),
        }
    }
}

/// WeChat's state of the messages of one Mini Program.
#[derive(Debug, Default)]
pub(super) struct Messages(Mutex<State>);

#[derive(Debug, Default)]
pub(super) struct State {
    token: Option<(String, Timestamp)>,
    tokens_asked: u64,
    sends_asked: u64,
    credits: HashMap<(String, String), u32>,
    received: Vec<Value>,
    pub(super) planned: HashMap<PlannedCall, VecDeque<PlannedAnswer>>,
    pub(super) checked: Vec<String>,
    pub(super) ranks: HashMap<String, u64>,
    pub(super) ranked: Vec<Value>,
}

impl State {
    /// Why a call with this token is refused.
    pub(super) fn refuses(&self, token: Option<&str>, now: Timestamp) -> Option<Reply> {
        match (&self.token, token) {
            (Some((_, until)), _) if *until <= now => Some(Reply::Errcode(42001, "access_token expired")),
            (Some((valid, _)), Some(token)) if valid == token => None,
            _ => Some(Reply::Errcode(40001, TOKEN_REFUSED)),
        }
    }
}

impl Messages {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The user has accepted a template in a dialog: one message may be sent.
    pub(super) fn accept(&self, openid: &str, template_id: &str) {
        *self.state().credits.entry((openid.to_owned(), template_id.to_owned())).or_default() += 1;
    }

    /// Another caller forces a new token: the present one is not valid any more.
    pub(super) fn rotate_token(&self) {
        self.state().token = None;
    }

    pub(super) fn plan(&self, call: PlannedCall, answer: PlannedAnswer) {
        self.state().planned.entry(call).or_default().push_back(answer);
    }

    /// The messages that were taken, in order.
    pub(super) fn received(&self) -> Vec<Value> {
        self.state().received.clone()
    }

    /// How often a token was asked for, and how often a message was offered.
    pub(super) fn asked(&self) -> (u64, u64) {
        let state = self.state();
        (state.tokens_asked, state.sends_asked)
    }

    /// Answers `POST /cgi-bin/stable_token`.
    pub(super) fn token(&self, app_id: &str, app_secrets: &AppSecrets, body: &[u8], runtime: &Runtime) -> Reply {
        self.state().tokens_asked += 1;
        self.as_planned(PlannedCall::Token, || {
            let Ok(body) = json::foreign::<Value>(body) else {
                return Reply::Errcode(47001, "data format error");
            };
            if body["grant_type"] != "client_credential" {
                return Reply::Errcode(40002, "invalid grant_type");
            }
            if body["appid"] != app_id {
                return Reply::Errcode(40013, "invalid appid,");
            }
            if !body["secret"].as_str().is_some_and(|secret| app_secrets.hold(secret)) {
                return Reply::Errcode(40125, "invalid appsecret,");
            }
            let now = runtime.now();
            let mut state = self.state();
            let over = |(_, until): &(String, Timestamp)| *until <= now || now.plus(TOKEN_LASTS) < *until;
            if body["force_refresh"] == true || state.token.as_ref().is_none_or(over) {
                state.token = Some((format!("stub-{}", runtime.nonce()), now.plus(TOKEN_LASTS)));
            }
            let Some((token, until)) = &state.token else { return Reply::Errcode(-1, "system error") };
            Reply::Json(json!({"access_token": token, "expires_in": until.since(now).as_secs()}))
        })
    }

    /// Answers `POST /cgi-bin/message/subscribe/send`.
    pub(super) fn send(&self, token: Option<&str>, body: &[u8], knows: impl Fn(&str) -> bool, now: Timestamp) -> Reply {
        self.state().sends_asked += 1;
        self.as_planned(PlannedCall::Send, || {
            let mut state = self.state();
            if let Some(refusal) = state.refuses(token, now) {
                return refusal;
            }
            let Ok(message) = json::foreign::<Value>(body) else {
                return Reply::Errcode(47001, "data format error");
            };
            let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
            let (openid, template) = (text("touser"), text("template_id"));
            if !knows(&openid) {
                return Reply::Errcode(40003, "invalid openid");
            }
            if template.is_empty() {
                return Reply::Errcode(40037, "invalid template_id");
            }
            if text("page").starts_with('/') {
                return Reply::Errcode(41030, "invalid page");
            }
            let fields = message["data"].as_object().cloned().unwrap_or_default();
            let valid =
                |(key, field): (&String, &Value)| field["value"].as_str().is_some_and(|value| takes(key, value));
            if fields.is_empty() || !fields.iter().all(valid) {
                return Reply::Errcode(47003, "argument invalid! data value invalid");
            }
            match state.credits.get_mut(&(openid, template)) {
                Some(credits) if *credits > 0 => *credits -= 1,
                _ => return Reply::Errcode(43101, "user refuse to accept the msg"),
            }
            state.received.push(message);
            Reply::Json(json!({"errcode": 0, "errmsg": "ok"}))
        })
    }

    /// The next planned answer of the call, or what it does by itself.
    pub(super) fn as_planned(&self, call: PlannedCall, act: impl FnOnce() -> Reply) -> Reply {
        let planned = self.state().planned.get_mut(&call).and_then(VecDeque::pop_front);
        match planned {
            None | Some(PlannedAnswer::Pass | PlannedAnswer::Risky) => act(),
            Some(PlannedAnswer::Errcode(code)) => Reply::Errcode(code, "as planned"),
            Some(PlannedAnswer::Html) => Reply::Html,
            Some(PlannedAnswer::Empty) => Reply::Empty,
            Some(PlannedAnswer::BadGateway) => Reply::BadGateway,
            Some(PlannedAnswer::Lost) => {
                act();
                Reply::Lost
            }
        }
    }

    /// Commands for tests: `POST /stub/answers`, `/stub/accept`, `/stub/rotate`, `/stub/risk`; `GET /stub/messages`.
    pub(super) fn order(&self, path: &str, body: &[u8], openid: impl Fn(&str) -> String) -> Option<Value> {
        let body: Value = json::foreign(body).unwrap_or_default();
        match path {
            "/stub/answers" => {
                let call = PlannedCall::parse(body["call"].as_str()?)?;
                self.plan(call, PlannedAnswer::parse(body["answer"].as_str()?)?);
            }
            "/stub/accept" => self.accept(&openid(body["user"].as_str()?), body["template_id"].as_str()?),
            "/stub/risk" => self.set_rank(&openid(body["user"].as_str()?), body["rank"].as_u64()?),
            "/stub/rotate" => self.rotate_token(),
            "/stub/messages" => {}
            _ => return None,
        }
        Some(json!({ "messages": self.received() }))
    }
}

/// Whether WeChat takes a value for a field, by the table of its page.
fn takes(key: &str, value: &str) -> bool {
    let length = value.chars().count();
    let han = |sign: char| ('\u{4e00}'..='\u{9fff}').contains(&sign) || ('\u{3400}'..='\u{4dbf}').contains(&sign);
    let all = |most: usize, fits: &dyn Fn(char) -> bool| (1..=most).contains(&length) && value.chars().all(fits);
    let kind = key.trim_end_matches(|sign: char| sign.is_ascii_digit());
    let plain = value.trim() == value && !value.chars().any(char::is_control);
    plain
        && match kind {
            "thing" => all(20, &|_| true),
            "phrase" => all(5, &han),
            "character_string" => all(32, &|sign| sign.is_ascii_graphic()),
            "letter" => all(32, &|sign| sign.is_ascii_alphabetic()),
            "number" => all(32, &|sign| sign.is_ascii_digit() || sign == '.'),
            "symbol" => all(5, &|sign| sign.is_ascii_punctuation()),
            "name" => all(if value.chars().any(han) { 10 } else { 20 }, &|_| true),
            "time" | "date" => {
                value.contains(':') && all(20, &|sign| sign.is_ascii_digit() || "年月日 :-/.~".contains(sign))
            }
            _ => false,
        }
}
