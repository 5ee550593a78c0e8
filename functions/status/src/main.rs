//! status as a Lambda function.

use std::process::ExitCode;

use lambda_http::{Error, Request, service_fn};
use shared::{
    clock::World,
    config::{Env, StatusConfig},
    telemetry,
};
use status::Status;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::start();
    telemetry::ended("status", start().await)
}

async fn start() -> Result<(), Error> {
    let status = &Status::new(StatusConfig::from_env(&Env::process())?, World::system())?;
    lambda_http::run(service_fn(|request: Request| async move { Ok::<_, Error>(status.handle(request).await) })).await
}
