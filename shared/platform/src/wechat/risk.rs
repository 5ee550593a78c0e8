//! WeChat's opinion about the risk of a user, `getUserRiskRank`: the request, and what each errcode and each answer means.
//!
//! The request has an openid and the address of a client. Neither is stored, logged or included in an error.

use std::net::IpAddr;

use domain::risk::{RiskRank, RiskScene};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::{OpenId, WechatClient, number_or_text, post::PostAnswer};

/// What WeChat answered about a user. `docs/design/answers.md` has the same table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RiskAnswer {
    /// The user's rank.
    Ranked(RiskRank),
    /// The token is not valid, or no longer (40001, 40014, 42001): the user was not ranked.
    TokenRefused,
    /// There is no rank.
    Unranked(Unranked),
}

/// Why there is no rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unranked {
    /// No connection, no answer, or none that can be read.
    Unreachable,
    /// -1, 61080: busy or out of order; 45011, 61081: asked too often.
    Busy,
    /// 45009: the quota of the day is used up; 9410009: that of a Mini Program which tries the call out.
    Quota,
    /// 40003, 43104: the openid is not one of this Mini Program; 61010: the user has not opened it within two hours.
    UserUnknown,
    /// 40129, 41001, 43002, 44002, 47001: WeChat does not accept the request.
    RequestRefused,
    /// 48001, 61007: the Mini Program may not call this API.
    NotPermitted,
    /// A code that is not documented for this call.
    Other,
}

impl Unranked {
    /// The stable code in log lines.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unreachable => "wechat_unreachable",
            Self::Busy => "wechat_busy",
            Self::Quota => "quota",
            Self::UserUnknown => "user_unknown",
            Self::RequestRefused => "request_refused",
            Self::NotPermitted => "not_permitted",
            Self::Other => "refused",
        }
    }

    /// Whether only an operator can help: a setting of this service, or its standing at WeChat, is wrong.
    pub const fn needs_an_operator(self) -> bool {
        match self {
            Self::RequestRefused | Self::NotPermitted | Self::Other => true,
            Self::Unreachable | Self::Busy | Self::Quota | Self::UserUnknown => false,
        }
    }
}

impl RiskAnswer {
    /// What an errcode other than 0 means: the only place that has them.
    pub const fn of(errcode: i64) -> Self {
        Self::Unranked(match errcode {
            40001 | 40014 | 42001 => return Self::TokenRefused,
            -1 | 45011 | 61080 | 61081 => Unranked::Busy,
            45009 | 9_410_009 => Unranked::Quota,
            40003 | 43104 | 61010 => Unranked::UserUnknown,
            40129 | 41001 | 43002 | 44002 | 47001 => Unranked::RequestRefused,
            48001 | 61007 => Unranked::NotPermitted,
            _ => Unranked::Other,
        })
    }
}

/// WeChat's number of a scene.
const fn scene_number(scene: RiskScene) -> u8 {
    match scene {
        RiskScene::Register => 0,
        RiskScene::Marketing => 1,
        RiskScene::Content => 2,
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default, deserialize_with = "number_or_text")]
    errcode: Option<i64>,
    errmsg: Option<String>,
    #[serde(default, deserialize_with = "number_or_text")]
    risk_rank: Option<i64>,
}

impl WechatClient {
    /// Has WeChat rank the risk of a user who comes from this address. One request, which a caller may repeat: it changes
    /// nothing.
    pub async fn rank_risk(
        &self,
        token: &SecretString,
        app_id: &str,
        user: &OpenId,
        (scene, address): (RiskScene, IpAddr),
    ) -> RiskAnswer {
        let mut url = self.rank_risk.clone();
        url.query_pairs_mut().append_pair("access_token", token.expose_secret());
        let body = json!({
            "appid": app_id,
            "openid": user.expose(),
            "scene": scene_number(scene),
            "client_ip": address.to_canonical().to_string(),
        });
        let unreadable = RiskAnswer::Unranked(Unranked::Unreachable);
        match self.post::<Answer>(url, &body).await {
            PostAnswer::NotSent | PostAnswer::Lost | PostAnswer::Answer(Answer { errcode: None, .. }) => unreadable,
            PostAnswer::Answer(Answer { errcode: Some(0), risk_rank, .. }) => {
                risk_rank.and_then(RiskRank::new).map_or(unreadable, RiskAnswer::Ranked)
            }
            PostAnswer::Answer(Answer { errcode: Some(errcode), errmsg, .. }) => {
                self.report("getuserriskrank", errcode, errmsg.as_deref());
                RiskAnswer::of(errcode)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_errcode_of_the_page_is_decided_and_none_is_a_rank() {
        for (errcodes, expected) in [
            (vec![40001, 40014, 42001], RiskAnswer::TokenRefused),
            (vec![-1, 45011, 61080, 61081], RiskAnswer::Unranked(Unranked::Busy)),
            (vec![45009, 9_410_009], RiskAnswer::Unranked(Unranked::Quota)),
            (vec![40003, 43104, 61010], RiskAnswer::Unranked(Unranked::UserUnknown)),
            (vec![40129, 41001, 43002, 44002, 47001], RiskAnswer::Unranked(Unranked::RequestRefused)),
            (vec![48001, 61007], RiskAnswer::Unranked(Unranked::NotPermitted)),
            (vec![1, 87014, 99999], RiskAnswer::Unranked(Unranked::Other)),
        ] {
            for errcode in errcodes {
                assert_eq!(RiskAnswer::of(errcode), expected, "{errcode}");
            }
        }
    }
}
