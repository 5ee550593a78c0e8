//! OpenClaw for WeChat Mini Programs: the domain, and below it the edges to the outside.
//!
//! A **job** is what a user asked for under one **request id**: one to twenty **steps**, run in order, `cursor` being the
//! next. A step calls one tool of an OpenClaw gateway, or is a turn of one of its agents. The modules in the first group are pure: no I/O, no clock, no
//! `async`. Time, randomness and stored items come in as arguments. The second group talks to the outside and decides
//! nothing that the first group could decide.
//!
//! The table is the truth and the queue is a doorbell: losing, repeating or reordering messages never loses or repeats
//! work, because every write to a job is conditional on its state and its `rev` ([`table::Table::commit`]).

// pure domain
pub mod admission;
pub mod approval;
pub mod audit;
pub mod backoff;
pub mod canonical;
pub mod catalogue;
pub mod checkpoint;
pub mod conversation;
pub mod cursor;
pub mod derive;
pub mod digest;
pub mod explanation;
pub mod intent;
pub mod job;
pub mod mode;
pub mod operator;
pub mod policy;
pub mod progress;
pub mod rate_limit;
pub mod request_id;
pub mod ring;
pub mod session;
pub mod step;
pub mod submission;
pub mod summary;
pub mod timestamp;
pub mod trace;
pub mod user_id;
pub mod view;

// edges
pub mod aws;
pub mod bearer;
pub mod body;
pub mod clock;
pub mod config;
pub mod controls;
pub mod dead_letters;
pub mod http;
pub mod jwks;
pub mod metrics;
pub mod openclaw;
pub mod query;
pub mod queue;
pub mod secrets;
pub mod table;
pub mod telemetry;
pub mod wechat;
