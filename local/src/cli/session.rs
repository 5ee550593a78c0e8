//! `local session`: a session of a test user, for requests to a stack without a Mini Program.

use std::{collections::BTreeMap, time::Duration};

use clap::Args;
use platform::{
    config::{self, Env},
    runtime::Runtime,
    secrets::EdgeSecrets,
};
use store::Table;

use super::{Failure, output::say};
use crate::{
    data::checkout,
    secrets::{rotation::Holder, store::SecretStore},
    test_session,
};

/// Reads the session key from edge-auth's secret, which the credentials in the environment must allow. Prints the token
/// and nothing else: its bearer acts as that user until it expires.
#[derive(Debug, Args)]
pub(super) struct SessionArgs {
    /// The stage. There is no prod: there, every user logs in through WeChat
    #[arg(long, value_parser = test_session::STAGES)]
    stage: String,
    /// ARN or name of edge-auth's secret (the stack's output EdgeAuthSecretArn)
    #[arg(long, value_name = "ARN")]
    edge_auth_secret: String,
    /// The table's name (the stack's output TableName)
    #[arg(long)]
    table: String,
    /// The Mini Program's app id (the stack's parameter WechatAppId)
    #[arg(long)]
    wechat_app_id: String,
    /// A name for the user: the same name is the same user
    #[arg(long, default_value = "first")]
    user: String,
    /// Lifetime of the session in minutes
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=120))]
    minutes: u16,
}

/// Runs the command.
pub(super) async fn run(args: SessionArgs) -> Result<(), Failure> {
    let audience = test_session::audience(&checkout()?, &args.stage)?;
    let aws = config::aws(&Env::process())?;
    // The command writes no items that expire.
    let table = Table::new(aws.dynamodb(), args.table, Duration::ZERO);
    let ids = BTreeMap::from([(Holder::EdgeAuth, args.edge_auth_secret)]);
    let document = SecretStore::Manager { aws, ids }.read(&[Holder::EdgeAuth]).await?.remove(&Holder::EdgeAuth);
    let secrets: EdgeSecrets = serde_json::from_value(document.unwrap_or_default())
        // The cause could repeat a part of the document.
        .map_err(|_| "edge-auth's secret is not a document of this version")?;
    let lifetime = Duration::from_secs(u64::from(args.minutes) * 60);
    let runtime = Runtime::system();
    say(test_session::begin(&secrets, &table, &runtime, &audience, &args.wechat_app_id, &args.user, lifetime).await?);
    Ok(())
}
