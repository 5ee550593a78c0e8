//! Checkpoints of the audit chains: reads the heads of the chains that have grown since the last one, signs and stores
//! them, and exports the checkpoint where this service cannot change it.

use std::{collections::BTreeSet, time::Duration};

use domain::{
    access::{service_mode::CheckpointSeen, session::BadSessionKey},
    audit::{
        ChainName,
        checkpoint::{
            Checkpoint, CheckpointSigner, End, Ends, FIRST_LOOKS_BACK, JobEnd, Position, SETTLED_AFTER, UserEnd,
        },
    },
    ids::{Timestamp, support_code},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use platform::{
    metrics::{self, Metric},
    secrets::{Secrets, SecretsError, SweepSecrets},
};
use store::{GrownChain, KeptCheckpoint, Stored, Table, TableError};

use crate::{
    Sweep,
    budget::{Budget, CutOff, Share},
    export::{Export, ExportError},
};

/// How many heads are read concurrently.
const READ_AT_ONCE: usize = 32;
/// How many checkpoints are read, or exported, at once: each may be large.
const PAGE: usize = 10;
/// When the last checkpoint has no entry in the index, markers up to this long before its end are read again. An
/// earlier version of `sweep` signs without an entry and does not read the markers of the shards, so during a gradual
/// deployment it may have passed some; a deployment takes less than this time. A marker that is read twice only has the
/// same head signed twice.
const OLDER_LOOKS_BACK: Duration = Duration::from_secs(30 * 60);

/// Signing keys, and the export target.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    pub(crate) secrets: Secrets<CheckpointSigner>,
    pub(crate) export: Export,
    pub(crate) every: Duration,
}

/// Why no checkpoint was signed, or none exported.
#[derive(Debug, thiserror::Error)]
enum CheckpointError {
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error(transparent)]
    Key(#[from] BadSessionKey),
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error(transparent)]
    CutOff(#[from] CutOff),
}

/// Signs if it is time, exports what is not exported, and returns the metrics. A failure here does not keep jobs from
/// being woken: it has an alarm of its own, and destructive tools are refused while checkpoints are late.
pub(crate) async fn run(sweep: &Sweep, budget: &Budget<'_>) -> Vec<(Metric, f64)> {
    // A failure to sign must not keep signed checkpoints from being exported.
    let share = budget.share(50);
    let signed = share.limit("signing checkpoints", sign_all(sweep, &share)).await;
    let signed = signed.unwrap_or_else(|cut_off| Err(cut_off.into()));
    let share = budget.share(80);
    let exported = share.limit("exporting checkpoints", export_all(sweep, &share)).await;
    let exported = exported.unwrap_or_else(|cut_off| Err(cut_off.into()));
    let mut failed = false;
    for error in [signed.as_ref().err(), exported.as_ref().err()].into_iter().flatten() {
        failed = true;
        tracing::error!(function = "sweep", code = "checkpoint_failed", error = %error, "a checkpoint could not be signed or exported");
    }
    let mut values = vec![(Metric::CheckpointFailures, metrics::one_if(failed))];
    let proven_at = match exported {
        Ok(Some(proven_at)) => Some(proven_at),
        // While exporting fails, the age goes on growing, so that its alarm fires.
        Ok(None) | Err(_) => budget.share(50).limit("reading the last export", last_seen(sweep)).await.ok().flatten(),
    };
    if let Some(proven_at) = proven_at {
        values.push((Metric::CheckpointAge, sweep.runtime.now().since(proven_at).as_secs_f64()));
    }
    values
}

/// When the last exported checkpoint was signed, as the service modes know it; `None` without one.
async fn last_seen(sweep: &Sweep) -> Option<Timestamp> {
    let controls = sweep.table.controls(sweep.runtime.now(), Duration::ZERO).await.ok()?;
    controls.checkpoint.map(|seen| seen.signed_at)
}

async fn sign_all(sweep: &Sweep, share: &Share<'_>) -> Result<(), CheckpointError> {
    let mut last = sweep.table.last_checkpoint().await?.map(|kept| kept.checkpoint);
    let signed_at = last.as_ref().and_then(Checkpoint::signed_at);
    // A time in the future was signed with a wrong clock, and is ignored.
    let now = sweep.runtime.now();
    if signed_at.is_some_and(|at| at <= now && now.since(at) < sweep.checkpoints.every) {
        return Ok(());
    }
    while !share.is_used_up() {
        let Next { checkpoint, read_from, more } = sign_one(sweep, last.as_ref(), share).await?;
        if !sweep.table.put_checkpoint(&checkpoint, &read_from, &sweep.runtime.nonce()).await? {
            // A concurrent run has signed a checkpoint of this number, over the same markers.
            return Ok(());
        }
        if !more {
            return Ok(());
        }
        last = Some(checkpoint);
    }
    Ok(())
}

/// A checkpoint that was signed and is not stored yet.
struct Next {
    checkpoint: Checkpoint,
    /// It covers the markers after this position.
    read_from: Position,
    /// Whether markers are left that it has no room for.
    more: bool,
}

/// Builds and signs the next checkpoint.
async fn sign_one(sweep: &Sweep, last: Option<&Checkpoint>, share: &Share<'_>) -> Result<Next, CheckpointError> {
    let signer = sweep.checkpoints.secrets.get(&sweep.runtime, |all: SweepSecrets| all.checkpoints.checkpoint_signer());
    let signer = signer.await?;
    let now = sweep.runtime.now();
    let from = last.and_then(Checkpoint::reaches).unwrap_or_else(|| Position::at(now.minus(FIRST_LOOKS_BACK)));
    let until = Position::at(now.minus(SETTLED_AFTER));
    let mut read_from = match last {
        Some(last) if !sweep.table.is_indexed(last).await? => Position::at(from.minute.minus(OLDER_LOOKS_BACK)),
        Some(_) | None => from.clone(),
    };
    let mut grown = BTreeSet::new();
    let mut to = read_from.clone();
    while to.minute < until.minute && !share.is_used_up() {
        let room = sweep.config.ends_per_checkpoint - grown.len();
        let notes = sweep.table.grown(&to, room).await?;
        let full = notes.len() == room;
        to = match notes.last() {
            Some(last) if full => Position { after: Some(last.place.clone()), ..to },
            _ => to.next_minute(),
        };
        grown.extend(notes.into_iter().map(|note| note.chain));
        if full {
            break;
        }
    }
    if to == read_from {
        // No minute was read. The next checkpoint has to look back as this one should have, so this one gets no entry.
        (to, read_from) = (from.clone(), from.clone());
    }
    let ends = read_ends(&sweep.table, grown).await?;
    let operators = sweep.table.chain_head(ChainName::Operators).await?;
    let checkpoint = signer.sign(last, &from, &to, sweep.runtime.now(), operators, ends)?;
    let more = to.minute < until.minute;
    Ok(Next { checkpoint, read_from, more })
}

async fn read_ends(table: &Table, grown: BTreeSet<GrownChain>) -> Result<Ends, TableError> {
    enum Read {
        Job(JobEnd),
        User(UserEnd),
        /// The job was deleted or never recorded, or only a newer version can read it.
        Nothing,
    }
    let reads = stream::iter(grown).map(|chain| async move {
        Ok::<_, TableError>(match chain {
            GrownChain::Job(user, id) => match table.job(user, id).await? {
                Some(Stored::Job(job)) => Read::Job(JobEnd { job: support_code(user, id), end: job.audit.into() }),
                Some(Stored::Newer) | None => Read::Nothing,
            },
            GrownChain::Refusals(user) => {
                let head = table.chain_head(ChainName::Refusals(user)).await?;
                if head.length == 0 { Read::Nothing } else { Read::User(UserEnd { user, end: End::from(head) }) }
            }
        })
    });
    let mut ends = Ends::default();
    let mut reads = std::pin::pin!(reads.buffered(READ_AT_ONCE));
    while let Some(read) = reads.try_next().await? {
        match read {
            Read::Job(end) => ends.heads.push(end),
            Read::User(end) => ends.refusals.push(end),
            Read::Nothing => {}
        }
    }
    Ok(ends)
}

/// Exports what is not exported yet, oldest first. Returns when the newest exported checkpoint was signed.
async fn export_all(sweep: &Sweep, share: &Share<'_>) -> Result<Option<Timestamp>, CheckpointError> {
    let (mut oldest, mut proven_at) = (None, None);
    'exported: loop {
        let page = sweep.table.checkpoints_before(oldest, PAGE).await?;
        let full = page.len() == PAGE;
        for kept in page {
            if kept.exported_at.is_some() {
                proven_at = kept.checkpoint.signed_at();
                break 'exported;
            }
            oldest = Some(kept.checkpoint.statement.seq);
        }
        if !full {
            break;
        }
    }
    let Some(mut next) = oldest else { return Ok(proven_at) };
    loop {
        let page = sweep.table.checkpoints_after(next - 1, PAGE).await?;
        let Some(newest) = page.last().map(|kept| kept.checkpoint.statement.seq) else { return Ok(proven_at) };
        for kept in &page {
            if share.is_used_up() {
                return Ok(proven_at);
            }
            proven_at = Some(export_one(sweep, kept).await?);
        }
        next = newest + 1;
    }
}

/// Exports one checkpoint, and returns when it was signed. The service modes are updated before the checkpoint's item:
/// a run that dies in between exports the same bytes once more.
async fn export_one(sweep: &Sweep, kept: &KeptCheckpoint) -> Result<Timestamp, CheckpointError> {
    let seq = kept.checkpoint.statement.seq;
    let signed_at = kept.checkpoint.signed_at().ok_or(TableError::Malformed("checkpoint"))?;
    let now = sweep.runtime.now();
    if let Err(error) = sweep.checkpoints.export.put(&kept.checkpoint.file_name(), &kept.document, now).await {
        sweep.table.note_checkpoint(CheckpointSeen { seq, signed_at, exported_at: None }).await?;
        return Err(error.into());
    }
    let exported_at = sweep.runtime.now();
    sweep.table.note_checkpoint(CheckpointSeen { seq, signed_at, exported_at: Some(exported_at) }).await?;
    sweep.table.mark_exported(seq, exported_at).await?;
    Ok(signed_at)
}
