//! OpenClaw for WeChat Mini Programs: the domain. Pure: no I/O, no clock, no `async`. Time, randomness and stored
//! items are arguments.
//!
//! A **job** is the work that a user submitted under one **request id**: one to twenty **steps**, run in order;
//! `cursor` is the next one. A step calls one tool of an OpenClaw gateway, or is a turn of one of its agents.
//!
//! The crates above: `platform` has the connections to other systems, `store` the table, `service` the use cases that
//! several functions share. Imports point down only, also between the modules below; tests/layers checks both.

pub mod access;
pub mod alarms;
pub mod audit;
pub mod catalogue;
pub mod content_safety;
pub mod conversation;
pub mod erasure;
pub mod ids;
pub mod job;
pub mod json;
pub mod limits;
pub mod notification;
pub mod policy;
pub mod risk;
pub mod view;
