//! What calls, turns and deletions share: the step at the cursor with its work, its commits, and its end.

pub(crate) mod commit;
pub(crate) mod context;
pub(crate) mod ending;
pub(crate) mod finish;
pub(crate) mod outcome;
pub(crate) mod policy_context;
pub(crate) mod prepare;

pub(crate) use commit::RunError;
pub(crate) use context::{Derived, StepContext};
pub(crate) use ending::Ending;
pub(crate) use outcome::RunOutcome;
