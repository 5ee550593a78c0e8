//! Where the command line writes.

use std::{error::Error, fmt::Display, io::Write};

use tracing_subscriber::EnvFilter;

/// One line on standard output. A reader that has gone is no reason to fail.
pub(super) fn say(line: impl Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// An error and its causes on one line.
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
    // A second start, in a test process, keeps the first.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).try_init();
}
