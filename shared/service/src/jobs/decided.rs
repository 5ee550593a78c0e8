//! Outcome of a decision of a person about a job: about its approval request, or about its held text.

use domain::job::Job;

/// Attempts to commit a decision. The reconciler also writes to a waiting job, so a lost conditional write is tried
/// again.
pub(super) const TRIES: usize = 5;

/// Outcome of a decision. `Check` says how a decision that changed nothing relates to the job.
#[derive(Debug, Clone, PartialEq)]
pub enum Decided<Check> {
    /// The decision was committed; this is the job after it.
    Made(Box<Job>),
    /// The decision changed nothing, for this reason, which is never `Open`. What has expired is recorded as expired.
    Stands(Check, Box<Job>),
    /// There is no such job.
    NoJob,
    /// Only a newer function understands the job.
    Newer,
    /// Lost the conditional write on every attempt. Nothing was changed; the caller may send the same decision again.
    Lost,
}
