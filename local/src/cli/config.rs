//! `local config check` and `local run --config`: the service from a configuration file, as a system service.

use std::{
    fmt::{self, Display},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Subcommand;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    Failure, ended,
    output::{self, say},
    secrets::value,
    signals::Stop,
};
use crate::{
    data::DataError,
    emulation::console::{ConsoleOptions, SignIn},
    host::{
        alerts::{AlertOptions, Format, Webhook},
        config_file::{AlertSettings, ConfigFile, DEFAULT_FILE, LogFormat},
        policy_folder::{self, CheckedPolicy},
        service::{Claim, Login, Options, Service, ServiceError},
        systemd::{self, Watchdog},
    },
    program,
};

/// `EX_CONFIG` of `sysexits.h`. The unit names it in `RestartPreventExitStatus`, because a restart does not change the
/// file.
const EX_CONFIG: u8 = 78;
/// Where systemd puts the credential `alerts-webhook` of the unit.
const WEBHOOK_CREDENTIAL: &str = "/run/credentials/miniprogram.service/alerts-webhook";
/// The credential of a unit for which no webhook was set.
pub(super) const NO_WEBHOOK: &str = "none";
/// The time between two runs of `sweep`.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// Commands about the configuration file.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Read and check the file and the policy folder that it names; names the first fault, and ends with 78
    Check {
        /// The configuration file
        #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
        config: PathBuf,
    },
}

/// A configuration file and the policy that it names, both checked.
pub(super) struct Checked {
    pub(super) config: ConfigFile,
    pub(super) policy: CheckedPolicy,
}

impl Checked {
    fn read(file: &Path) -> Result<Self, Failure> {
        let config = ConfigFile::read(file)?;
        let policy = policy_folder::check(config.policy_dir.as_deref())?;
        Ok(Self { config, policy })
    }

    /// Prints the fault of the files, and gives the exit code for it.
    pub(super) fn read_or_exit(file: &Path) -> Result<Self, ExitCode> {
        Self::read(file).map_err(|fault| {
            eprintln!("{}: {}", program::name(), output::sentence(fault.as_ref()));
            ExitCode::from(EX_CONFIG)
        })
    }
}

/// The policy in one sentence.
impl Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = &self.policy.tools;
        let (tools, agents) = (policy.catalogue().tools().count(), policy.catalogue().agents().count());
        write!(f, "policy {}, {tools} tools, {agents} agents", policy.version())
    }
}

/// Runs one of the commands.
pub(super) fn command(command: ConfigCommand) -> ExitCode {
    let ConfigCommand::Check { config } = command;
    match Checked::read_or_exit(&config) {
        Ok(checked) => {
            checked.policy.warnings.iter().for_each(|warning| say(format_args!("warning: {warning}")));
            say(format_args!("ok: {}; {checked}", config.display()));
            ExitCode::SUCCESS
        }
        Err(code) => code,
    }
}

/// Runs the service until Ctrl-C or SIGTERM. SIGHUP reads file and policy again.
pub(super) async fn run(file: &Path) -> ExitCode {
    let checked = match Checked::read_or_exit(file) {
        Ok(checked) => checked,
        Err(code) => return code,
    };
    match checked.config.log_format {
        LogFormat::Json => output::log_json_to_stderr(&checked.config.log_level),
        LogFormat::Text => output::log_to_stderr(&checked.config.log_level),
    }
    let done = serve(file, checked).await;
    let is_marked = done.as_ref().is_err_and(|failure| {
        let data = failure.downcast_ref::<ServiceError>();
        matches!(data, Some(ServiceError::Data(DataError::Restoring(_) | DataError::Exported(_))))
    });
    let code = ended(done);
    // Only an operator ends that, so systemd must not try again.
    if is_marked { ExitCode::from(EX_CONFIG) } else { code }
}

async fn serve(file: &Path, mut current: Checked) -> Result<(), Failure> {
    let mut stop = Stop::listen()?;
    // Before anything slow: without a handler the signal ends the process.
    let mut hangup = signal(SignalKind::hangup())?;
    let mut service = start(&current).await?;
    service.accept_reloads()?;
    let watchdog = Watchdog::start(service.deployment.open_table());
    let mode = service.controls.service.mode.name();
    systemd::ready(&current.to_string());
    say(format_args!(
        "Ready on {}; mode: {mode}; {current}; open jobs that were woken: {}.",
        service.base_url, service.woken
    ));
    if !service.controls.is_set() {
        say("No mode was ever set in this table, so every write is refused until an operator sets one.");
    }
    loop {
        tokio::select! {
            () = stop.asked() => break,
            _ = hangup.recv() => reload(&mut service, file, &mut current).await,
        }
    }
    systemd::stopping();
    watchdog.into_iter().for_each(Watchdog::stop);
    service.stop().await;
    Ok(())
}

/// The webhook and the heartbeat of the alarms. Alarms are only logged with a webhook that cannot be used: requests of
/// users must not wait until it is repaired.
fn alerts(settings: &AlertSettings) -> AlertOptions {
    let webhook = webhook(settings.webhook_file.as_deref(), settings.format, Path::new(WEBHOOK_CREDENTIAL));
    let webhook = webhook.unwrap_or_else(|fault| {
        let error = output::sentence(fault.as_ref());
        tracing::error!(function = "local", error, "the webhook cannot be used; alarms are only logged");
        None
    });
    AlertOptions { webhook, heartbeat: settings.heartbeat.clone(), ..AlertOptions::default() }
}

/// The webhook of the file that the configuration names, else of `default`, which may be missing.
pub(super) fn webhook(named: Option<&Path>, format: Format, default: &Path) -> Result<Option<Webhook>, Failure> {
    let file = match named {
        Some(file) => file,
        None if default.exists() => default,
        None => return Ok(None),
    };
    let text = value(file)?;
    if text == NO_WEBHOOK {
        return Ok(None);
    }
    // The text is a secret, and stays out of the error.
    Ok(Some(Webhook::parse(&text, format).map_err(|fault| format!("{}: {fault}", file.display()))?))
}

async fn start(Checked { config, policy }: &Checked) -> Result<Service, Failure> {
    let login = Login::Wechat {
        base_url: config.wechat_base_url.clone(),
        app_id: config.wechat_app_id.clone(),
        app_secret: value(&config.wechat_secret_file)?,
    };
    let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, config.rings_port));
    let claim = Claim::take("server.rings_port", bind, &config.data, &login).await?;
    let sign_in = match (&config.operators, &config.console_client_id) {
        (Some(operators), Some(client_id)) => Some(SignIn::new(&operators.audience.issuer, client_id)?),
        _ => None,
    };
    let gateway_token = value(&config.gateway_token_file)?;
    let options = Options {
        bind,
        login,
        workers: config.workers,
        sweep_every: SWEEP_EVERY,
        metrics_port: config.metrics_port,
        operators: config.operators.clone(),
        console: config.console.clone().map(|dir| ConsoleOptions { dir, sign_in }),
        settings: config.settings.clone(),
        policy: policy.files.clone(),
        socket: config.socket.clone(),
        min_free_mb: config.min_free_mb,
        opens_new_table: false,
        alerts: Some(alerts(&config.alerts)),
        ..Options::dev(claim.data.path.clone(), config.gateway_url.clone(), gateway_token)
    };
    Ok(Service::start_with(claim, options).await?)
}

async fn replace(service: &mut Service, file: &Path) -> Result<Checked, Failure> {
    let next = Checked::read(file)?;
    service.reload(next.config.settings.clone(), &next.policy.files).await?;
    Ok(next)
}

/// Replaces policy and limits by those in the files now, or keeps both and says which fault the files have.
async fn reload(service: &mut Service, file: &Path, current: &mut Checked) {
    match replace(service, file).await {
        Ok(next) => {
            let differs = current.config.differs_beyond_reload(&next.config);
            let rest = if differs { " Other keys have changed; they take effect at the next start." } else { "" };
            say(format_args!("Reloaded: {next}.{rest}"));
            systemd::status(&next.to_string());
            // Compared with the configuration at the start, so that every reload mentions the difference.
            let ConfigFile { settings, policy_dir, .. } = next.config;
            current.config = ConfigFile { settings, policy_dir, ..current.config.clone() };
            current.policy = next.policy;
        }
        Err(fault) => {
            let error = output::sentence(fault.as_ref());
            systemd::status(&format!("{current}; the last reload was refused"));
            tracing::error!(function = "local", error, "not reloaded");
            say(format_args!("Not reloaded, and everything stays as it was ({current}): {error}"));
        }
    }
}
