//! Replaces DynamoDB's time to live: deletes items whose `ttl` has passed.
//!
//! DynamoDB goes by AWS's clock. This module goes by a clock that does not follow a jump of the host's clock
//! ([`RetentionClock`]), because a wrong date would delete everything. No other code in this process deletes expired
//! items.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::{error::ProvideErrorMetadata, types::AttributeValue};
use domain::limits::RetentionClock;
use platform::{aws::cause, runtime::Runtime};
use store::{Table, TableError};
use tokio::{task::JoinHandle, time::MissedTickBehavior};

use crate::{emulation::backend::Backend, program};

/// How often the host's clock is read. A jump counts from one day on, so any interval far below a day is enough.
const READ_EVERY: Duration = Duration::from_secs(60);
/// After how many readings expired items are deleted: daily, since a pass reads the whole table. DynamoDB promises only a
/// few days.
const READINGS_PER_DELETION: u32 = 24 * 60;
/// After how many readings a delay of the retention clock is logged, and a pass that failed is tried again: hourly.
const READINGS_PER_HOUR: u32 = 60;
/// Items that are read in one call. Between two calls other requests are served.
const PAGE: i32 = 100;
/// The pause after a call, as a multiple of its duration: a pass takes a tenth of a core, however large the table is.
const PAUSE: u32 = 9;

/// Expired items could not be deleted. The next run deletes them.
#[derive(Debug, thiserror::Error)]
pub enum ExpiryError {
    /// The retention clock cannot be read or stored.
    #[error(transparent)]
    Clock(#[from] TableError),
    /// Items cannot be read or deleted.
    #[error("the table did not answer: {0}")]
    Items(String),
}

/// The items of one host's table, and the clock by which they expire.
#[derive(Debug, Clone)]
pub struct ExpiredItems {
    table: Table,
    dynamodb: aws_sdk_dynamodb::Client,
    name: String,
    runtime: Runtime,
}

impl ExpiredItems {
    /// The items of this backend's table, which `table` opens.
    pub fn new(backend: &Backend, table: Table, runtime: Runtime) -> Self {
        let (dynamodb, name) = (backend.aws.dynamodb(), backend.table.clone());
        Self { table, dynamodb, name, runtime }
    }

    /// Reads the host's clock, and moves the retention clock forward unless the host's clock has jumped.
    pub async fn read_clock(&self) -> Result<RetentionClock, ExpiryError> {
        let before = self.table.retention_clock().await?;
        let now = self.runtime.now();
        let after = before.map_or_else(|| RetentionClock::confirmed(now), |before| before.read(now));
        match self.table.set_retention_clock(before, after).await? {
            true => Ok(after),
            // Lost the conditional write: an operator has confirmed the clock in another process. The stored value is
            // newer.
            false => Ok(self.table.retention_clock().await?.unwrap_or(after)),
        }
    }

    /// Deletes expired items, and returns how many there were. Most of the time it pauses.
    pub async fn delete(&self) -> Result<usize, ExpiryError> {
        let before = self.read_clock().await?.deletes();
        let before = AttributeValue::N(before.seconds_floor().to_string());
        let (mut deleted, mut from) = (0, None);
        loop {
            let began = Instant::now();
            let scan = self.dynamodb.scan().table_name(&self.name).limit(PAGE).set_exclusive_start_key(from.take());
            let scan = scan.filter_expression("#ttl < :before").projection_expression("pk, sk");
            let scan = scan.expression_attribute_names("#ttl", "ttl");
            let scan = scan.expression_attribute_values(":before", before.clone());
            let page = scan.send().await.map_err(|error| ExpiryError::Items(cause(&error)))?;
            for key in page.items.unwrap_or_default() {
                deleted += usize::from(self.delete_one(key, before.clone()).await?);
            }
            match page.last_evaluated_key.filter(|key| !key.is_empty()) {
                Some(key) => from = Some(key),
                None => return Ok(deleted),
            }
            tokio::time::sleep(began.elapsed() * PAUSE).await;
        }
    }

    async fn delete_one(
        &self,
        key: HashMap<String, AttributeValue>,
        before: AttributeValue,
    ) -> Result<bool, ExpiryError> {
        let delete = self.dynamodb.delete_item().table_name(&self.name).set_key(Some(key));
        // Condition: the item still has an expired `ttl`. It may have been written again with a later one.
        let delete = delete.condition_expression("#ttl < :before").expression_attribute_names("#ttl", "ttl");
        match delete.expression_attribute_values(":before", before).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(false),
            Err(error) => Err(ExpiryError::Items(cause(&error))),
        }
    }
}

/// Deletes expired items periodically.
#[derive(Debug)]
pub struct Expiry(JoinHandle<()>);

impl Expiry {
    /// Deletes now, and then daily.
    pub fn start(items: ExpiredItems) -> Self {
        Self(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(READ_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut has_failed = false;
            for reading in (0..READINGS_PER_DELETION).cycle() {
                ticks.tick().await;
                let clock = note_fault(items.read_clock().await);
                if reading % READINGS_PER_HOUR != 0 {
                    continue;
                }
                if let Some(late) = clock.and_then(|clock| clock.late_by()) {
                    tracing::warn!(function = "local", late_days = late.as_secs() / 86_400, "{}", Late(late));
                }
                if reading == 0 || has_failed {
                    has_failed = note_fault(items.delete().await).is_none();
                }
            }
        }))
    }

    /// Ends the deletion.
    pub fn stop(self) {
        self.0.abort();
    }
}

fn note_fault<T>(done: Result<T, ExpiryError>) -> Option<T> {
    done.map_err(|error| tracing::warn!(function = "local", %error, "expired items could not be deleted")).ok()
}

/// The warning to an operator while deletion lags behind the host's clock.
#[derive(Debug, Clone, Copy)]
pub struct Late(pub Duration);

impl std::fmt::Display for Late {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let days = self.0.as_secs() / 86_400;
        write!(
            f,
            "this host's clock has jumped, or nothing ran for a while: expired items are deleted {days} days late; \
             if the clock is right, say so with `{} clock confirm`",
            program::name()
        )
    }
}
