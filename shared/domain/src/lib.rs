//! OpenClaw for WeChat Mini Programs: the domain. Pure: no I/O, no clock, no `async`. Time, randomness and stored items come in
//! as arguments.
//!
//! A **job** is what a user asked for under one **request id**: one to twenty **steps**, run in order, `cursor` being the
//! next. A step calls one tool of an OpenClaw gateway, or is a turn of one of its agents.
//!
//! What the crates above add: `platform` talks to the outside, `store` is the table, `service` the use cases that several
//! functions share. Imports point down only, and so do those between the modules below; tests/layers checks both.

pub mod access;
pub mod audit;
pub mod catalogue;
pub mod conversation;
pub mod ids;
pub mod job;
pub mod json;
pub mod limits;
pub mod policy;
pub mod view;
