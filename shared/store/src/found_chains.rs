//! Walks over the chains of jobs and of refusals, page by page, for those who verify or copy them.

use super::{Item, PAGE, Table, TableError, keys, text, text_of, unavailable};
use domain::ids::{RequestId, UserId};

/// A chain that is in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FoundChain {
    /// The chain of a job.
    Job(UserId, RequestId),
    /// The chain of this user's refusals.
    Refusals(UserId),
}

/// One page, and the key at which the next page starts.
pub type FoundPage = (Vec<FoundChain>, Option<Item>);

impl Table {
    /// One page of a scan for all chains except the operators'.
    pub async fn chains_page(&self, begin: Option<Item>) -> Result<FoundPage, TableError> {
        let scan = self.client.scan().table_name(&self.name).limit(PAGE).consistent_read(true);
        let scan = scan.filter_expression("begins_with(pk, :users) AND (begins_with(sk, :jobs) OR sk = :head)");
        let scan = scan.expression_attribute_values(":users", text(keys::USERS));
        let scan = scan.expression_attribute_values(":jobs", text(keys::JOBS));
        let scan = scan.expression_attribute_values(":head", text(keys::CHAIN_HEAD));
        let scan = scan.projection_expression("pk, sk").set_exclusive_start_key(begin);
        let page = scan.send().await.map_err(|e| unavailable("Scan", e))?;
        let found = |item: &Item| {
            let (user, sk) = (keys::parse_user(text_of(item, "pk")?)?, text_of(item, "sk")?);
            let job = keys::parse_job(sk).map(|id| FoundChain::Job(user, id));
            Some(job.unwrap_or(FoundChain::Refusals(user)))
        };
        Ok((page.items().iter().filter_map(found).collect(), page.last_evaluated_key))
    }

    /// One page of the chains of one user. It reads the user's jobs, and no other partition.
    pub async fn chains_of(&self, user: UserId, begin: Option<Item>) -> Result<FoundPage, TableError> {
        let values = [(":pk", text(keys::user(user))), (":jobs", text(keys::JOBS))];
        let query = self.query("pk = :pk AND begins_with(sk, :jobs)", values).limit(PAGE);
        let page = self.ask(query.projection_expression("sk").set_exclusive_start_key(begin)).await?;
        let job = |item: &Item| Some(FoundChain::Job(user, keys::parse_job(text_of(item, "sk")?)?));
        let mut found: Vec<_> = page.items().iter().filter_map(job).collect();
        if page.last_evaluated_key.is_none() {
            let head = self.get(keys::user(user), keys::CHAIN_HEAD.to_owned()).await?;
            found.extend(head.map(|_| FoundChain::Refusals(user)));
        }
        Ok((found, page.last_evaluated_key))
    }
}
