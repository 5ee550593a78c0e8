//! `GET /v1/users/me/export`: everything that is stored about the user, and nothing of another one.

use integration_tests::{App, Client, Setup};
use serde_json::{Value, json};

/// Every item, page by page.
async fn export(client: &Client, limit: usize) -> (Vec<Value>, usize) {
    let (mut items, mut pages, mut path) = (Vec::new(), 0, format!("/v1/users/me/export?limit={limit}"));
    loop {
        let page = client.get(&path).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let list = page.body["items"].as_array().unwrap();
        assert!(list.len() <= limit, "{}", list.len());
        items.extend(list.iter().cloned());
        pages += 1;
        match page.body["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/users/me/export?limit={limit}&cursor={cursor}"),
            None => return (items, pages),
        }
    }
}

#[tokio::test]
async fn a_user_gets_everything_that_is_stored_about_them_page_by_page() {
    let mut app = App::with(Setup::roomy()).await;
    let (alice, bob) = (app.login("alice").await, app.login("bob").await);
    let note = "what-alice-wrote";
    app.run(&alice, "ledger_append", json!({ "note": note })).await;
    let turn = app.new_id();
    alice.submit_body(&turn, &json!({ "message": "[[say:a reply]]", "conversation": "trip" })).await;
    app.finish(&alice, &turn).await;
    assert_eq!(alice.submit(&app.new_id(), "exec", json!({})).await.status, 403);
    app.run(&bob, "ledger_append", json!({ "note": "what-bob-wrote" })).await;
    let (items, pages) = export(&alice, 4).await;
    assert!(pages > 2, "{pages}");
    let of = |kind: &str| items.iter().filter(|item| item["kind"] == kind).collect::<Vec<_>>();
    assert_eq!((of("user").len(), of("job").len(), of("submission").len()), (1, 2, 2), "{items:#?}");
    assert!(of("user")[0]["openid"].is_string() && of("user")[0]["last_login_at"].is_string());
    assert!(of("submission").iter().any(|item| item["steps"][0]["arguments"]["note"] == note), "{items:#?}");
    assert!(of("job").iter().any(|item| item["job"]["result"]["reply"] == "a reply"), "{items:#?}");
    assert_eq!(of("conversation")[0]["conversation"]["conversation"], "trip");
    assert_eq!(of("refusal")[0]["record"]["code"], "tool_unknown");
    assert!(of("audit_record").len() >= 3);
    let stored = app.inspect().stored_items().await;
    let own = stored.iter().filter(|item| item["pk"]["S"] == format!("U#{}", alice.user_id)).count();
    assert_eq!(items.len(), own, "as many as are stored");
    assert!(!json!(items).to_string().contains("what-bob-wrote"));
    assert_eq!(export(&alice, 100).await, (items, 1));
}

#[tokio::test]
async fn a_cursor_of_another_user_or_list_is_refused_and_an_erased_user_exports_nothing() {
    let (mut app, alice) = App::start_with("alice").await;
    let bob = app.login("bob").await;
    app.run(&alice, "ledger_append", json!({ "note": "n" })).await;
    app.run(&alice, "ledger_append", json!({ "note": "n" })).await;
    let cursor = |page: &integration_tests::Reply| page.body["next_cursor"].as_str().unwrap().to_owned();
    let own = cursor(&alice.get("/v1/users/me/export?limit=1").await);
    let jobs = cursor(&alice.get("/v1/jobs?limit=1").await);
    let path = |cursor: &str| format!("/v1/users/me/export?cursor={cursor}");
    assert_eq!(bob.get(&path(&own)).await.verdict(), (400, "cursor_invalid"));
    assert_eq!(alice.get(&path(&jobs)).await.verdict(), (400, "cursor_invalid"));
    assert_eq!(alice.get("/v1/users/me/export?limit=101").await.verdict(), (400, "parameter_invalid"));
    assert_eq!(app.anonymous().get("/v1/users/me/export").await.status, 401);
    app.erase(&alice, "alice").await;
    assert_eq!(alice.get("/v1/users/me/export").await.status, 401);
    app.finish_erasure(&alice).await;
    let again = app.login("alice").await;
    let (items, _) = export(&again, 100).await;
    assert_eq!(items.iter().map(|item| &item["kind"]).collect::<Vec<_>>(), ["user"], "a new user");
}
