//! Reasons for not taking a step.

use domain::ids::Timestamp;

/// Why a step is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A function may not know the new value yet, or something that was made with the old one may still be in use.
    #[error("too early: {reason}; try again at {until}, or see docs/operate/rotation.md for a value that has leaked")]
    TooEarly {
        /// What the wait is for.
        reason: &'static str,
        /// The earliest time for the step.
        until: Timestamp,
    },
    /// Another rotation of the same kind is not finished.
    #[error("a rotation of {0} is under way; finish it with `retire`, or take it back with `cancel`")]
    UnderWay(&'static str),
    /// No new value was added.
    #[error("nothing has been added to {0}; begin with `add`")]
    NothingAdded(&'static str),
    /// The new value was not activated.
    #[error("the new value of {0} is not in use yet; `activate` it first")]
    NotActivated(&'static str),
    /// The new value is in use, so it cannot be cancelled.
    #[error("the new value of {0} is in use; go on with `retire`")]
    InUse(&'static str),
    /// The second document does not list the key.
    #[error("the document of {0} does not list the new key yet; run `add` once more")]
    Incomplete(&'static str),
    /// The old login key is the only one that finds some users; without it they would be created again as new users.
    #[error(
        "users who have not logged in since are known under the old login key only; run `{} secrets rekey-logins` first",
        crate::program::name()
    )]
    NotRekeyed,
    /// The list was edited by hand.
    #[error(
        "the document of {0} lists more than one value and does not say since when; take all but the one in use away"
    )]
    Unmarked(&'static str),
    /// The given value is in use already.
    #[error("the value is the one in use")]
    SameValue,
    /// No value was given.
    #[error("a new value is needed: --value-file")]
    NoValue,
    /// The document has an unexpected shape.
    #[error("the document of {0} does not have the expected shape")]
    Shape(&'static str),
}
