//! The only access of a test to stored data, other than the API.

use domain::{
    ids::RequestId,
    job::{Job, Via},
};
use serde_json::Value;
use store::{Stored, Table};

use super::App;
use crate::{Client, stored_items};

/// Stored data that no client or operator can see, and the table, to act as another process would.
#[derive(Debug, Clone, Copy)]
pub struct Inspect<'a>(&'a App);

impl App {
    /// For claims about what is stored. Everything else enters by HTTP, the queue or the schedule.
    pub const fn inspect(&self) -> Inspect<'_> {
        Inspect(self)
    }
}

impl<'a> Inspect<'a> {
    /// The table, without faults.
    pub const fn table(self) -> &'a Table {
        &self.0.table
    }

    /// The stored job.
    pub async fn stored(self, client: &Client, id: &str) -> Job {
        let user = client.user_id.parse().expect("a user id");
        let id: RequestId = id.parse().expect("a request id");
        match self.table().job(user, id).await.expect("the table answers") {
            Some(Stored::Job(job)) => *job,
            other => panic!("no job: {other:?}"),
        }
    }

    /// Whether an intent of the job names a journal.
    pub async fn journaled(self, client: &Client, id: &str) -> bool {
        let job = self.stored(client, id).await;
        job.steps.iter().any(|step| matches!(&step.intent, Some(intent) if matches!(intent.via, Via::Journal(_))))
    }

    /// The report of a user's erasure.
    pub async fn erasure(self, client: &Client) -> Value {
        let user = client.user_id.parse().expect("a user id");
        let erasure = self.table().erasure(user).await.expect("the table answers").expect("there is an erasure");
        serde_json::to_value(erasure.view(user)).expect("a report is JSON")
    }

    /// Every item of the table as DynamoDB's JSON, sorted by its key.
    pub async fn stored_items(self) -> Vec<Value> {
        stored_items::read(&self.0.aws, &self.0.deployment.backend.table).await
    }

    /// Writes items as they are, over those with the same key.
    pub async fn store_items(self, items: &[Value]) {
        stored_items::write(&self.0.aws, &self.0.deployment.backend.table, items).await;
    }
}
