//! Verifies checkpoints, and the present chains against the heads that they have signed. A chain that was cut, or
//! rewritten with consistent links, does not contain the signed heads.

use std::{fs, path::Path, time::Duration};

use domain::{
    audit::{
        AuditHead, ChainName,
        checkpoint::{Checkpoint, CheckpointVerifier, End, JobEnd, PublicKey, UserEnd, file_name},
    },
    ids::{Digest, RequestId, parse_support_code},
    json::{self, canonical},
};
use serde_json::Value;

use super::{
    source::{AuditError, ReadJob, Source, names},
    verify::{Report, Verification},
};
use crate::data::failed;

/// Verifies every checkpoint of a directory in order, with its entries for the chains in the scope.
pub(super) async fn check(
    source: &Source,
    asked: &Verification,
    directory: &Path,
    keys: &[PublicKey],
    report: &mut Report,
) -> Result<(), AuditError> {
    let mut files = names(directory)?;
    files.retain(|file| file.extension().is_some_and(|kind| kind == "json"));
    if files.is_empty() {
        report.fault(format!("there is no checkpoint in {}", directory.display()));
        return Ok(());
    }
    let mut verifier = CheckpointVerifier::new(keys)?;
    let mut operators = AuditHead::EMPTY;
    let mut newest: Option<Checkpoint> = None;
    for file in files {
        let bytes = fs::read(&file).map_err(failed(&file, "read"))?;
        let value: Value = json::kept(&bytes).unwrap_or_default();
        let checkpoint = match verifier.next(&value) {
            Ok(checkpoint) => checkpoint,
            // The following checkpoints build on this one, so their statements prove nothing.
            Err(fault) => {
                report.fault(format!("{}: {fault}", file.display()));
                return Ok(());
            }
        };
        let seq = checkpoint.statement.seq;
        if file.file_name().is_none_or(|name| name.to_string_lossy() != file_name(seq)) {
            report.fault(format!("{} holds checkpoint {seq}", file.display()));
        }
        let anchored = Anchored { source, asked, checkpoint: &checkpoint };
        anchored.check(&mut operators, report).await?;
        report.checkpoints += 1;
        newest = Some(checkpoint);
    }
    let Some(newest) = newest else { return Ok(()) };
    report.notes.push(format!("the newest checkpoint is {}, signed at {}", newest.statement.seq, newest.statement.at));
    compare_ends(source, directory, &newest, report).await
}

/// Whether directory and table end with the same checkpoint. A checkpoint that was removed at the end leaves no gap in
/// the numbers.
async fn compare_ends(
    source: &Source,
    directory: &Path,
    newest: &Checkpoint,
    report: &mut Report,
) -> Result<(), AuditError> {
    let Source::Table(table) = source else { return Ok(()) };
    let seq = newest.statement.seq;
    match table.checkpoints_after(seq - 1, 1).await?.first() {
        Some(kept) if kept.checkpoint == *newest => {}
        Some(kept) if kept.checkpoint.statement.seq == seq => {
            report.fault(format!("checkpoint {seq} in the table is not the one that was exported"));
        }
        _ => report.fault(format!("checkpoint {seq} was exported and is not in the table any more")),
    }
    let later = table.checkpoints_after(seq, 1).await?;
    // A checkpoint may be exported during the verification: it is in the directory before the table marks it as
    // exported.
    let is_there = directory.join(file_name(seq + 1)).exists();
    if !is_there && later.first().is_some_and(|kept| kept.exported_at.is_some()) {
        report.fault(format!("checkpoint {} was exported and is not in the directory any more", seq + 1));
    }
    Ok(())
}

/// One checkpoint and what it is compared with.
struct Anchored<'a> {
    source: &'a Source,
    asked: &'a Verification,
    checkpoint: &'a Checkpoint,
}

impl Anchored<'_> {
    async fn check(&self, operators: &mut AuditHead, report: &mut Report) -> Result<(), AuditError> {
        let statement = &self.checkpoint.statement;
        for JobEnd { job, end } in &statement.heads {
            match parse_support_code(job) {
                Some((user, id)) if self.asked.scope.has_job(user, id) => {
                    let read = self.source.job(user, id).await?;
                    self.job(job, id, *end, &read, report);
                }
                Some(_) => {}
                None => report.fault(format!("checkpoint {} names a job that cannot be: {job}", statement.seq)),
            }
        }
        for UserEnd { user, end } in &statement.refusals {
            if self.asked.scope.has_refusals(*user) {
                self.side_chain(ChainName::Refusals(*user), *end, report).await?;
            }
        }
        let end = AuditHead::from(statement.operators);
        if self.asked.scope.has_operators() && end != *operators && end.length > 0 {
            self.side_chain(ChainName::Operators, statement.operators, report).await?;
            *operators = end;
        }
        Ok(())
    }

    fn job(&self, code: &str, id: RequestId, end: End, read: &ReadJob, report: &mut Report) {
        let seq = self.checkpoint.statement.seq;
        let chain = match read {
            ReadJob::Chain(chain) => chain,
            // A writer of the table can mark any job as written by a newer version, so a signed job that cannot be read
            // is a fault.
            ReadJob::Newer => {
                report.fault(format!(
                    "job {code}: checkpoint {seq} has signed its chain, and the job says that it is of a newer version: verify it with that"
                ));
                return;
            }
            // A job is deleted one retention after its end, and its end is later than its id.
            ReadJob::Gone if id.time().plus(self.asked.retention) <= self.asked.now.plus(SKEW) => return,
            ReadJob::Gone => {
                report.fault(format!("job {code}: checkpoint {seq} has signed its chain, and the job is missing"));
                return;
            }
        };
        let signed = usize::try_from(end.length).ok().and_then(|length| chain.records.get(length.checked_sub(1)?));
        match signed {
            None => report.fault(format!(
                "job {code}: its chain was cut: checkpoint {seq} has signed record {}, and {} are there",
                end.length,
                chain.records.len()
            )),
            Some(record) if digest(record) == end.digest => report.anchored += 1,
            Some(_) => report.fault(format!(
                "job {code}: its chain was written anew: record {} is not the one that checkpoint {seq} has signed",
                end.length
            )),
        }
    }

    async fn side_chain(&self, name: ChainName, end: End, report: &mut Report) -> Result<(), AuditError> {
        let statement = &self.checkpoint.statement;
        let page = self.source.page(name, end.length - 1, 1).await?;
        let record = page.records.first().filter(|record| record["seq"] == end.length);
        match record {
            Some(record) if digest(record) == end.digest => report.anchored += 1,
            Some(_) => report.fault(format!(
                "chain {name} was written anew: record {} is not the one that checkpoint {} has signed",
                end.length, statement.seq
            )),
            None if page.head.length < end.length => report.fault(format!(
                "chain {name} was cut: checkpoint {} has signed record {}, and it ends at {}",
                statement.seq, end.length, page.head.length
            )),
            // Records of refusals expire, and go with their user.
            None if name != ChainName::Operators && self.is_old() => {}
            None if self.is_of_erased(name).await? => {
                report.notes.push(format!("chain {name} has no records any more: its user is erased"));
            }
            None => report.fault(format!(
                "chain {name}: checkpoint {} has signed record {}, and it is missing",
                statement.seq, end.length
            )),
        }
        Ok(())
    }

    async fn is_of_erased(&self, name: ChainName) -> Result<bool, AuditError> {
        match name {
            ChainName::Operators => Ok(false),
            ChainName::Refusals(user) => self.source.is_erased(user).await,
        }
    }

    fn is_old(&self) -> bool {
        self.checkpoint.signed_at().is_none_or(|at| at.plus(self.asked.retention) <= self.asked.now)
    }
}

/// How far in the future the time in a request id may be.
const SKEW: Duration = RequestId::NEWEST;

fn digest(record: &Value) -> Digest {
    Digest::sha256(&canonical::canonical(record))
}
