//! status as a Lambda function.

use std::process::ExitCode;

use lambda_http::{Error, Request, service_fn};
use platform::{config::StatusConfig, telemetry};
use status::Status;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::run("status", async |env, world| -> Result<(), Error> {
        let status = &Status::new(StatusConfig::from_env(env)?, world)?;
        status.load_secrets().await?;
        let serve = service_fn(|request: Request| async move { Ok::<_, Error>(status.handle(request).await) });
        lambda_http::run(serve).await
    })
    .await
}
