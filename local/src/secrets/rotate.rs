//! One step of a rotation where the documents are.

use domain::ids::Timestamp;

use crate::secrets::{
    rotation::{self, Done, Refusal, Request},
    store::{SecretStore, StoreError},
};

/// A step that was not taken, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// It may not be taken.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A document. Repeating the step completes it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotated {
    /// Whether anything was changed.
    pub done: Done,
    /// The next step and from when on it may be taken, unless the rotation is over.
    pub next: Option<(&'static str, Timestamp)>,
}

impl SecretStore {
    /// Reads what the step needs, takes it, and writes what it has changed, in the order that is safe.
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
