//! The service on one host: processes, files, start.

pub mod agent_model;
pub mod alerts;
pub mod backup;
pub mod checkpoint_folder;
pub mod config_file;
pub mod configs;
pub mod credentials;
pub mod doctor;
pub mod export;
pub mod functions;
pub mod gateway;
pub mod guard_lists;
pub mod initial_mode;
pub mod operators;
pub mod policy_folder;
pub mod prometheus;
pub mod readiness;
pub mod service;
pub mod settings;
pub mod setup;
pub(crate) mod stale_gateway;
pub mod systemd;
pub mod upgrade;
pub mod wake_open_jobs;
pub mod watch;
