//! Offline verification: every change, removal, move, truncation or rewrite in the table is reported with its job;
//! consistent rewrites are detected by the checkpoints; and a verifier in another language has the same results.

use std::{collections::HashMap, sync::Arc, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    audit::{OperatorActor, OperatorEvent, RefusalEvent, checkpoint::PublicKey},
    ids::{Digest, OperatorId, UserId, support_code},
};
use integration_tests::{App, Client};
use local::audit::{self as walk, Report, Scope, Source, Verification};
use platform::runtime::{Clock, Runtime, System};
use serde_json::{Value, json};

mod appends;
mod checkpoints;
mod python;
mod records;

type Item = HashMap<String, AttributeValue>;

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn runtime(app: &App) -> Runtime {
    Runtime::new(Arc::new(app.clock.clone()), Arc::new(System))
}

fn closed(reason: &str) -> OperatorEvent {
    OperatorEvent::ToolClosed { tool: "ledger_wipe".into(), reason: reason.into() }
}

fn operator() -> OperatorActor {
    OperatorActor::Operator(OperatorId::from_random([7; 16]))
}

fn refusal(code: &str) -> RefusalEvent {
    RefusalEvent { tool: Some("ledger_pay".into()), code: code.into(), policies: vec!["p".into()], request_id: None }
}

/// A service with something in every chain, all of it signed and exported.
struct Signed {
    app: App,
    alice: Client,
    user: UserId,
    job: String,
    code: String,
}

impl Signed {
    async fn start() -> Self {
        let (mut app, alice) = App::start_with("alice").await;
        let bob = app.login("bob").await;
        let user: UserId = alice.user_id.parse().unwrap();
        let job =
            app.run(&alice, "ledger_append", json!({"note":"n"})).await["request_id"].as_str().unwrap().to_owned();
        app.run(&bob, "ledger_read", json!({})).await;
        for code in ["policy_denied", "mode_read_only", "mode_closed"] {
            app.inspect().table().append_refusal(&runtime(&app), user, refusal(code), "p").await.unwrap();
            app.inspect().table().append_operator(&runtime(&app), operator(), closed(code), "p").await.unwrap();
        }
        app.advance(Duration::from_secs(300)).await;
        app.sweep().await;
        app.advance(Duration::from_secs(301)).await;
        app.sweep().await;
        app.advance(Duration::from_secs(301)).await;
        app.sweep().await;
        let code = support_code(user, job.parse().unwrap());
        Self { app, alice, user, job, code }
    }

    fn key(&self) -> PublicKey {
        let secrets: Value = serde_json::from_slice(&std::fs::read(&self.app.secrets_file).unwrap()).unwrap();
        serde_json::from_value(secrets["checkpoints"]["keys"][0].clone()).unwrap()
    }

    async fn walk(&self, source: &Source, scope: Scope, checkpoints: bool) -> Report {
        let checkpoints = checkpoints.then(|| (self.app.deployment.checkpoints(), vec![self.key()]));
        let retention = Duration::from_secs(30 * 86_400);
        let asked = Verification { scope, checkpoints, retention, now: self.app.clock.now() };
        walk::run(source, &asked, &|_| {}).await.unwrap()
    }

    fn table(&self) -> Source {
        Source::Table(self.app.inspect().table().clone())
    }

    async fn everything(&self, checkpoints: bool) -> Report {
        self.walk(&self.table(), Scope::Everything, checkpoints).await
    }

    /// What is found without and with checkpoints.
    async fn found(&self) -> [Vec<String>; 2] {
        [self.everything(false).await.faults, self.everything(true).await.faults]
    }

    /// The one thing that is found with checkpoints, which says this; without them nothing is.
    async fn betrayed(&self, says: &str) -> String {
        let [plain, mut anchored] = self.found().await;
        assert_eq!(plain, [""; 0]);
        assert!(anchored.len() == 1 && anchored[0].contains(says), "{says}: {anchored:?}");
        anchored.remove(0)
    }

    async fn items(&self, pk: &str, prefix: &str) -> Vec<Item> {
        let query = self.app.aws.dynamodb().query().table_name(&self.app.deployment.backend.table);
        let query = query.key_condition_expression("pk = :p AND begins_with(sk, :s)").consistent_read(true);
        let query = query.expression_attribute_values(":p", text(pk)).expression_attribute_values(":s", text(prefix));
        query.send().await.unwrap().items.unwrap()
    }

    async fn put(&self, item: &Item) {
        let put = self.app.aws.dynamodb().put_item().table_name(&self.app.deployment.backend.table);
        put.set_item(Some(item.clone())).send().await.unwrap();
    }

    async fn delete(&self, item: &Item) {
        let delete = self.app.aws.dynamodb().delete_item().table_name(&self.app.deployment.backend.table);
        delete.key("pk", item["pk"].clone()).key("sk", item["sk"].clone()).send().await.unwrap();
    }

    fn partition(&self) -> String {
        format!("U#{}", self.user)
    }

    async fn job_item(&self) -> Item {
        self.items(&self.partition(), &format!("J#{}", self.job)).await.pop().unwrap()
    }

    /// The items of records of alice's job. The first one is with the payload.
    async fn job_records(&self) -> Vec<Item> {
        let mut records = self.items(&self.partition(), &format!("IN#{}#", self.job)).await;
        records.extend(self.items(&self.partition(), &format!("A#{}#", self.job)).await);
        records
    }
}

fn with(item: &Item, name: &str, value: AttributeValue) -> Item {
    let mut item = item.clone();
    item.insert(name.to_owned(), value);
    item
}

fn record(item: &Item) -> Value {
    serde_json::from_str(item["rec"].as_s().unwrap()).unwrap()
}

fn head_of(length: u64, digest: Digest) -> AttributeValue {
    AttributeValue::M(HashMap::from([
        ("n".to_owned(), AttributeValue::N(length.to_string())),
        ("h".to_owned(), text(digest.to_string())),
    ]))
}
