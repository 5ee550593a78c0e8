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
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use domain::ids::Digest;
use platform::runtime::Runtime;
use serde_json::Value;

use crate::emulation::listener::{self, BindError, Server};

mod account;
mod messages;
mod risk;
mod texts;

use account::Account;
use messages::Messages;
pub use messages::{PlannedAnswer, PlannedCall};

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

/// The openid of a name: 28 characters, always the same, and different for every app.
pub fn openid(app_id: &str, name: &str) -> String {
    let digest = Digest::sha256(format!("{app_id}\n{name}").as_bytes()).to_string();
    format!("o{}", digest.get(..27).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_openid_is_stable_and_of_the_usual_length() {
        assert_eq!(openid("app", "alice"), openid("app", "alice"));
        assert_ne!(openid("app", "alice"), openid("other", "alice"));
        assert_eq!(openid("app", "alice").len(), 28);
    }
}
