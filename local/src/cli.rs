//! The command line.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::program;

mod audit;
mod backup;
mod checkpoints;
mod client;
mod clock;
mod config;
mod demo;
mod doctor;
mod engines;
mod export;
mod id;
mod mode;
mod operator;
mod output;
mod policy;
mod reload;
mod restore;
mod run;
mod secrets;
mod session;
mod setup;
mod signals;
mod table_args;
mod upgrade;
mod watch;
mod wechat_event;
mod wechat_stub;

/// An error that ends a command: one sentence for the operator.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// OpenClaw for WeChat Mini Programs, on one machine.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// Which log lines go to standard error, as in `info` or `worker=debug,warn`; libraries log at `info` at most
    #[arg(long, global = true, default_value = "warn")]
    log: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service until Ctrl-C
    Run(RunArgs),
    /// Run table, queue and WeChat stub alone on fixed ports, and print the environment for `cargo lambda watch`
    Engines(EngineArgs),
    /// Act as a Mini Program on a new service and a real gateway, check every response, stop everything
    Demo,
    /// Check the configuration file
    Config {
        #[command(subcommand)]
        command: config::ConfigCommand,
    },
    /// Work with audit chains
    Audit {
        #[command(subcommand)]
        command: audit::AuditCommand,
    },
    /// Check policies, and explain their decision about a call
    Policy {
        #[command(subcommand)]
        command: policy::PolicyCommand,
    },
    /// Make, write and rotate the documents of secrets
    Secrets {
        #[command(subcommand)]
        command: secrets::SecretsCommand,
    },
    /// Print a session of a test user of a stack, for requests without a Mini Program; not for prod
    Session(session::SessionArgs),
    /// Tokens for the operator's API and console of one host
    Operator {
        #[command(subcommand)]
        command: operator::OperatorCommand,
    },
    /// Show or change the service mode, the mode of a tool, or the temporary unlock of a destructive tool
    Mode {
        #[command(subcommand)]
        command: mode::ModeCommand,
    },
    /// Show the clock by which this host deletes expired items, and confirm it after a jump
    Clock {
        #[command(subcommand)]
        command: clock::ClockCommand,
    },
    /// Set this host up for its first start: keys, credentials, OpenClaw's configuration, Caddy and the units; changes only
    /// what differs
    Setup(setup::SetupArgs),
    /// Check this host without changing it, within ten seconds. Each line has a state, a reason and a command that repairs it
    Doctor(doctor::DoctorArgs),
    /// Make, list and verify backups of a service on this machine
    Backup {
        #[command(subcommand)]
        command: backup::BackupCommand,
    },
    /// Copy exported checkpoints to another host, and delete old ones
    Checkpoints {
        #[command(subcommand)]
        command: checkpoints::CheckpointsCommand,
    },
    /// Write table and secrets of a stopped service into files from which a deployment on AWS goes on
    Export(export::ExportArgs),
    /// Restore a backup while the service is stopped; it then opens in the mode closed
    Restore(restore::RestoreArgs),
    /// Install a newer package after a backup, wait until the service is ready, and go back by itself if it is not
    Upgrade(upgrade::UpgradeArgs),
    /// Install the package of before the last upgrade again
    Rollback(upgrade::RollbackArgs),
    /// Let the running service read its configuration and policy again
    Reload(reload::ReloadArgs),
    /// Check gateway and service once: restart what fails, at most three times in half an hour, then send an alert
    Watch(watch::WatchArgs),
    /// Run the WeChat stub alone, for a rehearsal; loopback only
    WechatStub(wechat_stub::StubArgs),
    /// Send the service a message as WeChat would push it, signed and encrypted
    WechatEvent(wechat_event::EventArgs),
    /// Print a new request id
    Id,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Run from this configuration file, without a checkout and without other options; a new table then reads only until
    /// it is opened
    #[arg(long, value_name = "FILE", exclusive = true)]
    config: Option<PathBuf>,
    /// Let `dev-*` codes log in, through a WeChat stub; loopback only
    #[arg(long, conflicts_with_all = ["wechat_app_id", "wechat_secret_file"])]
    dev: bool,
    /// Address to listen on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// Port to listen on
    #[arg(long, default_value_t = 8787)]
    port: u16,
    /// Port on loopback where Prometheus reads /metrics [default: no metrics endpoint]
    #[arg(long)]
    metrics_port: Option<u16>,
    /// Where table, secrets and gateway state are stored, from the checkout's root
    #[arg(long, default_value = ".local/data")]
    data: PathBuf,
    /// Where the demo tools write one line per effect, from the checkout's root
    #[arg(long, default_value = ".local/openclaw/ledger.jsonl")]
    ledger: PathBuf,
    /// How many batches of jobs run at once
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// Seconds between two sweeps for overdue jobs
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    sweep_every: u64,
    /// A built console, served under /console/ [default: console/dist of the checkout, if it is there]
    #[arg(long, value_name = "DIR")]
    console: Option<PathBuf>,
    #[command(flatten)]
    operators: OperatorArgs,
    #[command(flatten)]
    gateway: GatewayArgs,
    /// The Mini Program's app id
    #[arg(long, requires = "wechat_secret_file")]
    wechat_app_id: Option<String>,
    /// File with the Mini Program's app secret
    #[arg(long, requires = "wechat_app_id")]
    wechat_secret_file: Option<PathBuf>,
    /// WeChat's API
    #[arg(long, default_value = "https://api.weixin.qq.com")]
    wechat_base_url: String,
}

#[derive(Debug, Args)]
struct OperatorArgs {
    /// The issuer of the operators' tokens: `iss` [default: this host, with `operator token`]
    #[arg(long, requires_all = ["operator_audience", "operator_jwks"])]
    operator_issuer: Option<String>,
    /// The audience of their tokens: `aud`
    #[arg(long, requires = "operator_issuer")]
    operator_audience: Option<String>,
    /// The issuer's key set: an https URL, or an absolute path
    #[arg(long, requires = "operator_issuer")]
    operator_jwks: Option<String>,
    /// Where their tokens list the roles: a claim, or a JSON pointer such as /realm_access/roles
    #[arg(long, requires = "operator_issuer", default_value = "roles")]
    operator_roles_claim: String,
    /// The console's client id at the issuer: operators then sign in there [default: they paste a token]
    #[arg(long, requires = "operator_issuer", value_name = "ID")]
    console_client_id: Option<String>,
}

#[derive(Debug, Args)]
struct GatewayArgs {
    /// An OpenClaw gateway that already runs [default: start one with the demo tools]
    #[arg(long, requires = "gateway_token_file")]
    gateway_url: Option<String>,
    /// File with that gateway's token
    #[arg(long, requires = "gateway_url")]
    gateway_token_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct EngineArgs {
    /// The table's port
    #[arg(long, default_value_t = 8000)]
    table_port: u16,
    /// The queue's port
    #[arg(long, default_value_t = 9324)]
    queue_port: u16,
    /// The WeChat stub's port
    #[arg(long, default_value_t = 9325)]
    wechat_port: u16,
    /// Where table and secrets are stored, from the checkout's root
    #[arg(long, default_value = ".local/engines")]
    data: PathBuf,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// Runs the command that is given on the command line.
pub async fn main() -> ExitCode {
    let command = Cli::command().name(program::name()).bin_name(program::name());
    let cli = Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
    if let Command::Run(RunArgs { config: Some(file), .. }) = &cli.command {
        return config::run(file).await;
    }
    output::log_to_stderr(&cli.log);
    let done = match cli.command {
        Command::Config { command } => return config::command(command),
        Command::Doctor(args) => return doctor::run(args).await,
        Command::Upgrade(args) => return upgrade::upgrade(args).await,
        Command::Rollback(args) => return upgrade::rollback(args).await,
        Command::Reload(args) => return reload::run(args).await,
        Command::Run(args) => run::run(args).await,
        Command::Engines(args) => engines::run(args).await,
        Command::Demo => demo::run().await,
        Command::Audit { command } => audit::run(command).await,
        Command::Policy { command } => match policy::run(command).await {
            Ok(code) => return code,
            Err(failure) => Err(failure),
        },
        Command::Setup(args) => setup::run(&args),
        Command::Secrets { command } => secrets::run(command).await,
        Command::Session(args) => session::run(args).await,
        Command::Operator { command } => operator::run(command),
        Command::Mode { command } => mode::run(command).await,
        Command::Clock { command } => clock::run(command).await,
        Command::Backup { command } => backup::run(command),
        Command::Checkpoints { command } => checkpoints::run(command).await,
        Command::Export(args) => export::run(args).await,
        Command::Restore(args) => restore::run(args).await,
        Command::Watch(args) => watch::run(args).await,
        Command::WechatStub(args) => wechat_stub::run(args).await,
        Command::WechatEvent(args) => wechat_event::run(args).await,
        Command::Id => id::print(),
    };
    ended(done)
}

/// The exit code of a command, whose failure is printed in one sentence.
fn ended(done: Result<(), Failure>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{}: {}", program::name(), output::sentence(failure.as_ref()));
            ExitCode::FAILURE
        }
    }
}
