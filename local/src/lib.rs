//! Every function in one process, on embedded engines: what a newcomer runs first, and the small deployment on one host.
//!
//! Nothing here decides anything about a job. This crate stands for the platform: [`front`] for API Gateway, [`poller`] for
//! the event source mapping, [`schedule`] for EventBridge, [`engines`] for DynamoDB and SQS, and [`wechat_stub`] for WeChat
//! while developing. The functions are the same as on Lambda, and speak the same protocols through the same SDK.

pub mod agent_model;
pub mod audit;
pub mod backend;
pub mod begin;
pub mod cli;
pub mod configs;
pub mod connector;
pub mod console;
pub mod data;
pub mod engines;
mod event;
pub mod front;
pub mod gateway;
pub mod listener;
pub mod operators;
mod orphan;
pub mod poller;
pub mod prometheus;
pub mod rekey;
pub mod ring;
pub mod rotate;
pub mod rotation;
pub mod schedule;
pub mod secret_store;
pub mod secrets;
pub mod service;
pub mod wechat_stub;
