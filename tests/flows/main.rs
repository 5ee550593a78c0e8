//! The service as a Mini Program sees it, over HTTP alone: the same claims hold on one host and behind an API gateway.
//!
//! Without any setting, `local run --dev` is started as a process of its own, with the journal plugin in the mini
//! gateway behind it. With `FLOWS_URL` the suite goes to a service that runs somewhere else, and these say the rest:
//!
//! | variable | meaning |
//! |---|---|
//! | `FLOWS_URL` | where the service is, with the path before `/v1` if there is one |
//! | `FLOWS_AT_ONCE` | how many requests may be under way at once; without it, as many as a test sends |
//! | `FLOWS_LEDGER` | the demo tools' file of effects; without it, effects are counted through `ledger_read` |
//!
//! Such a service must let `dev-*` codes log in, offer the demo tools, and have the limits that are the defaults. Each
//! run has users of its own, so it may be repeated at once; logins that meet the limit of their address wait as they
//! are told. No test disturbs another one's users, so they run in parallel. What the platform answers in place of the
//! service, which has no `code`, is met as a client should: the same request again, a few times, and the output says
//! so.
//!
//! Two things differ between the deployments, and nothing here depends on them: a long poll is held for up to 20 s on
//! one host and 3 s on Lambda; and a path that only writers have answers 405 on one host and 404 on Lambda.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "in a test an unwrap is a failure, and the items have no other reader"
)]

mod approvals;
mod audit;
mod burst;
mod caller;
mod cancel;
mod jobs;
mod lists;
mod rate;
mod refusals;
mod same_id;
mod sessions;
mod surface;
mod target;
