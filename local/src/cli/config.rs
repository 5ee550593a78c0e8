//! `local config check` and `local run --config`: the service from a configuration file, as a system service.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Subcommand;

use super::{
    Failure, ended,
    output::{self, say},
    secrets::value,
    signals::Stop,
};
use crate::{
    emulation::console::{ConsoleOptions, SignIn},
    host::{
        config_file::{ConfigFile, DEFAULT_FILE, LogFormat},
        service::{Claim, Login, Options, Service},
    },
};

/// `EX_CONFIG` of `sysexits.h`. The unit names it in `RestartPreventExitStatus`, because a restart does not change the
/// file.
const EX_CONFIG: u8 = 78;
/// The time between two runs of `sweep`.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// Commands about the configuration file.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Read and check the file; names the first fault, and ends with 78
    Check {
        /// The configuration file
        #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
        config: PathBuf,
    },
}

/// Runs one of the commands.
pub(super) fn command(command: ConfigCommand) -> ExitCode {
    let ConfigCommand::Check { config } = command;
    match read(&config) {
        Ok(_) => {
            say(format_args!("ok: {}", config.display()));
            ExitCode::SUCCESS
        }
        Err(code) => code,
    }
}

/// Runs the service until Ctrl-C or SIGTERM.
pub(super) async fn run(file: &Path) -> ExitCode {
    let config = match read(file) {
        Ok(config) => config,
        Err(code) => return code,
    };
    match config.log_format {
        LogFormat::Json => output::log_json_to_stderr(&config.log_level),
        LogFormat::Text => output::log_to_stderr(&config.log_level),
    }
    ended(serve(config).await)
}

fn read(file: &Path) -> Result<ConfigFile, ExitCode> {
    ConfigFile::read(file).map_err(|fault| {
        eprintln!("local: {}", output::sentence(&fault));
        ExitCode::from(EX_CONFIG)
    })
}

async fn serve(config: ConfigFile) -> Result<(), Failure> {
    let mut stop = Stop::listen()?;
    let login = Login::Wechat {
        base_url: config.wechat_base_url,
        app_id: config.wechat_app_id,
        app_secret: value(&config.wechat_secret_file)?,
    };
    let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, config.rings_port));
    let claim = Claim::take_from("server.rings_port", bind, &config.data, &login).await?;
    let sign_in = match (&config.operators, &config.console_client_id) {
        (Some(operators), Some(client_id)) => Some(SignIn::new(&operators.audience.issuer, client_id)?),
        _ => None,
    };
    let options = Options {
        bind,
        login,
        workers: config.workers,
        sweep_every: SWEEP_EVERY,
        metrics_port: config.metrics_port,
        operators: config.operators,
        console: config.console.map(|dir| ConsoleOptions { dir, sign_in }),
        settings: config.settings,
        socket: config.socket,
        opens_new_table: false,
        ..Options::dev(claim.data.path.clone(), config.gateway_url, value(&config.gateway_token_file)?)
    };
    let service = Service::start_with(claim, options).await?;
    let mode = service.controls.service.mode.name();
    say(format_args!(
        "Ready on {}; mode: {mode}; open jobs that go on from before: {}.",
        service.base_url, service.woken
    ));
    if !service.controls.is_set() {
        say("No mode was ever set in this table, so every write is refused until an operator sets one.");
    }
    stop.asked().await;
    service.stop().await;
    Ok(())
}
