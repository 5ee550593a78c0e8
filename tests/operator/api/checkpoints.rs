//! The checkpoint that covers a job's chain, and the list of checkpoints.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use integration_tests::{App, OperatorClient};
use serde_json::{Value, json};

use super::list;

/// After this long a note of a chain that has grown is signed.
const SETTLED: Duration = Duration::from_secs(301);

#[tokio::test]
async fn a_job_is_shown_with_what_a_checkpoint_says_of_its_chain() {
    let (mut app, alice) = App::start_with("alice").await;
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
}

#[tokio::test]
async fn checkpoints_are_listed_newest_first_page_by_page_with_their_keys() {
    let (mut app, alice) = App::start_with("alice").await;
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
}

/// A job's page, and how many requests to the table it took.
async fn page(app: &App, viewer: &OperatorClient, job: &str) -> (Value, usize) {
    app.faults.plan(|_, _| None);
    let shown = viewer.get(&format!("/jobs/{job}")).await.body;
    (shown["anchor"].clone(), app.faults.seen().len())
}

#[tokio::test]
async fn a_job_page_asks_as_seldom_of_many_checkpoints_as_of_few() {
    let mut app = App::start().await;
    let mut pages = Vec::new();
    for checkpoints in [2, 40] {
        let alice = app.login("alice").await;
        let job = app.run(&alice, "ledger_append", json!({"note": "n"})).await["support_code"].clone();
        for _ in 0..checkpoints {
            app.advance(SETTLED).await;
            app.sweep().await;
        }
        let viewer = app.operator("zhang", &["viewer"]);
        // What the process keeps for a while is there, whichever page is asked for first.
        viewer.get("/me").await;
        let (anchor, requests) = page(&app, &viewer, job.as_str().unwrap()).await;
        assert!(anchor["digest"].is_string(), "{anchor}");
        pages.push(requests);
    }
    assert_eq!(pages[0], pages[1]);
    // The operator, the job, two queries for the chain's records, one of the index and one of a checkpoint.
    assert!(pages[1] <= 6, "{pages:?}");
}

#[tokio::test]
async fn a_job_page_says_the_same_of_checkpoints_that_no_index_leads_to() {
    let mut app = App::start().await;
    let mut jobs = Vec::new();
    for _ in 0..6 {
        let alice = app.login("alice").await;
        let job = app.run(&alice, "ledger_append", json!({"note": "n"})).await;
        jobs.push(job["support_code"].as_str().unwrap().to_owned());
        app.advance(SETTLED).await;
        app.sweep().await;
    }
    let viewer = app.operator("zhang", &["viewer"]);
    let mut anchors = Vec::new();
    for job in &jobs {
        anchors.push(page(&app, &viewer, job).await.0);
    }
    let database = app.aws.dynamodb();
    let scan = database.scan().table_name(&app.deployment.backend.table).filter_expression("pk = :index");
    let scan = scan.expression_attribute_values(":index", AttributeValue::S("CHECKPOINT_REACHES".to_owned()));
    let index = scan.send().await.unwrap().items.unwrap();
    // At first those in the middle were signed by an older version, then all of them.
    let (middle, rest) = (&index[2..index.len() - 2], [&index[..2], &index[index.len() - 2..]].concat());
    for entries in [middle, &rest[..]] {
        for item in entries {
            let delete = database.delete_item().table_name(&app.deployment.backend.table);
            delete.key("pk", item["pk"].clone()).key("sk", item["sk"].clone()).send().await.unwrap();
        }
        for (job, anchor) in jobs.iter().zip(&anchors) {
            assert_eq!(page(&app, &viewer, job).await.0, *anchor);
        }
    }
    assert!(anchors.iter().all(|anchor| anchor["digest"].is_string()));
}
