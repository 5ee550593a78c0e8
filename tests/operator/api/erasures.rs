//! `GET /v1/operator/erasures`, and the chains of an erased user.

use std::time::Duration;

use domain::audit::checkpoint::PublicKey;
use integration_tests::{App, Setup};
use local::audit::{self, Scope, Source, Verification};
use platform::runtime::Clock as _;
use serde_json::{Value, json};

#[tokio::test]
async fn operators_see_what_is_open_first_and_then_what_is_finished() {
    let mut app = App::with(Setup::roomy()).await;
    let vera = app.operator("vera", &["viewer"]);
    assert_eq!(vera.get("/erasures").await.body, json!({ "erasures": [] }));
    let names = ["a", "b", "c"];
    let mut finished = Vec::new();
    for name in names {
        let client = app.login(name).await;
        app.erase(&client, name).await;
        app.finish_erasure(&client).await;
        finished.push(json!(client.user_id));
    }
    let open = app.login("open").await;
    let began = app.erase(&open, "open").await.body;
    let page = vera.get("/erasures?limit=2").await.body;
    let users = |page: &Value| -> Vec<Value> {
        page["erasures"].as_array().unwrap().iter().map(|one| one["user_id"].clone()).collect()
    };
    finished.reverse();
    assert_eq!(users(&page), [json!(open.user_id), finished[0].clone(), finished[1].clone()], "{page}");
    assert_eq!(page["erasures"][0]["erasure_id"], began["erasure_id"]);
    assert_eq!((&page["erasures"][0]["status"], &page["erasures"][1]["status"]), (&json!("running"), &json!("done")));
    let next = vera.get(&format!("/erasures?limit=2&cursor={}", page["next_cursor"].as_str().unwrap())).await.body;
    assert_eq!((users(&next), next.get("next_cursor")), (vec![finished[2].clone()], None), "{next}");
    assert_eq!(vera.get("/erasures?cursor=bm8").await.verdict(), (400, "cursor_invalid"));
    assert_eq!(open.get("/v1/operator/erasures").await.status, 401);
    // Groups of an erased user cannot be set: the item stays as it is.
    let adam = app.operator("adam", &["admin"]);
    let groups = json!({ "groups": ["testers"], "reason": "a test" });
    let reply = adam.put(&format!("/users/{}/groups", open.user_id), groups).await;
    assert_eq!(reply.verdict(), (404, "not_found"), "{}", reply.body);
}

#[tokio::test]
async fn every_chain_verifies_after_an_erasure_against_checkpoints_that_were_signed_before() {
    let mut app = App::with(Setup::roomy()).await;
    let (alice, bob) = (app.login("alice").await, app.login("bob").await);
    for client in [&alice, &bob] {
        app.run(client, "ledger_append", json!({ "note": "n" })).await;
        assert_eq!(client.submit(&app.new_id(), "exec", json!({})).await.status, 403);
    }
    for _ in 0..3 {
        app.advance(Duration::from_secs(301)).await;
        app.sweep().await;
    }
    let alice = app.login("alice").await;
    app.erase(&alice, "alice").await;
    app.finish_erasure(&alice).await;
    let secrets: Value = serde_json::from_slice(&std::fs::read(&app.secrets_file).unwrap()).unwrap();
    let key: PublicKey = serde_json::from_value(secrets["checkpoints"]["keys"][0].clone()).unwrap();
    let out = app.secrets_file.with_file_name("chains");
    audit::export(&Source::Table(app.inspect().table().clone()), &out).await.unwrap();
    for source in [Source::Table(app.inspect().table().clone()), Source::Export(out.clone())] {
        let asked = Verification {
            scope: Scope::Everything,
            checkpoints: Some((app.deployment.checkpoints(), vec![key.clone()])),
            retention: Duration::from_secs(30 * 86_400),
            now: app.clock.now(),
        };
        let report = audit::run(&source, &asked, &|_| {}).await.unwrap();
        assert_eq!((report.broken, report.jobs), (0, 2), "{report:?}");
        assert!(report.anchored >= 3, "both jobs and the refusals of bob: {report:?}");
        assert!(report.notes.iter().any(|note| note.contains("its user is erased")), "{report:?}");
        assert!(!report.notes.iter().any(|note| note.contains(&bob.user_id)), "{report:?}");
    }
}
