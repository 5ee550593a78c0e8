//! The verification: every chain in the scope, then every checkpoint against them.

use std::{path::PathBuf, time::Duration};

use domain::{
    audit::{ChainFault, ChainName, Owner, Verifier, checkpoint::PublicKey},
    ids::{RequestId, Timestamp, UserId, support_code},
};
use store::FoundChain;

use super::{
    anchors,
    source::{AuditError, JobChain, ReadJob, Source},
};

/// How many faults are reported one by one.
const TOLD: usize = 20;
/// After how many chains progress is reported.
const PROGRESS_EVERY: u64 = 10_000;
const PAGE: usize = 500;

/// The chains to verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One job.
    Job(UserId, RequestId),
    /// One user: every job, and the refusals.
    User(UserId),
    /// The side chain of operators.
    Operators,
    /// Every chain.
    Everything,
}

impl Scope {
    pub(super) fn has_job(self, user: UserId, id: RequestId) -> bool {
        match self {
            Self::Job(one, that) => one == user && that == id,
            Self::User(one) => one == user,
            Self::Everything => true,
            Self::Operators => false,
        }
    }

    pub(super) fn has_refusals(self, user: UserId) -> bool {
        match self {
            Self::User(one) => one == user,
            Self::Everything => true,
            Self::Job(..) | Self::Operators => false,
        }
    }

    pub(super) fn has_operators(self) -> bool {
        matches!(self, Self::Operators | Self::Everything)
    }
}

/// Input of a verification.
#[derive(Debug)]
pub struct Verification {
    /// The chains to verify.
    pub scope: Scope,
    /// The directory of exported checkpoints, and the public keys that are trusted for them.
    pub checkpoints: Option<(PathBuf, Vec<PublicKey>)>,
    /// How long a job is kept after its end.
    pub retention: Duration,
    /// The present time.
    pub now: Timestamp,
}

/// Result of a verification.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    /// Chains of jobs that were verified.
    pub jobs: u64,
    /// Side chains of refusals that were verified.
    pub refusals: u64,
    /// Records in all of these chains.
    pub records: u64,
    /// Checkpoints that were verified.
    pub checkpoints: u64,
    /// Heads signed by a checkpoint that the present chain contains.
    pub anchored: u64,
    /// Jobs that only a newer version can read.
    pub newer: u64,
    /// Number of faults.
    pub broken: u64,
    /// The first faults.
    pub faults: Vec<String>,
    /// Remarks for the operator that are not faults.
    pub notes: Vec<String>,
}

impl Report {
    pub(super) fn fault(&mut self, fault: String) {
        self.broken += 1;
        if self.faults.len() < TOLD {
            self.faults.push(fault);
        }
    }

    fn count_job(&mut self, progress: &dyn Fn(&Self)) {
        self.jobs += 1;
        if self.jobs.is_multiple_of(PROGRESS_EVERY) {
            progress(self);
        }
    }
}

/// Verifies the scope. Faults are in the report; an error means that something could not be read.
pub async fn run(source: &Source, asked: &Verification, progress: &dyn Fn(&Report)) -> Result<Report, AuditError> {
    let mut report = Report::default();
    match asked.scope {
        Scope::Job(user, id) => {
            if !check_job(source, user, id, &mut report, progress).await? {
                report.fault(format!("job {}: there is no such job", support_code(user, id)));
            }
        }
        Scope::Operators => check_side_chain(source, ChainName::Operators, &mut report).await?,
        Scope::User(_) | Scope::Everything => {
            if asked.scope.has_operators() {
                check_side_chain(source, ChainName::Operators, &mut report).await?;
            }
            check_all(source, asked.scope, &mut report, progress).await?;
        }
    }
    if let Some((directory, keys)) = &asked.checkpoints {
        anchors::check(source, asked, directory, keys, &mut report).await?;
    }
    Ok(report)
}

async fn check_all(
    source: &Source,
    scope: Scope,
    report: &mut Report,
    progress: &dyn Fn(&Report),
) -> Result<(), AuditError> {
    let user = match scope {
        Scope::User(user) => Some(user),
        Scope::Job(..) | Scope::Operators | Scope::Everything => None,
    };
    let mut begin = None;
    loop {
        let (found, next) = source.found(user, begin).await?;
        for chain in found {
            match chain {
                FoundChain::Job(user, id) if scope.has_job(user, id) => {
                    check_job(source, user, id, report, progress).await?;
                }
                FoundChain::Refusals(user) if scope.has_refusals(user) => {
                    report.refusals += 1;
                    check_side_chain(source, ChainName::Refusals(user), report).await?;
                }
                FoundChain::Job(..) | FoundChain::Refusals(_) => {}
            }
        }
        match next {
            Some(next) => begin = Some(next),
            None => return Ok(()),
        }
    }
}

/// Verifies one job's chain. Returns whether the job exists.
async fn check_job(
    source: &Source,
    user: UserId,
    id: RequestId,
    report: &mut Report,
    progress: &dyn Fn(&Report),
) -> Result<bool, AuditError> {
    match source.job(user, id).await? {
        ReadJob::Gone => return Ok(false),
        ReadJob::Newer => report.newer += 1,
        ReadJob::Chain(chain) => {
            report.records += chain.records.len() as u64;
            if let Err(fault) = check_chain(&chain) {
                report.fault(format!("job {}: {fault}", chain.job));
            }
            report.count_job(progress);
        }
    }
    Ok(true)
}

/// Verifies every link, and that every record belongs to this job.
pub(super) fn check_chain(chain: &JobChain) -> Result<(), ChainFault> {
    let mut verifier = Verifier::of(Owner::Job(chain.request_id));
    for record in &chain.records {
        verifier.next(record)?;
    }
    verifier.ends_in(chain.head.into())?;
    // Every job has at least the record of its acceptance.
    if chain.records.is_empty() { Err(ChainFault::Head { place: 0 }) } else { Ok(()) }
}

/// Verifies a side chain, page by page.
async fn check_side_chain(source: &Source, name: ChainName, report: &mut Report) -> Result<(), AuditError> {
    let fault = |fault: &ChainFault| format!("chain {name}: {fault}");
    let head = source.page(name, 0, 1).await?.head;
    let first = source.begins(name).await?;
    let mut after = match (name, first) {
        // Records of refusals expire; those of operators are kept for ever.
        (ChainName::Refusals(_), Some(first)) => first - 1,
        (ChainName::Refusals(_), None) => head.length,
        (ChainName::Operators, _) => 0,
    };
    let mut verifier = Verifier::of(Owner::Chain(name));
    if after > 0 {
        report.notes.push(format!("chain {name} begins at record {}; checkpoints tell what was before", after + 1));
        verifier = verifier.after(after);
    }
    loop {
        // Records appended since the head was read are left to the next run.
        let mut page = source.page(name, after, PAGE).await?;
        page.records.retain(|record| record["seq"].as_u64().is_none_or(|seq| seq <= head.length));
        for record in &page.records {
            if let Err(found) = verifier.next(record) {
                report.fault(fault(&found));
                return Ok(());
            }
            report.records += 1;
        }
        match page.next.filter(|next| *next < head.length) {
            Some(next) => after = next,
            None => break,
        }
    }
    if after < head.length || first.is_some() {
        verifier.ends_in(head).unwrap_or_else(|found| report.fault(fault(&found)));
    }
    Ok(())
}
