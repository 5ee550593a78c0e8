//! sweep as a Lambda function, started by a schedule.

use std::process::ExitCode;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use shared::{
    clock::World,
    config::{Env, SweepConfig},
    telemetry,
    timestamp::Timestamp,
};
use sweep::Sweep;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::start();
    telemetry::ended("sweep", start().await)
}

async fn start() -> Result<(), Error> {
    let sweep = &Sweep::new(SweepConfig::from_env(&Env::process())?, World::system())?;
    // The event only says that it is time.
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move {
        let deadline = Timestamp::from_millis(i64::try_from(event.context.deadline).unwrap_or(0));
        sweep.run(deadline).await.map(drop).map_err(Error::from)
    }))
    .await
}
