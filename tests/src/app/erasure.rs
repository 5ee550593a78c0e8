//! The erasure of a user.

use std::time::Duration;

use serde_json::Value;

use super::App;
use crate::{Client, Reply};

impl App {
    /// The user asks for the erasure, with a fresh login code.
    pub async fn erase(&self, client: &Client, name: &str) -> Reply {
        client.erase(&self.fresh_code(name)).await
    }

    /// Delivers, and lets time pass, until the erasure has this status; then returns its report. `sweep` runs as its
    /// schedule says.
    pub async fn erasure_until(&mut self, client: &Client, status: &str) -> Value {
        for round in 0..100 {
            while self.deliver().await {}
            let report = self.inspect().erasure(client).await;
            if report["status"] == status {
                return report;
            }
            let step = self.delays.next().unwrap_or(Duration::from_secs(60)).max(Duration::from_secs(1));
            self.advance(if round % 3 == 2 { Duration::from_secs(61) } else { step }).await;
            if round % 3 == 2 {
                self.sweep().await;
            }
        }
        panic!("the erasure does not get there: {}", self.inspect().erasure(client).await);
    }

    /// The same until it is done.
    pub async fn finish_erasure(&mut self, client: &Client) -> Value {
        self.erasure_until(client, "done").await
    }
}
