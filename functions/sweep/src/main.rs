//! sweep as a Lambda function, started by a schedule.

use std::process::ExitCode;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use platform::{config::SweepConfig, telemetry};
use serde_json::Value;
use sweep::Sweep;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::run("sweep", async |env, runtime| -> Result<(), Error> {
        let sweep = &Sweep::new(SweepConfig::from_env(env)?, runtime.clone())?;
        let runtime = &runtime;
        let serve = service_fn(|event: LambdaEvent<Value>| async move {
            let deadline = runtime.deadline(event.context.deadline);
            Box::pin(sweep.run(deadline)).await.map(drop).map_err(Error::from)
        });
        lambda_runtime::run(serve).await
    })
    .await
}
