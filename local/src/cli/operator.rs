//! `local operator`: tokens for operators of one host that has no issuer of its own.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use platform::runtime::Runtime;

use super::{Failure, output::say, table_args::HostArgs};
use crate::{
    data::private_folder,
    host::operators::{OperatorKey, ROLES},
};

#[derive(Debug, Subcommand)]
pub(super) enum OperatorCommand {
    /// Print a token for the operator's API and console of one host; its bearer acts as that operator until it expires.
    /// The directory may also be one that `operator key` has filled
    Token(TokenArgs),
    /// Make a key and its public key set in a directory, without starting the service
    Key(KeyArgs),
}

#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    /// A role of the token; may be given more than once
    #[arg(long = "role", required = true, value_parser = ROLES)]
    roles: Vec<String>,
    /// The subject of the token: the same name is the same operator
    #[arg(long, default_value = "operator")]
    subject: String,
    /// Lifetime of the token in minutes
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=1440))]
    minutes: u16,
    #[command(flatten)]
    host: HostArgs,
}

#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    /// The directory for operators.json, readable by its owner only, and operators.jwks.json
    #[arg(long)]
    out: PathBuf,
}

/// Runs one of the commands.
pub(super) fn run(command: OperatorCommand) -> Result<(), Failure> {
    match command {
        OperatorCommand::Token(args) => token(&args),
        OperatorCommand::Key(args) => key(&args),
    }
}

fn token(args: &TokenArgs) -> Result<(), Failure> {
    let subject = args.subject.trim();
    if subject.is_empty() || subject.len() > 80 || subject.chars().any(char::is_control) {
        return Err("--subject must have 1 to 80 visible characters".into());
    }
    let key = OperatorKey::within(&args.host.directory()?);
    let lifetime = Duration::from_secs(u64::from(args.minutes) * 60);
    say(key.mint(&Runtime::system(), subject, &args.roles, lifetime)?);
    Ok(())
}

fn key(args: &KeyArgs) -> Result<(), Failure> {
    private_folder(&args.out)?;
    let key = OperatorKey::within(&args.out);
    key.keep(&Runtime::system())?;
    say(format_args!(
        "The public key set is {}. The private key in the same directory is a secret.",
        key.key_set().display()
    ));
    Ok(())
}
