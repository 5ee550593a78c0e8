//! The public view of a text that content safety holds for an operator.

use serde::Serialize;

use super::ErrorView;
use crate::{content_safety::HeldKind, job::Job};

/// The public form of a held text. The text itself is not in it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HeldTextView {
    /// Index of its step in `steps`.
    pub place: usize,
    /// What kind of text it is.
    pub what: HeldKind,
    /// `content_held` or `reply_held`, with its text for people.
    #[serde(flatten)]
    pub code: ErrorView,
    /// When it is refused without a decision.
    pub expires_at: String,
}

impl HeldTextView {
    /// The view of the text that a job waits for a decision about.
    pub fn of(job: &Job) -> Option<Self> {
        let held = job.pending_text()?;
        let code = match held.what {
            HeldKind::Arguments | HeldKind::Message => "content_held",
            HeldKind::Reply => "reply_held",
        };
        let expires_at = held.expires_at.to_string();
        Some(Self { place: job.cursor, what: held.what, code: ErrorView::of(code), expires_at })
    }
}
