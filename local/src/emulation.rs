//! Replaces AWS and WeChat on one host: API Gateway, table and queue, schedules, object storage, WeChat's login.

pub mod api_gateway;
pub mod backend;
pub mod connector;
pub mod console;
pub mod engine_ports;
pub mod engines;
pub(crate) mod event;
pub mod expiry;
pub mod listener;
pub mod loopback_guard;
pub(crate) mod places;
pub mod poller;
pub mod schedule;
pub mod wechat_events;
pub mod wechat_stub;
