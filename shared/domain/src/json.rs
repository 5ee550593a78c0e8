//! JSON and text: one reader for external input, one canonical form, references from one step to another's result,
//! and one definition of a blank text.

pub mod canonical;
mod omission;
mod reader;
pub mod references;
pub mod text;

pub use omission::Omission;
pub use reader::{JsonFault, MAX_DEPTH, MAX_DEPTH_KEPT, foreign, kept, members, parse, well_formed};

/// Whether a field has the value that its absence means: for serde's `skip_serializing_if`.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
