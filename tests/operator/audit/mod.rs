//! The audit chains: what they hold, what a checkpoint signs of them, and what a verifier outside finds changed.

mod chains;
mod checkpoints;
mod walk;
