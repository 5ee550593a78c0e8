//! Admission of jobs: revocation of the session, rate limit, and number of open jobs by kind.
//!
//! All three are stored in the user's item, so that one conditional update checks and charges them. This module
//! derives from the item why the condition failed.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    access::service_mode::Mode,
    ids::{RequestId, Timestamp},
    job::submission::{Wanted, Work},
    limits::{Rate, RateDecision},
};

/// Time after which a request that was admitted, or joined a queue, has recorded its job or never will: no request
/// lives longer than 30 s.
pub const RECORDED_WITHIN: Duration = Duration::from_secs(60);

/// Whether a job that is not in the table may still be about to be recorded, judged by the time in its id.
pub fn may_still_be_recorded(id: RequestId, now: Timestamp) -> bool {
    now.since(id.time()) < RECORDED_WITHIN
}

/// State in the user's item.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserState {
    /// Sessions that started at or before this time are revoked.
    #[serde(rename = "nb", default)]
    pub not_before: Timestamp,
    /// GCRA's theoretical arrival time for submissions.
    #[serde(rename = "arr", default)]
    pub arrival: Option<Timestamp>,
    /// Open quick jobs, as last updated. Adding and removing are idempotent.
    #[serde(rename = "inf", default)]
    pub in_flight: BTreeSet<String>,
    /// Open long jobs, as last updated.
    #[serde(rename = "infl", default)]
    pub in_flight_long: BTreeSet<String>,
    /// The user's groups, as operators have set them.
    #[serde(rename = "gr", default)]
    pub groups: BTreeSet<String>,
    /// The mode that limits this user, by the risk that WeChat saw at the last login.
    #[serde(rename = "rk", default)]
    pub limited_to: Option<Mode>,
    /// When a job was last admitted.
    #[serde(rename = "adm", default)]
    pub last_admission: Option<Timestamp>,
    /// Nonce of the last conditional write.
    #[serde(rename = "nonce", default)]
    pub nonce: String,
    /// The erasure of the user, once it has begun: nothing new is begun for the user.
    #[serde(rename = "er", default)]
    pub erasure: Option<RequestId>,
    /// Whether every request id of the user that could start a job again is stored as used, so that a login may lead to
    /// a new user.
    #[serde(rename = "un", default)]
    pub unlinked: bool,
}

/// The limits of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Rate of submissions.
    pub submissions: Rate,
    /// Maximum number of open quick jobs.
    pub in_flight: usize,
    /// Maximum number of open long jobs.
    pub in_flight_long: usize,
    /// Maximum number of conversations.
    pub conversations: usize,
}

/// Kind of a job. Each kind has its own limit of open jobs, so that long jobs never block quick ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    /// One tool call, or the deletion of a conversation, which should not wait for long jobs.
    Quick,
    /// An agent's turn, or several steps.
    Long,
}

impl JobKind {
    /// The kind of a job with these steps.
    pub fn of(steps: &[Wanted]) -> Self {
        match steps {
            [Wanted { work: Work::Call(_) | Work::End(_), .. }] => Self::Quick,
            _ => Self::Long,
        }
    }
}

impl Limits {
    /// Maximum number of open jobs of this kind.
    pub fn places(&self, kind: JobKind) -> usize {
        match kind {
            JobKind::Quick => self.in_flight,
            JobKind::Long => self.in_flight_long,
        }
    }
}

/// Why the first, optimistic update of a submission failed, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// The update was applied; only its response was lost.
    Applied,
    /// Within the burst: update again, adding one interval to the stored arrival time.
    Burst,
    /// The set of open jobs is full: prune finished jobs, then try again.
    FullUnlessPruned,
    /// The session is revoked, or the user does not exist.
    Revoked,
    /// Over the rate: retry after this delay.
    RateLimited(Duration),
}

impl UserState {
    /// Whether a session that started at `session_began` is revoked.
    pub fn revokes(&self, session_began: Timestamp) -> bool {
        session_began <= self.not_before
    }

    /// The open jobs of this kind, as last updated.
    pub fn taken(&self, kind: JobKind) -> &BTreeSet<String> {
        match kind {
            JobKind::Quick => &self.in_flight,
            JobKind::Long => &self.in_flight_long,
        }
    }
}

/// Explains a failed condition. `stored` is the item that failed it; `None` means that the user does not exist.
pub fn explain(
    stored: Option<&UserState>,
    (request_id, kind): (RequestId, JobKind),
    session_began: Timestamp,
    limits: &Limits,
    now: Timestamp,
    nonce: &str,
) -> Admission {
    let charged = explain_charged(stored, session_began, nonce);
    let Some(user) = stored.filter(|_| charged == Admission::FullUnlessPruned) else { return charged };
    if let RateDecision::Wait(wait) = limits.submissions.decide(user.arrival, now) {
        return Admission::RateLimited(wait);
    }
    let taken = user.taken(kind);
    if taken.len() >= limits.places(kind) && !taken.contains(&request_id.to_string()) {
        return Admission::FullUnlessPruned;
    }
    Admission::Burst
}

/// The same for a submission that was charged before, which can only fail for these reasons.
pub fn explain_charged(stored: Option<&UserState>, session_began: Timestamp, nonce: &str) -> Admission {
    match stored {
        None => Admission::Revoked,
        Some(user) if user.nonce == nonce => Admission::Applied,
        Some(user) if user.revokes(session_began) => Admission::Revoked,
        Some(_) => Admission::FullUnlessPruned,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn user() -> UserState {
        UserState { nonce: "other".into(), ..UserState::default() }
    }

    fn explain_of(kind: JobKind, user: Option<&UserState>) -> Admission {
        let limits = Limits {
            submissions: Rate::new(Duration::from_secs(1), 3),
            in_flight: 2,
            in_flight_long: 1,
            conversations: 1,
        };
        let id = "019a8f3c-7e10-7abc-9def-0123456789ab".parse().unwrap();
        explain(user, (id, kind), NOW.minus(Duration::from_secs(60)), &limits, NOW, "mine")
    }

    fn explain_for(user: Option<&UserState>) -> Admission {
        explain_of(JobKind::Quick, user)
    }

    #[test]
    fn a_missing_user_is_denied() {
        assert_eq!(explain_for(None), Admission::Revoked);
    }

    #[test]
    fn my_own_nonce_is_my_own_success() {
        assert_eq!(explain_for(Some(&UserState { nonce: "mine".into(), ..user() })), Admission::Applied);
    }

    #[test]
    fn a_session_dies_with_the_not_before() {
        let at = |ms| UserState { not_before: Timestamp::from_millis(ms), ..user() };
        assert_eq!(explain_for(Some(&at(940_000))), Admission::Revoked);
        assert_eq!(explain_for(Some(&at(939_999))), Admission::Burst);
    }

    #[test]
    fn retry_after_is_exact() {
        let ahead = UserState { arrival: Some(NOW.plus(Duration::from_millis(2500))), ..user() };
        assert_eq!(explain_for(Some(&ahead)), Admission::RateLimited(Duration::from_millis(500)));
    }

    #[test]
    fn what_has_been_charged_fails_by_no_rate() {
        let ahead = UserState { arrival: Some(NOW.plus(Duration::from_secs(3600))), ..user() };
        let of = |user: Option<&UserState>| explain_charged(user, NOW.minus(Duration::from_secs(60)), "mine");
        assert_eq!(of(Some(&ahead)), Admission::FullUnlessPruned);
        assert_eq!(of(Some(&UserState { nonce: "mine".into(), ..user() })), Admission::Applied);
        assert_eq!(of(Some(&UserState { not_before: NOW, ..user() })), Admission::Revoked);
        assert_eq!(of(None), Admission::Revoked);
    }

    #[test]
    fn a_full_set_is_full_except_for_its_own_members() {
        let full = |ids: [&str; 2]| UserState { in_flight: ids.map(String::from).into(), ..user() };
        assert_eq!(explain_for(Some(&full(["a", "b"]))), Admission::FullUnlessPruned);
        let own = full(["a", "019a8f3c-7e10-7abc-9def-0123456789ab"]);
        assert_eq!(explain_for(Some(&own)), Admission::Burst);
    }

    #[test]
    fn each_kind_has_places_of_its_own() {
        let (one, two) = (["a".to_owned()], ["a".to_owned(), "b".to_owned()]);
        let quick_full = UserState { in_flight: two.clone().into(), ..user() };
        let long_full = UserState { in_flight_long: one.into(), ..user() };
        for (user, quick, long) in [
            (&quick_full, Admission::FullUnlessPruned, Admission::Burst),
            (&long_full, Admission::Burst, Admission::FullUnlessPruned),
        ] {
            assert_eq!(explain_of(JobKind::Quick, Some(user)), quick);
            assert_eq!(explain_of(JobKind::Long, Some(user)), long);
        }
    }

    #[test]
    fn a_job_is_quick_when_it_is_one_call_and_nothing_else() {
        let of = |body: serde_json::Value| {
            JobKind::of(crate::job::submission::Submission::parse(body).expect("a submission").steps())
        };
        let call = json!({"tool": "t", "arguments": {}});
        assert_eq!(of(call.clone()), JobKind::Quick);
        assert_eq!(of(json!({"steps": [call]})), JobKind::Quick);
        assert_eq!(of(json!({"steps": [call, call]})), JobKind::Long);
        assert_eq!(of(json!({"message": "hello"})), JobKind::Long);
        assert_eq!(of(json!({"steps": [{"message": "hello"}]})), JobKind::Long);
    }
}
