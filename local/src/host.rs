//! The service on one host: what runs, where its files are, how it starts.

pub mod agent_model;
pub mod config_file;
pub mod configs;
pub mod functions;
pub mod gateway;
pub mod initial_mode;
pub mod operators;
pub mod policy_folder;
pub mod prometheus;
pub mod service;
pub mod settings;
pub(crate) mod stale_gateway;
pub mod systemd;
pub mod wake_open_jobs;
