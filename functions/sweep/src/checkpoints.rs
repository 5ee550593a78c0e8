//! Checkpoints of the audit chains: what has grown since the last one is read, signed, kept, and exported where this service
//! cannot change it.

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
    export::{Export, ExportError},
    overdue::is_late,
};

/// How many chains are asked for their end at once.
const READ_AT_ONCE: usize = 32;
/// How many checkpoints are looked at, or exported, at once: each may be large.
const PAGE: usize = 10;

/// What signs, and where to.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    pub(crate) secrets: Secrets<CheckpointSigner>,
    pub(crate) export: Export,
    pub(crate) every: Duration,
}

/// Why there is no new checkpoint, or none outside.
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
}

/// Signs if it is time, exports what is not exported, and returns what is to be measured. A checkpoint that cannot be made
/// keeps nobody from ringing jobs: it has an alarm of its own, and destructive tools shut.
pub(crate) async fn run(sweep: &Sweep, deadline: Timestamp) -> Vec<(Metric, f64)> {
    // Whatever cannot be signed must not keep what is signed from being exported.
    let signed = sign_all(sweep, deadline).await;
    let exported = export_all(sweep, deadline).await;
    let mut failed = false;
    for error in [signed.as_ref().err(), exported.as_ref().err()].into_iter().flatten() {
        failed = true;
        tracing::error!(function = "sweep", code = "checkpoint_failed", error = %error, "no checkpoint");
    }
    let mut values = vec![(Metric::CheckpointFailures, metrics::one_if(failed))];
    let proven_at = match exported {
        Ok(Some(proven_at)) => Some(proven_at),
        // The age goes on growing while nothing can be exported: that is what its alarm waits for.
        Ok(None) | Err(_) => last_seen(sweep).await,
    };
    if let Some(proven_at) = proven_at {
        values.push((Metric::CheckpointAge, sweep.world.now().since(proven_at).as_secs_f64()));
    }
    values
}

/// When the checkpoint was signed that the ladder knows of: an exported one, if ever one was.
async fn last_seen(sweep: &Sweep) -> Option<Timestamp> {
    let controls = sweep.table.controls(sweep.world.now(), Duration::ZERO).await.ok()?;
    controls.checkpoint.map(|seen| seen.signed_at)
}

async fn sign_all(sweep: &Sweep, deadline: Timestamp) -> Result<(), CheckpointError> {
    let mut last = sweep.table.last_checkpoint().await?.map(|kept| kept.checkpoint);
    let signed_at = last.as_ref().and_then(Checkpoint::signed_at);
    // One that lies ahead was signed by a clock that was wrong, and says nothing.
    let now = sweep.world.now();
    if signed_at.is_some_and(|at| at <= now && now.since(at) < sweep.checkpoints.every) {
        return Ok(());
    }
    while !is_late(sweep, deadline) {
        let (next, more) = sign_one(sweep, last.as_ref(), deadline).await?;
        if !sweep.table.put_checkpoint(&next, &sweep.world.nonce()).await? {
            // Another sweeper has signed one of this number, over the same notes.
            return Ok(());
        }
        if !more {
            return Ok(());
        }
        last = Some(next);
    }
    Ok(())
}

/// The next checkpoint, and whether there are notes that it has no room for.
async fn sign_one(
    sweep: &Sweep,
    last: Option<&Checkpoint>,
    deadline: Timestamp,
) -> Result<(Checkpoint, bool), CheckpointError> {
    let signer = sweep.checkpoints.secrets.get(&sweep.world, |all: SweepSecrets| all.checkpoints.checkpoint_signer());
    let signer = signer.await?;
    let now = sweep.world.now();
    let from = last.and_then(Checkpoint::reaches).unwrap_or_else(|| Position::at(now.minus(FIRST_LOOKS_BACK)));
    let until = Position::at(now.minus(SETTLED_AFTER));
    let mut grown = BTreeSet::new();
    let mut to = from.clone();
    while to.minute < until.minute && !is_late(sweep, deadline) {
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
    let ends = read_ends(&sweep.table, grown).await?;
    let operators = sweep.table.chain_head(ChainName::Operators).await?;
    let next = signer.sign(last, &from, &to, sweep.world.now(), operators, ends)?;
    Ok((next, to.minute < until.minute))
}

async fn read_ends(table: &Table, grown: BTreeSet<GrownChain>) -> Result<Ends, TableError> {
    enum Read {
        Job(JobEnd),
        User(UserEnd),
        /// The job is gone, or was never recorded, or only a newer sweeper can read it.
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

/// Exports what is not exported yet, oldest first, and returns when the newest one that is exported was signed.
async fn export_all(sweep: &Sweep, deadline: Timestamp) -> Result<Option<Timestamp>, CheckpointError> {
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
            if is_late(sweep, deadline) {
                return Ok(proven_at);
            }
            proven_at = Some(export_one(sweep, kept).await?);
        }
        next = newest + 1;
    }
}

/// Exports one, and returns when it was signed. Tells the ladder before the table: a run that dies in between exports the
/// same bytes once more.
async fn export_one(sweep: &Sweep, kept: &KeptCheckpoint) -> Result<Timestamp, CheckpointError> {
    let seq = kept.checkpoint.statement.seq;
    let signed_at = kept.checkpoint.signed_at().ok_or(TableError::Malformed("checkpoint"))?;
    let now = sweep.world.now();
    if let Err(error) = sweep.checkpoints.export.put(&kept.checkpoint.file_name(), &kept.document, now).await {
        sweep.table.note_checkpoint(CheckpointSeen { seq, signed_at, exported_at: None }).await?;
        return Err(error.into());
    }
    let exported_at = sweep.world.now();
    sweep.table.note_checkpoint(CheckpointSeen { seq, signed_at, exported_at: Some(exported_at) }).await?;
    sweep.table.mark_exported(seq, exported_at).await?;
    Ok(signed_at)
}
