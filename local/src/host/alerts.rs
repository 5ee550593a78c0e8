//! The alarms of one host: the rows of `observe/alarms.toml` and `observe/host.toml`, evaluated each minute over the metrics
//! of this process. Each alarm that begins or ends is logged and sent to a webhook. No request waits for any of it.

use std::{path::PathBuf, time::Duration};

use aws_sdk_sqs::types::QueueAttributeName;
use domain::{
    alarms::{AlarmTableError, Change, Transition, Watch},
    ids::Timestamp,
};
use platform::{
    metrics::{Metric, number, one_if},
    runtime::Runtime,
};
use store::Table;
use tokio::{task::JoinHandle, time::MissedTickBehavior};

use self::state::State;
use crate::{disk::DiskGuard, emulation::backend::Backend, host::backup::LastBackup};

mod message;
mod rows;
mod samples;
mod state;
mod webhook;

pub use message::{Format, Message};
pub use rows::{not_on_one_host, rows};
pub use samples::RecentSamples;
pub use webhook::{NotAWebhook, Webhook, WebhookFault};

/// The most messages in one minute. Each may be repeated once, and the WeCom robot takes 20.
const MESSAGES_PER_MINUTE: usize = 10;
/// The most changes that wait for a webhook that does not answer. The oldest are dropped first.
const MAX_WAITING: usize = 200;
/// The pause before a message is repeated.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// `sweep` checks the gateway every ten seconds, and stores the result. An older result is not used.
const MAX_CHECK_AGE: Duration = Duration::from_secs(120);
/// The limit of one read of the table.
const READ_LIMIT: Duration = Duration::from_secs(10);

/// Where alarms are sent, and how often they are evaluated.
#[derive(Debug, Clone)]
pub struct AlertOptions {
    /// Receives each alarm that begins or ends. Without it they are only logged.
    pub webhook: Option<Webhook>,
    /// Is called once a minute while the table can be read and the gateway answers its health check.
    pub heartbeat: Option<Webhook>,
    /// Interval at which the state of the host is measured and the end of a minute is detected.
    pub every: Duration,
    /// The pause before a message is repeated.
    pub retry_pause: Duration,
}

impl Default for AlertOptions {
    fn default() -> Self {
        Self { webhook: None, heartbeat: None, every: Duration::from_secs(10), retry_pause: RETRY_PAUSE }
    }
}

/// What is measured for the alarms, and where their state is kept.
#[derive(Debug)]
pub struct Sources {
    /// Clock and meter.
    pub runtime: Runtime,
    /// The samples that the meter has kept.
    pub samples: RecentSamples,
    /// The table, read before each heartbeat.
    pub table: Table,
    /// The queues.
    pub backend: Backend,
    /// The disk of the table.
    pub disk: DiskGuard,
    /// The data directory, with the state of the alarms and the mark of the last backup.
    pub data: PathBuf,
}

/// The running evaluation.
#[derive(Debug)]
pub struct Alerts(JoinHandle<()>);

impl Alerts {
    /// Starts it. Alarms that fired when an earlier process ended are not reported again, unless their message was
    /// not taken.
    pub fn start(options: AlertOptions, sources: Sources) -> Result<Self, AlarmTableError> {
        let file = sources.data.join("alerts.json");
        let now = sources.runtime.now();
        let alarms = rows()?;
        let (firing, waiting) = State::read(&file).resume(&alarms);
        let watch = Watch::new(alarms, firing, now);
        let evaluation = Evaluation { options, sources, watch, file, minute: minute_of(now), waiting, host: host() };
        Ok(Self(tokio::spawn(evaluation.run())))
    }

    /// Ends it.
    pub fn stop(self) {
        self.0.abort();
    }
}

struct Evaluation {
    options: AlertOptions,
    sources: Sources,
    watch: Watch,
    /// The file of the [`State`].
    file: PathBuf,
    minute: i64,
    /// Changes that no message has reported yet, oldest first.
    waiting: Vec<Transition>,
    host: String,
}

impl Evaluation {
    async fn run(mut self) {
        let mut ticks = tokio::time::interval(self.options.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.measure().await;
            let minute = minute_of(self.sources.runtime.now());
            if minute != self.minute {
                self.minute = minute;
                self.minute_ended(Timestamp::from_millis(minute.saturating_mul(60_000))).await;
            }
        }
    }

    /// Measures the metrics that no function measures.
    async fn measure(&self) {
        let Sources { runtime, backend, disk, data, .. } = &self.sources;
        runtime.measure(&[(Metric::DiskLow, one_if(disk.is_low()))], &[]);
        if let Some(age) = LastBackup::of(data).age(runtime.now()) {
            runtime.measure(&[(Metric::BackupAge, age.as_secs_f64())], &[]);
        }
        let name = QueueAttributeName::ApproximateNumberOfMessages;
        let asked = backend.aws.sqs().get_queue_attributes().queue_url(&backend.dlq_url).attribute_names(name.clone());
        let answer = asked.send().await.ok();
        let dead = answer.as_ref().and_then(|answer| answer.attributes()?.get(&name)?.parse::<usize>().ok());
        if let Some(dead) = dead {
            runtime.measure(&[(Metric::DeadLetters, number(dead))], &[]);
        }
    }

    async fn minute_ended(&mut self, now: Timestamp) {
        let changed = self.watch.evaluate(&self.sources.samples, now);
        for Transition { name, change, .. } in &changed {
            match change {
                Change::Fired => tracing::warn!(function = "local", reason = name, state = "alarm", "an alarm fires"),
                Change::Over => tracing::info!(function = "local", reason = name, state = "ok", "an alarm is over"),
            }
        }
        // Without a webhook nothing is recorded: firing alarms are reported after the next start with one.
        if self.options.webhook.is_some() && !changed.is_empty() {
            self.waiting.extend(changed);
            let too_many = self.waiting.len().saturating_sub(MAX_WAITING);
            self.waiting.drain(..too_many);
            self.keep();
        }
        self.send().await;
        self.beat().await;
    }

    /// Keeps the state for the next process.
    fn keep(&self) {
        if let Err(error) = State::of(self.watch.firing(), &self.waiting).write(&self.file) {
            // After a restart an alarm may then be reported twice.
            tracing::warn!(function = "local", %error, "the state of the alarms cannot be kept");
        }
    }

    /// Sends the waiting changes. After a message that is not accepted, the rest waits for the next minute.
    async fn send(&mut self) {
        let Some(webhook) = &self.options.webhook else { return };
        for message in message::pack(webhook.format(), &self.host, &self.waiting).into_iter().take(MESSAGES_PER_MINUTE)
        {
            if let Err(fault) = webhook.post(&message.body, self.options.retry_pause).await {
                self.failed(&fault, "an alarm could not be sent; it is sent again in the next minute");
                return;
            }
            self.waiting.drain(..message.changes);
            self.keep();
        }
    }

    /// Pings the heartbeat URL. Its service alerts when pings are missing.
    async fn beat(&self) {
        let Some(heartbeat) = &self.options.heartbeat else { return };
        let read = tokio::time::timeout(READ_LIMIT, self.sources.table.heartbeat()).await;
        let Ok(Ok(Some(found))) = read else { return };
        let is_recent = self.sources.runtime.now().since(found.at) <= MAX_CHECK_AGE;
        if found.gateway_reachable
            && is_recent
            && let Err(fault) = heartbeat.get().await
        {
            self.failed(&fault, "the heartbeat URL could not be called");
        }
    }

    fn failed(&self, fault: &WebhookFault, what: &'static str) {
        self.sources.runtime.count(Metric::AlertFailures);
        tracing::warn!(function = "local", error = %fault, "{what}");
    }
}

/// Sends changes at once, for a process that does not run on.
pub async fn tell(webhook: &Webhook, changes: &[Transition], pause: Duration) -> Result<(), WebhookFault> {
    for message in message::pack(webhook.format(), &host(), changes) {
        webhook.post(&message.body, pause).await?;
    }
    Ok(())
}

fn minute_of(at: Timestamp) -> i64 {
    at.seconds_floor().div_euclid(60)
}

/// The name of this host, for messages.
fn host() -> String {
    let name = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let name: String =
        name.trim().chars().filter(|c| c.is_ascii_alphanumeric() || "-._".contains(*c)).take(64).collect();
    if name.is_empty() { "this host".to_owned() } else { name }
}
