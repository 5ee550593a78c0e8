//! Calls the WeChat stub with the crates `wechat-mp-*`, which share no code with this service, and compares every answer:
//! `scripts/dev/foreign-client.sh --rust`. A workspace of its own, because they link another version of the HTTP client.

use std::fmt::Debug;

use serde_json::json;
use wechat_mp_auth::AuthApi;
use wechat_mp_core::{Config, MpClient, MpError};
use wechat_mp_message::{MessageApi, SendSubscribeMessageRequest};
use wechat_mp_security::{GetUserRiskRankRequest, MsgSecCheckRequest, SecurityApi};

const TEMPLATE: &str = "hD-ixGOhYmUfjOnI8MCzQMPshzGVeux_2vzyvQu7O68";

/// The errcode of an answer; 0 for success.
fn errcode<T: Debug>(answer: Result<T, MpError>) -> i64 {
    match answer {
        Ok(_) => 0,
        Err(MpError::Api { code, message }) => {
            assert!(message.contains("rid: "), "{message}");
            code
        }
        Err(other) => panic!("the crate cannot read the answer: {other:?}"),
    }
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what: &str| arguments.next().unwrap_or_else(|| panic!("the argument {what} is missing"));
    let (url, app, secret) = (next("URL"), next("APP_ID"), next("APP_SECRET"));
    let client = MpClient::new(Config::new(&app, &secret).with_base_url(&url)).expect("a client");
    let openid = logs_in(&AuthApi::new(client.clone())).await;
    let token = client.access_token().await.expect("a token");
    assert_eq!(client.refresh_access_token().await.expect("a token"), token, "the stable token stays");
    sends(&MessageApi::new(client.clone()), &client, &url, &openid).await;
    checks(&SecurityApi::new(client), &app, &openid).await;
    println!("the crates wechat-mp-* and the WeChat stub agree");
}

async fn logs_in(auth: &AuthApi) -> String {
    let session = auth.code2session("dev-alice.9").await.expect("a session");
    assert_eq!(session.openid.len(), 28);
    assert_eq!(errcode(auth.code2session("dev-alice.9").await), 40163);
    assert_eq!(errcode(auth.code2session("x").await), 40029);
    session.openid
}

async fn sends(messages: &MessageApi, client: &MpClient, url: &str, openid: &str) {
    let message = SendSubscribeMessageRequest::new(openid, TEMPLATE, json!({"thing1": {"value": "任务"}}));
    assert_eq!(errcode(messages.send_subscribe(&message).await), 43101);
    let accepted = json!({"user": "alice", "template_id": TEMPLATE}).to_string();
    client.http().post(format!("{url}/stub/accept")).body(accepted).send().await.expect("the stub's own route");
    assert_eq!(errcode(messages.send_subscribe(&message).await), 0);
}

async fn checks(security: &SecurityApi, app: &str, openid: &str) {
    let found = security.msg_sec_check(&MsgSecCheckRequest::new(openid, 2, "risky-20006")).await.expect("a finding");
    assert_eq!((found.result.suggest.as_str(), found.result.label), ("risky", 20006));
    assert_eq!(errcode(security.msg_sec_check(&MsgSecCheckRequest::new("nobody", 2, "tea")).await), 40003);
    let mut query = GetUserRiskRankRequest::new(app, openid, 0);
    assert_eq!(errcode(security.get_user_risk_rank(&query).await), 47001);
    query.client_ip = Some("203.0.113.9".into());
    assert_eq!(security.get_user_risk_rank(&query).await.expect("a rank").risk_rank, 0);
}
