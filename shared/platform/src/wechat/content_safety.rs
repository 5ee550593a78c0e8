//! WeChat's check of texts, `msg_sec_check` version 2: the request, and what each errcode and each answer means.
//!
//! The request has an openid and a text. Neither is stored, logged or included in an error; of the answer, which quotes
//! the words that were found, only suggestion and label are read.

use domain::content_safety::{Label, Scene, Suggestion};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::{OpenId, WechatClient, number_or_text, post::PostAnswer};

/// What WeChat answered about a text of at most [`domain::content_safety::PIECE_AT_MOST`].
/// `docs/design/answers.md` has the same table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckAnswer {
    /// The text was checked.
    Checked(Suggestion, Label),
    /// The token is not valid, or no longer (40001, 40014, 42001): the text was not checked.
    TokenRefused,
    /// The text was not checked, or the answer is not known.
    Unchecked(Unchecked),
}

/// Why a text was not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unchecked {
    /// No connection, no answer, or none that can be read.
    Unreachable,
    /// -1: system busy; 44991, 45011: the quota of the minute is used up.
    Busy,
    /// 61010: the user has not opened the Mini Program within two hours.
    UserAway,
    /// 45009: the quota of the day is used up.
    Quota,
    /// 40003, 43104: the openid is not one of this Mini Program.
    UserUnknown,
    /// 40129, 43002, 44002, 47001: WeChat does not accept the request.
    RequestRefused,
    /// 48001: the Mini Program may not call this API.
    NotPermitted,
    /// A code that is not documented for this call.
    Other,
}

impl Unchecked {
    /// The stable code in log lines.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unreachable => "wechat_unreachable",
            Self::Busy => "wechat_busy",
            Self::UserAway => "user_away",
            Self::Quota => "quota",
            Self::UserUnknown => "user_unknown",
            Self::RequestRefused => "request_refused",
            Self::NotPermitted => "not_permitted",
            Self::Other => "refused",
        }
    }
}

impl CheckAnswer {
    /// What an errcode other than 0 means: the only place that has them.
    pub const fn of(errcode: i64) -> Self {
        match errcode {
            40001 | 40014 | 42001 => Self::TokenRefused,
            // The answer of the first version of the API about a text that violates a rule. Version 2 should not give it.
            87014 => Self::Checked(Suggestion::Risky, Label::Other),
            -1 | 44991 | 45011 => Self::Unchecked(Unchecked::Busy),
            61010 => Self::Unchecked(Unchecked::UserAway),
            45009 => Self::Unchecked(Unchecked::Quota),
            40003 | 43104 => Self::Unchecked(Unchecked::UserUnknown),
            40129 | 43002 | 44002 | 47001 => Self::Unchecked(Unchecked::RequestRefused),
            48001 => Self::Unchecked(Unchecked::NotPermitted),
            _ => Self::Unchecked(Unchecked::Other),
        }
    }
}

/// WeChat's number of a label.
const fn label(number: i64) -> Label {
    match number {
        100 => Label::Normal,
        10001 => Label::Advertising,
        20001 => Label::Politics,
        20002 => Label::Porn,
        20003 => Label::Abuse,
        20006 => Label::Crime,
        20008 => Label::Fraud,
        20012 => Label::Vulgar,
        20013 => Label::Copyright,
        // 21000, and numbers that WeChat may add.
        _ => Label::Other,
    }
}

/// WeChat's number of a scene.
const fn scene_number(scene: Scene) -> u8 {
    match scene {
        Scene::Comment => 2,
        Scene::Forum => 3,
        Scene::SocialLog => 4,
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default, deserialize_with = "number_or_text")]
    errcode: Option<i64>,
    errmsg: Option<String>,
    result: Option<CheckResult>,
}

#[derive(Deserialize)]
struct CheckResult {
    suggest: String,
    #[serde(default, deserialize_with = "number_or_text")]
    label: Option<i64>,
}

impl CheckResult {
    /// `None` for a suggestion that this version does not know: then the text counts as unchecked.
    fn read(&self) -> Option<CheckAnswer> {
        let suggestion = match self.suggest.as_str() {
            "pass" => Suggestion::Pass,
            "review" => Suggestion::Review,
            "risky" => Suggestion::Risky,
            _ => return None,
        };
        Some(CheckAnswer::Checked(suggestion, label(self.label.unwrap_or_default())))
    }
}

impl WechatClient {
    /// Has WeChat check one piece of a text that `user` wrote, or that a model wrote for them. One request, which a
    /// caller may repeat: it changes nothing.
    pub async fn check_text(&self, token: &SecretString, user: &OpenId, scene: Scene, text: &str) -> CheckAnswer {
        let mut url = self.check_text.clone();
        url.query_pairs_mut().append_pair("access_token", token.expose_secret());
        let body = json!({ "content": text, "version": 2, "scene": scene_number(scene), "openid": user.expose() });
        let unreadable = CheckAnswer::Unchecked(Unchecked::Unreachable);
        match self.post::<Answer>(url, &body).await {
            PostAnswer::NotSent | PostAnswer::Lost | PostAnswer::Answer(Answer { errcode: None, .. }) => unreadable,
            PostAnswer::Answer(Answer { errcode: Some(0), result, .. }) => {
                result.as_ref().and_then(CheckResult::read).unwrap_or(unreadable)
            }
            PostAnswer::Answer(Answer { errcode: Some(errcode), errmsg, .. }) => {
                self.report("msg_sec_check", errcode, errmsg.as_deref());
                CheckAnswer::of(errcode)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_errcode_of_the_page_is_decided_and_none_lets_a_text_pass() {
        let unchecked = CheckAnswer::Unchecked;
        for (errcode, expected) in [
            (40001, CheckAnswer::TokenRefused),
            (40014, CheckAnswer::TokenRefused),
            (42001, CheckAnswer::TokenRefused),
            (-1, unchecked(Unchecked::Busy)),
            (44991, unchecked(Unchecked::Busy)),
            (45011, unchecked(Unchecked::Busy)),
            (45009, unchecked(Unchecked::Quota)),
            (61010, unchecked(Unchecked::UserAway)),
            (40003, unchecked(Unchecked::UserUnknown)),
            (43104, unchecked(Unchecked::UserUnknown)),
            (40129, unchecked(Unchecked::RequestRefused)),
            (43002, unchecked(Unchecked::RequestRefused)),
            (44002, unchecked(Unchecked::RequestRefused)),
            (47001, unchecked(Unchecked::RequestRefused)),
            (48001, unchecked(Unchecked::NotPermitted)),
            (87014, CheckAnswer::Checked(Suggestion::Risky, Label::Other)),
            (99999, unchecked(Unchecked::Other)),
        ] {
            assert_eq!(CheckAnswer::of(errcode), expected, "{errcode}");
        }
    }

    #[test]
    fn the_samples_of_the_page_are_read() {
        let read = |text: &str| domain::json::foreign::<Answer>(text.as_bytes()).unwrap().result.unwrap().read();
        // WeChat's own sample: the result is what counts, not the details of one strategy.
        let risky = r#"{"errcode":0,"errmsg":"ok","result":{"suggest":"risky","label":20001},"detail":[{"strategy":"content_model","errcode":0,"suggest":"risky","label":20006,"prob":90},{"strategy":"keyword","errcode":0,"suggest":"pass","label":20006,"level":20,"keyword":"命中的关键词1"}],"trace_id":"60ae120f-371d5872-7941a05b"}"#;
        assert_eq!(read(risky), Some(CheckAnswer::Checked(Suggestion::Risky, Label::Politics)));
        for (suggest, number, expected) in [
            ("pass", "100", Some(CheckAnswer::Checked(Suggestion::Pass, Label::Normal))),
            ("review", "\"20002\"", Some(CheckAnswer::Checked(Suggestion::Review, Label::Porn))),
            ("risky", "29999", Some(CheckAnswer::Checked(Suggestion::Risky, Label::Other))),
            ("Pass", "100", None),
        ] {
            let answer = format!(r#"{{"errcode":0,"result":{{"suggest":"{suggest}","label":{number}}}}}"#);
            assert_eq!(read(&answer), expected, "{suggest}");
        }
    }
}
