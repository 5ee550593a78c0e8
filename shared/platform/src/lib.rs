//! Connections to the outside, one fact for each module: AWS, HTTP, the gateway, WeChat, the clock, the environment,
//! metrics and logs. Decisions are made in `domain`.

pub mod aws;
pub mod cached;
pub mod config;
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
