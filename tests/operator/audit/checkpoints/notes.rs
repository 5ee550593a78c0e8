//! The notes of chains that have grown: spread over partitions, and read in the form of every version.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::limits::Rate;
use integration_tests::{App, Client, Setup};
use serde_json::json;
use store::Item;

use super::{SETTLED, code_and_head, ends, exported};

async fn start() -> App {
    let often: fn(&mut platform::config::EdgeAuthConfig) =
        |edge| edge.limits.submissions = Rate::new(Duration::from_millis(1), 1000);
    App::with(Setup { edge: often, ..Setup::default() }).await
}

/// Items whose partition key begins so.
async fn items(app: &App, prefix: &str) -> Vec<Item> {
    let scan = app.aws.dynamodb().scan().table_name(&app.deployment.backend.table).consistent_read(true);
    let scan = scan.filter_expression("begins_with(pk, :prefix)");
    let scan = scan.expression_attribute_values(":prefix", AttributeValue::S(prefix.to_owned()));
    scan.send().await.unwrap().items.unwrap()
}

async fn put(app: &App, item: Item) {
    let put = app.aws.dynamodb().put_item().table_name(&app.deployment.backend.table);
    put.set_item(Some(item)).send().await.unwrap();
}

async fn delete(app: &App, item: &Item) {
    let delete = app.aws.dynamodb().delete_item().table_name(&app.deployment.backend.table);
    delete.key("pk", item["pk"].clone()).key("sk", item["sk"].clone()).send().await.unwrap();
}

fn partition(item: &Item) -> String {
    item["pk"].as_s().unwrap().clone()
}

/// Jobs that ended in one minute.
async fn over(app: &mut App, alice: &Client, count: usize) -> BTreeSet<String> {
    app.clock.advance_to_a_minute();
    let mut codes = BTreeSet::new();
    for _ in 0..count {
        let id = app.submit(alice, "ledger_append", json!({"note":"n"})).await;
        alice.cancel(&id).await;
        codes.insert(code_and_head(app, alice, &json!({"request_id": id})).await.0);
    }
    codes
}

fn signed(app: &App) -> BTreeSet<String> {
    ends(&exported(app)).into_keys().collect()
}

#[tokio::test]
async fn the_notes_of_one_minute_are_spread_over_many_partitions_and_all_are_signed() {
    let mut app = start().await;
    let alice = app.login("alice").await;
    let codes = over(&mut app, &alice, 20).await;
    let partitions: BTreeSet<String> = items(&app, "HEADS#").await.iter().map(partition).collect();
    assert!((4..=16).contains(&partitions.len()), "{partitions:?}");
    app.clock.advance(SETTLED);
    app.sweep().await;
    assert_eq!(signed(&app), codes);
}

#[tokio::test]
async fn the_notes_of_an_older_version_are_signed_too_and_once() {
    let mut app = start().await;
    let alice = app.login("alice").await;
    let codes = over(&mut app, &alice, 6).await;
    // Until all functions are of the new version, some put the note into one partition for all users.
    for (place, note) in items(&app, "HEADS#").await.into_iter().enumerate() {
        let minute = partition(&note).split('#').nth(1).unwrap().to_owned();
        let older = [note.clone(), Item::from([("pk".into(), AttributeValue::S(format!("HEADS#{minute}")))])];
        put(&app, older.into_iter().flatten().collect()).await;
        // Of some jobs there are both.
        if place % 2 == 0 {
            delete(&app, &note).await;
        }
    }
    app.clock.advance(SETTLED);
    app.sweep().await;
    let all = exported(&app);
    assert_eq!(ends(&all).into_keys().collect::<BTreeSet<_>>(), codes);
    assert_eq!(all.iter().map(|one| one.statement.heads.len()).sum::<usize>(), codes.len(), "each once");
}

#[tokio::test]
async fn markers_that_an_older_version_could_not_see_are_signed_by_the_next_version() {
    let mut app = start().await;
    let alice = app.login("alice").await;
    let codes = over(&mut app, &alice, 3).await;
    // During a deployment an older `sweep` signs past the minute without reading its markers, and writes no index
    // entry.
    let notes = items(&app, "HEADS#").await;
    for note in &notes {
        delete(&app, note).await;
    }
    app.clock.advance(SETTLED);
    app.sweep().await;
    assert!(signed(&app).is_empty());
    for item in items(&app, "CHECKPOINT_REACHES").await {
        delete(&app, &item).await;
    }
    for note in notes {
        put(&app, note).await;
    }
    app.clock.advance(Duration::from_secs(301));
    app.sweep().await;
    assert_eq!(signed(&app), codes);
    // What is signed by this version is not read again.
    app.clock.advance(Duration::from_secs(301));
    app.sweep().await;
    assert!(exported(&app).last().unwrap().statement.heads.is_empty());
}
