//! Use cases with I/O that several functions share.

pub mod access_token;
pub mod change_mode;
pub mod controls;
pub mod job_metrics;
pub mod jobs;
pub mod session;
