//! `local wechat-stub`: WeChat's login API as a process, for rehearsing a deployment on this machine.

use std::path::PathBuf;

use clap::Args;
use platform::runtime::Runtime;

use super::{Failure, output::say, signals::Stop};
use crate::{
    data::failed,
    emulation::wechat_stub::{AppSecrets, DEV_APP_ID, WechatStub},
};

/// Options of the stub.
#[derive(Debug, Args)]
pub(super) struct StubArgs {
    /// Port to listen on; 0 takes a free one
    #[arg(long)]
    port: u16,
    /// The app id that is accepted
    #[arg(long, default_value = DEV_APP_ID)]
    app_id: String,
    /// File with the app secrets that are accepted, one on each line; read for every request
    #[arg(long)]
    app_secret_file: PathBuf,
}

/// Runs until Ctrl-C or SIGTERM.
pub(super) async fn run(args: StubArgs) -> Result<(), Failure> {
    let mut stop = Stop::listen()?;
    let file = args.app_secret_file;
    let text = std::fs::read_to_string(&file).map_err(failed(&file, "read"))?;
    if text.trim().is_empty() {
        return Err(format!("{} is empty; it must hold an app secret", file.display()).into());
    }
    let stub = WechatStub::with_secrets(&args.app_id, AppSecrets::File(file), (args.port, "--port"), Runtime::system())
        .await?;
    say(format_args!("Ready on {}, with `dev-*` codes for the app {}. Ctrl-C stops it.", stub.base_url(), args.app_id));
    stop.asked().await;
    stub.stop().await;
    Ok(())
}
