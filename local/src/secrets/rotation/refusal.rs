//! Steps that are not taken.

use domain::ids::Timestamp;

/// Why a step is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not every function knows the value yet, or something that was made with the old one is still of use.
    #[error("too early: {reason}; try again at {until}, or see docs/operate/rotation.md for a value that has leaked")]
    TooEarly {
        /// What is waited for.
        reason: &'static str,
        /// Until when.
        until: Timestamp,
    },
    /// Another rotation of the same kind is not over.
    #[error("a rotation of {0} is under way; finish it with `retire`, or take it back with `cancel`")]
    UnderWay(&'static str),
    /// Nothing was added.
    #[error("nothing has been added to {0}; begin with `add`")]
    NothingAdded(&'static str),
    /// Nothing was activated.
    #[error("the new value of {0} is not in use yet; `activate` it first")]
    NotActivated(&'static str),
    /// The new value is in use, so it cannot be taken back.
    #[error("the new value of {0} is in use; go on with `retire`")]
    InUse(&'static str),
    /// A second document does not list the key.
    #[error("the document of {0} does not list the new key yet; run `add` once more")]
    Incomplete(&'static str),
    /// Users who have not logged in since would become others.
    #[error(
        "users who have not logged in since are known under the old login key only; run `local secrets rekey-logins` first"
    )]
    NotRekeyed,
    /// Listed by hand.
    #[error(
        "the document of {0} lists more than one value and does not say since when; take all but the one in use away"
    )]
    Unmarked(&'static str),
    /// The value is listed already.
    #[error("the value is the one in use")]
    SameValue,
    /// No value.
    #[error("a new value is needed: --value-file")]
    NoValue,
    /// Not ours.
    #[error("the document of {0} does not have the expected shape")]
    Shape(&'static str),
}
