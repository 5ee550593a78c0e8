//! The table. The job's item is the only commit point: the records that a change needs are put first, write-once;
//! then one conditional put of the job names their digests. A job therefore needs no transaction, which DynamoDB
//! would bill twice.
//!
//! The SDK repeats a write whose response was lost. So each conditional write stores a random **nonce**: when a
//! condition fails and the stored item has the nonce of this write, an earlier attempt of the same write succeeded.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::{
        put_item::PutItemError,
        query::{QueryOutput, builders::QueryFluentBuilder},
        update_item::UpdateItemError,
    },
    types::{AttributeValue, ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure},
};

use domain::ids::Timestamp;
use platform::{
    aws,
    http::{ApiError, Code},
};

mod audit_chains;
mod batch;
mod checkpoint_index;
mod checkpoints;
mod condition;
mod consumed;
mod conversation_names;
mod conversation_queue;
mod conversations;
mod erasures;
mod exports;
mod fault_watch;
mod found_chains;
mod gateway_state;
mod indexes;
mod jobs;
pub mod keys;
mod logins;
mod notifications;
mod operators;
mod pages;
mod records;
mod retention_clock;
pub mod schema;
mod service_mode;
mod users;
mod wechat_events;

pub use audit_chains::ChainPage;
pub use batch::{KnownId, PayloadAndUser, UserAndJob};
pub use checkpoints::{Grown, GrownChain, KeptCheckpoint};
use condition::{Condition, keyed, number, number_of, text, text_of};
pub use consumed::Consumed;
pub use conversation_names::{Counted, CountedNames};
pub use conversation_queue::QueueJoin;
pub use conversations::EndOf;
pub use erasures::{OwnItem, OwnJob};
pub use exports::{ExportPlace, Owned};
pub use fault_watch::KeptWatch;
pub use found_chains::{FoundChain, FoundPage};
pub use gateway_state::{GatewaySeen, Heartbeat, ToolGuard};
pub use jobs::{Commit, Created, Stored};
pub use logins::KnownUser;
pub use notifications::{AccessToken, Credit, CreditTaken, Recipient, SEND_LOCK};
pub use operators::{KnownOperator, OWN_AT_MOST};
pub use pages::{Listed, Order};
pub use records::{KeptResult, Payload};
pub use service_mode::Applied;

/// An item of the table.
pub type Item = HashMap<String, AttributeValue>;

/// Access to the table.
#[derive(Debug, Clone)]
pub struct Table {
    client: Client,
    name: String,
    retention: Duration,
    consumed: Arc<Consumed>,
}

/// Why an operation on the table failed.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// DynamoDB did not answer, or refused for another reason than a failed condition.
    #[error("the table did not answer {operation}: {cause}")]
    Unavailable {
        /// Name of the DynamoDB operation.
        operation: &'static str,
        /// Kind of the failure and its code. The SDK's own message is dropped: it would quote responses, and so
        /// items.
        cause: String,
    },
    /// An item does not have the shape that its key requires.
    #[error("the table holds a malformed {0}")]
    Malformed(&'static str),
    /// Lost the conditional write on every attempt.
    #[error("others keep writing the {0}")]
    Contended(&'static str),
}

impl From<TableError> for ApiError {
    /// A table that does not answer is a passing fault; a malformed item is not.
    fn from(error: TableError) -> Self {
        match error {
            TableError::Unavailable { .. } | TableError::Contended(_) => Self::unavailable(error),
            // The fault concerns one job only, so its client gets an error of its own.
            TableError::Malformed("job" | "payload" | "input" | "result" | "held text") => {
                Self::new(Code::JobUnreadable).because(error)
            }
            TableError::Malformed(_) => Self::new(Code::Internal).because(error),
        }
    }
}

/// No limit to the number of items.
const ALL: usize = usize::MAX;
/// Items that are read in one page. DynamoDB ends a page at 1 MB; the engine of one host reads everything that is left before
/// it cuts a page there, so that a walk without a limit takes memory for the whole table, and time for its square.
const PAGE: i32 = 1000;

/// Outcome of a conditional write.
#[derive(Debug)]
enum Written {
    /// The write was applied.
    Done,
    /// The condition failed on this item; `None` when there is no item.
    Refused(Option<Item>),
}

impl Table {
    /// Access to the table of this name. `retention` is the time for which records are kept after their job has
    /// ended.
    pub fn new(client: Client, name: String, retention: Duration) -> Self {
        Self { client, name, retention, consumed: Arc::default() }
    }

    /// Capacity that this process has consumed.
    pub fn consumed(&self) -> &Consumed {
        &self.consumed
    }

    /// How long records are kept after their job has ended.
    pub fn retention(&self) -> Duration {
        self.retention
    }

    async fn get(&self, pk: String, sk: String) -> Result<Option<Item>, TableError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.name)
            .key("pk", AttributeValue::S(pk))
            .key("sk", AttributeValue::S(sk))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|e| unavailable("GetItem", e))?;
        Consumed::add(&self.consumed.read, answer.consumed_capacity.as_ref());
        Ok(answer.item)
    }

    /// A strongly consistent query with this condition and its values.
    fn query<const N: usize>(&self, condition: &str, values: [(&str, AttributeValue); N]) -> QueryFluentBuilder {
        let query = self.client.query().key_condition_expression(condition).consistent_read(true);
        values.into_iter().fold(query, |query, (name, value)| query.expression_attribute_values(name, value))
    }

    /// What `read` makes of the items of a query, at most `limit`, over as many pages as that takes. A limit of the
    /// query itself is that of each page.
    async fn collect<T>(
        &self,
        query: QueryFluentBuilder,
        limit: usize,
        mut read: impl FnMut(Item) -> Result<Option<T>, TableError>,
    ) -> Result<Vec<T>, TableError> {
        let (mut found, mut start) = (Vec::new(), query.get_exclusive_start_key().clone());
        while found.len() < limit {
            let page = at_most(limit - found.len()).min(query.get_limit().unwrap_or(PAGE));
            let query = query.clone().limit(page).set_exclusive_start_key(start);
            let answer = self.ask(query).await?;
            for item in answer.items.unwrap_or_default() {
                found.extend(read(item)?);
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// One page of a query in this partition after a sort key, and the sort key after which the next page begins.
    async fn page(
        &self,
        query: QueryFluentBuilder,
        pk: impl fmt::Display,
        after: Option<String>,
    ) -> Result<(Vec<Item>, Option<String>), TableError> {
        let answer = self.ask(query.set_exclusive_start_key(after.map(|sk| keyed(pk, sk, [])))).await?;
        let next = answer.last_evaluated_key.as_ref().and_then(|key| text_of(key, "sk")).map(str::to_owned);
        Ok((answer.items.unwrap_or_default(), next))
    }

    /// Queries one page of the table, and counts the consumed capacity.
    async fn ask(&self, query: QueryFluentBuilder) -> Result<QueryOutput, TableError> {
        let query = query.table_name(&self.name).return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = query.send().await.map_err(|e| unavailable("Query", e))?;
        Consumed::add(&self.consumed.read, answer.consumed_capacity.as_ref());
        Ok(answer)
    }

    /// Puts an item under a condition; without one if the condition is empty.
    async fn put(&self, item: Item, condition: Condition<'_>) -> Result<Written, TableError> {
        let sent = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .set_condition_expression(condition.expression())
            .set_expression_attribute_names(condition.names())
            .set_expression_attribute_values(condition.values())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match sent {
            Ok(answer) => {
                Consumed::add(&self.consumed.write, answer.consumed_capacity.as_ref());
                Ok(Written::Done)
            }
            Err(SdkError::ServiceError(e)) if e.err().is_conditional_check_failed_exception() => {
                self.count_refused();
                match e.into_err() {
                    PutItemError::ConditionalCheckFailedException(failed) => Ok(Written::Refused(failed.item)),
                    _ => Ok(Written::Refused(None)),
                }
            }
            Err(e) => Err(unavailable("PutItem", e)),
        }
    }

    /// Puts a marker, which has no content besides its key and is deleted after `until`. Unconditional: a second put
    /// changes nothing.
    async fn put_marker(
        &self,
        pk: impl fmt::Display,
        sk: impl fmt::Display,
        until: Timestamp,
    ) -> Result<(), TableError> {
        self.put(keyed(pk, sk, [("ttl", number(until.seconds_ceil()))]), Condition::none()).await.map(drop)
    }

    /// Updates an item under a condition. An item that fails it is returned.
    async fn update(
        &self,
        key: (String, String),
        update: &str,
        condition: Condition<'_>,
    ) -> Result<Result<(), Option<Item>>, TableError> {
        Ok(self.send_update(key, update, condition, ReturnValue::None).await?.map(drop))
    }

    /// The same, and the updated item is returned as well.
    async fn update_and_read(
        &self,
        key: (String, String),
        update: &str,
        condition: Condition<'_>,
    ) -> Result<Result<Item, Option<Item>>, TableError> {
        self.send_update(key, update, condition, ReturnValue::AllNew).await
    }

    async fn send_update(
        &self,
        (pk, sk): (String, String),
        update: &str,
        condition: Condition<'_>,
        answer: ReturnValue,
    ) -> Result<Result<Item, Option<Item>>, TableError> {
        let sent = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("pk", AttributeValue::S(pk))
            .key("sk", AttributeValue::S(sk))
            .update_expression(update)
            .set_condition_expression(condition.expression())
            .set_expression_attribute_names(condition.names())
            .set_expression_attribute_values(condition.values())
            .return_values(answer)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match sent {
            Ok(answer) => {
                Consumed::add(&self.consumed.write, answer.consumed_capacity.as_ref());
                Ok(Ok(answer.attributes.unwrap_or_default()))
            }
            Err(SdkError::ServiceError(e)) if e.err().is_conditional_check_failed_exception() => {
                self.count_refused();
                match e.into_err() {
                    UpdateItemError::ConditionalCheckFailedException(failed) => Ok(Err(failed.item)),
                    _ => Ok(Err(None)),
                }
            }
            Err(e) => Err(unavailable("UpdateItem", e)),
        }
    }

    /// Deletes an item under a condition. False: there is no such item, or the condition failed.
    async fn delete(&self, (pk, sk): (String, String), condition: Condition<'_>) -> Result<bool, TableError> {
        let sent = self
            .client
            .delete_item()
            .table_name(&self.name)
            .key("pk", AttributeValue::S(pk))
            .key("sk", AttributeValue::S(sk))
            .set_condition_expression(condition.expression())
            .set_expression_attribute_names(condition.names())
            .set_expression_attribute_values(condition.values())
            .return_values(ReturnValue::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match sent {
            Ok(answer) => {
                Consumed::add(&self.consumed.write, answer.consumed_capacity.as_ref());
                Ok(answer.attributes.is_some_and(|old| !old.is_empty()))
            }
            Err(SdkError::ServiceError(e)) if e.err().is_conditional_check_failed_exception() => {
                self.count_refused();
                Ok(false)
            }
            Err(e) => Err(unavailable("DeleteItem", e)),
        }
    }

    /// DynamoDB bills a write whose condition failed too: at least one unit.
    fn count_refused(&self) {
        self.consumed.write.fetch_add(1000, std::sync::atomic::Ordering::Relaxed);
    }
}

/// A limit in the SDK's type.
fn at_most(limit: usize) -> i32 {
    i32::try_from(limit).unwrap_or(i32::MAX)
}

fn unavailable<E>(operation: &'static str, error: SdkError<E, aws_smithy_runtime_api::http::Response>) -> TableError
where
    E: ProvideErrorMetadata,
{
    TableError::Unavailable { operation, cause: aws::cause(&error) }
}
