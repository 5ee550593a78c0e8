//! Every function in one process, on embedded engines: for a first try, and for the small deployment on one host.
//!
//! This crate decides nothing about jobs. It replaces the platform: [`emulation::api_gateway`] for API Gateway,
//! [`emulation::poller`] for the event source mapping, [`emulation::schedule`] for EventBridge, [`emulation::engines`]
//! for DynamoDB and SQS, and [`emulation::wechat_stub`] for WeChat during development. The functions are the same as on
//! Lambda, and use the same protocols through the same SDK.

pub mod audit;
pub mod cli;
pub mod data;
pub mod disk;
pub mod emulation;
pub mod host;
pub mod program;
pub mod secrets;
pub mod test_session;
