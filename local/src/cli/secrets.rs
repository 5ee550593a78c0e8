//! `local secrets`: makes the documents of secrets, writes them to Secrets Manager, and rotates them. Prints the step
//! that was taken and the earliest time of the next one, and never a secret.

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand};
use platform::{
    config::{self, Env},
    runtime::Runtime,
};
use serde_json::Value;
use store::Table;

use super::{Failure, output::say};
use crate::{
    data::failed,
    secrets::{
        self, rekey,
        rotation::{Done, Holder, Kind, Phase, Request},
        store::SecretStore,
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum SecretsCommand {
    /// Make the four documents, one per function, in a directory
    New(NewArgs),
    /// Write the documents of that directory to the secrets of a stack, which must exist and have no other value
    Put(PutArgs),
    /// Take one step of a rotation; docs/operate/rotation.md says which and when
    Rotate(RotateArgs),
    /// Write every user under the new login key, so that the old one can be retired
    RekeyLogins(RekeyArgs),
}

#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// File with the Mini Program's app secret
    #[arg(long)]
    wechat_app_secret_file: PathBuf,
    /// File with the gateway's token
    #[arg(long)]
    gateway_token_file: PathBuf,
    /// Where to write edge-auth.json, status.json, worker.json and sweep.json, readable by their owner only
    #[arg(long)]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct PutArgs {
    /// The directory with the four documents
    #[arg(long)]
    from: PathBuf,
    #[command(flatten)]
    manager: ManagerArgs,
}

/// The secrets of a stack. Region, credentials and endpoint come from the standard AWS_* environment.
#[derive(Debug, Args)]
struct ManagerArgs {
    /// ARN or name of edge-auth's secret (the stack's output EdgeAuthSecretArn)
    #[arg(long, value_name = "ARN")]
    edge_auth_secret: Option<String>,
    /// ARN or name of status's secret (the stack's output StatusSecretArn)
    #[arg(long, value_name = "ARN")]
    status_secret: Option<String>,
    /// ARN or name of the worker's secret (the stack's output WorkerSecretArn)
    #[arg(long, value_name = "ARN")]
    worker_secret: Option<String>,
    /// ARN or name of sweep's secret (the stack's output SweepSecretArn)
    #[arg(long, value_name = "ARN")]
    sweep_secret: Option<String>,
}

#[derive(Debug, Args)]
struct StoreArgs {
    /// Directory with the four documents, instead of secrets of a stack
    #[arg(long, conflicts_with_all = ["file", "edge_auth_secret", "status_secret", "worker_secret", "sweep_secret"])]
    dir: Option<PathBuf>,
    /// One host's document (secrets.json in its data directory), instead of secrets of a stack
    #[arg(long, conflicts_with_all = ["edge_auth_secret", "status_secret", "worker_secret", "sweep_secret"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    manager: ManagerArgs,
}

#[derive(Debug, Args)]
pub(super) struct RotateArgs {
    /// The kind of secret
    kind: Kind,
    /// The step
    phase: Phase,
    /// File with the new value, for `wechat add` and `gateway-token add`
    #[arg(long)]
    value_file: Option<PathBuf>,
    /// SESSION_LIFETIME_S of the deployment
    #[arg(long, default_value_t = 7200)]
    session_lifetime_s: u64,
    /// Skip the waiting time: for a value that has leaked. docs/operate/rotation.md says what breaks
    #[arg(long)]
    at_once: bool,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Args)]
pub(super) struct RekeyArgs {
    /// The table's name (the stack's output TableName)
    #[arg(long)]
    table: String,
    /// The Mini Program's app id
    #[arg(long)]
    wechat_app_id: String,
    /// Do not wait until every function has read the new key: for a key that has leaked
    #[arg(long)]
    at_once: bool,
    #[command(flatten)]
    store: StoreArgs,
}

impl ManagerArgs {
    fn store(self) -> Result<SecretStore, Failure> {
        let named = [
            (Holder::EdgeAuth, self.edge_auth_secret),
            (Holder::Status, self.status_secret),
            (Holder::Worker, self.worker_secret),
            (Holder::Sweep, self.sweep_secret),
        ];
        let ids = named.into_iter().filter_map(|(holder, id)| Some((holder, id?))).collect();
        Ok(SecretStore::Manager { aws: config::aws(&Env::process())?, ids })
    }
}

impl StoreArgs {
    fn store(self) -> Result<SecretStore, Failure> {
        match (self.dir, self.file) {
            (Some(dir), _) => Ok(SecretStore::Directory(dir)),
            (None, Some(file)) => Ok(SecretStore::File(file)),
            (None, None) => self.manager.store(),
        }
    }
}

/// Runs one of the commands.
pub(super) async fn run(command: SecretsCommand) -> Result<(), Failure> {
    match command {
        SecretsCommand::New(args) => new(&args).await,
        SecretsCommand::Put(args) => put(args).await,
        SecretsCommand::Rotate(args) => rotate(args).await,
        SecretsCommand::RekeyLogins(args) => rekey(args).await,
    }
}

async fn new(args: &NewArgs) -> Result<(), Failure> {
    let (app_secret, token) = (value(&args.wechat_app_secret_file)?, value(&args.gateway_token_file)?);
    let documents = secrets::documents(&Runtime::system(), &app_secret, &token)?;
    DirBuilder::new().recursive(true).mode(0o700).create(&args.out).map_err(failed(&args.out, "made"))?;
    SecretStore::Directory(args.out.clone()).fill(&documents).await?;
    say(format_args!("Four documents are in {}. They are secrets: delete them once they are put.", args.out.display()));
    Ok(())
}

async fn put(args: PutArgs) -> Result<(), Failure> {
    let documents = SecretStore::Directory(args.from).read(&Holder::ALL).await?;
    args.manager.store()?.fill(&documents).await?;
    say("The four secrets are filled. A function that could not start for want of them starts with its next request.");
    Ok(())
}

async fn rotate(args: RotateArgs) -> Result<(), Failure> {
    let (kind, phase) = (args.kind, args.phase);
    let (runtime, store) = (Runtime::system(), args.store.store()?);
    let request = Request {
        kind,
        phase,
        fresh: fresh(&runtime, kind, phase, args.value_file.as_deref())?,
        session_lifetime: Duration::from_secs(args.session_lifetime_s),
        at_once: args.at_once,
        now: runtime.now(),
    };
    let rotated = store.rotate(&request).await?;
    let state = match rotated.done {
        Done::Changed => "done",
        Done::Already => "was done before",
    };
    match rotated.next {
        Some((step, at)) => say(format_args!("{}: {state}. Next is {step}, not before {at}.", kind.name())),
        None => say(format_args!("{}: {state}. One value is listed; no step is open.", kind.name())),
    }
    Ok(())
}

async fn rekey(args: RekeyArgs) -> Result<(), Failure> {
    let store = args.store.store()?;
    let aws = config::aws(&Env::process())?;
    // The command writes no items that expire.
    let table = Table::new(aws.dynamodb(), args.table, Duration::ZERO);
    let counted = rekey::run(&store, &table, &Runtime::system(), &args.wechat_app_id, args.at_once).await?;
    say(format_args!(
        "{} users are known under the new login key, {} of them since now.",
        counted.users, counted.written
    ));
    Ok(())
}

/// The new value of an `add`.
fn fresh(runtime: &Runtime, kind: Kind, phase: Phase, file: Option<&Path>) -> Result<Option<Value>, Failure> {
    match (phase, kind, file) {
        (Phase::Add, Kind::Wechat | Kind::GatewayToken, Some(file)) => Ok(Some(value(file)?.into())),
        (Phase::Add, Kind::Wechat | Kind::GatewayToken, None) => Ok(None),
        (_, _, Some(_)) => Err("--value-file goes with `wechat add` and `gateway-token add` only".into()),
        (Phase::Add, Kind::SessionKeys | Kind::CheckpointKeys, None) => Ok(Some(secrets::session_key(runtime)?)),
        (Phase::Add, Kind::LoginKeys | Kind::CursorKeys, None) => Ok(Some(secrets::random_key(runtime).into())),
        (Phase::Activate | Phase::Retire | Phase::Cancel, _, None) => Ok(None),
    }
}

/// Reads a value from a file, because every user of the machine can see the arguments of a command.
pub(super) fn value(file: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file).map_err(failed(file, "read"))?.trim().to_owned();
    if text.is_empty() {
        return Err(format!("{} is empty; it must hold the value", file.display()).into());
    }
    // A token goes into a header and a secret into a URL. A file with two lines is refused here; otherwise every later
    // request would fail.
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("{} must hold one value, in visible ASCII without spaces", file.display()).into());
    }
    Ok(text)
}
