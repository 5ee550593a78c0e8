//! What the template's alarms watch, and whether they would notice the faults that they are for.
//!
//! A small evaluator of CloudWatch's alarms, metric math, Contributor Insights rules and dashboard (`alarm`, `math`,
//! `missing`, `statistic`, `insight`, `dashboard`) reads their definitions from `template.yaml` and looks at what a run
//! of the whole service has told CloudWatch (`run`). `faults` injects one fault after the other and claims which alarms
//! fire, and that none fires in a healthy run. `references` and `pages` tie definitions, code and runbook together.
#![allow(missing_docs, clippy::unwrap_used, reason = "in a test an unwrap is a failure")]

mod alarm;
mod dashboard;
mod faults;
mod insight;
mod math;
mod missing;
mod pages;
mod references;
mod run;
mod samples;
mod statistic;
mod template;
mod tour;
mod verdict;
