//! The TTL of every kind of item is as `docs/design/data-model.md` says.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    limits::RetentionClock,
    policy::{Policy, PolicyFiles},
};
use integration_tests::{App, Client, Fault, Setup, mini_gateway::checkout};
use local::emulation::{
    expiry::ExpiredItems,
    wechat_events::{Format, Kind as Message, PushSettings},
};
use platform::runtime::Clock as _;
use serde_json::{Value, json};

/// A row of the page's table of items.
#[derive(Debug)]
struct Kind {
    name: String,
    pk: Vec<String>,
    sk: Vec<String>,
    ends: String,
}

fn page() -> String {
    let text = std::fs::read_to_string(checkout().join("docs/design/data-model.md")).unwrap();
    let (_, items) = text.split_once("## Items").expect("the page lists the items");
    items.split_once("\n### ").expect("the list ends").0.to_owned()
}

/// The patterns of a cell: what stands in backticks.
fn patterns(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn kinds() -> Vec<Kind> {
    let page = page();
    let rows = page.lines().filter(|line| line.starts_with("| ")).skip(1);
    let kinds = rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, name, pk, sk, _, ends, _] = cells[..] else { panic!("{row}") };
        Kind { name: name.to_owned(), pk: patterns(pk), sk: patterns(sk), ends: ends.to_owned() }
    });
    kinds.collect()
}

/// Whether a key fits a pattern, in which `<…>` and `…` stand for any text.
fn fits(pattern: &str, key: &str) -> bool {
    let mut literals = vec![String::new()];
    let mut inside = false;
    for sign in pattern.chars() {
        match sign {
            '<' | '…' => {
                inside = sign == '<';
                literals.push(String::new());
            }
            '>' => inside = false,
            _ if inside => {}
            _ => literals.last_mut().unwrap().push(sign),
        }
    }
    let (last, first) = (literals.pop().unwrap(), literals.first().cloned());
    let Some(first) = first else { return last == key };
    let Some(mut rest) = key.strip_prefix(first.as_str()) else { return false };
    for literal in &literals[1..] {
        let Some((_, after)) = rest.split_once(literal.as_str()) else { return false };
        rest = after;
    }
    rest.ends_with(last.as_str())
}

/// Whether an item of a kind has a time at which it is deleted. A job gets it when it is over, a user when erased.
fn expires(kind: &Kind, item: &Value) -> bool {
    let never = kind.ends.starts_with("never") || kind.ends.starts_with("when ");
    let is_erased = kind.ends.contains("erased user") && item.get("un").is_some();
    is_erased || !never && item.get("open_shard").is_none()
}

#[test]
fn a_pattern_fits_its_keys_alone() {
    for (pattern, key, expected) in [
        ("USER", "USER", true),
        ("USER", "USERS", false),
        ("U#<user_id>", "U#3f0c", true),
        ("U#<user_id>", "LOGIN#3f0c", false),
        ("A#<request_id>#<seq, 5 digits>#<digest>", "A#1#00001#d", true),
        ("A#<request_id>#<seq, 5 digits>#<digest>", "A#1", false),
        ("OPERATOR#…", "OPERATOR#x", true),
        ("<seq, 12 digits>", "000000000001", true),
    ] {
        assert_eq!(fits(pattern, key), expected, "{pattern} {key}");
    }
}

/// Everything that the flows of this test can leave in the table.
async fn lived_in() -> App {
    let mut app = App::with(Setup::roomy()).await;
    let alice = app.login("alice").await;
    app.checkpoint(true).await;
    app.open_tool("ledger_delete", 60).await;
    for body in [
        note(&"x".repeat(1900)),
        json!({ "tool": "ledger_read", "arguments": {} }),
        json!({ "message": "[[say:hello]]", "conversation": "trip" }),
        json!({ "conversation": "trip", "message":
            "[[tool:ledger_pay {\"amount\":120,\"note\":\"milk\"}]][[then]][[say:paid]]" }),
        json!({ "tool": "ledger_pay", "arguments": { "amount": 501, "note": "a machine" } }),
    ] {
        settled(&mut app, &alice, &body).await;
    }
    assert_eq!(submitted(&app, &alice, &note("waits")).await.1, 202);
    let refused = json!({ "tool": "ledger_pay", "arguments": { "amount": 10_001, "note": "n" } });
    assert_eq!(submitted(&app, &alice, &refused).await.1, 403);

    // A record that cannot be written is counted.
    app.faults
        .plan_items(|operation, sk| (operation == "PutItem" && sk.starts_with("IN#")).then_some(Fault::LostBefore));
    assert_eq!(submitted(&app, &alice, &note("unrecorded")).await.1, 503);
    app.faults.none();

    let zhang = app.operator("zhang", &["viewer"]);
    assert_eq!(zhang.post("/me/users", json!({ "user_id": alice.user_id })).await.status, 200);
    let mode = json!({ "mode": "full", "reason": "a test" });
    assert_eq!(zhang.put("/controls/mode", mode).await.status, 403);

    let document: Value = serde_json::from_slice(&std::fs::read(&app.secrets_file).unwrap()).unwrap();
    let settings = PushSettings::of(&document, &app.deployment.wechat_app_id).unwrap();
    let message = Message::Accept.message(Format::Json, &settings.app_id, "alice", app.clock.now());
    let push = settings.push(&message, app.clock.now(), &app.functions.runtime);
    assert_eq!(app.anonymous().send("POST", &push.path(), &[], push.body.as_bytes()).await.status, 200);

    app.wechat().accept("alice", "hD-ixGOhYmUfjOnI8MCzQMPshzGVeux_2vzyvQu7O68");
    let headers = [("content-type", "application/json")];
    let accepted = alice.send("POST", "/v1/notifications", &headers, br#"{"accepted":["job_update"]}"#).await;
    assert_eq!(accepted.status, 204);
    let notify = json!({ "tool": "ledger_append", "arguments": { "note": "n" }, "notify": "job_update" });
    settled(&mut app, &alice, &notify).await;
    while app.deliver().await {}
    let checking = PolicyFiles::built_in().replacing("content_safety.toml", "enabled = false", "enabled = true");
    app.new_worker(Some(Policy::parse(&checking.unwrap()).unwrap()));
    settled(&mut app, &alice, &note("review-20002")).await;
    app.new_worker(None);
    let (erin, frank) = (app.login("erin").await, app.login("frank").await);
    settled(&mut app, &erin, &note("of erin")).await;
    assert_eq!(app.erase(&erin, "erin").await.status, 202);
    app.finish_erasure(&erin).await;
    assert_eq!(app.erase(&frank, "frank").await.status, 202);

    app.advance(Duration::from_secs(400)).await;
    app.sweep().await;
    let clock = RetentionClock::confirmed(app.clock.now());
    assert!(app.inspect().table().set_retention_clock(None, clock).await.unwrap());
    app.inspect().table().refuse_ids_before(app.clock.now()).await.unwrap();
    app
}

fn note(text: &str) -> Value {
    json!({ "tool": "ledger_append", "arguments": { "note": text } })
}

async fn submitted(app: &App, client: &Client, body: &Value) -> (String, u16) {
    let id = app.new_id();
    let status = client.submit_body(&id, body).await.status.as_u16();
    (id, status)
}

/// Brings a job to its end, or to its approval request.
async fn settled(app: &mut App, client: &Client, body: &Value) {
    let (id, status) = submitted(app, client, body).await;
    assert_eq!(status, 202);
    for _ in 0..100 {
        while app.deliver().await {}
        let job = client.job(&id).await;
        if job["status"] == "awaiting_approval" || job["next_poll_ms"].is_null() {
            return;
        }
        // The mini gateway's agent works by the real clock.
        tokio::time::sleep(Duration::from_millis(30)).await;
        let wait = app.delays.next().unwrap_or_default();
        app.advance(wait.max(Duration::from_millis(10))).await;
    }
    panic!("the job does not settle: {}", client.job(&id).await);
}

#[tokio::test]
async fn every_item_is_of_a_kind_of_the_page_and_ends_as_it_says() {
    let (kinds, app) = (kinds(), lived_in().await);
    let mut met = BTreeSet::new();
    for item in app.inspect().stored_items().await {
        let (pk, sk) = (item["pk"]["S"].as_str().unwrap(), item["sk"]["S"].as_str().unwrap());
        let is = |kind: &&Kind| kind.pk.iter().any(|one| fits(one, pk)) && kind.sk.iter().any(|one| fits(one, sk));
        let of_it: Vec<&Kind> = kinds.iter().filter(is).collect();
        let [kind] = of_it[..] else { panic!("{pk} {sk} is of {of_it:?}") };
        met.insert(kind.name.as_str());
        assert_eq!(item.get("ttl").is_some(), expires(kind, &item), "{}: {pk} {sk} ends {}", kind.name, kind.ends);
    }
    let all: BTreeSet<&str> = kinds.iter().map(|kind| kind.name.as_str()).collect();
    assert_eq!(met, all, "each kind of the page is met");
}

#[test]
fn every_key_of_the_code_is_on_the_page() {
    // The value of an attribute, not a key.
    const NO_KEY: &str = "OPEN#";
    let code = std::fs::read_to_string(checkout().join("shared/store/src/keys.rs")).unwrap();
    let starts = code.split('"').skip(1).step_by(2).map(|text| {
        let end = text.find(|sign: char| !sign.is_ascii_uppercase() && !"#_".contains(sign)).unwrap_or(text.len());
        &text[..end]
    });
    let starts: BTreeSet<&str> = starts.filter(|start| start.len() > 1 && *start != NO_KEY).collect();
    assert!(starts.len() > 20, "{starts:?}");
    let page = page();
    for start in starts {
        assert!(page.contains(&format!("`{start}")), "`{start}` of keys.rs is not on the page");
    }
}

#[tokio::test]
async fn a_search_for_expired_items_leaves_nine_tenths_of_the_time_to_requests() {
    /// What a `Scan` takes here at least.
    const CALL: Duration = Duration::from_millis(30);
    let app = App::start().await;
    let backend = &app.deployment.backend;
    for number in 0..250 {
        let key = AttributeValue::S(format!("item-{number}"));
        let put = app.aws.dynamodb().put_item().table_name(&backend.table).item("pk", key.clone()).item("sk", key);
        put.item("ttl", AttributeValue::N("99999999999".to_owned())).send().await.unwrap();
    }
    app.expired_items().read_clock().await.unwrap();
    let items = ExpiredItems::new(backend, app.inspect().table().clone(), app.functions.runtime.clone());
    app.faults.plan(|operation, _| (operation == "Scan").then_some(Fault::Late));
    let began = Instant::now();
    assert_eq!(items.delete().await.unwrap(), 0);
    let took = began.elapsed();
    let calls = app.faults.seen().iter().filter(|operation| *operation == "Scan").count();
    assert!(calls > 2, "the items are more than two pages: {calls}");
    assert!(took >= CALL * 10 * (u32::try_from(calls).unwrap() - 1), "{calls} calls in {took:?}");
}
