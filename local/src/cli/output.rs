//! Output of the command line.

use std::{error::Error, fmt::Display, io::Write};

use tracing_subscriber::{
    EnvFilter,
    filter::{LevelFilter, Targets},
    prelude::*,
};

/// Prints one line on standard output. A closed pipe is ignored.
pub(super) fn say(line: impl Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// An error and its causes in one line.
pub(super) fn sentence(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

/// Sends log lines to standard error.
pub(super) fn log_to_stderr(filter: &str) {
    let filter = EnvFilter::builder().parse_lossy(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    // In a test process the first subscriber stays.
    let _ = tracing_subscriber::registry().with(lines).with(filter).with(ceiling()).try_init();
}

/// Sends log lines to standard error as JSON, one flat object per line, as on AWS.
pub(super) fn log_json_to_stderr(filter: &str) {
    let filter = EnvFilter::builder().parse_lossy(filter);
    let lines = platform::telemetry::lines(std::io::stderr, tracing_subscriber::fmt::time::SystemTime);
    let _ = tracing_subscriber::registry().with(lines).with(filter).with(ceiling()).try_init();
}

/// Upper limit of log levels, whatever was asked for: below `info`, libraries log requests and responses with openids,
/// arguments and digest keys. This project's crates log none of these at any level.
fn ceiling() -> Targets {
    let ours =
        ["edge_auth", "worker", "status", "sweep", "operator", "domain", "platform", "store", "service", "local"];
    Targets::new()
        .with_default(LevelFilter::INFO)
        .with_targets(ours.map(|name| (name, LevelFilter::TRACE)))
        .with_targets(["dynoxide", "rustack"].map(|engine| (engine, LevelFilter::ERROR)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn no_library_is_logged_below_info_whatever_is_asked_for() {
        let ceiling = ceiling();
        for library in [
            "aws_sdk_dynamodb::operation",
            "aws_sdk_sqs",
            "aws_sdk_secretsmanager::operation",
            "aws_smithy_runtime::client::orchestrator",
            "aws_smithy_runtime_api",
            "aws_smithy_http_client",
            "aws_sigv4::http_request",
            "hyper::proto",
            "hyper_util::client",
            "reqwest::connect",
        ] {
            assert!(ceiling.would_enable(library, &Level::INFO), "{library}");
            assert!(!ceiling.would_enable(library, &Level::DEBUG), "{library}");
        }
        for engine in ["dynoxide::server", "rustack_sqs_core::provider", "rustack_sqs_http"] {
            assert!(ceiling.would_enable(engine, &Level::ERROR), "{engine}");
            assert!(!ceiling.would_enable(engine, &Level::WARN), "{engine}");
        }
        assert!(ceiling.would_enable("worker::call", &Level::TRACE));
    }
}
