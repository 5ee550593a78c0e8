//! Sessions: from WeChat, for a user, until they are revoked.

use std::time::Duration;

use integration_tests::{App, Client};
use serde_json::json;

#[tokio::test]
async fn a_login_is_a_session_of_always_the_same_user() {
    let app = App::start().await;
    let first = app.log_in_with("dev-alice").await;
    assert_eq!(first.status, 201);
    let again = app.log_in_with("dev-alice").await;
    assert_eq!(first.body["user_id"], again.body["user_id"]);
    assert_ne!(first.body["user_id"], app.log_in_with("dev-bob").await.body["user_id"]);
    assert_eq!(first.body["token_type"], "Bearer");
}

#[tokio::test]
async fn each_refusal_of_wechat_has_its_own_code() {
    let app = App::start().await;
    assert_eq!(app.log_in_with("dev-alice.1").await.status, 201);
    for (code, verdict) in [
        ("dev-alice.1", (401, "login_code_rejected")),
        ("dev-expired", (401, "login_code_rejected")),
        ("made-up", (401, "login_code_rejected")),
        ("dev-blocked", (403, "login_blocked")),
        ("dev-limited", (429, "login_limited")),
        ("dev-busy", (503, "wechat_unavailable")),
        ("dev-html", (503, "wechat_unavailable")),
        ("dev-empty", (503, "wechat_unavailable")),
        ("dev-500", (503, "wechat_unavailable")),
    ] {
        let reply = app.log_in_with(code).await;
        assert_eq!(reply.verdict(), verdict, "{code}");
        if verdict.0 == 429 || verdict.0 == 503 {
            assert!(!reply.header("retry-after").is_empty(), "{code}");
        }
    }
}

#[tokio::test]
async fn a_quota_of_wechat_that_is_used_up_says_how_long_to_wait() {
    let app = App::start().await;
    // 45011 is a quota of one minute, 45009 one of the day.
    for (code, wait) in [("dev-limited", "60"), ("dev-quota", "3600")] {
        let reply = app.log_in_with(code).await;
        assert_eq!((reply.verdict(), reply.header("retry-after")), ((429, "login_limited"), wait), "{code}");
    }
    assert_eq!(app.wechat_asked(), 2, "a quota that is used up is not asked again");
}

#[tokio::test]
async fn logging_out_ends_every_session_of_the_user_and_of_no_other_user() {
    let app = App::start().await;
    let (phone, tablet, bob) = (app.login("alice").await, app.login("alice").await, app.login("bob").await);
    let id = app.submit(&phone, "ledger_read", json!({})).await;
    assert_eq!(phone.send("DELETE", "/v1/sessions", &[], b"").await.status, 204);
    for client in [&phone, &tablet] {
        assert_eq!(client.get(&format!("/v1/jobs/{id}")).await.verdict(), (401, "no_session"));
        assert_eq!(client.get("/v1/jobs").await.verdict(), (401, "no_session"));
        assert_eq!(client.get("/v1/tools").await.verdict(), (401, "no_session"));
        assert_eq!(client.get(&format!("/v1/jobs/{id}/audit")).await.verdict(), (401, "no_session"));
        assert_eq!(client.submit(&id, "ledger_read", json!({})).await.verdict(), (401, "no_session"), "a replay");
        assert_eq!(client.submit(&app.new_id(), "ledger_read", json!({})).await.verdict(), (401, "no_session"));
        assert_eq!(client.cancel(&id).await.verdict(), (401, "no_session"));
        assert_eq!(client.send("DELETE", "/v1/sessions", &[], b"").await.verdict(), (401, "no_session"));
    }
    assert_eq!(bob.get("/v1/jobs").await.status, 200);
    // A login in the same moment lives.
    let alice = app.login("alice").await;
    assert_eq!(alice.get(&format!("/v1/jobs/{id}")).await.status, 200);
}

#[tokio::test]
async fn a_session_ends_by_itself() {
    let (mut app, alice) = App::start_with("alice").await;
    app.advance(Duration::from_secs(7190)).await;
    assert_eq!(alice.get("/v1/jobs").await.status, 200);
    app.advance(Duration::from_secs(20)).await;
    assert_eq!(alice.get("/v1/jobs").await.verdict(), (401, "no_session"));
}

#[tokio::test]
async fn two_keys_are_valid_at_once_so_that_rotation_needs_no_outage() {
    let mut app = App::start().await;
    let old = app.login("alice").await;
    let mut document: serde_json::Value = serde_json::from_slice(&std::fs::read(&app.secrets_file).unwrap()).unwrap();
    // The operator adds a key and makes it the active one; then, later, drops the old one.
    let other = app.secrets_file.with_extension("other");
    let given = local::secrets::Given { wechat_app_secret: None, gateway_token: "t".into() };
    local::secrets::install(&other, &platform::runtime::Runtime::system(), &given).unwrap();
    let fresh: serde_json::Value = serde_json::from_slice(&std::fs::read(&other).unwrap()).unwrap();
    let old_key = document["sessions"]["keys"][0].clone();
    let new_key = fresh["sessions"]["keys"][0].clone();
    document["sessions"] =
        json!({"active": new_key["kid"], "keys": [new_key, {"kid": old_key["kid"], "public": old_key["public"]}]});
    std::fs::write(&app.secrets_file, document.to_string()).unwrap();
    app.advance(Duration::from_secs(301)).await;
    let new = app.login("alice").await;
    for client in [&old, &new] {
        assert_eq!(client.get("/v1/jobs").await.status, 200);
        assert_eq!(client.submit(&app.new_id(), "ledger_read", json!({})).await.status, 202);
    }
    document["sessions"]["keys"].as_array_mut().unwrap().pop();
    std::fs::write(&app.secrets_file, document.to_string()).unwrap();
    app.advance(Duration::from_secs(301)).await;
    assert_eq!(old.get("/v1/jobs").await.verdict(), (401, "no_session"));
    assert_eq!(new.get("/v1/jobs").await.status, 200);
}

#[tokio::test]
async fn a_login_key_can_be_rotated_and_every_user_keeps_their_id() {
    let mut app = App::start().await;
    let before = app.login("alice").await;
    let mut document: serde_json::Value = serde_json::from_slice(&std::fs::read(&app.secrets_file).unwrap()).unwrap();
    let fresh = String::from(domain::ids::DigestKey::from_random([9; 32]));
    let old = document["logins"][0].clone();
    for keys in [json!([fresh, old]), json!([fresh])] {
        document["logins"] = keys;
        std::fs::write(&app.secrets_file, document.to_string()).unwrap();
        app.advance(Duration::from_secs(301)).await;
        assert_eq!(app.login("alice").await.user_id, before.user_id);
    }
}

#[tokio::test]
async fn logins_from_one_address_are_limited_before_wechat_is_asked() {
    let app = App::with(integration_tests::Setup {
        edge: |edge| edge.login_rate = domain::limits::Rate::new(Duration::from_secs(3), 2),
        ..Default::default()
    })
    .await;
    for _ in 0..2 {
        assert_eq!(app.log_in_with("made-up").await.status, 401);
    }
    let reply = app.log_in_with("dev-alice").await;
    assert_eq!(reply.verdict(), (429, "rate_limited"));
    assert!(!reply.header("retry-after").is_empty());
}

#[tokio::test]
async fn without_a_user_item_a_session_is_nothing() {
    let (app, alice) = App::start_with("alice").await;
    let delete = app.aws.dynamodb().delete_item().table_name(&app.deployment.backend.table);
    let text = |text: String| aws_sdk_dynamodb::types::AttributeValue::S(text);
    let key = delete.key("pk", text(format!("U#{}", alice.user_id))).key("sk", text("USER".into()));
    key.send().await.unwrap();
    assert_eq!(alice.get("/v1/jobs").await.verdict(), (401, "no_session"));
    assert_eq!(alice.submit(&app.new_id(), "ledger_read", json!({})).await.verdict(), (401, "no_session"));
}

#[tokio::test]
async fn whatever_is_no_live_token_of_ours_is_401_and_says_no_more() {
    let (app, alice) = App::start_with("alice").await;
    let parts: Vec<&str> = alice.token.split('.').collect();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoibXAtc2Vzc2lvbitqd3QifQ";
    for token in [
        String::new(),
        "x".into(),
        format!("{}.{}", parts[0], parts[1]),
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], parts[2].chars().rev().collect::<String>()),
    ] {
        let client = Client::new(app.functions.clone(), &token, "");
        for reply in [client.get("/v1/jobs").await, client.submit(&app.new_id(), "ledger_read", json!({})).await] {
            assert_eq!(reply.verdict(), (401, "no_session"), "{token}");
            assert_eq!(reply.header("www-authenticate"), "Bearer");
            assert!(reply.body.get("detail").is_none());
        }
    }
}
