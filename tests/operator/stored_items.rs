//! A table and a journal that an earlier version wrote. `tests/fixtures/stored` was written by
//! `tests/examples/store-fixture.rs` before the service was split into layers; a change of a stored format that reads it
//! no longer fails here.

use std::path::Path;

use domain::audit::{AuditHead, Owner, verify};
use integration_tests::{App, Client, Setup, mini_gateway};
use platform::runtime::Clock as _;
use serde_json::{Value, json};

/// A version of today, some seconds after the earlier one stopped, with its table and its journal.
struct Successor {
    app: App,
    alice: Client,
    jobs: Value,
}

async fn successor() -> Successor {
    let files = mini_gateway::checkout().join("tests/fixtures/stored");
    let stored: Value = serde_json::from_slice(&std::fs::read(files.join("items.json")).unwrap()).unwrap();
    let mut app = App::with(Setup { mode: None, ..Setup::roomy() }).await;
    app.gateway().kill().await;
    restore_journal(&files, app.secrets_file.parent().unwrap());
    app.gateway().restart().await;
    let seconds = (stored["written_at_ms"].as_i64().unwrap() - app.clock.now().millis()) / 1000;
    app.jump_seconds(seconds + 5).await;
    app.inspect().store_items(stored["items"].as_array().unwrap()).await;
    app.login("alice").await;
    app.log_in_as_stored_user(stored["user_id"].as_str().unwrap()).await;
    let alice = app.login("alice").await;
    assert_eq!(alice.user_id, stored["user_id"]);
    Successor { app, alice, jobs: stored["jobs"].clone() }
}

fn restore_journal(from: &Path, to: &Path) {
    for file in ["journal.db-wal", "journal.db-shm"] {
        let _may_be_absent = std::fs::remove_file(to.join(file));
    }
    std::fs::copy(from.join("journal.db"), to.join("journal.db")).unwrap();
}

impl Successor {
    fn id(&self, job: &str) -> String {
        self.jobs[job].as_str().unwrap().to_owned()
    }

    async fn finish(&mut self, job: &str) -> Value {
        let id = self.id(job);
        self.app.finish(&self.alice, &id).await
    }
}

fn status(job: &Value) -> &str {
    job["status"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn jobs_that_an_earlier_version_ended_are_shown_as_it_showed_them() {
    let old = successor().await;
    for (job, shown) in [
        ("read", "succeeded"),
        ("written", "succeeded"),
        ("large", "succeeded"),
        ("turn", "succeeded"),
        ("waiting", "awaiting_approval"),
        ("workflow", "awaiting_approval"),
    ] {
        let view = old.alice.job(&old.id(job)).await;
        assert_eq!(status(&view), shown, "{job}: {view}");
    }
    assert!(old.alice.job(&old.id("large")).await["result"].to_string().len() > 1900, "from an item of its own");
    let listed = old.alice.get("/v1/jobs?limit=50").await.body;
    assert_eq!(listed["jobs"].as_array().unwrap().len(), 12, "{listed}");
    let conversations = old.alice.get("/v1/conversations").await.body;
    assert_eq!(conversations["conversations"][0]["conversation"], "trip", "{conversations}");
}

#[tokio::test]
async fn a_request_id_of_an_earlier_version_has_no_second_effect() {
    let mut old = successor().await;
    let written = old.id("written");
    let again = old.alice.submit(&written, "ledger_append", json!({ "note": "one" })).await;
    assert_eq!((again.status.as_u16(), &again.body["status"]), (200, &json!("succeeded")), "{}", again.body);
    let other = old.alice.submit(&written, "ledger_append", json!({ "note": "other" })).await;
    assert_eq!(other.verdict(), (422, "idempotency_key_reused"), "{}", other.body);
    while old.app.deliver().await {}
    assert_eq!(old.app.effects(&written), 0);
}

#[tokio::test]
async fn jobs_that_an_earlier_version_left_open_are_brought_to_their_end() {
    let mut old = successor().await;
    // Nothing is on the queue: the reconciler finds them.
    let job = old.finish("in_flight").await;
    assert_eq!(status(&job), "succeeded", "{job}");
    assert_eq!(old.app.effects(&old.id("in_flight")), 0, "the earlier version's journal has the outcome");
    let job = old.finish("queued").await;
    assert_eq!((status(&job), old.app.effects(&old.id("queued"))), ("succeeded", 1), "{job}");
    for job in ["waiting", "workflow", "proposal"] {
        let id = old.id(job);
        assert_eq!(old.app.approve(&old.alice, "alice", &id).await.status, 200, "{job}");
        let view = old.finish(job).await;
        assert_eq!((status(&view), old.app.effects(&id)), ("succeeded", 1), "{job}: {view}");
    }
    let job = old.finish("behind").await;
    assert_eq!(job["status"], "succeeded", "{job}");
}

#[tokio::test]
async fn every_audit_chain_of_an_earlier_version_verifies_and_grows_on() {
    let mut old = successor().await;
    old.finish("queued").await;
    for (name, id) in old.jobs.as_object().unwrap() {
        if name == "refused" {
            continue;
        }
        let id = id.as_str().unwrap();
        let chain = old.alice.get(&format!("/v1/jobs/{id}/audit")).await.body;
        let head = AuditHead {
            length: chain["head"]["length"].as_u64().unwrap(),
            digest: chain["head"]["digest"].as_str().unwrap().to_owned().try_into().unwrap(),
        };
        let records = chain["records"].as_array().unwrap();
        assert_eq!(verify(records, Owner::Job(id.parse().unwrap()), head), Ok(()), "{name}: {chain}");
    }
    let zhang = old.app.operator("zhang", &["viewer"]);
    let audit = zhang.get("/audit?limit=100").await.body;
    assert_eq!(audit["records"].as_array().unwrap().len(), 3, "{audit}");
    let refusals = zhang.get(&format!("/users/{}/refusals", old.alice.user_id)).await;
    assert_eq!(refusals.body["records"].as_array().unwrap().len(), 1, "{}", refusals.body);
}

#[tokio::test]
async fn the_service_mode_of_an_earlier_version_stays_in_force() {
    let old = successor().await;
    let zhang = old.app.operator("zhang", &["viewer"]);
    let controls = zhang.get("/controls").await.body;
    assert_eq!(controls["service"]["mode"], "full", "{controls}");
    let tool = controls["tools"].as_array().unwrap().iter().find(|tool| tool["name"] == "ledger_delete").unwrap();
    assert!(tool["opened_until"].is_string(), "{tool}");
    let reply = old.alice.submit(&old.app.new_id(), "ledger_fail", json!({ "kind": "throw" })).await;
    assert_eq!(reply.verdict(), (403, "tool_closed"), "{}", reply.body);
}
