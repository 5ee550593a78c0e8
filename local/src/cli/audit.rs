//! `local audit`: verifies chains and checkpoints without the service, and exports chains.

use std::{fmt::Write, path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use domain::{
    audit::checkpoint::PublicKey,
    ids::{RequestId, UserId, parse_support_code},
};
use platform::runtime::Runtime;

use super::{
    Failure,
    output::say,
    table_args::{Opened, Which},
};
use crate::audit::{self, Report, Scope, Source, Verification};

pub(super) mod answers;

/// Commands about audit chains.
#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Verify chains: saved responses of GET /v1/jobs/{id}/audit, or the table's chains, or those of an export; with
    /// --checkpoints, also that nothing was cut or rewritten since it was signed. Names the job of each fault, and
    /// fails if there is one
    Verify(VerifyArgs),
    /// Copy every chain out of the table, to be verified elsewhere
    Export {
        /// The directory to write: empty or not existing
        #[arg(long)]
        out: PathBuf,
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// A file with one response, a directory of them (`*.json`), or `-` for standard input with one response on each
    /// line
    #[arg(conflicts_with = "scope")]
    answers: Vec<PathBuf>,
    /// The job that a saved response has to belong to: without it, the job that the response names is accepted
    #[arg(long, value_name = "REQUEST_ID", requires = "answers")]
    request_id: Option<RequestId>,
    #[command(flatten)]
    scope: ScopeArgs,
    /// The exported checkpoints: CHECKPOINT_DIR, or a copy of CHECKPOINT_BUCKET
    #[arg(long, value_name = "DIR", requires = "scope")]
    checkpoints: Option<PathBuf>,
    /// File with the public keys that are trusted, `{"keys": [{"kid", "public"}]}`, or sweep's document of secrets
    /// [default: the keys of the service on this machine]
    #[arg(long, value_name = "FILE", requires = "checkpoints")]
    keys: Option<PathBuf>,
    /// A directory that `audit export` wrote, instead of the table
    #[arg(long, value_name = "DIR", requires = "scope", conflicts_with_all = ["data", "config", "table"])]
    export: Option<PathBuf>,
    /// RETENTION_DAYS of the deployment: a job that is older may be missing
    #[arg(long, default_value_t = 30)]
    retention_days: u64,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
#[group(id = "scope", multiple = false)]
struct ScopeArgs {
    /// One job, by its support code
    #[arg(long, value_name = "SUPPORT_CODE", value_parser = job)]
    job: Option<(UserId, RequestId)>,
    /// Every job of one user, and their refusals
    #[arg(long, value_name = "USER_ID")]
    user: Option<UserId>,
    /// The side chain of operators
    #[arg(long)]
    operators: bool,
    /// Every chain
    #[arg(long)]
    everything: bool,
}

fn job(code: &str) -> Result<(UserId, RequestId), String> {
    parse_support_code(code).ok_or_else(|| "a support code has 43 characters".to_owned())
}

impl ScopeArgs {
    fn scope(&self) -> Option<Scope> {
        match (self.job, self.user, self.operators, self.everything) {
            (Some((user, id)), ..) => Some(Scope::Job(user, id)),
            (None, Some(user), ..) => Some(Scope::User(user)),
            (None, None, true, _) => Some(Scope::Operators),
            (None, None, false, true) => Some(Scope::Everything),
            (None, None, false, false) => None,
        }
    }
}

/// Runs one of the commands.
pub(super) async fn run(command: AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::Verify(args) => match args.scope.scope() {
            None if args.answers.is_empty() => {
                Err("what is to be checked? Give saved answers, or --job, --user, --operators or --everything".into())
            }
            None => answers::verify(&args.answers, args.request_id),
            Some(scope) => verify(scope, args).await,
        },
        AuditCommand::Export { out, which } => {
            let (source, opened) = table(&which).await?;
            let exported = audit::export(&source, &out).await;
            opened.close().await;
            let audit::Exported { jobs, refusals, newer } = exported?;
            say(format_args!("Exported to {}: {jobs} jobs, {refusals} chains of refusals.", out.display()));
            if newer > 0 {
                say(format_args!("{newer} jobs were not exported: only a newer version can read them."));
            }
            Ok(())
        }
    }
}

async fn table(which: &Which) -> Result<(Source, Opened), Failure> {
    let opened = Opened::open(which).await?;
    Ok((Source::Table(opened.table.clone()), opened))
}

async fn verify(scope: Scope, args: VerifyArgs) -> Result<(), Failure> {
    let checkpoints = match &args.checkpoints {
        Some(directory) => Some((directory.clone(), keys(&args)?)),
        None => None,
    };
    let asked = Verification {
        scope,
        checkpoints,
        retention: Duration::from_secs(args.retention_days * 86_400),
        now: Runtime::system().now(),
    };
    let progress = |report: &Report| eprintln!("{} jobs so far, {} faults", report.jobs, report.broken);
    let report = if let Some(directory) = args.export {
        audit::run(&Source::Export(directory), &asked, &progress).await?
    } else {
        let (source, opened) = table(&args.which).await?;
        let report = audit::run(&source, &asked, &progress).await;
        opened.close().await;
        report?
    };
    tell(&report)
}

fn tell(report: &Report) -> Result<(), Failure> {
    report.notes.iter().for_each(|note| say(format_args!("note: {note}")));
    report.faults.iter().for_each(|fault| eprintln!("{fault}"));
    let Report { jobs, refusals, records, checkpoints, anchored, newer, broken, .. } = report;
    let mut found = format!("{records} records of {jobs} jobs");
    let _ = write!(found, ", {refusals} chains of refusals");
    if *checkpoints > 0 {
        let _ = write!(found, "; {anchored} ends that {checkpoints} checkpoints signed");
    }
    if *newer > 0 {
        let _ = write!(found, "; {newer} jobs that only a newer version can read were left");
    }
    if *broken > 0 {
        return Err(format!("{broken} faults in {found}").into());
    }
    say(format_args!("ok: {found}"));
    Ok(())
}

fn keys(args: &VerifyArgs) -> Result<Vec<PublicKey>, Failure> {
    let file = match &args.keys {
        Some(file) => file.clone(),
        None if args.which.table.is_some() || args.export.is_some() => {
            return Err("whose signatures are trusted? Give the public keys with --keys".into());
        }
        None => args.which.host.directory()?.join("secrets.json"),
    };
    Ok(audit::trusted_keys(&file)?)
}
