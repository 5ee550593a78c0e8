//! Every function in one process, on embedded engines: what a newcomer runs first, and the small deployment on one host.
//!
//! Nothing here decides anything about a job. This crate stands for the platform: [`emulation::api_gateway`] for API Gateway,
//! [`emulation::poller`] for the event source mapping, [`emulation::schedule`] for EventBridge, [`emulation::engines`] for
//! DynamoDB and SQS, and [`emulation::wechat_stub`] for WeChat while developing. The functions are the same as on Lambda, and
//! speak the same protocols through the same SDK.

pub mod audit;
pub mod cli;
pub mod data;
pub mod emulation;
pub mod host;
pub mod secrets;
