//! The worker as a Lambda function.

use std::process::ExitCode;

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use shared::{
    clock::World,
    config::{Env, WorkerConfig},
    telemetry,
    timestamp::Timestamp,
};
use worker::Worker;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::start();
    telemetry::ended("worker", start().await)
}

async fn start() -> Result<(), Error> {
    let worker = &Worker::new(WorkerConfig::from_env(&Env::process())?, World::system())?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| async move {
        let deadline = Timestamp::from_millis(i64::try_from(event.context.deadline).unwrap_or(0));
        Ok::<_, Error>(worker.handle_batch(event.payload, deadline).await)
    }))
    .await
}
