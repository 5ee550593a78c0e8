//! edge-auth as a Lambda function.

use std::process::ExitCode;

use edge_auth::EdgeAuth;
use lambda_http::{Error, Request, service_fn};
use shared::{
    clock::World,
    config::{EdgeAuthConfig, Env},
    telemetry,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::start();
    telemetry::ended("edge-auth", start().await)
}

async fn start() -> Result<(), Error> {
    let edge = &EdgeAuth::new(EdgeAuthConfig::from_env(&Env::process())?, World::system())?;
    lambda_http::run(service_fn(|request: Request| async move { Ok::<_, Error>(edge.handle(request).await) })).await
}
