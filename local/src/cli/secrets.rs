//! `local secrets`: makes the documents of secrets, writes them to Secrets Manager, and rotates them. Prints the step
//! that was taken and the earliest time of the next one, and never a secret.

use std::{
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand, ValueEnum};
use platform::{
    config::{self, Env},
    runtime::Runtime,
};
use serde_json::Value;
use store::Table;

use super::{Failure, config::NO_WEBHOOK, output::say};
use crate::{
    data::{failed, private_folder},
    host::{
        alerts::{Format, Webhook},
        config_file::DEFAULT_FILE,
        credentials,
    },
    secrets::{
        self, complete, rekey,
        rotation::{Documents, Done, Holder, Kind, Phase, Request},
        store::SecretStore,
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum SecretsCommand {
    /// Make the four documents, one per function, in a directory
    New(NewArgs),
    /// Write the documents of that directory to the secrets of a stack, which must exist and have no other value
    Put(PutArgs),
    /// Make and write the documents of a stack's empty secrets, without a file between; filled ones stay as they are
    Fill(FillArgs),
    /// Write a credential of one host from standard input to its file; the service reads it after a restart
    Set(SetArgs),
    /// Take one step of a rotation; docs/operate/rotation.md says which and when
    Rotate(RotateArgs),
    /// Write every user under the new login key, so that the old one can be retired
    RekeyLogins(RekeyArgs),
}

/// The values that WeChat and the gateway issue.
#[derive(Debug, Args)]
struct GivenArgs {
    /// File with the Mini Program's app secret
    #[arg(long)]
    wechat_app_secret_file: PathBuf,
    /// File with the gateway's token
    #[arg(long)]
    gateway_token_file: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct NewArgs {
    #[command(flatten)]
    given: GivenArgs,
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

#[derive(Debug, Args)]
pub(super) struct FillArgs {
    /// The files are read only if a secret is empty.
    #[command(flatten)]
    given: GivenArgs,
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

/// A credential of one host: a file that systemd passes to the service when it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Credential {
    /// The Mini Program's app secret
    WechatAppSecret,
    /// The gateway's token
    GatewayToken,
    /// The URL that alarms are sent to
    AlertsWebhook,
}

impl Credential {
    /// The name of its file, which is its name in the unit.
    const fn file(self) -> &'static str {
        match self {
            Self::WechatAppSecret => credentials::WECHAT_APP_SECRET,
            Self::GatewayToken => credentials::GATEWAY_TOKEN,
            Self::AlertsWebhook => credentials::ALERTS_WEBHOOK,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct SetArgs {
    /// The credential
    name: Credential,
    /// The configuration file; the credentials are in the folder `secrets` next to it
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
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

impl GivenArgs {
    /// New documents with these values.
    fn documents(&self) -> Result<Documents, Failure> {
        let (app_secret, token) = (value(&self.wechat_app_secret_file)?, value(&self.gateway_token_file)?);
        Ok(secrets::documents(&Runtime::system(), &app_secret, &token)?)
    }
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
        SecretsCommand::Fill(args) => fill(args).await,
        SecretsCommand::Set(args) => set(&args, std::io::stdin()),
        SecretsCommand::Rotate(args) => rotate(args).await,
        SecretsCommand::RekeyLogins(args) => rekey(args).await,
    }
}

async fn new(args: &NewArgs) -> Result<(), Failure> {
    let documents = args.given.documents()?;
    private_folder(&args.out)?;
    SecretStore::Directory(args.out.clone()).fill(&documents).await?;
    say(format_args!("Four documents are in {}. They are secrets: delete them once they are put.", args.out.display()));
    Ok(())
}

async fn put(args: PutArgs) -> Result<(), Failure> {
    let documents = SecretStore::Directory(args.from).read(&Holder::ALL).await?;
    args.manager.store()?.fill(&documents).await?;
    say("The four secrets are filled. A function that could not start without them starts with its next request.");
    Ok(())
}

async fn fill(args: FillArgs) -> Result<(), Failure> {
    let store = args.manager.store()?;
    let existing = store.existing().await?;
    let documents = if existing.len() == Holder::ALL.len() {
        Documents::new()
    } else {
        complete::missing(args.given.documents()?, &existing)
    };
    // edge-auth, which signs sessions, comes last: by then every function can verify them.
    for (holder, document) in documents.iter().rev() {
        store.write(*holder, document).await?;
        say(format_args!("The secret of {} is filled.", holder.function()));
    }
    if documents.is_empty() {
        say("Each secret has a value already; nothing is changed.");
    }
    Ok(())
}

fn set(args: &SetArgs, mut from: impl Read) -> Result<(), Failure> {
    let mut text = String::new();
    from.read_to_string(&mut text)?;
    let text = one_value(&text, "standard input")?;
    if args.name == Credential::AlertsWebhook && text != NO_WEBHOOK {
        Webhook::parse(text, Format::Json).map_err(|fault| format!("standard input: {fault}"))?;
    }
    let file = credentials::put(&args.config, args.name.file(), text)?;
    // systemd copies credentials when it starts a unit, so a reload would not bring the new one.
    say(format_args!("{} is written. The service has it after: systemctl restart miniprogram", file.display()));
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
    let text = std::fs::read_to_string(file).map_err(failed(file, "read"))?;
    one_value(&text, &file.display().to_string()).map(str::to_owned)
}

/// The one value that a text holds. An error names only where the text is from.
pub(super) fn one_value<'a>(text: &'a str, from: &str) -> Result<&'a str, Failure> {
    let text = text.trim();
    if text.is_empty() {
        return Err(format!("{from} is empty; it must hold the value").into());
    }
    // A token goes into a header and a secret into a URL. A file with two lines is refused here; otherwise every later
    // request would fail.
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("{from} must hold one value, in visible ASCII without spaces").into());
    }
    Ok(text)
}
