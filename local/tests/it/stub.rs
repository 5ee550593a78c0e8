//! The WeChat stub over HTTP.

use std::time::Duration;

use local::emulation::wechat_stub::{WechatStub, openid};
use platform::runtime::Runtime;
use serde_json::Value;

use super::http;

async fn ask(stub: &WechatStub, code: &str) -> reqwest::Response {
    let url = format!(
        "{}/sns/jscode2session?appid=app&secret=s&js_code={code}&grant_type=authorization_code",
        stub.base_url()
    );
    http().get(url).send().await.unwrap()
}

#[tokio::test]
async fn a_login_is_json_in_plain_text_with_status_200() {
    let stub = WechatStub::start("app", "s", 0, Runtime::system()).await.unwrap();
    let answer = ask(&stub, "dev-alice").await;
    assert_eq!((answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()), (200, "text/plain"));
    let body: Value = domain::json::kept(answer.text().await.unwrap()).unwrap();
    assert_eq!(body["openid"], openid("app", "alice"));
    assert_eq!(body["session_key"].as_str().unwrap().len(), 24);
    assert_eq!(body.get("errcode"), None);
    stub.stop().await;
}

#[tokio::test]
async fn errors_have_status_200_too_and_a_rid() {
    let stub = WechatStub::start("app", "s", 0, Runtime::system()).await.unwrap();
    for (code, errcode) in [("nonsense", 40029), ("dev-blocked", 40226), ("dev-busy", -1), ("", 41008)] {
        let answer = ask(&stub, code).await;
        assert_eq!(answer.status(), 200);
        let body: Value = domain::json::kept(answer.text().await.unwrap()).unwrap();
        assert_eq!(body["errcode"], errcode, "{code}");
        assert!(body["errmsg"].as_str().unwrap().contains("rid: "), "{body}");
    }
    stub.stop().await;
}

#[tokio::test]
async fn it_can_answer_as_badly_as_the_real_one() {
    let stub = WechatStub::start("app", "s", 0, Runtime::system()).await.unwrap();
    assert_eq!(ask(&stub, "dev-500").await.status(), 502);
    assert!(ask(&stub, "dev-html").await.text().await.unwrap().starts_with("<html>"));
    assert_eq!(ask(&stub, "dev-empty").await.text().await.unwrap(), "");
    let slow = tokio::time::timeout(Duration::from_millis(300), ask(&stub, "dev-slow")).await;
    assert!(slow.is_err(), "dev-slow answered");
    stub.stop().await;
}
