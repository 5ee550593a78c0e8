//! Logs: one JSON line where a thing is decided, under one set of field names. Never a token, secret, openid, session key,
//! argument or result text (invariant 12); ids are random and may appear.

use std::{fmt::Display, process::ExitCode, time::Instant};

use tracing_subscriber::{
    EnvFilter,
    filter::{LevelFilter, Targets},
    fmt,
    prelude::*,
};

use crate::{
    http::{Answer, ApiError},
    request_id::RequestId,
    trace::TraceParent,
    user_id::UserId,
};

/// Every field name that a log line may carry. A test captures a whole flow and knows no others.
pub const FIELDS: &[&str] = &[
    "function",
    "route",
    "status",
    "code",
    "reason",
    "request_id",
    "user_id",
    "trace_id",
    "tool",
    "state",
    "outcome",
    "attempt",
    "duration_ms",
    "error",
    "message",
    "rung",
    "skipped",
    "records",
    "failed",
    "errcode",
    "rid",
    "journal",
    "boot",
    "record",
];

/// Libraries that log bodies and headers at debug and trace.
const QUOTING: [&str; 8] = [
    "aws_smithy_runtime",
    "aws_smithy_runtime_api",
    "aws_smithy_http_client",
    "aws_sdk_dynamodb",
    "aws_sdk_sqs",
    "hyper",
    "hyper_util",
    "reqwest",
];

/// Sends JSON lines to standard output, as Lambda collects them. `RUST_LOG` is read by the filter; `info` is the default.
pub fn start() {
    let filter = EnvFilter::builder().with_default_directive(tracing::Level::INFO.into()).from_env_lossy();
    // Below info, these quote what is sent and answered. A ceiling, so that no directive of the environment lifts it.
    let ceiling = Targets::new().with_default(LevelFilter::TRACE);
    let ceiling = QUOTING.iter().fold(ceiling, |all, library| all.with_target(*library, LevelFilter::INFO));
    let lines =
        fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false).with_target(false);
    let lines = lines.with_filter(filter).with_filter(ceiling);
    // A second start, in a test process, keeps the first.
    let _already_started = tracing_subscriber::registry().with(lines).try_init();
}

/// The exit code of a function's process; a start that failed is one line and a non-zero exit.
pub fn ended<E: Display>(function: &'static str, outcome: Result<(), E>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(function, error = %error, "the function cannot start");
            ExitCode::FAILURE
        }
    }
}

/// What one line about one request says, beside its answer.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Which function answers.
    pub function: &'static str,
    /// Method and path with placeholders: the name that route, file and test share. Never the raw path.
    pub route: &'static str,
    /// The job, when the path or the headers name one.
    pub request_id: Option<RequestId>,
    /// Who asks, once that is known.
    pub user_id: Option<UserId>,
    /// The client's `traceparent`.
    pub trace: Option<&'a TraceParent>,
    /// When it came in.
    pub began: Instant,
}

/// Turns what a use case came to into the answer, and writes the one line about it. A failure is logged here and nowhere
/// else. A read that went well is worth a line only to who looks for it: there is one for every poll.
pub fn answer(asked: Asked<'_>, outcome: Result<Answer, ApiError>) -> Answer {
    let Asked { function, route, trace, began, .. } = asked;
    let request_id = asked.request_id.map(tracing::field::display);
    let user_id = asked.user_id.map(tracing::field::display);
    let trace_id = trace.map(TraceParent::trace_id);
    let code = outcome.as_ref().err().map(|error| error.code.text());
    let error = outcome.as_ref().err().and_then(ApiError::inside);
    let answer = outcome.unwrap_or_else(ApiError::into_answer);
    let status = answer.status().as_u16();
    let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
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
                trace_id,
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
