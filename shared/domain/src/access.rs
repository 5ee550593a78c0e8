//! Access: sessions, operators' tokens, page cursors, the service mode and the alarms that lower it.

pub mod alarm;
pub mod cursor;
pub mod operator_token;
pub mod service_mode;
pub mod session;
