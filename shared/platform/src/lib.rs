//! The outside, one fact a module: AWS, HTTP, the gateway, WeChat, the clock, the environment, metrics and log lines. It decides
//! nothing that `domain` could decide.

pub mod aws;
pub mod config;
pub mod dead_letters;
pub mod http;
pub mod http_event;
pub mod jwks;
pub mod metrics;
pub mod non_empty;
pub mod openclaw;
pub mod queue;
pub mod runtime;
pub mod secrets;
pub mod telemetry;
pub mod wechat;
