//! The replacements of AWS and WeChat on one machine.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod alarm_rows;
mod alerts;
mod backups;
mod checkpoints;
mod cli;
mod clock;
mod connector;
mod export;
mod front;
mod installed;
mod listening;
mod mode;
mod one_host;
mod panics;
mod policy;
mod poller;
mod secrets;
mod session;
mod setup;
mod stub;
mod upgrade;
mod watch;

use std::path::PathBuf;

/// An empty directory below the checkout's `.local`.
fn directory(name: &str) -> PathBuf {
    let path = local::data::checkout().unwrap().join(".local/tmp/local-it").join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// An HTTP client that lets no proxy in between.
fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}
