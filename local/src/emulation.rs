//! What stands in for AWS and WeChat on one host: API Gateway, table and queue, schedules, object storage, the login of WeChat.

pub mod api_gateway;
pub mod backend;
pub mod connector;
pub mod console;
pub mod engines;
pub(crate) mod event;
pub mod listener;
pub mod poller;
pub mod schedule;
pub mod wechat_stub;
