//! The worker as a Lambda function.

use std::process::ExitCode;

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use platform::{config::WorkerConfig, telemetry};
use worker::Worker;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::run("worker", async |env, runtime| -> Result<(), Error> {
        let worker = &Worker::new(WorkerConfig::from_env(env)?, runtime.clone())?;
        let runtime = &runtime;
        worker.load_secrets().await?;
        let serve = service_fn(|event: LambdaEvent<SqsEvent>| async move {
            let deadline = runtime.deadline(event.context.deadline);
            Ok::<_, Error>(worker.handle_batch(event.payload, deadline).await)
        });
        lambda_runtime::run(serve).await
    })
    .await
}
