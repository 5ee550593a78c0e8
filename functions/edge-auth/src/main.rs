//! edge-auth as a Lambda function.

use std::process::ExitCode;

use edge_auth::EdgeAuth;
use lambda_http::{Error, Request, service_fn};
use platform::{config::EdgeAuthConfig, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::run("edge-auth", async |env, world| -> Result<(), Error> {
        let edge = &EdgeAuth::new(EdgeAuthConfig::from_env(env)?, world)?;
        edge.load_secrets().await?;
        let serve = service_fn(|request: Request| async move { Ok::<_, Error>(edge.handle(request).await) });
        lambda_http::run(serve).await
    })
    .await
}
