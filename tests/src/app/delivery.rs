//! Lets time pass, delivers wake-up messages, and brings jobs to their end.

use std::time::Duration;

use aws_sdk_sqs::types::Message;
use local::emulation::poller;
use platform::runtime::Clock;
use serde_json::{Value, json};

use super::{AFTER_A_CRASH, App};
use crate::Client;

impl App {
    /// Advances the clock. Delayed messages that are due are put on the queue, and unacknowledged ones after their
    /// visibility timeout.
    pub async fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
        if let Some(gateway) = self.gateway.as_ref().filter(|gateway| gateway.is_running()) {
            gateway.shift_clock(self.clock.ahead_ms()).await;
        }
        for body in self.delays.due() {
            self.put_on_queue(&body).await;
        }
        if by >= AFTER_A_CRASH {
            for handle in std::mem::take(&mut self.undone) {
                let again = self.aws.sqs().change_message_visibility().queue_url(&self.deployment.backend.queue_url);
                again.receipt_handle(handle).visibility_timeout(0).send().await.expect("the queue answers");
            }
        }
    }

    /// The host's clock jumps by a number of days, back if negative; no time passes.
    pub async fn jump(&self, days: i64) {
        self.jump_seconds(days * 86_400).await;
    }

    /// The same by a number of seconds.
    pub async fn jump_seconds(&self, seconds: i64) {
        let by = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 {
            self.clock.go_back(by)
        } else {
            self.clock.advance(by)
        }
        if let Some(gateway) = &self.gateway {
            gateway.shift_clock(self.clock.ahead_ms()).await;
        }
    }

    /// Puts a message with any body on the queue.
    pub async fn put_on_queue(&self, body: &str) {
        let send = self.aws.sqs().send_message().queue_url(&self.deployment.backend.queue_url).message_body(body);
        send.send().await.expect("the queue answers");
    }

    /// Sends another wake-up message for a job: a duplicate.
    pub async fn wake(&self, client: &Client, id: &str) {
        self.put_on_queue(&json!({ "user_id": client.user_id, "request_id": id }).to_string()).await;
    }

    /// Messages that are on the queue now.
    pub async fn receive(&self) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            let receive = self.aws.sqs().receive_message().queue_url(&self.deployment.backend.queue_url);
            let got = receive.max_number_of_messages(10).wait_time_seconds(0).send().await.expect("the queue answers");
            match got.messages {
                Some(more) if !more.is_empty() => messages.extend(more),
                _ => return messages,
            }
        }
    }

    /// Acts as Lambda: passes the queued messages to the worker, and deletes those that it handled. Returns false if
    /// there were none. When a fault kills the worker, its messages stay until their visibility timeout.
    pub async fn deliver(&mut self) -> bool {
        let messages = self.receive().await;
        let some = !messages.is_empty();
        self.hand_over(&messages).await;
        some
    }

    /// Passes messages to the worker in one batch.
    pub async fn hand_over(&mut self, messages: &[Message]) {
        if messages.is_empty() {
            return;
        }
        let deadline = self.clock.now().plus(Duration::from_secs(30));
        let worker = self.worker.clone();
        let done = tokio::select! {
            done = worker.handle_batch(poller::event(messages), deadline) => Some(done),
            () = self.faults.killed() => None,
        };
        let failed = |message: &Message| match &done {
            None => true,
            Some(done) => {
                done.batch_item_failures.iter().any(|f| Some(&f.item_identifier) == message.message_id.as_ref())
            }
        };
        for message in messages {
            let handle = message.receipt_handle.clone().unwrap_or_default();
            if failed(message) {
                self.undone.push(handle);
            } else {
                let delete = self.aws.sqs().delete_message().queue_url(&self.deployment.backend.queue_url);
                delete.receipt_handle(handle).send().await.expect("the queue answers");
            }
        }
    }

    /// One run of `sweep`.
    pub async fn sweep(&mut self) -> sweep::SweepReport {
        let deadline = self.clock.now().plus(Duration::from_secs(30));
        tokio::select! {
            report = self.sweep.run(deadline) => report.unwrap_or_default(),
            () = self.faults.killed() => sweep::SweepReport::default(),
        }
    }

    /// Delivers, and lets time pass, until the job is over; then returns it.
    pub async fn finish(&mut self, client: &Client, id: &str) -> Value {
        for round in 0..200 {
            while self.deliver().await {}
            let job = client.job(id).await;
            if job["next_poll_ms"].is_null() && job["status"].is_string() {
                return job;
            }
            let step = self.delays.next().unwrap_or(AFTER_A_CRASH).max(Duration::from_millis(10));
            self.advance(if round % 4 == 3 { step.max(AFTER_A_CRASH) } else { step }).await;
            if round % 4 == 3 {
                self.sweep().await;
            }
        }
        panic!("the job does not end: {}", client.job(id).await);
    }

    /// The same while `sweep` does not run: the service mode stays as it is, whatever becomes of the gateway.
    pub async fn finish_unswept(&mut self, client: &Client, id: &str) -> Value {
        for _ in 0..100 {
            while self.deliver().await {}
            let job = client.job(id).await;
            if job["next_poll_ms"].is_null() && job["status"].is_string() {
                return job;
            }
            self.advance(AFTER_A_CRASH).await;
        }
        panic!("the job does not end: {}", client.job(id).await);
    }

    /// Delivers as messages become due, by the real clock, until the job is over; then returns it.
    pub async fn finish_in_real_time(&mut self, client: &Client, id: &str, patience: Duration) -> Value {
        let began = std::time::Instant::now();
        loop {
            self.advance(Duration::ZERO).await;
            while self.deliver().await {}
            let job = client.job(id).await;
            if job["next_poll_ms"].is_null() && job["status"].is_string() {
                return job;
            }
            assert!(began.elapsed() < patience, "the job does not end: {job}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Submits a call; returns the request id.
    pub async fn submit(&self, client: &Client, tool: &str, arguments: Value) -> String {
        self.submit_body(client, &json!({ "tool": tool, "arguments": arguments })).await
    }

    /// Submits any body; returns the request id.
    pub async fn submit_body(&self, client: &Client, body: &Value) -> String {
        let id = self.new_id();
        let reply = client.submit_body(&id, body).await;
        assert_eq!(reply.status, 202, "{}", reply.body);
        id
    }

    /// Submits a call, and brings the job to its end.
    pub async fn run(&mut self, client: &Client, tool: &str, arguments: Value) -> Value {
        let id = self.submit(client, tool, arguments).await;
        self.finish(client, &id).await
    }
}
