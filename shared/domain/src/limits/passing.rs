//! Classifies a failed request to another service by whether a repetition can succeed.
//!
//! Each service has one table in the crate `platform`: `openclaw/passing.rs`, `wechat/errcode.rs` and `aws.rs`.
//! `docs/design/answers.md` shows them together.

/// Possible result of a repetition of the same request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passing {
    /// The same result at any time: the request is not repeated.
    Final,
    /// Another result later: the request is repeated after a delay, while there is time.
    Later,
    /// The outcome of the first request is unknown: it is queried, or counts as unknown.
    Unknown,
}
