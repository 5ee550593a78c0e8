//! The whole service in one process, used through its HTTP handlers and its queue.
//!
//! Table and queue are the embedded engines without a socket, the clock is set by hand, and faults are injected into
//! the SDK's HTTP client. The gateway is the real journal plugin in a mini gateway, or the real gateway.

pub mod app;
pub mod capture;
pub mod client;
pub mod clock;
pub mod cloudwatch;
pub mod contract;
pub mod delays;
pub mod faults;
pub mod mini_gateway;
pub mod operator;
pub mod sample;
pub mod secrets_manager;
pub mod stored_items;

pub use app::{App, Inspect, Setup};
pub use capture::Capture;
pub use client::{Client, Reply, events};
pub use cloudwatch::CloudWatch;
pub use contract::Contract;
pub use faults::{Fault, Faults};
pub use mini_gateway::MiniGateway;
pub use operator::OperatorClient;
pub use sample::Sample;

/// How long a test waits, by the real clock, for something that has to happen.
pub const WAIT_LIMIT: std::time::Duration = std::time::Duration::from_secs(60);
