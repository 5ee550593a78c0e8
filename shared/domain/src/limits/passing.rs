//! Whether an answer of a service that this one calls can change: the three kinds into which every such answer is sorted.
//!
//! One table per service, in the crate `platform`: `openclaw/passing.rs`, `wechat/errcode.rs` and `aws.rs`. They stand side by
//! side in `docs/design/answers.md`.

/// What a repetition of the same request may come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passing {
    /// The same again, whenever it is asked: it is not repeated.
    Final,
    /// Something else, later: it is repeated after a pause, while there is time.
    Later,
    /// Nobody knows what the first request came to: its outcome is asked for, or it counts as unknown.
    Unknown,
}
