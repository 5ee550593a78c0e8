//! operator as a Lambda function.

use std::process::ExitCode;

use lambda_http::Error;
use operator::Operator;
use platform::{config::OperatorConfig, http_event, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::run("operator", async |env, runtime| -> Result<(), Error> {
        let operator = &Operator::new(OperatorConfig::from_env(env)?, runtime.clone())?;
        http_event::serve("operator", &runtime, |request| operator.handle(request)).await
    })
    .await
}
