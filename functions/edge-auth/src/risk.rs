//! What a user who logs in may do, by the rank that WeChat gives to their risk. Off unless `policy/risk.toml` says
//! otherwise.
//!
//! A login without a rank is decided by policy as well, and by default passes: an outage of WeChat, or an errcode, locks
//! no user out. Openid and address are in no log line and in no metric.

use std::{net::IpAddr, time::Duration};

use domain::{
    access::service_mode::Mode,
    ids::Digest,
    risk::{LimitChange, RiskChecks, RiskDecision, RiskRank},
};
use platform::{
    http::{ApiError, Code},
    metrics::{Dimension, Metric},
    wechat::{
        OpenId,
        notifications::NoToken,
        risk::{RiskAnswer, Unranked},
    },
};
use secrecy::SecretString;
use service::access_token::AccessTokens;

use crate::{EdgeAuth, EdgeKeys};

/// The longest time that a login waits for a rank.
const WITHIN: Duration = Duration::from_secs(3);

/// The risk of the user is too high, by policy.
#[derive(Debug, thiserror::Error)]
#[error("policy/risk.toml refuses a login of this rank")]
struct RiskRefused;

/// Why there is no rank: a stable code, and whether a setting of this service, or its standing at WeChat, is wrong.
struct NotRanked {
    code: &'static str,
    needs_an_operator: bool,
}

impl NotRanked {
    const fn for_now(code: &'static str) -> Self {
        Self { code, needs_an_operator: false }
    }
}

impl From<Unranked> for NotRanked {
    fn from(why: Unranked) -> Self {
        Self { code: why.code(), needs_an_operator: why.needs_an_operator() }
    }
}

/// What this login changes about the limit of its user. An error if policy refuses the login.
pub(crate) async fn limit(
    edge: &EdgeAuth,
    keys: &EdgeKeys,
    (openid, logins): (&OpenId, &[Digest]),
    address: Option<IpAddr>,
) -> Result<LimitChange, ApiError> {
    let Some(checks) = edge.policy.risk().checks() else { return Ok(LimitChange::Clear) };
    let ranked = tokio::time::timeout(WITHIN, rank(edge, keys, checks, openid, address)).await;
    let ranked = ranked.unwrap_or(Err(NotRanked::for_now("no_time")));
    let outcome = ranked.as_ref().map_or("unranked", |rank| rank.name());
    edge.runtime.measure(&[(Metric::RiskRanks, 1.0)], &[(Dimension::Outcome, outcome)]);
    if let Err(why) = &ranked {
        report(why);
    }
    let rank = ranked.ok();
    match checks.decision(rank) {
        // A user who is limited must not be free of it by logging in while WeChat gives no rank.
        RiskDecision::Pass if rank.is_none() => Ok(LimitChange::Keep),
        RiskDecision::Pass => Ok(LimitChange::Clear),
        RiskDecision::ReadOnly => Ok(LimitChange::To(Mode::ReadOnly)),
        RiskDecision::ExplainOnly => Ok(LimitChange::To(Mode::ExplainOnly)),
        RiskDecision::Refuse => {
            limit_sessions(edge, logins).await?;
            Err(ApiError::new(Code::LoginBlocked).because(RiskRefused))
        }
    }
}

/// The sessions of a user whose login is refused explain only from now on. A user who is not known has none.
async fn limit_sessions(edge: &EdgeAuth, logins: &[Digest]) -> Result<(), ApiError> {
    let found = edge.table.find_login(logins).await.map_err(ApiError::unavailable)?;
    let Some((_, user)) = found else { return Ok(()) };
    edge.table.limit_user(user, Mode::ExplainOnly).await.map_err(ApiError::unavailable)
}

fn report(NotRanked { code, needs_an_operator }: &NotRanked) {
    if *needs_an_operator {
        tracing::error!(
            function = "edge-auth",
            code = "risk_unranked",
            reason = code,
            "no user is ranked until an operator acts; policy/risk.toml decides about their logins"
        );
    } else {
        tracing::warn!(
            function = "edge-auth",
            code = "risk_unranked",
            reason = code,
            "a user could not be ranked; policy/risk.toml decides about the login"
        );
    }
}

/// Asks WeChat, with the token that all functions share; once more with another token if that one is refused.
async fn rank(
    edge: &EdgeAuth,
    keys: &EdgeKeys,
    checks: &RiskChecks,
    openid: &OpenId,
    address: Option<IpAddr>,
) -> Result<RiskRank, NotRanked> {
    let address = address.ok_or(NotRanked::for_now("no_address"))?;
    let ask = async |token: &SecretString| {
        let app_id = &edge.config.wechat_app_id;
        edge.wechat.rank_risk(token, app_id, openid, (checks.scene(), address)).await
    };
    let token = token(edge, keys, None).await?;
    let mut answer = ask(&token).await;
    if answer == RiskAnswer::TokenRefused {
        answer = ask(&self::token(edge, keys, Some(&token)).await?).await;
    }
    match answer {
        RiskAnswer::Ranked(rank) => Ok(rank),
        RiskAnswer::TokenRefused => Err(NotRanked::for_now("token_refused")),
        RiskAnswer::Unranked(why) => Err(why.into()),
    }
}

async fn token(edge: &EdgeAuth, keys: &EdgeKeys, refused: Option<&SecretString>) -> Result<SecretString, NotRanked> {
    let EdgeAuth { runtime, table, wechat, config, .. } = edge;
    let tokens = AccessTokens { function: "edge-auth", runtime, table, wechat, app_id: &config.wechat_app_id };
    let stored = table.access_token().await.map_err(|_| NotRanked::for_now("table_unavailable"))?;
    tokens.get(stored, &keys.app_secrets, refused).await.map_err(|why| match why {
        NoToken::Later => Unranked::Busy.into(),
        NoToken::Quota => Unranked::Quota.into(),
        NoToken::SecretRefused(_) | NoToken::Misconfigured(_) => {
            // The secret may have been rotated since it was read.
            edge.secrets.expire(runtime);
            NotRanked { code: "wechat_misconfigured", needs_an_operator: true }
        }
    })
}
