//! The whole service against the real OpenClaw gateway, started once for the suite. Run with `--test-threads=1`: some of
//! these kill it.
#![allow(missing_docs, reason = "a test binary has no readers of its items")]

mod claims;
mod load;
mod real;
