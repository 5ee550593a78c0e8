//! Logs: one JSON line for each decision, with a fixed set of field names. Never a token, secret, openid, session
//! key, argument or result (invariant 12); ids are random and allowed. Each request is measured where its line is
//! written.

use std::{fmt::Display, process::ExitCode, time::Instant};

use lambda_http::Request;
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{LevelFilter, Targets},
    fmt::{self, MakeWriter, time::FormatTime},
    prelude::*,
    registry::LookupSpan,
};

use crate::{
    config::{self, ConfigError, Env},
    http::{ApiError, Response, is_over_limit},
    metrics::{self, Dimension, Meter, Metric},
    runtime::Runtime,
};
use domain::ids::{OperatorId, RequestId, TraceParent, UserId};

/// Every field name of log lines. A test captures a complete flow and refuses others.
pub const FIELDS: &[&str] = &[
    "function",
    "route",
    "status",
    "code",
    "reason",
    "request_id",
    "user_id",
    "operator_id",
    "trace_id",
    "outcome",
    "state",
    "payload_bytes",
    "duration_ms",
    "error",
    "message",
    "woken",
    "skipped",
    "failed",
    "errcode",
    "rid",
    "journal",
    "boot",
    "release",
];

/// Libraries that log bodies and headers at debug and trace.
const QUOTING: [&str; 9] = [
    "aws_smithy_runtime",
    "aws_smithy_runtime_api",
    "aws_smithy_http_client",
    "aws_sdk_dynamodb",
    "aws_sdk_sqs",
    "aws_sdk_secretsmanager",
    "hyper",
    "hyper_util",
    "reqwest",
];

/// Sends JSON lines to standard output, where Lambda collects them. The filter reads `RUST_LOG`; the default is
/// `info`.
pub fn start() {
    let filter = EnvFilter::builder().with_default_directive(tracing::Level::INFO.into()).from_env_lossy();
    // Below info these libraries quote requests and responses. This limit cannot be lifted by `RUST_LOG`.
    let ceiling = Targets::new().with_default(LevelFilter::TRACE);
    let ceiling = QUOTING.iter().fold(ceiling, |all, library| all.with_target(*library, LevelFilter::INFO));
    // The outer filter decides up to which level a call site costs more than a comparison. The ceiling lets every other
    // library through, so outside it would make that the lowest level of all.
    let lines = lines(std::io::stdout, fmt::time::SystemTime).with_filter(ceiling).with_filter(filter);
    // In a test process the first subscriber stays installed.
    let _already_started = tracing_subscriber::registry().with(lines).try_init();
}

/// Each event as one flat JSON object on a line of its own.
pub fn lines<S, W>(writer: W, timer: impl FormatTime + Send + Sync + 'static) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let json = fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
    json.with_target(false).with_timer(timer).with_writer(writer)
}

/// The main function of a function's process: starts logs and meter, counts the start, and serves until the platform
/// ends it.
pub async fn run<E: Display + From<ConfigError>>(
    function: &'static str,
    serve: impl AsyncFnOnce(&Env<'static>, Runtime) -> Result<(), E>,
) -> ExitCode {
    start();
    let env = Env::process();
    let served = async {
        let runtime = Runtime::system().metered(Meter::embedded(config::cloud_metrics(&env)?));
        runtime.measure(&[(Metric::ColdStarts, 1.0)], &[(Dimension::Function, function)]);
        // Names the release once; the other lines of the process are in the same log stream.
        tracing::info!(function, release = config::release(&env), "the function starts");
        // Boxed: the compiler cannot compute the layout of so many nested futures.
        Box::pin(serve(&env, runtime)).await
    };
    ended(function, served.await)
}

/// Exit code of a function's process; a failed start is one log line and a non-zero code.
fn ended<E: Display>(function: &'static str, outcome: Result<(), E>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(function, error = %error, "the function cannot start");
            ExitCode::FAILURE
        }
    }
}

/// Fields of the log line of one request, besides its response.
#[derive(Debug, Clone)]
pub struct RequestLog<'a> {
    /// The function that answers.
    pub function: &'static str,
    /// Method and path pattern: the name shared by route, file and test. Never the raw path.
    pub route: &'static str,
    /// Request id of the job, if path or headers contain one.
    pub request_id: Option<RequestId>,
    /// The user, once authenticated.
    pub user_id: Option<UserId>,
    /// The operator, once authenticated.
    pub operator_id: Option<OperatorId>,
    /// The client's `traceparent`.
    pub trace: Option<TraceParent>,
    /// Size of the body, if there is one.
    pub payload_bytes: Option<usize>,
    /// Start by a monotonic clock, used for the duration only.
    pub began: Instant,
    /// The runtime that measures the request.
    pub runtime: &'a Runtime,
}

impl<'a> RequestLog<'a> {
    /// A new request of which nothing is known yet.
    pub fn new(function: &'static str, runtime: &'a Runtime) -> Self {
        Self {
            function,
            route: metrics::OTHER,
            request_id: None,
            user_id: None,
            operator_id: None,
            trace: None,
            payload_bytes: None,
            began: Instant::now(),
            runtime,
        }
    }

    /// A new request.
    pub fn of(function: &'static str, request: &Request, runtime: &'a Runtime) -> Self {
        let trace = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
        Self {
            trace: trace.and_then(TraceParent::parse),
            payload_bytes: Some(request.body().len()).filter(|len| *len > 0),
            ..Self::new(function, runtime)
        }
    }
}

/// Converts the result of a use case into the response, and writes the only log line about it. Errors are logged here
/// only. A successful read is logged at debug level, since every poll is one.
pub fn answer(log: RequestLog<'_>, outcome: Result<Response, ApiError>) -> Response {
    let RequestLog { function, route, payload_bytes, .. } = log;
    let request_id = log.request_id.map(tracing::field::display);
    let user_id = log.user_id.map(tracing::field::display);
    let operator_id = log.operator_id.map(tracing::field::display);
    let trace_id = log.trace.as_ref().map(TraceParent::trace_id);
    let code = outcome.as_ref().err().map(|error| error.code.text());
    let error = outcome.as_ref().err().and_then(ApiError::inside);
    let answer = outcome.unwrap_or_else(ApiError::into_response);
    let status = answer.status().as_u16();
    let duration_ms = u64::try_from(log.began.elapsed().as_millis()).unwrap_or(u64::MAX);
    measure(&log, &answer, code);
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                function,
                route,
                status,
                code,
                error,
                request_id,
                user_id,
                operator_id,
                trace_id,
                payload_bytes,
                duration_ms,
                "answered"
            )
        };
    }
    if code.is_some() && answer.status().is_server_error() {
        line!(error);
    } else if code.is_none() && route.starts_with("GET ") {
        line!(debug);
    } else {
        line!(info);
    }
    answer
}

/// Measures one answered request.
fn measure(log: &RequestLog<'_>, answer: &Response, code: Option<&'static str>) {
    let status = answer.status();
    let mut dimensions = vec![(Dimension::Function, log.function), (Dimension::Route, log.route)];
    // Without an error code it is not an error: a readiness probe reported its result.
    let failed = metrics::one_if(code.is_some() && status.is_server_error());
    let mut values = vec![
        (Metric::Requests, 1.0),
        (Metric::RequestErrors, failed),
        (Metric::RequestDuration, metrics::millis(log.began.elapsed())),
    ];
    if let Some(code) = code.filter(|_| status.is_client_error()) {
        values.push((Metric::Rejections, 1.0));
        dimensions.push((Dimension::Code, code));
    }
    if is_over_limit(answer) {
        values.push((Metric::RateLimited, 1.0));
    }
    values.extend(log.payload_bytes.map(|bytes| (Metric::PayloadBytes, metrics::number(bytes))));
    log.runtime.measure(&values, &dimensions);
}
