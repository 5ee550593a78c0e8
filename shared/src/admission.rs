//! Whether a user may start a job now: session not revoked, rate limit, jobs in flight.
//!
//! All three live in the user item, so that one conditional update decides and charges at once. This module says what a
//! failed condition meant, given the item that failed it.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    rate_limit::{Rate, RateDecision},
    request_id::RequestId,
    timestamp::Timestamp,
};

/// What the user item holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserState {
    /// Sessions that began at or before this are dead.
    #[serde(rename = "nb", default = "epoch")]
    pub not_before: Timestamp,
    /// GCRA's theoretical arrival time for submissions.
    #[serde(rename = "arr", default)]
    pub arrival: Option<Timestamp>,
    /// Jobs that were open when last looked at. Adding is idempotent, so is removing.
    #[serde(rename = "inf", default)]
    pub in_flight: BTreeSet<String>,
    /// The groups that an operator has put the user in.
    #[serde(rename = "gr", default)]
    pub groups: BTreeSet<String>,
    /// When a place in flight was last taken.
    #[serde(rename = "adm", default)]
    pub last_admission: Option<Timestamp>,
    /// Of the last conditional write.
    #[serde(rename = "nonce", default)]
    pub nonce: String,
}

const fn epoch() -> Timestamp {
    Timestamp::from_millis(0)
}

/// The limits of one user.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Submissions.
    pub submissions: Rate,
    /// Open jobs at once.
    pub in_flight: usize,
}

/// What to do with a submission whose first, optimistic update failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// The update was applied, and only its answer was lost.
    Applied,
    /// Within the burst: update again, adding one interval to the stored arrival time.
    Burst,
    /// The set is full: drop what is over, then try again.
    FullUnlessHealed,
    /// The session is dead, or the user is gone.
    Revoked,
    /// Come back after this long.
    RateLimited(Duration),
}

impl UserState {
    /// Whether a session that began at `session_began` is dead.
    pub fn revokes(&self, session_began: Timestamp) -> bool {
        session_began <= self.not_before
    }
}

/// Explains a failed condition. `stored` is the item that failed it; none means that there is no such user.
pub fn explain(
    stored: Option<&UserState>,
    request_id: RequestId,
    session_began: Timestamp,
    limits: &Limits,
    now: Timestamp,
    nonce: &str,
) -> Admission {
    let Some(user) = stored else { return Admission::Revoked };
    if user.nonce == nonce {
        return Admission::Applied;
    }
    if user.revokes(session_began) {
        return Admission::Revoked;
    }
    if let RateDecision::Wait(wait) = limits.submissions.decide(user.arrival, now) {
        return Admission::RateLimited(wait);
    }
    if user.in_flight.len() >= limits.in_flight && !user.in_flight.contains(&request_id.to_string()) {
        return Admission::FullUnlessHealed;
    }
    Admission::Burst
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn user() -> UserState {
        let in_flight = BTreeSet::new();
        let groups = BTreeSet::new();
        UserState { not_before: epoch(), arrival: None, in_flight, groups, last_admission: None, nonce: "other".into() }
    }

    fn explain_for(user: Option<&UserState>) -> Admission {
        let limits = Limits { submissions: Rate::new(Duration::from_secs(1), 3), in_flight: 2 };
        let id = "019a8f3c-7e10-7abc-9def-0123456789ab".parse().unwrap();
        explain(user, id, NOW.minus(Duration::from_secs(60)), &limits, NOW, "mine")
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
    fn the_rate_is_told_exactly() {
        let ahead = UserState { arrival: Some(NOW.plus(Duration::from_millis(2500))), ..user() };
        assert_eq!(explain_for(Some(&ahead)), Admission::RateLimited(Duration::from_millis(500)));
    }

    #[test]
    fn a_full_set_is_full_except_for_its_own_members() {
        let full = |ids: [&str; 2]| UserState { in_flight: ids.map(String::from).into(), ..user() };
        assert_eq!(explain_for(Some(&full(["a", "b"]))), Admission::FullUnlessHealed);
        let own = full(["a", "019a8f3c-7e10-7abc-9def-0123456789ab"]);
        assert_eq!(explain_for(Some(&own)), Admission::Burst);
    }
}
