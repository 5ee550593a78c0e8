//! WeChat's side of risk: `getUserRiskRank`, with the checks of the real one.

use std::net::IpAddr;

use domain::{ids::Timestamp, json};
use serde_json::{Value, json};

use super::{
    Reply,
    messages::{Messages, PlannedCall},
    texts::Visitor,
};

impl Messages {
    /// Answers `POST /wxa/getuserriskrank`. The rank of a user is 0 until a command sets another one.
    pub(super) fn rank(
        &self,
        app_id: &str,
        token: Option<&str>,
        body: &[u8],
        visitor: impl Fn(&str) -> Visitor,
        now: Timestamp,
    ) -> Reply {
        let body = json::foreign::<Value>(body);
        self.state().ranked.push(body.as_ref().cloned().unwrap_or_default());
        self.as_planned(PlannedCall::Risk, || {
            let state = self.state();
            if let Some(refusal) = state.refuses(token, now) {
                return refusal;
            }
            let Ok(body) = body else { return Reply::Errcode(47001, "data format error") };
            if !matches!(body["scene"].as_u64(), Some(0..=2)) {
                return Reply::Errcode(40129, "invalid scene");
            }
            if body["client_ip"].as_str().is_none_or(|address| address.parse::<IpAddr>().is_err()) {
                return Reply::Errcode(47001, "data format error");
            }
            let openid = body["openid"].as_str().unwrap_or_default();
            if body["appid"] != app_id {
                return Reply::Errcode(43104, "The openid does not match the appid");
            }
            match visitor(openid) {
                Visitor::Unknown => return Reply::Errcode(40003, "invalid openid"),
                Visitor::Away => return Reply::Errcode(61010, "code is expired"),
                Visitor::Here => {}
            }
            let rank = state.ranks.get(openid).copied().unwrap_or(0);
            Reply::Json(
                json!({ "errcode": 0, "errmsg": "getuserriskrank succ", "risk_rank": rank, "unoin_id": 123_456 }),
            )
        })
    }

    /// Sets the rank of a user.
    pub(super) fn set_rank(&self, openid: &str, rank: u64) {
        self.state().ranks.insert(openid.to_owned(), rank);
    }

    /// What it was asked about, in order.
    pub(super) fn ranked(&self) -> Vec<Value> {
        self.state().ranked.clone()
    }
}
