//! Decides when the faults that `sweep` observes lower the service mode, and when the mode may be raised again. Pure.
//!
//! The data plane must not depend on its monitoring, so no alarm decides: a late metric would otherwise close a
//! service that works.

use std::time::Duration;

use crate::{access::service_mode::Mode, ids::Timestamp};

/// How many consecutive health checks have to fail: a gateway takes about a minute to restart.
pub const FAILED_CHECKS: u32 = 3;
/// How many consecutive health checks have to succeed before the mode is raised again.
pub const GOOD_CHECKS: u32 = 5;
/// Failed checks closer together than this count as one: on one host `sweep` runs every ten seconds, and the restart of a
/// gateway, which takes about a minute, must not be an outage. Less than the minute between two runs in the cloud.
pub const CHECKS_APART: Duration = Duration::from_secs(50);
/// How many audit records have to be unwritable within [`AUDIT_WINDOW`]: a single failure can be transient.
pub const UNWRITTEN_RECORDS: u64 = 3;
/// The time in which unwritable audit records are counted together.
pub const AUDIT_WINDOW: Duration = Duration::from_secs(300);

/// A fault for which `sweep` lowers the service mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchedFault {
    /// The gateway does not answer its health check.
    GatewayNotReady,
    /// Audit records cannot be written.
    AuditUnwritable,
}

impl WatchedFault {
    /// The name in `alarm:<name>`, the author of the change.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GatewayNotReady => "gateway_not_ready",
            Self::AuditUnwritable => "audit_unwritable",
        }
    }

    /// The mode to which the fault lowers the service.
    pub const fn mode(self) -> Mode {
        match self {
            // No accepted job can run, and an immediate explanation is more useful than a job that expires.
            Self::GatewayNotReady => Mode::ExplainOnly,
            // No write is sent without its record. Refusing all at once is clearer than failing one by one.
            Self::AuditUnwritable => Mode::ReadOnly,
        }
    }

    /// The recorded reason of the change.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::GatewayNotReady => "the gateway failed consecutive health checks",
            Self::AuditUnwritable => "audit records could not be written",
        }
    }
}

/// What `sweep` has counted so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FaultWatch {
    /// Time of the last counted health check.
    pub checked_at: Option<Timestamp>,
    /// Consecutive failed checks, at most [`FAILED_CHECKS`].
    pub failed: u32,
    /// Consecutive good checks, at most [`GOOD_CHECKS`].
    pub good: u32,
    /// Whether this outage of the gateway has lowered the mode. A person who raises it during the outage is not
    /// overruled.
    pub outage_handled: bool,
    /// The number of unwritable audit records when the window began.
    pub audit_base: u64,
    /// When the window began; `None`: no record has failed since the base.
    pub audit_since: Option<Timestamp>,
    /// When unwritable audit records last called for `read_only`.
    pub audit_lowered_at: Option<Timestamp>,
}

impl FaultWatch {
    /// Adds one health check, unless none was made, and the present number of unwritable audit records.
    #[must_use]
    pub fn observe(self, reachable: Option<bool>, unwritten: u64, now: Timestamp) -> Self {
        reachable.map_or(self, |reachable| self.count_check(reachable, now)).count_records(unwritten, now)
    }

    fn count_check(mut self, reachable: bool, now: Timestamp) -> Self {
        // A time in the future was written by a clock that ran ahead, so it delays nothing.
        if self.checked_at.is_some_and(|at| at <= now && now.since(at) < CHECKS_APART) {
            // A success in between ends the series of failures all the same.
            self.failed = if reachable { 0 } else { self.failed };
            return self;
        }
        let before = self;
        if reachable {
            (self.failed, self.good) = (0, GOOD_CHECKS.min(self.good + 1));
            self.outage_handled &= self.good < GOOD_CHECKS;
        } else {
            (self.failed, self.good) = (FAILED_CHECKS.min(self.failed + 1), 0);
        }
        // In a steady state nothing has to be stored.
        if self != before {
            self.checked_at = Some(now);
        }
        self
    }

    fn count_records(mut self, unwritten: u64, now: Timestamp) -> Self {
        let over = self.audit_since.is_some_and(|since| now < since || now.since(since) >= AUDIT_WINDOW);
        // A lower number than before: the counter was restored with the table or has expired.
        if unwritten < self.audit_base || (over && !self.records_call(unwritten)) {
            (self.audit_base, self.audit_since) = (unwritten, None);
        } else if unwritten > self.audit_base && self.audit_since.is_none() {
            self.audit_since = Some(now);
        }
        self
    }

    fn records_call(self, unwritten: u64) -> bool {
        unwritten.saturating_sub(self.audit_base) >= UNWRITTEN_RECORDS
    }

    /// The faults for which the mode has to be lowered now.
    pub fn due(self, unwritten: u64) -> impl Iterator<Item = WatchedFault> {
        let gateway = self.failed >= FAILED_CHECKS && !self.outage_handled;
        let audit = self.records_call(unwritten);
        [(WatchedFault::AuditUnwritable, audit), (WatchedFault::GatewayNotReady, gateway)]
            .into_iter()
            .filter_map(|(fault, due)| due.then_some(fault))
    }

    /// After the mode was lowered for a fault, or was as low already.
    #[must_use]
    pub fn handled(mut self, fault: WatchedFault, unwritten: u64, now: Timestamp) -> Self {
        match fault {
            WatchedFault::GatewayNotReady => self.outage_handled = true,
            WatchedFault::AuditUnwritable => {
                (self.audit_base, self.audit_since, self.audit_lowered_at) = (unwritten, None, Some(now));
            }
        }
        self
    }

    /// The mode to which a service that was lowered from `was` at `lowered_at` for
    /// [`WatchedFault::GatewayNotReady`] is raised now. `None`: it stays as it is.
    pub fn raise_to(self, was: Mode, lowered_at: Timestamp) -> Option<Mode> {
        let lowered = WatchedFault::GatewayNotReady.mode();
        // Audit records that failed during the outage could not lower the mode any further. Raising it above
        // `read_only` remains a person's decision.
        let audit = self.audit_lowered_at.is_some_and(|at| at >= lowered_at);
        let to = if audit { was.min(WatchedFault::AuditUnwritable.mode()) } else { was };
        (self.good >= GOOD_CHECKS && to > lowered).then_some(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

    fn at(minute: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(minute * 60))
    }

    /// One check a minute, without unwritable records.
    fn after(checks: &[bool]) -> FaultWatch {
        (0..).zip(checks).fold(FaultWatch::default(), |watch, (minute, ok)| watch.observe(Some(*ok), 0, at(minute)))
    }

    fn due(watch: FaultWatch, unwritten: u64) -> Vec<WatchedFault> {
        watch.due(unwritten).collect()
    }

    #[test]
    fn only_consecutive_failures_of_the_health_check_are_an_outage() {
        assert_eq!(due(after(&[false, false]), 0), []);
        assert_eq!(due(after(&[false, false, true, false, false]), 0), []);
        let lost = after(&[true, false, false, false]);
        assert_eq!(due(lost, 0), [WatchedFault::GatewayNotReady]);
        let handled = lost.handled(WatchedFault::GatewayNotReady, 0, at(4));
        assert_eq!(due(handled.observe(Some(false), 0, at(5)), 0), [], "once for each outage");
    }

    #[test]
    fn a_run_without_a_check_counts_none() {
        let two = after(&[false, false]);
        assert_eq!(two.observe(None, 0, at(2)), two);
        assert_eq!(due(two.observe(None, 3, at(2)), 3), [WatchedFault::AuditUnwritable], "records are counted");
    }

    #[test]
    fn checks_that_follow_at_once_count_as_one() {
        let one = FaultWatch::default().observe(Some(false), 0, NOW);
        let again = one.observe(Some(false), 0, NOW.plus(CHECKS_APART - Duration::from_millis(1)));
        assert_eq!(again, one);
        assert_eq!(one.observe(Some(false), 0, NOW.plus(CHECKS_APART)).failed, 2);
        let good = one.observe(Some(true), 0, NOW.plus(Duration::from_secs(10)));
        assert_eq!((good.failed, good.good), (0, 0), "a success ends the series at once, and is not counted yet");
        assert_eq!(
            one.observe(Some(false), 0, NOW.minus(Duration::from_secs(86_400))).failed,
            2,
            "a clock that ran ahead"
        );
    }

    #[test]
    fn a_gateway_that_has_recovered_can_be_lost_again() {
        let mut watch = after(&[false; 3]).handled(WatchedFault::GatewayNotReady, 0, at(3));
        for minute in 3..8 {
            assert_eq!(watch.raise_to(Mode::Full, at(3)), None, "{minute}");
            watch = watch.observe(Some(true), 0, at(minute));
        }
        assert_eq!(watch.raise_to(Mode::Full, at(3)), Some(Mode::Full));
        assert_eq!(watch.observe(Some(true), 0, at(8)), watch, "a steady state is not stored again");
        for minute in 8..11 {
            watch = watch.observe(Some(false), 0, at(minute));
        }
        assert_eq!(due(watch, 0), [WatchedFault::GatewayNotReady]);
    }

    #[test]
    fn audit_records_that_failed_meanwhile_keep_writes_shut() {
        let recovered = FaultWatch { good: GOOD_CHECKS, ..FaultWatch::default() };
        let failing = recovered.handled(WatchedFault::AuditUnwritable, 3, at(5));
        assert_eq!(failing.raise_to(Mode::Full, at(3)), Some(Mode::ReadOnly));
        assert_eq!(failing.raise_to(Mode::Full, at(6)), Some(Mode::Full), "they failed before the outage");
        for was in [Mode::Closed, Mode::ExplainOnly] {
            assert_eq!(recovered.raise_to(was, at(3)), None, "{was:?}");
        }
    }

    #[test]
    fn unwritable_records_are_counted_within_their_window() {
        let watch = FaultWatch { audit_base: 10, good: GOOD_CHECKS, ..FaultWatch::default() };
        assert_eq!(due(watch.observe(Some(true), 13, NOW), 13), [WatchedFault::AuditUnwritable]);
        let two = watch.observe(Some(true), 12, NOW);
        assert_eq!(due(two.observe(Some(true), 13, at(4)), 13), [WatchedFault::AuditUnwritable]);
        let over = two.observe(Some(true), 12, at(5));
        assert_eq!(
            (over.audit_base, over.audit_since, due(over.observe(Some(true), 13, at(6)), 13)),
            (12, None, vec![])
        );
        let late = two.observe(Some(true), 13, at(9));
        assert_eq!(due(late, 13), [WatchedFault::AuditUnwritable], "a run that came late loses none");
        let handled = late.handled(WatchedFault::AuditUnwritable, 13, at(9));
        assert_eq!(due(handled.observe(Some(true), 15, at(10)), 15), []);
        assert_eq!(watch.observe(Some(true), 0, NOW).audit_base, 0, "a counter that begins again");
    }
}
