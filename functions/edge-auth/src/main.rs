//! edge-auth as a Lambda function.

use std::process::ExitCode;

use edge_auth::EdgeAuth;
use lambda_http::Error;
use platform::{config::EdgeAuthConfig, http_event, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::run("edge-auth", async |env, runtime| -> Result<(), Error> {
        let edge = &EdgeAuth::new(EdgeAuthConfig::from_env(env)?, runtime.clone())?;
        edge.load_secrets().await?;
        http_event::serve("edge-auth", &runtime, |request| edge.handle(request)).await
    })
    .await
}
