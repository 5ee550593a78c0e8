//! Access: sessions, operators' tokens, page cursors, the service mode and the faults that lower it.

pub mod cursor;
pub mod fault_watch;
pub mod operator_token;
pub mod service_mode;
pub mod session;
