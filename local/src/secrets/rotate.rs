//! Takes one step of a rotation on stored documents.

use domain::ids::Timestamp;

use crate::secrets::{
    rotation::{self, Done, Refusal, Request},
    store::{SecretStore, StoreError},
};

/// A step was not taken, or was interrupted.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The step may not be taken now.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A document could not be read or written. Repeating the step completes it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Result of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotated {
    /// Whether documents were changed.
    pub done: Done,
    /// The next step and the earliest time for it; `None` when the rotation is over.
    pub next: Option<(&'static str, Timestamp)>,
}

impl SecretStore {
    /// Reads the documents that the step needs, takes the step, and writes the changed documents in the safe order.
    pub async fn rotate(&self, request: &Request) -> Result<Rotated, RotateError> {
        let holders = request.kind.holders();
        let before = self.read(holders).await?;
        let mut after = before.clone();
        let done = rotation::step(&mut after, request)?;
        for holder in request.phase.in_order(holders) {
            match after.get(&holder) {
                Some(document) if before.get(&holder) != Some(document) => self.write(holder, document).await?,
                _ => {}
            }
        }
        Ok(Rotated { done, next: rotation::next(&after, request.kind, request.session_lifetime) })
    }
}
