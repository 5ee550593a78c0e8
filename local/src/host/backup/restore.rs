//! Restores a backup: into a staging directory, verified there, and only then put in the place of the old state.
//!
//! A backup is older than the loss, and jobs have run in between. So that none of them runs twice: unknown request ids
//! with an earlier time are refused, and open jobs that may have acted end as `unknown`. The service opens in `closed`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use domain::{
    access::service_mode::{Mode, Reason},
    audit::{
        OperatorActor,
        checkpoint::{Checkpoint, file_name},
    },
    ids::{RequestId, Timestamp},
    json,
    policy::{Policy, PolicyFiles},
};
use platform::{queue::Queue, runtime::Runtime};
use serde_json::Value;
use service::{
    change_mode::{self, Change},
    jobs::Jobs,
};
use store::Table;

use super::{
    BackupFault, archive,
    create::BESIDE,
    manifest::{self, JournalMark, Manifest},
    sqlite,
};
use crate::{
    audit::{self, Report, Scope, Source, Verification},
    data::{DataDir, failed},
    emulation::engines::{EngineOptions, Engines},
};

mod exchange;

/// What to restore, and where.
#[derive(Debug)]
pub struct Restore<'a> {
    /// The backup.
    pub file: &'a Path,
    /// The data directory, locked: the service is stopped.
    pub data: &'a DataDir,
    /// Where the gateway's journal is, or was.
    pub journal: Option<&'a Path>,
    /// A copy of the checkpoints from elsewhere, to name what was lost; without one, those of the old state.
    pub checkpoints: Option<&'a Path>,
    /// Where configuration, policy and credentials are put; `None` leaves them as they are.
    pub configuration: Option<ConfigurationTo>,
    /// The policy, for the version in audit records.
    pub policy: PolicyFiles,
    /// How long jobs are kept after their end.
    pub retention: Duration,
    /// Clock and randomness.
    pub runtime: Runtime,
}

impl Restore<'_> {
    /// Where the checkpoints are that may be newer than those of the backup.
    fn newer_checkpoints(&self) -> PathBuf {
        self.checkpoints.map_or_else(|| self.data.checkpoints(), Path::to_owned)
    }
}

/// Where configuration, policy and credentials are put.
#[derive(Debug, Clone)]
pub struct ConfigurationTo {
    /// The configuration file.
    pub file: PathBuf,
    /// The policy folder.
    pub policy_dir: Option<PathBuf>,
    /// The folder of the unit's credentials.
    pub credentials: PathBuf,
}

/// The gateway's journal after a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalAfter {
    /// The present journal is the one that the table knows, and at least as new.
    Kept,
    /// There was none; the one of the backup was put there under a new id.
    Installed,
    /// Neither is there, or the present one is another journal.
    Lost,
}

/// Result of a restore.
#[derive(Debug)]
pub struct Restored {
    /// The manifest of the backup.
    pub manifest: Manifest,
    /// The gateway's journal.
    pub journal: JournalAfter,
    /// How many open jobs were ended as `unknown`.
    pub ended: usize,
    /// The verification of every chain.
    pub report: Report,
    /// The same against checkpoints that are newer than the backup: each fault is something that was lost.
    pub lost: Option<Report>,
    /// Request ids before this time are refused, so no new job is accepted before it.
    pub accepts_from: Timestamp,
    /// Where the old state is.
    pub old_state: PathBuf,
}

/// Restores a backup. Until every chain of it has verified, nothing of the old state is touched.
pub async fn restore(to: Restore<'_>) -> Result<Restored, BackupFault> {
    let staging = exchange::staging(to.data)?;
    let restored = through(&to, &staging).await;
    // A refused restore leaves no second table that fills the disk, and no credentials. Once the exchange has begun, the
    // next restore needs to know.
    if restored.is_err() && !to.data.restoring().exists() {
        let _best_effort = fs::remove_dir_all(&staging);
    }
    restored
}

async fn through(to: &Restore<'_>, staging: &Path) -> Result<Restored, BackupFault> {
    let now = to.runtime.now();
    let manifest = archive::unpack(to.file, |name| Some(staging.join(name)))?;
    let accepts_from = accepts_from(now, last_known(&manifest, to.newer_checkpoints()).unwrap_or(now))?;
    sqlite::check(&staging.join(manifest::TABLE))?;
    let journal = plan_journal(manifest.journal.as_ref(), &live_journal(to.journal)?)?;
    let engines =
        Engines::start(EngineOptions { table_file: Some(staging.join(manifest::TABLE)), ..EngineOptions::default() });
    let engines = engines.await?;
    let staged = prepare(to, staging, &engines, accepts_from).await;
    engines.stop().await;
    let Staged { ended, report, lost } = staged?;
    if journal == JournalAfter::Installed
        && let Some(path) = to.journal
    {
        let fresh = uuid::Builder::from_random_bytes(to.runtime.bytes()).into_uuid().to_string();
        sqlite::rename_journal(&staging.join(manifest::JOURNAL), &fresh)?;
        exchange::install_journal(&staging.join(manifest::JOURNAL), path)?;
    }
    let old_state = exchange::exchange(to.data, staging, now)?;
    if let Some(configuration) = &to.configuration {
        exchange::install_configuration(&staging.join(manifest::CONFIGURATION), configuration, now)?;
    }
    exchange::finish(to.data, staging)?;
    Ok(Restored { manifest, journal, ended, report, lost, accepts_from, old_state })
}

/// The bound of unknown request ids. A phone's clock may run ahead by [`RequestId::NEWEST`], so an id of before the
/// restore may carry a time that much later. With a clock that is behind, ids of before the loss would be accepted.
fn accepts_from(now: Timestamp, last_known: Timestamp) -> Result<Timestamp, BackupFault> {
    if now < last_known {
        return Err(BackupFault::ClockBehind { now, last_known });
    }
    Ok(now.plus(RequestId::NEWEST))
}

/// The latest time at which the lost service is known to have run: of the backup, or of a newer checkpoint.
fn last_known(manifest: &Manifest, checkpoints: PathBuf) -> Option<Timestamp> {
    let names = fs::read_dir(checkpoints).into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = names.filter(|file| file.extension().is_some_and(|kind| kind == "json")).max();
    let checkpoint = newest.and_then(|file| json::kept::<Checkpoint>(fs::read(file).ok()?).ok());
    let signed = checkpoint.and_then(|checkpoint| checkpoint.signed_at());
    Timestamp::parse(&Value::from(manifest.created_at.as_str())).ok().max(signed)
}

/// The journal that is at the gateway now.
#[derive(Debug, PartialEq, Eq)]
enum LiveJournal {
    /// No file is named, or it does not exist; `named` tells which.
    Absent {
        named: bool,
    },
    Present {
        file: PathBuf,
        mark: JournalMark,
    },
}

fn live_journal(file: Option<&Path>) -> Result<LiveJournal, BackupFault> {
    let Some(file) = file else { return Ok(LiveJournal::Absent { named: false }) };
    if !file.try_exists().map_err(failed(file, "read"))? {
        return Ok(LiveJournal::Absent { named: true });
    }
    Ok(LiveJournal::Present { file: file.to_owned(), mark: sqlite::journal_mark(file)? })
}

/// Decides about the journal. Pure.
///
/// A journal with the same id and a sequence at least as high has seen everything that the backup's has, and all that
/// came later, so it stays. An older one would run calls again that it does not have.
fn plan_journal(backup: Option<&JournalMark>, live: &LiveJournal) -> Result<JournalAfter, BackupFault> {
    match (live, backup) {
        (LiveJournal::Present { mark, .. }, Some(backup))
            if mark.id == backup.id && mark.sequence >= backup.sequence =>
        {
            Ok(JournalAfter::Kept)
        }
        (LiveJournal::Present { file, mark }, Some(backup)) if mark.id == backup.id => {
            Err(BackupFault::OlderJournal { file: file.clone(), live: mark.sequence, in_backup: backup.sequence })
        }
        (LiveJournal::Absent { named: true }, Some(_)) => Ok(JournalAfter::Installed),
        (LiveJournal::Present { .. } | LiveJournal::Absent { .. }, _) => Ok(JournalAfter::Lost),
    }
}

struct Staged {
    ended: usize,
    report: Report,
    lost: Option<Report>,
}

/// Closes the staged table, ends what may have run since, and verifies every chain.
async fn prepare(
    to: &Restore<'_>,
    staging: &Path,
    engines: &Engines,
    accepts_from: Timestamp,
) -> Result<Staged, BackupFault> {
    let backend = &engines.backend;
    let table = Table::new(backend.aws.dynamodb(), backend.table.clone(), to.retention);
    let policy = Policy::parse(&to.policy)?;
    table.refuse_ids_before(accepts_from).await?;
    let reason = Reason::parse("restored from a backup").expect("a visible line");
    let close = Change::mode(Mode::Closed, reason);
    change_mode::change(&table, &to.runtime, OperatorActor::Command, &close, policy.version()).await?;
    // The queue of this engine ends with it: the service wakes every open job at its start.
    let queue = Queue::new(backend.aws.sqs(), backend.queue_url.clone(), false);
    let jobs = Jobs { table: &table, queue: &queue, runtime: &to.runtime, policy: &policy, function: "local" };
    // Also with the present journal: a job that ran after the backup, and whose time to start is over at the restore,
    // would end as `expired` with an effect of `not_run`.
    let ended = jobs.end_after_journal_loss().await?;
    let checkpoints = staging.join(manifest::CHECKPOINTS);
    drop_newer_checkpoints(&table, &checkpoints).await?;
    let keys = audit::trusted_keys(&staging.join(BESIDE[0]))?;
    let source = Source::Table(table);
    let verify = async |directory: Option<&Path>| {
        let directory = directory.filter(|directory| has_checkpoints(directory));
        let asked = Verification {
            scope: Scope::Everything,
            checkpoints: directory.map(|directory| (directory.to_owned(), keys.clone())),
            retention: to.retention,
            now: to.runtime.now(),
        };
        audit::run(&source, &asked, &|_| {}).await
    };
    let report = verify(Some(&checkpoints)).await?;
    if let Some(first) = report.faults.first() {
        return Err(BackupFault::Unverified(report.broken, first.clone()));
    }
    let newer = to.newer_checkpoints();
    let lost = if has_checkpoints(&newer) { Some(verify(Some(&newer)).await?) } else { None };
    Ok(Staged { ended, report, lost })
}

/// Checkpoints are copied after the table, so the newest may be missing in it. The restored service signs others under
/// the same numbers, and could not export them.
async fn drop_newer_checkpoints(table: &Table, checkpoints: &Path) -> Result<(), BackupFault> {
    let last = table.last_checkpoint().await?.map_or(0, |kept| kept.checkpoint.statement.seq);
    let mut seq = last + 1;
    loop {
        let file = checkpoints.join(file_name(seq));
        match fs::remove_file(&file) {
            Ok(()) => seq += 1,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(cause) => return Err(failed(&file, "deleted")(cause).into()),
        }
    }
}

fn has_checkpoints(directory: &Path) -> bool {
    let is_one = |entry: fs::DirEntry| entry.path().extension().is_some_and(|kind| kind == "json");
    fs::read_dir(directory).is_ok_and(|entries| entries.flatten().any(is_one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_behind_the_lost_service_refuses_the_restore() {
        let at = Timestamp::from_millis;
        let minute = 60_000;
        assert_eq!(accepts_from(at(minute), at(minute)).unwrap(), at(minute).plus(RequestId::NEWEST));
        assert!(matches!(accepts_from(at(minute - 1), at(minute)), Err(BackupFault::ClockBehind { .. })));
    }

    #[test]
    fn a_journal_is_kept_only_if_it_knows_all_that_the_backup_knows() {
        let mark = |id: &str, sequence| JournalMark { id: id.to_owned(), sequence, schema: 3 };
        let live = |id, sequence| LiveJournal::Present { file: "/j".into(), mark: mark(id, sequence) };
        let backup = mark("a", 7);
        let plan = |live: &LiveJournal| plan_journal(Some(&backup), live);
        assert_eq!(plan(&live("a", 7)).unwrap(), JournalAfter::Kept);
        assert_eq!(plan(&live("a", 8)).unwrap(), JournalAfter::Kept);
        assert!(matches!(plan(&live("a", 6)), Err(BackupFault::OlderJournal { live: 6, in_backup: 7, .. })));
        assert_eq!(plan(&live("b", 9)).unwrap(), JournalAfter::Lost);
        assert_eq!(plan(&LiveJournal::Absent { named: true }).unwrap(), JournalAfter::Installed);
        assert_eq!(plan(&LiveJournal::Absent { named: false }).unwrap(), JournalAfter::Lost);
        assert_eq!(plan_journal(None, &live("a", 7)).unwrap(), JournalAfter::Lost);
        assert_eq!(plan_journal(None, &LiveJournal::Absent { named: true }).unwrap(), JournalAfter::Lost);
    }
}
