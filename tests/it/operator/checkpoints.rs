//! What a signed statement says of a job's chain, and the statements themselves.

use std::time::Duration;

use integration_tests::App;
use serde_json::json;

use super::list;

/// After this long a note of a chain that has grown is signed.
const SETTLED: Duration = Duration::from_secs(301);

#[tokio::test]
async fn a_job_is_shown_with_what_a_checkpoint_says_of_its_chain() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    let mut jobs = Vec::new();
    for _ in 0..4 {
        let job = app.run(&alice, "ledger_append", json!({"note": "n"})).await;
        jobs.push(job["support_code"].as_str().unwrap().to_owned());
        let zhang = app.operator("zhang", &["viewer"]);
        let shown = zhang.get(&format!("/jobs/{}", jobs.last().unwrap())).await.body;
        assert!(shown.get("anchor").is_none(), "nothing is signed yet: {shown}");
        app.advance(SETTLED).await;
        app.sweep().await;
    }
    let zhang = app.operator("zhang", &["viewer"]);
    for job in &jobs {
        let shown = zhang.get(&format!("/jobs/{job}")).await.body;
        assert_eq!(shown["anchor"]["digest"], shown["audit"]["head"]["digest"], "{shown}");
        assert_eq!(shown["anchor"]["length"], shown["audit"]["head"]["length"]);
        let seq = shown["anchor"]["checkpoint"].as_u64().unwrap();
        let all = zhang.get("/checkpoints?limit=100").await.body;
        let named = list(&all, "checkpoints").iter().find(|one| one["seq"] == seq).unwrap().clone();
        assert!(list(&named, "heads").iter().any(|head| head["job"] == job.as_str()), "{named}");
    }
    app.stop().await;
}

#[tokio::test]
async fn checkpoints_are_listed_newest_first_page_by_page_with_their_keys() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    let none = app.operator("zhang", &["viewer"]).get("/checkpoints").await.body;
    assert!(list(&none, "checkpoints").is_empty() && list(&none, "keys").is_empty(), "{none}");
    for _ in 0..4 {
        app.run(&alice, "ledger_read", json!({})).await;
        app.advance(SETTLED).await;
        app.sweep().await;
    }
    let zhang = app.operator("zhang", &["viewer"]);
    let all = zhang.get("/checkpoints?limit=100").await.body;
    assert_eq!(list(&all, "keys").len(), 1);
    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        let page = zhang.get(&format!("/checkpoints?limit=1{next}")).await.body;
        assert_eq!(list(&page, "keys"), list(&all, "keys"), "on every page");
        seen.extend(list(&page, "checkpoints").clone());
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(&seen, list(&all, "checkpoints"));
    assert!(seen.len() >= 4 && seen.windows(2).all(|two| two[0]["seq"].as_u64() > two[1]["seq"].as_u64()));
    app.stop().await;
}
