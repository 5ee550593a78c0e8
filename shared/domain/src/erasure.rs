//! The erasure of a user: what is stored about it while it runs, and its report afterwards. Pure.
//!
//! An erasure ends the user's open jobs, deletes what the table has of the user, and has the gateway forget the rest. It
//! is run in passes: each one does what is possible now, and the next one begins where data is left. So it survives a
//! crash at any request, and a gateway that is down delays only the part that the gateway has.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    ids::{Digest, RequestId, Timestamp, UserId},
    limits::Backoff,
};

/// The last pass begins this long after the user was marked: a request that was admitted before the mark has recorded
/// its job by then, or never will ([`crate::limits::admission::RECORDED_WITHIN`], and the difference of clocks).
pub const SETTLES_AFTER: Duration = Duration::from_secs(120);
/// A job that was cancelled and has not ended after this time is ended by the erasure, as `unknown` if a write may have
/// run: its call may take an hour, or the gateway may be down.
pub const ENDS_JOBS_AFTER: Duration = Duration::from_secs(300);
/// How long a pass has the erasure for itself. Longer than a worker's deadline, so that two passes do not run at once.
pub const PASS_TAKES: Duration = Duration::from_secs(60);
/// How long a report is kept. It has no personal data: the user id is random, and nothing leads to it any more.
pub const REPORT_KEPT: Duration = Duration::from_secs(3 * 365 * 86_400);
/// How far ahead a pass is planned at most.
const PLANNED_AHEAD: Duration = SETTLES_AFTER;
/// Between two passes that wait for jobs to end.
const WAIT_FOR_JOBS: Backoff = Backoff { base: Duration::from_secs(5), cap: Duration::from_secs(60) };
/// Between two passes that wait for the gateway.
const WAIT_FOR_GATEWAY: Backoff = Backoff { base: Duration::from_secs(30), cap: Duration::from_secs(120) };

/// Origin of an erasure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErasureReason {
    /// The user, by `DELETE /v1/users/me`.
    UserRequest,
    /// WeChat: the user has closed the account.
    AuthorizationCancelled,
}

impl ErasureReason {
    /// The name in reports and log lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UserRequest => "user_request",
            Self::AuthorizationCancelled => "authorization_cancelled",
        }
    }
}

/// How far an erasure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErasureStatus {
    /// Jobs are ending, or the table has data of the user, or the last pass has not begun yet.
    Running,
    /// The table has no data of the user. The gateway has to forget, and does not answer.
    WaitingForGateway,
    /// Everything is erased.
    Done,
}

/// How much was erased. A pass that died before it stored its counts is not counted, so these are lower limits; the
/// number of jobs is exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// Jobs. What is left of each is its request id, its state and its times, until its retention is over.
    #[serde(rename = "j", default)]
    pub jobs: u64,
    /// Submissions: arguments and messages, with the keys of their digests.
    #[serde(rename = "p", default)]
    pub submissions: u64,
    /// Results and requests of steps that were stored as records of their own.
    #[serde(rename = "r", default)]
    pub results: u64,
    /// Conversations, each with its session at the gateway.
    #[serde(rename = "c", default)]
    pub conversations: u64,
    /// Records of calls that the user was refused.
    #[serde(rename = "f", default)]
    pub refusals: u64,
    /// Logins by which the user was found.
    #[serde(rename = "l", default)]
    pub logins: u64,
    /// Other items of the user.
    #[serde(rename = "o", default)]
    pub others: u64,
    /// Rows of the gateway's journal that have lost their content.
    #[serde(rename = "g", default)]
    pub journal_rows: u64,
}

impl Erased {
    /// The sum of two counts. The number of jobs is that of the later one, which has counted all of them.
    #[must_use]
    pub const fn and(self, later: Self) -> Self {
        Self {
            jobs: later.jobs,
            submissions: self.submissions + later.submissions,
            results: self.results + later.results,
            conversations: self.conversations + later.conversations,
            refusals: self.refusals + later.refusals,
            logins: self.logins + later.logins,
            others: self.others + later.others,
            journal_rows: self.journal_rows + later.journal_rows,
        }
    }
}

/// An erasure. Its item is the report, and the only one of the user that outlives the retention of the jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// The id of the request that asked for it.
    pub id: RequestId,
    /// Origin of the request.
    pub why: ErasureReason,
    /// Time of the request.
    #[serde(rename = "at")]
    pub requested_at: Timestamp,
    /// Revision: every write is conditional on it and increments it.
    pub rev: u64,
    /// The logins that lead to the user, until they are deleted.
    #[serde(rename = "lg", default, skip_serializing_if = "Vec::is_empty")]
    pub logins: Vec<Digest>,
    /// When a pass has marked the user, so that every session and admission is refused.
    #[serde(rename = "mk", default, skip_serializing_if = "Option::is_none")]
    pub marked_at: Option<Timestamp>,
    /// When every request id that could start a job again was stored as used, and the logins were deleted.
    #[serde(rename = "ul", default, skip_serializing_if = "Option::is_none")]
    pub unlinked_at: Option<Timestamp>,
    /// When the table was found without data of the user.
    #[serde(rename = "tb", default, skip_serializing_if = "Option::is_none")]
    pub table_at: Option<Timestamp>,
    /// When the gateway had deleted its part.
    #[serde(rename = "gw", default, skip_serializing_if = "Option::is_none")]
    pub gateway_at: Option<Timestamp>,
    /// When the last pass found nothing to erase.
    #[serde(rename = "dn", default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// When the next pass may begin.
    #[serde(rename = "ck")]
    pub check_at: Timestamp,
    /// Passes since the last progress.
    #[serde(rename = "tr", default)]
    pub tries: u32,
    /// Counts of what was erased.
    #[serde(rename = "ct", default)]
    pub erased: Erased,
}

/// What a pass has found and done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// When it began.
    pub began_at: Timestamp,
    /// What it has erased.
    pub erased: Erased,
    /// What is left.
    pub left: Left,
}

/// What a pass has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Open jobs, whose data is needed until they end.
    OpenJobs,
    /// Data in the table, for lack of time.
    Data,
    /// The gateway's part.
    Gateway,
    /// Nothing.
    Nothing,
}

impl Erasure {
    /// A new erasure.
    pub fn new(id: RequestId, why: ErasureReason, logins: Vec<Digest>, now: Timestamp) -> Self {
        Self {
            id,
            why,
            requested_at: now,
            rev: 1,
            logins,
            marked_at: None,
            unlinked_at: None,
            table_at: None,
            gateway_at: None,
            finished_at: None,
            check_at: now,
            tries: 0,
            erased: Erased::default(),
        }
    }

    /// How far it is.
    pub const fn status(&self) -> ErasureStatus {
        match (self.finished_at, self.table_at, self.gateway_at) {
            (Some(_), ..) => ErasureStatus::Done,
            (None, Some(_), None) => ErasureStatus::WaitingForGateway,
            (None, ..) => ErasureStatus::Running,
        }
    }

    /// Whether a pass may begin.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.finished_at.is_none() && self.check_at.has_come(now, PLANNED_AHEAD)
    }

    /// The erasure after a pass has marked the user as erased.
    #[must_use]
    pub fn begun(&self, now: Timestamp) -> Self {
        Self {
            rev: self.rev + 1,
            check_at: now.plus(PASS_TAKES),
            marked_at: self.marked_at.or(Some(now)),
            ..self.clone()
        }
    }

    /// The erasure after every login that finds the user was deleted.
    #[must_use]
    pub fn unlinked(&self, deleted: u64, now: Timestamp) -> Self {
        let erased = Erased { logins: self.erased.logins + deleted, ..self.erased };
        Self { rev: self.rev + 1, logins: Vec::new(), unlinked_at: Some(now), erased, ..self.clone() }
    }

    /// Whether jobs that were cancelled and are still open are ended now.
    pub fn ends_jobs(&self, now: Timestamp) -> bool {
        self.marked_at.is_some_and(|at| at.plus(ENDS_JOBS_AFTER) <= now)
    }

    /// The erasure after a pass, and when the next one begins.
    #[must_use]
    pub fn after(&self, pass: &Pass, now: Timestamp) -> Self {
        let mut next = Self { rev: self.rev + 1, erased: self.erased.and(pass.erased), ..self.clone() };
        let settled_at = self.marked_at.unwrap_or(now).plus(SETTLES_AFTER);
        let clean = matches!(pass.left, Left::Gateway | Left::Nothing);
        next.table_at = if clean { self.table_at.or(Some(now)) } else { None };
        next.gateway_at = if pass.left == Left::Nothing { self.gateway_at.or(Some(now)) } else { None };
        let progress = (next.table_at, next.gateway_at) != (self.table_at, self.gateway_at);
        next.tries = if progress { 0 } else { self.tries.saturating_add(1) };
        next.check_at = match pass.left {
            Left::Nothing if pass.began_at >= settled_at => {
                next.finished_at = Some(now);
                now
            }
            Left::Nothing => settled_at,
            Left::Data => now,
            Left::OpenJobs => now.plus(WAIT_FOR_JOBS.ceiling(next.tries)),
            Left::Gateway => now.plus(WAIT_FOR_GATEWAY.ceiling(next.tries)),
        };
        next
    }

    /// When the item may be deleted.
    pub fn kept_until(&self) -> Timestamp {
        self.requested_at.plus(REPORT_KEPT)
    }

    /// The report, for the user and for operators.
    pub fn view(&self, user_id: UserId) -> ErasureView {
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        ErasureView {
            erasure_id: self.id,
            user_id,
            status: self.status(),
            reason: self.why.name(),
            requested_at: self.requested_at.to_string(),
            logins_deleted_at: text(self.unlinked_at),
            table_erased_at: text(self.table_at),
            gateway_erased_at: text(self.gateway_at),
            finished_at: text(self.finished_at),
            erased: ErasedView::from(self.erased),
        }
    }
}

/// The public form of an erasure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErasureView {
    erasure_id: RequestId,
    user_id: UserId,
    status: ErasureStatus,
    reason: &'static str,
    requested_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    logins_deleted_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    table_erased_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway_erased_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<String>,
    erased: ErasedView,
}

/// The public form of the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct ErasedView {
    jobs: u64,
    submissions: u64,
    results: u64,
    conversations: u64,
    refusals: u64,
    logins: u64,
    others: u64,
    journal_rows: u64,
}

impl From<Erased> for ErasedView {
    fn from(erased: Erased) -> Self {
        let Erased { jobs, submissions, results, conversations, refusals, logins, others, journal_rows } = erased;
        Self { jobs, submissions, results, conversations, refusals, logins, others, journal_rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

    fn seconds(n: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(n))
    }

    fn begun() -> Erasure {
        let id = RequestId::made(NOW, [1; 10]);
        Erasure::new(id, ErasureReason::UserRequest, vec![Digest::ZERO], NOW).begun(NOW)
    }

    fn pass(left: Left, began_at: Timestamp) -> Pass {
        Pass { began_at, erased: Erased { jobs: 2, results: 1, ..Erased::default() }, left }
    }

    #[test]
    fn it_is_done_only_by_a_pass_that_began_after_late_requests_have_recorded_their_jobs() {
        let early = begun().after(&pass(Left::Nothing, NOW), seconds(1));
        assert_eq!((early.status(), early.check_at), (ErasureStatus::Running, seconds(120)));
        assert!(!early.is_due(seconds(119)) && early.is_due(seconds(120)));
        let late = early.after(&pass(Left::Nothing, seconds(120)), seconds(121));
        assert_eq!((late.status(), late.finished_at), (ErasureStatus::Done, Some(seconds(121))));
        assert_eq!((late.table_at, late.gateway_at), (Some(seconds(1)), Some(seconds(1))), "as first found");
        assert_eq!((late.erased.jobs, late.erased.results), (2, 2));
        assert!(!late.is_due(seconds(1000)));
    }

    #[test]
    fn a_gateway_that_is_down_is_asked_again_at_growing_intervals_and_data_found_later_opens_the_table_again() {
        let waits = begun().after(&pass(Left::Gateway, NOW), NOW);
        assert_eq!((waits.status(), waits.check_at), (ErasureStatus::WaitingForGateway, seconds(30)));
        let longer = (0..5).fold(waits, |waits, _| waits.after(&pass(Left::Gateway, NOW), NOW));
        assert_eq!(longer.check_at, seconds(120));
        let found = longer.after(&pass(Left::Data, NOW), NOW);
        assert_eq!((found.status(), found.table_at, found.check_at), (ErasureStatus::Running, None, NOW));
    }

    #[test]
    fn jobs_have_five_minutes_from_the_mark_to_end_by_themselves() {
        let waits = begun().after(&pass(Left::OpenJobs, NOW), NOW);
        assert_eq!(waits.status(), ErasureStatus::Running);
        assert!(!waits.ends_jobs(seconds(299)) && waits.ends_jobs(seconds(300)));
    }

    #[test]
    fn two_passes_do_not_run_at_once_and_one_that_died_is_followed_after_a_minute() {
        assert!(!begun().is_due(seconds(59)) && begun().is_due(seconds(60)));
        assert_eq!(begun().unlinked(1, seconds(2)).logins, Vec::new());
        assert_eq!(begun().begun(seconds(70)).marked_at, Some(NOW));
    }
}
