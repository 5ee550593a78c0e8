//! WeChat's side of content safety: `msg_sec_check`, with the checks of the real one.

use domain::{ids::Timestamp, json};
use serde_json::{Value, json};

use super::{
    Reply,
    messages::{Messages, PlannedAnswer, PlannedCall},
};

/// WeChat's state of an openid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visitor {
    /// The Mini Program has no such user.
    Unknown,
    /// The user has not opened it within two hours.
    Away,
    /// The user has opened it within two hours.
    Here,
}

impl Messages {
    /// Answers `POST /wxa/msg_sec_check`. A marker in the text is the finding: `risky-20001` or `review-10001`, with the
    /// number of any label.
    pub(super) fn check(
        &self,
        token: Option<&str>,
        body: &[u8],
        visitor: impl Fn(&str) -> Visitor,
        now: Timestamp,
    ) -> Reply {
        let planned = self.state().planned.get(&PlannedCall::Check).and_then(|all| all.front().copied());
        self.as_planned(PlannedCall::Check, || {
            let mut state = self.state();
            if let Some(refusal) = state.refuses(token, now) {
                return refusal;
            }
            let Ok(body) = json::foreign::<Value>(body) else {
                return Reply::Errcode(47001, "data format error");
            };
            let content = body["content"].as_str().unwrap_or_default();
            if content.is_empty() || body["version"] != 2 {
                return Reply::Errcode(44002, "empty post data");
            }
            if content.chars().count() > 2500 {
                return Reply::Errcode(45002, "content size out of limit");
            }
            if !matches!(body["scene"].as_u64(), Some(1..=4)) {
                return Reply::Errcode(40129, "invalid scene");
            }
            match visitor(body["openid"].as_str().unwrap_or_default()) {
                Visitor::Unknown => return Reply::Errcode(40003, "invalid openid"),
                Visitor::Away => return Reply::Errcode(61010, "code is expired"),
                Visitor::Here => {}
            }
            state.checked.push(content.to_owned());
            let (suggest, label) = match planned {
                Some(PlannedAnswer::Pass) => ("pass", 100),
                Some(PlannedAnswer::Risky) => ("risky", 20001),
                Some(
                    PlannedAnswer::Errcode(_)
                    | PlannedAnswer::Html
                    | PlannedAnswer::Empty
                    | PlannedAnswer::BadGateway
                    | PlannedAnswer::Lost,
                )
                | None => opinion(content),
            };
            let detail =
                json!([{ "strategy": "content_model", "errcode": 0, "suggest": suggest, "label": label, "prob": 90 }]);
            let result = json!({ "suggest": suggest, "label": label });
            Reply::Json(
                json!({ "errcode": 0, "errmsg": "ok", "result": result, "detail": detail, "trace_id": "60ae120f" }),
            )
        })
    }

    /// The texts that were checked, in order.
    pub(super) fn checked(&self) -> Vec<String> {
        self.state().checked.clone()
    }
}

/// The strictest marker in a text: suggestion and label.
fn opinion(content: &str) -> (&'static str, u64) {
    let label = |word: &str| {
        let after = content.split_once(word)?.1;
        let digits = after.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(after.len());
        after[..digits].parse().ok()
    };
    let found =
        label("risky-").map(|label| ("risky", label)).or_else(|| label("review-").map(|label| ("review", label)));
    found.unwrap_or(("pass", 100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_risky_as_it_says() {
        for (text, expected) in [
            ("tea", ("pass", 100)),
            ("risky-20006", ("risky", 20006)),
            ("a review-10001, they say", ("review", 10001)),
            ("review-10001 and risky-20002", ("risky", 20002)),
            ("risky-", ("pass", 100)),
        ] {
            assert_eq!(opinion(text), expected, "{text}");
        }
    }
}
