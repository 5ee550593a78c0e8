//! JSON: one strict parser, one canonical form, and references from one step to another's result.

pub mod canonical;
pub mod references;
