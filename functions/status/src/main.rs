//! status as a Lambda function.

use std::process::ExitCode;

use lambda_http::Error;
use platform::{config::StatusConfig, http_event, telemetry};
use status::Status;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::run("status", async |env, runtime| -> Result<(), Error> {
        let status = &Status::new(StatusConfig::from_env(env)?, runtime.clone())?;
        status.load_secrets().await?;
        http_event::serve("status", &runtime, |request| status.handle(request)).await
    })
    .await
}
