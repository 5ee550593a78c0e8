//! Invariant 7, *logical keys*.

use integration_tests::App;
use serde_json::json;

#[tokio::test]
async fn a_write_goes_under_one_key_however_often_it_did_not_start() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    app.gateway().next("/tools/invoke", "status", Some(503), 3).await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    app.finish(&alice, &id).await;
    let records = alice.get(&format!("/v1/jobs/{id}/audit")).await.body["records"].clone();
    let keys: Vec<_> = records.as_array().unwrap().iter().filter_map(|record| record["key"].as_str()).collect();
    assert_eq!(keys, vec![format!("{}.{id}.0.0.0", alice.user_id); 5], "four intents and the end");
    assert_eq!(app.inspect().stored(&alice, &id).await.steps[0].attempts, 1, "what did not start was no attempt");
}
