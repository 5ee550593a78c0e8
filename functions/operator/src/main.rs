//! operator as a Lambda function.

use std::process::ExitCode;

use lambda_http::{Error, Request, service_fn};
use operator::Operator;
use platform::{config::OperatorConfig, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::run("operator", async |env, world| -> Result<(), Error> {
        let operator = &Operator::new(OperatorConfig::from_env(env)?, world)?;
        let serve = service_fn(|request: Request| async move { Ok::<_, Error>(operator.handle(request).await) });
        lambda_http::run(serve).await
    })
    .await
}
