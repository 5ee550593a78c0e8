//! Reads chains from the table, or from a directory that was exported from it.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use domain::{
    access::session::BadSessionKey,
    audit::{AuditHead, ChainName, checkpoint::End},
    ids::{RequestId, UserId, parse_support_code, support_code},
    json,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{ChainPage, FoundChain, Item, Stored, Table, TableError};

use crate::data::{DataError, failed};

/// A chain could not be read, so it cannot be verified.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A request to the table failed.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] DataError),
    /// A file has another shape.
    #[error("{0} is not {1}")]
    Shape(PathBuf, &'static str),
    /// A public key is invalid.
    #[error(transparent)]
    Key(#[from] BadSessionKey),
}

/// The source of the chains.
#[derive(Debug)]
pub enum Source {
    /// The present table.
    Table(Table),
    /// A directory that `audit export` has written.
    Export(PathBuf),
}

/// The chain of a job, as the API returns it and as it is exported.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct JobChain {
    pub(super) job: String,
    pub(super) request_id: RequestId,
    pub(super) records: Vec<Value>,
    pub(super) head: End,
}

/// Result of reading a job's chain.
pub(super) enum ReadJob {
    Chain(JobChain),
    /// A newer version has written it.
    Newer,
    Gone,
}

/// The position of the next page of a walk over all chains.
pub(super) enum Place {
    Table(Item),
    Export(usize),
}

pub(super) const JOBS: &str = "jobs";
pub(super) const REFUSALS: &str = "refusals";
pub(super) const OPERATORS: &str = "operators.jsonl";

/// The file of a job's chain in an export. Support codes begin with the user id, so files are spread by the last two
/// characters, which are random.
pub(super) fn job_file(root: &Path, code: &str) -> PathBuf {
    let spread = code.get(code.len().saturating_sub(2)..).unwrap_or_default();
    root.join(JOBS).join(spread).join(format!("{code}.json"))
}

/// The file of a side chain in an export: a record on each line, then the head.
pub(super) fn side_chain_file(root: &Path, name: ChainName) -> PathBuf {
    match name {
        ChainName::Operators => root.join(OPERATORS),
        ChainName::Refusals(user) => root.join(REFUSALS).join(format!("{user}.jsonl")),
    }
}

impl Source {
    pub(super) async fn job(&self, user: UserId, id: RequestId) -> Result<ReadJob, AuditError> {
        let code = support_code(user, id);
        match self {
            Self::Table(table) => match table.job(user, id).await? {
                None => Ok(ReadJob::Gone),
                Some(Stored::Newer) => Ok(ReadJob::Newer),
                Some(Stored::Job(job)) => {
                    let records = table.audit_chain(user, id, job.audit).await?;
                    Ok(ReadJob::Chain(JobChain { job: code, request_id: id, records, head: job.audit.into() }))
                }
            },
            Self::Export(root) => {
                let file = job_file(root, &code);
                match fs::read(&file) {
                    Ok(bytes) => json::kept(&bytes)
                        .map(ReadJob::Chain)
                        .map_err(|_| AuditError::Shape(file, "the exported chain of a job")),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(ReadJob::Gone),
                    Err(error) => Err(failed(&file, "read")(error).into()),
                }
            }
        }
    }

    pub(super) async fn page(&self, name: ChainName, after: u64, limit: usize) -> Result<ChainPage, AuditError> {
        match self {
            Self::Table(table) => Ok(table.chain(name, after, limit).await?),
            Self::Export(root) => {
                let mut page = ChainPage { records: Vec::new(), head: AuditHead::EMPTY, next: None };
                let mut last = after;
                for_each_line(&side_chain_file(root, name), |line| {
                    let seq = line["seq"].as_u64();
                    match (seq, line.get("head")) {
                        (Some(seq), None) if seq > after && page.records.len() < limit => {
                            last = seq;
                            page.records.push(line);
                        }
                        (Some(_), None) => {}
                        (_, Some(head)) => page.head = serde_json::from_value::<End>(head.clone()).ok()?.into(),
                        (None, None) => return None,
                    }
                    Some(())
                })?;
                page.next = (last < page.head.length && page.records.len() == limit).then_some(last);
                Ok(page)
            }
        }
    }

    /// Whether the user is erased, and so the records of the user's refusals.
    pub(super) async fn is_erased(&self, user: UserId) -> Result<bool, AuditError> {
        match self {
            Self::Table(table) => Ok(table.erasure(user).await?.is_some()),
            Self::Export(root) => {
                let mut erased = false;
                for_each_line(&side_chain_file(root, ChainName::Refusals(user)), |line| {
                    erased |= line["erased"] == true;
                    Some(())
                })?;
                Ok(erased)
            }
        }
    }

    /// The sequence number of the oldest record that is kept.
    pub(super) async fn begins(&self, name: ChainName) -> Result<Option<u64>, AuditError> {
        match self {
            Self::Table(table) => Ok(table.chain_begins(name).await?),
            Self::Export(_) => Ok(self.page(name, 0, 1).await?.records.first().and_then(|first| first["seq"].as_u64())),
        }
    }

    /// One page of the chains of one user, or of all chains except the operators', and the position of the next page. An
    /// export is read as a whole.
    pub(super) async fn found(
        &self,
        user: Option<UserId>,
        begin: Option<Place>,
    ) -> Result<(Vec<FoundChain>, Option<Place>), AuditError> {
        match (self, begin) {
            (Self::Table(table), begin) => {
                let begin = match begin {
                    Some(Place::Table(item)) => Some(item),
                    Some(Place::Export(_)) | None => None,
                };
                let (found, next) = match user {
                    Some(user) => table.chains_of(user, begin).await?,
                    None => table.chains_page(begin).await?,
                };
                Ok((found, next.map(Place::Table)))
            }
            (Self::Export(root), begin) => {
                let place = match begin {
                    Some(Place::Export(place)) => place,
                    Some(Place::Table(_)) | None => 0,
                };
                let directories = names(&root.join(JOBS))?;
                let Some(directory) = directories.get(place) else {
                    let users = names(&root.join(REFUSALS))?;
                    let user = |file: &PathBuf| file.file_stem()?.to_str()?.parse().ok().map(FoundChain::Refusals);
                    return Ok((users.iter().filter_map(user).collect(), None));
                };
                let job = |file: &PathBuf| {
                    parse_support_code(file.file_stem()?.to_str()?).map(|(user, id)| FoundChain::Job(user, id))
                };
                Ok((names(directory)?.iter().filter_map(job).collect(), Some(Place::Export(place + 1))))
            }
        }
    }
}

/// The files in a directory, in order; none if the directory does not exist.
pub(super) fn names(directory: &Path) -> Result<Vec<PathBuf>, AuditError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(directory, "read")(error).into()),
    };
    let mut all = Vec::new();
    for entry in entries {
        all.push(entry.map_err(failed(directory, "read"))?.path());
    }
    all.sort();
    Ok(all)
}

fn for_each_line(file: &Path, mut each: impl FnMut(Value) -> Option<()>) -> Result<(), AuditError> {
    let lines = match File::open(file) {
        Ok(opened) => BufReader::new(opened).lines(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(file, "read")(error).into()),
    };
    for line in lines {
        let line = line.map_err(failed(file, "read"))?;
        let read = json::kept(&line).ok().and_then(&mut each);
        read.ok_or_else(|| AuditError::Shape(file.to_owned(), "an exported chain"))?;
    }
    Ok(())
}
