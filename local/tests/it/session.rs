//! Sessions of test users, signed without WeChat.

use std::{process::Command, time::Duration};

use domain::access::session::Audience;
use local::{
    emulation::engines::{EngineOptions, Engines},
    host::service::{Options, Service},
    test_session,
};
use platform::{runtime::Runtime, secrets::EdgeSecrets};
use store::Table;

use super::{directory, http};

/// The audience of a service on one host.
fn audience(name: &str) -> Audience {
    Audience { issuer: "openclaw-miniprogram".to_owned(), audience: name.to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_user_is_served_by_the_stack_of_the_session_and_by_no_other() {
    let data = directory("session");
    let service =
        Service::start(Options::dev(data.clone(), "http://127.0.0.1:9".into(), "no-token".into())).await.unwrap();
    let secrets: EdgeSecrets = domain::json::kept(std::fs::read(data.join("secrets.json")).unwrap()).unwrap();
    let engines = Engines::start(EngineOptions { table_file: Some(data.join("table.db")), ..EngineOptions::default() });
    let engines = engines.await.unwrap();
    let table = Table::new(engines.backend.aws.dynamodb(), engines.backend.table.clone(), Duration::ZERO);
    let runtime = Runtime::system();
    let begin = async |stack: &str, name: &str| {
        let lifetime = Duration::from_secs(60);
        test_session::begin(&secrets, &table, &runtime, &audience(stack), "wx1", name, lifetime).await.unwrap()
    };
    let status = async |token: &str| {
        let url = format!("{}/v1/jobs", service.base_url);
        http().get(url).bearer_auth(token).send().await.unwrap().status().as_u16()
    };
    let token = begin("openclaw-miniprogram-local", "first").await;
    assert_eq!(status(&token).await, 200);
    assert_eq!(status(&begin("openclaw-miniprogram-prod", "first").await).await, 401);

    let out = http().delete(format!("{}/v1/sessions", service.base_url)).bearer_auth(&token).send().await.unwrap();
    assert_eq!((out.status().as_u16(), status(&token).await), (204, 401), "logged out like every user");
    assert_eq!(status(&begin("openclaw-miniprogram-local", "first").await).await, 200, "and logged in again");
    engines.stop().await;
    service.stop().await;
}

#[test]
fn there_is_none_for_prod() {
    let args = ["session", "--stage", "prod", "--edge-auth-secret", "x", "--table", "y", "--wechat-app-id", "wx1"];
    let output = Command::new(env!("CARGO_BIN_EXE_local")).args(args).env_clear().output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && output.stdout.is_empty() && said.contains("[possible values: test, staging]"),
        "{said}"
    );
}
