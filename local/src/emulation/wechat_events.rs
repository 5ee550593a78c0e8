//! WeChat's side of message push, for development and tests: messages as WeChat writes them, signed with the token of
//! the secrets document, and encrypted if that has a key for safe mode.

use domain::ids::Timestamp;
use platform::{
    runtime::Runtime,
    wechat::events::{
        EncodingAesKey,
        envelope::{self, NotAnAesKey},
        signature,
    },
};
use serde_json::{Value, json};

use crate::emulation::wechat_stub::openid;

/// Id of the account that a message is sent to.
const ACCOUNT: &str = "gh_97417a04a28d";
/// A template that the sample messages name.
const TEMPLATE: &str = "hD-ixGOhYmUfjOnI8MCzQMPshzGVeux_2vzyvQu7O68";

/// Format of the messages, as chosen in WeChat's console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// JSON.
    Json,
    /// XML.
    Xml,
}

/// A kind of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// The user accepted a template in a dialog
    Accept,
    /// The user refused a template in a dialog
    Reject,
    /// The user switched a template off later
    Change,
    /// A message was delivered
    Sent,
    /// The user withdrew the consent to the use of personal data
    Revoke,
    /// The user deleted the account at WeChat
    Cancel,
    /// The result of a check of a picture
    Media,
    /// A message that the service does not know
    Unknown,
}

impl Kind {
    /// The message about this user of the WeChat stub.
    pub fn message(self, format: Format, app_id: &str, user: &str, at: Timestamp) -> String {
        let user = openid(app_id, user);
        let fields = self.fields(app_id, &user);
        let mut message = json!({
            "ToUserName": ACCOUNT,
            "FromUserName": user,
            "CreateTime": at.millis() / 1000,
            "MsgType": "event",
        });
        if let (Value::Object(all), Value::Object(more)) = (&mut message, fields) {
            all.extend(more);
        }
        match format {
            Format::Json => message.to_string(),
            Format::Xml => xml(&message),
        }
    }

    fn fields(self, app_id: &str, user: &str) -> Value {
        let answer = |status: &str| json!({"TemplateId": TEMPLATE, "SubscribeStatusString": status, "PopupScene": "0"});
        let whole_user = |event: &str| json!({"Event": event, "OpenID": user, "AppID": app_id, "RevokeInfo": "1"});
        match self {
            Self::Accept => json!({"Event": "subscribe_msg_popup_event", "List": answer("accept")}),
            Self::Reject => json!({"Event": "subscribe_msg_popup_event", "List": answer("reject")}),
            Self::Change => json!({"Event": "subscribe_msg_change_event", "List": answer("reject")}),
            Self::Sent => json!({
                "Event": "subscribe_msg_sent_event",
                "List": {"TemplateId": TEMPLATE, "MsgID": "1700827132819554304", "ErrorCode": "0", "ErrorStatus": "success"},
            }),
            Self::Revoke => whole_user("user_authorization_revoke"),
            Self::Cancel => whole_user("user_authorization_cancellation"),
            Self::Media => json!({
                "Event": "wxa_media_check",
                "appid": app_id,
                "trace_id": "60ae120f-371d5872-7941a05b",
                "version": 2,
                "errcode": 0,
                "errmsg": "ok",
                "result": {"suggest": "pass", "label": 100},
            }),
            Self::Unknown => json!({"Event": "debug_demo", "debug_str": "hello world"}),
        }
    }
}

/// The message in XML: one element for each member, and for each entry of an array.
fn xml(message: &Value) -> String {
    fn element(name: &str, value: &Value, out: &mut String) {
        match value {
            Value::Array(all) => all.iter().for_each(|one| element(name, one, out)),
            Value::Object(members) => {
                out.push_str(&format!("<{name}>"));
                members.iter().for_each(|(name, value)| element(name, value, out));
                out.push_str(&format!("</{name}>"));
            }
            Value::String(text) => out.push_str(&format!("<{name}><![CDATA[{text}]]></{name}>")),
            Value::Null | Value::Bool(_) | Value::Number(_) => out.push_str(&format!("<{name}>{value}</{name}>")),
        }
    }
    let mut out = String::new();
    element("xml", message, &mut out);
    out
}

/// The settings of message push in WeChat's console.
#[derive(Debug)]
pub struct PushSettings {
    /// Token.
    pub token: String,
    /// `EncodingAESKey`; `None` is plain mode.
    pub key: Option<EncodingAesKey>,
    /// The Mini Program.
    pub app_id: String,
}

/// The secrets document has no settings of message push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoSettings {
    /// There is no `wechat.events`.
    #[error("the secrets document has no wechat.events with a token, so the service accepts no message")]
    Absent,
    /// The key is malformed.
    #[error(transparent)]
    Key(#[from] NotAnAesKey),
}

/// A push: query and body of the `POST`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// Seconds since 1970.
    pub timestamp: String,
    /// Random text.
    pub nonce: String,
    /// Signature of time and nonce.
    pub signature: String,
    /// Signature of time, nonce and encrypted message; `None` in plain mode.
    pub msg_signature: Option<String>,
    /// The body.
    pub body: String,
}

impl PushSettings {
    /// The first token and key of a secrets document.
    pub fn of(document: &Value, app_id: &str) -> Result<Self, NoSettings> {
        let first = |list: &str| document.pointer(&format!("/wechat/events/{list}/0")).and_then(Value::as_str);
        let token = first("tokens").ok_or(NoSettings::Absent)?.to_owned();
        let key = first("encoding_aes_keys").map(|key| EncodingAesKey::try_from(key.to_owned())).transpose()?;
        Ok(Self { token, key, app_id: app_id.to_owned() })
    }

    /// The push of a message at this time.
    pub fn push(&self, message: &str, at: Timestamp, runtime: &Runtime) -> Push {
        let timestamp = (at.millis() / 1000).to_string();
        let nonce = (runtime.number() % 10_000_000_000).to_string();
        let signature = signature::sign(&self.token, &[&timestamp, &nonce]);
        let Some(key) = &self.key else {
            return Push { timestamp, nonce, signature, msg_signature: None, body: message.to_owned() };
        };
        let encrypted = envelope::seal(message.as_bytes(), &self.app_id, runtime.bytes(), key);
        let msg_signature = Some(signature::sign(&self.token, &[&timestamp, &nonce, &encrypted]));
        let envelope = json!({"ToUserName": ACCOUNT, "Encrypt": encrypted});
        let body = if message.starts_with('<') { xml(&envelope) } else { envelope.to_string() };
        Push { timestamp, nonce, signature, msg_signature, body }
    }
}

impl Push {
    /// Path and query of the `POST`.
    pub fn path(&self) -> String {
        let Self { timestamp, nonce, signature, msg_signature, .. } = self;
        let encrypted = msg_signature.as_ref().map(|own| format!("&encrypt_type=aes&msg_signature={own}"));
        format!(
            "/v1/wechat/events?signature={signature}&timestamp={timestamp}&nonce={nonce}{}",
            encrypted.unwrap_or_default()
        )
    }
}
