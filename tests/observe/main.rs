//! Tests of the alarms: their metrics, the faults that fire them, and their cost.
//!
//! `run` is the whole service by a manual clock under normal traffic; `faults` injects one fault after the other and
//! claims which alarms of `observe/alarms.toml` fire, by the same evaluation as on one host (`domain::alarms`), and that
//! none fires in a healthy run. `references`, `pages` and `cost` tie tables, code and pages together.
#![allow(missing_docs, clippy::unwrap_used, reason = "in a test an unwrap is a failure")]
#![allow(clippy::cast_precision_loss, reason = "small counts")]

mod cost;
mod faults;
mod pages;
mod references;
mod rollbacks;
mod run;
mod samples;
mod verdict;
