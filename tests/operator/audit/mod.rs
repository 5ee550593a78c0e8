//! The audit chains: their records, the checkpoints of their heads, and the changes that a verifier detects.

mod chains;
mod checkpoints;
mod walk;
