//! `local run`: the service and, by default, a real gateway, until Ctrl-C.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use domain::access::operator_token::OperatorAudience;
use platform::jwks::JwksSource;

use super::{Failure, OperatorArgs, RunArgs, output::say, secrets::value, signals::Stop};
use crate::{
    data::checkout,
    emulation::{
        console::{ConsoleOptions, SignIn},
        expiry::Late,
    },
    host::{
        agent_model::AgentModel,
        gateway::{Gateway, GatewayOptions, GatewayState},
        service::{Claim, Login, OperatorIssuer, Options, Service},
    },
};

/// Seconds before each restart of a gateway that has ended by itself.
const RESTART_PAUSES_S: [u64; 5] = [1, 2, 5, 15, 30];

/// Runs until Ctrl-C or SIGTERM.
pub(super) async fn run(args: RunArgs) -> Result<(), Failure> {
    let mut stop = Stop::listen()?;
    let checkout = checkout()?;
    let login = login(&args)?;
    let bind = SocketAddr::from((args.bind, args.port));
    let claim = Claim::take("--port", bind, &checkout.join(&args.data), &login).await?;
    let mut gateway = Source::open(&args, &checkout, &claim, &mut stop).await?;
    let (gateway_base_url, gateway_token) = gateway.access()?;
    let options = Options {
        login,
        workers: args.workers.into(),
        sweep_every: Duration::from_secs(args.sweep_every),
        bind,
        metrics_port: args.metrics_port,
        operators: operators(&args.operators)?,
        console: console(&args, &checkout)?,
        ..Options::dev(claim.data.path.clone(), gateway_base_url, gateway_token)
    };
    let service = Service::start_with(claim, options).await?;
    greet(&service, &gateway, args.dev, &checkout.join(&args.ledger));

    gateway.keep_up(&mut stop).await?;
    say("Stopping; press Ctrl-C again to stop at once.");
    service.stop().await;
    gateway.stop().await
}

/// The console's files: the given directory, or the one built in the checkout.
fn console(args: &RunArgs, checkout: &Path) -> Result<Option<ConsoleOptions>, Failure> {
    let built = || Some(checkout.join("console/dist")).filter(|dir| dir.join("index.html").exists());
    let Some(dir) = args.console.as_ref().map(|dir| checkout.join(dir)).or_else(built) else { return Ok(None) };
    let sign_in = match (&args.operators.operator_issuer, &args.operators.console_client_id) {
        (Some(issuer), Some(client_id)) => Some(SignIn::new(issuer, client_id)?),
        _ => None,
    };
    Ok(Some(ConsoleOptions { dir, sign_in }))
}

/// The issuer of operators' tokens, when one is configured.
fn operators(args: &OperatorArgs) -> Result<Option<OperatorIssuer>, Failure> {
    let (Some(issuer), Some(audience), Some(jwks)) =
        (&args.operator_issuer, &args.operator_audience, &args.operator_jwks)
    else {
        return Ok(None);
    };
    let jwks = JwksSource::parse(jwks).ok_or("--operator-jwks must be an https URL or an absolute path")?;
    let roles_claim = args.operator_roles_claim.clone();
    let audience = OperatorAudience { issuer: issuer.clone(), audience: audience.clone(), roles_claim };
    Ok(Some(OperatorIssuer { audience, jwks }))
}

fn login(args: &RunArgs) -> Result<Login, Failure> {
    match (&args.wechat_app_id, &args.wechat_secret_file) {
        _ if args.dev => Ok(Login::Dev),
        (Some(app_id), Some(file)) => {
            let app_secret = value(file)?;
            Ok(Login::Wechat { base_url: args.wechat_base_url.clone(), app_id: app_id.clone(), app_secret })
        }
        _ => Err("no user could log in: give --wechat-app-id and --wechat-secret-file, or --dev to develop".into()),
    }
}

/// The gateway that the service calls.
enum Source {
    /// Started by this process.
    Started(Box<Gateway>),
    /// Given by the operator.
    Given { url: String, token_file: PathBuf },
}

impl Source {
    async fn open(args: &RunArgs, checkout: &Path, claim: &Claim, stop: &mut Stop) -> Result<Self, Failure> {
        if let (Some(url), Some(token_file)) = (&args.gateway.gateway_url, &args.gateway.gateway_token_file) {
            return Ok(Self::Given { url: url.trim_end_matches('/').to_owned(), token_file: token_file.clone() });
        }
        eprintln!("Starting the OpenClaw gateway (10 to 60 s) ...");
        let options = GatewayOptions {
            ledger: checkout.join(&args.ledger),
            model: AgentModel::Environment,
            progress: true,
            webhook_url: claim.webhook_url(),
            ..GatewayOptions::within(checkout.to_owned(), claim.data.path.join("gateway"))
        };
        tokio::select! {
            started = Gateway::start(options) => Ok(Self::Started(Box::new(started?))),
            // Dropping the start closes the pipe that keeps the gateway alive.
            () = stop.asked() => Err("stopped before the gateway was ready".into()),
        }
    }

    fn access(&self) -> Result<(String, String), Failure> {
        match self {
            Self::Started(gateway) => Ok((gateway.base_url(), gateway.token().to_owned())),
            Self::Given { url, token_file } => Ok((url.clone(), value(token_file)?)),
        }
    }

    /// Starts the gateway again whenever it ends by itself, until the command is stopped.
    async fn keep_up(&mut self, stop: &mut Stop) -> Result<(), Failure> {
        let Self::Started(gateway) = self else {
            stop.asked().await;
            return Ok(());
        };
        let mut pauses = RESTART_PAUSES_S.into_iter();
        loop {
            let mut state = gateway.state();
            tokio::select! {
                () = stop.asked() => return Ok(()),
                _ = state.wait_for(|state| *state == GatewayState::Exited) => {}
            }
            let pause = pauses
                .next()
                .ok_or("the gateway ends again and again; its log is gateway/gateway.log in the data directory")?;
            eprintln!("The gateway ended by itself; starting it again in {pause} s.");
            tokio::select! {
                () = stop.asked() => return Ok(()),
                () = tokio::time::sleep(Duration::from_secs(pause)) => {}
            }
            tokio::select! {
                () = stop.asked() => return Ok(()),
                restarted = gateway.restart() => match restarted {
                    Ok(()) => { pauses = RESTART_PAUSES_S.into_iter(); eprintln!("The gateway is back."); }
                    Err(error) => eprintln!("{error}"),
                },
            }
        }
    }

    async fn stop(self) -> Result<(), Failure> {
        match self {
            Self::Started(gateway) => Ok(gateway.stop().await?),
            Self::Given { .. } => Ok(()),
        }
    }
}

fn greet(service: &Service, gateway: &Source, dev: bool, ledger: &Path) {
    let url = &service.base_url;
    let program = program();
    match gateway {
        Source::Started(gateway) => {
            say(format_args!("Ready on {url}, with an OpenClaw gateway on {}.", gateway.base_url()));
            say(gateway.model());
        }
        Source::Given { url: gateway, .. } => say(format_args!("Ready on {url}, with the OpenClaw gateway {gateway}.")),
    }
    if service.has_console {
        say(format_args!("The operator's console: {url}/console/"));
    }
    if let Some(stub) = service.wechat_stub() {
        say(format_args!("The WeChat stub: {} (docs/api/push.md).", stub.base_url()));
    }
    if let Some(url) = service.metrics_url() {
        say(format_args!("Prometheus reads {url}."));
    }
    if service.controls.is_set() {
        say(format_args!("Mode: {}.", service.controls.service.mode.name()));
    } else {
        say("\nNo mode was ever set in this table, so the service ONLY READS: every write is refused.");
        say(format_args!("Open it with: {program} mode set full --reason 'WHY'\n"));
    }
    if let Some(late) = service.retention_clock.late_by() {
        say(format_args!("\nCheck the date: {}\n", Late(late)));
    }
    if service.woken > 0 {
        say(format_args!("Open jobs of an earlier run that were woken: {}.", service.woken));
    }
    let code = if dev { "dev-alice" } else { "CODE_OF_WX_LOGIN" };
    say(format_args!(
        r#"
Log in, submit, poll:

  TOKEN=$(curl -s {url}/v1/sessions -H 'content-type: application/json' -d '{{"code":"{code}"}}' | sed 's/.*"token":"\([^"]*\)".*/\1/')
  ID=$({program} id)
  curl -s {url}/v1/jobs -H "authorization: Bearer $TOKEN" -H "idempotency-key: $ID" \
    -H 'content-type: application/json' -d '{{"tool":"ledger_append","arguments":{{"note":"two coffees"}}}}'
  curl -s "{url}/v1/jobs/$ID?wait=20" -H "authorization: Bearer $TOKEN"
"#
    ));
    if let Source::Started(_) = gateway {
        say(format_args!("Effects of the demo tools, one line each: {}", ledger.display()));
    }
    say("Ctrl-C stops everything.");
}

/// The program's name for messages: the shortest path that works from the current directory.
fn program() -> String {
    let (Ok(program), Ok(here)) = (std::env::current_exe(), std::env::current_dir()) else { return "local".to_owned() };
    program.strip_prefix(here).unwrap_or(&program).display().to_string()
}
