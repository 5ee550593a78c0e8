//! JSON and text: one reader for external input, one canonical form, references from one step to another's result,
//! and one definition of a blank text.

pub mod canonical;
mod omission;
mod reader;
pub mod references;
pub mod text;

pub use omission::Omission;
pub use reader::{JsonFault, MAX_DEPTH, MAX_DEPTH_KEPT, foreign, kept, members, parse, well_formed};
