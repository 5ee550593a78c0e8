//! `local wechat-event`: sends a service on this machine a message as WeChat would push it.

use std::path::PathBuf;

use clap::Args;
use domain::json;
use platform::runtime::Runtime;
use serde_json::Value;

use super::{Failure, output::say};
use crate::{
    data::{checkout, failed},
    emulation::{
        wechat_events::{Format, Kind, PushSettings},
        wechat_stub::DEV_APP_ID,
    },
};

/// Options of the message.
#[derive(Debug, Args)]
pub(super) struct EventArgs {
    /// What the message reports
    kind: Kind,
    /// The user that it is about: NAME of the login code `dev-NAME`
    #[arg(long, default_value = "alice")]
    user: String,
    /// Format of the message
    #[arg(long, default_value = "json")]
    format: Format,
    /// Do not encrypt the message, as in plain mode
    #[arg(long)]
    plain: bool,
    /// The Mini Program's app id
    #[arg(long, default_value = DEV_APP_ID)]
    app_id: String,
    /// The service
    #[arg(long, default_value = "http://127.0.0.1:8787")]
    url: String,
    /// The service's data directory, from the checkout's root: its secrets sign the message
    #[arg(long, default_value = ".local/data")]
    data: PathBuf,
}

/// Sends the message and prints the answer.
pub(super) async fn run(args: EventArgs) -> Result<(), Failure> {
    let file = checkout()?.join(&args.data).join("secrets.json");
    let document: Value = json::kept(std::fs::read(&file).map_err(failed(&file, "read"))?)?;
    let mut settings = PushSettings::of(&document, &args.app_id)?;
    if args.plain {
        settings.key = None;
    }
    let runtime = Runtime::system();
    let now = runtime.now();
    let message = args.kind.message(args.format, &args.app_id, &args.user, now);
    let push = settings.push(&message, now, &runtime);
    // Loopback must not go through a proxy.
    let http = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("{}{}", args.url.trim_end_matches('/'), push.path());
    let answer = http.post(url).body(push.body).send().await.map_err(reqwest::Error::without_url)?;
    say(format_args!("{message}"));
    say(format_args!("{} {}", answer.status(), answer.text().await.map_err(reqwest::Error::without_url)?));
    Ok(())
}
