//! `local engines`: only table, queue and WeChat stub, for functions that `cargo lambda watch` runs.

use platform::runtime::Runtime;

use super::{EngineArgs, Failure, output::say, secrets::value, signals::Stop};
use crate::{
    data::{DataDir, checkout},
    emulation::{
        engine_ports::EnginePorts,
        engines::{EngineOptions, Engines},
        expiry::{ExpiredItems, Expiry},
        wechat_stub::{DEV_APP_ID, WechatStub},
    },
    host::{configs::Deployment, initial_mode, settings::Settings},
    secrets::{self, Given},
};

/// OpenClaw's default address.
const OPENCLAW_DEFAULT: &str = "http://127.0.0.1:18789";

/// Runs until Ctrl-C or SIGTERM.
pub(super) async fn run(args: EngineArgs) -> Result<(), Failure> {
    let mut stop = Stop::listen()?;
    let data = DataDir::take(&checkout()?.join(&args.data))?;
    let runtime = Runtime::system();
    let gateway_token = match &args.gateway.gateway_token_file {
        Some(file) => value(file)?,
        None => "no-gateway".to_owned(),
    };
    let is_new = data.is_new();
    let app_secret =
        secrets::install(&data.secrets_file(), &runtime, &Given { wechat_app_secret: None, gateway_token })?;
    let ports = EnginePorts::bind(args.table_port, args.queue_port).await?;
    let options = EngineOptions { table_file: Some(data.table_file()), queue_port: ports.queue_port() };
    let engines = Engines::start(options).await?;
    let served = ports.serve(&engines, &runtime);
    let stub = WechatStub::start(DEV_APP_ID, &app_secret, args.wechat_port, runtime.clone()).await?;
    let inside = Deployment {
        backend: engines.backend.clone(),
        secrets_file: data.secrets_file(),
        wechat_base_url: stub.base_url(),
        wechat_app_id: DEV_APP_ID.to_owned(),
        gateway_base_url: args.gateway.gateway_url.unwrap_or_else(|| OPENCLAW_DEFAULT.to_owned()),
        settings: Settings::default(),
    };
    initial_mode::begin(&inside.open_table(), &runtime, is_new).await?;
    let expiry = Expiry::start(ExpiredItems::new(&inside.backend, inside.open_table(), runtime));
    let outside = Deployment { backend: served.backend.clone(), ..inside };
    for (name, value) in outside.environment() {
        say(format_args!("export {name}='{value}'"));
    }
    say(
        "# Table, queue and WeChat stub are up; paste the lines above where `cargo lambda watch` runs. Ctrl-C stops them.",
    );
    stop.asked().await;
    expiry.stop();
    stub.stop().await;
    served.stop().await;
    engines.stop().await;
    Ok(())
}
