//! `local setup`: the first configuration of one host.

use std::{
    io::{IsTerminal, Read},
    path::PathBuf,
};

use clap::Args;

use super::{Failure, output::say, secrets::one_value};
use crate::host::{
    config_file::DEFAULT_FILE,
    setup::{DEFAULT_STATE, Setup},
};

/// What the operator says. All else is found; a later run takes app id and user from the configuration file.
#[derive(Debug, Args)]
pub(super) struct SetupArgs {
    /// The domain that phones reach, with an ICP filing [default: Caddy's configuration stays as it is]
    #[arg(long, value_parser = domain)]
    domain: Option<String>,
    /// The Mini Program's app id [default: wechat.app_id of the configuration file]
    #[arg(long)]
    app_id: Option<String>,
    /// The user that OpenClaw runs as [default: gateway.user of the configuration file]
    #[arg(long, value_name = "USER", value_parser = user)]
    openclaw_user: Option<String>,
    /// Print what would be changed, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// The command of OpenClaw, if it is not in that user's PATH
    #[arg(long, value_name = "FILE", default_value = "openclaw")]
    openclaw: String,
    /// Caddy's configuration
    #[arg(long, value_name = "FILE", default_value = "/etc/caddy/Caddyfile")]
    caddyfile: PathBuf,
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
    /// File with the restarts that a run which broke off has left to make
    #[arg(long, value_name = "FILE", default_value = DEFAULT_STATE)]
    state: PathBuf,
}

/// Sets the host up.
pub(super) fn run(args: &SetupArgs) -> Result<(), Failure> {
    let setup = Setup {
        config_file: &args.config,
        domain: args.domain.as_deref(),
        app_id: args.app_id.as_deref(),
        user: args.openclaw_user.as_deref(),
        openclaw: &args.openclaw,
        caddyfile: &args.caddyfile,
        state: &args.state,
        is_trial: args.dry_run,
        ask: &ask,
        say: &|line| say(line),
    };
    Ok(setup.run()?)
}

/// Reads the app secret from standard input. It is no argument, because every user of the machine can see those.
fn ask() -> Result<String, Failure> {
    let mut from = std::io::stdin();
    if from.is_terminal() {
        eprintln!("Paste the Mini Program's app secret, then Enter and Ctrl-D:");
    }
    let mut text = String::new();
    from.read_to_string(&mut text)?;
    one_value(&text, "standard input").map(str::to_owned)
}

fn domain(text: &str) -> Result<String, String> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_domain = text.len() <= 253 && text.contains('.') && text.split('.').all(is_label);
    if is_domain {
        Ok(text.to_owned())
    } else {
        Err("a domain is lower-case labels with dots, as api.example.com".to_owned())
    }
}

fn user(text: &str) -> Result<String, String> {
    let is_name = text.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte));
    if is_name { Ok(text.to_owned()) } else { Err("a user is a name of /etc/passwd, as ubuntu".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_into_a_command_or_a_configuration_is_a_plain_name() {
        for text in ["api.example.com", "a-1.b"] {
            assert!(domain(text).is_ok(), "{text}");
        }
        for text in ["example", "a b.c", "a.b {", "-a.b", "a..b", "A.b", ""] {
            assert!(domain(text).is_err(), "{text}");
        }
        assert!(user("ubuntu").is_ok() && user("_app-1").is_ok());
        for text in ["", "-l", "u;id", "Ubuntu"] {
            assert!(user(text).is_err(), "{text}");
        }
    }
}
