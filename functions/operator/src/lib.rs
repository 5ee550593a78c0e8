//! operator: what operators see and do.
