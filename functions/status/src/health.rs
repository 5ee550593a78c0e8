//! `GET /healthz` and `GET /readyz`. Both need no session, so neither shows an identity of the gateway.

use std::time::Duration;

use domain::{access::service_mode::Mode, ids::Timestamp};
use platform::http::{self, Response};
use serde::Serialize;
use serde_json::json;
use store::{GatewaySeen, Heartbeat, TableError, ToolGuard};

use crate::Status;

/// `sweep` writes its heartbeat once a minute. Two missing heartbeats can be chance, three count as a failure.
const STALE_AFTER: Duration = Duration::from_secs(180);

#[derive(Debug, Serialize)]
struct Readiness<'a> {
    ready: bool,
    failing: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heartbeat: Option<HeartbeatView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<GatewayView>,
    /// The service mode. A mode that an operator has set is no failure.
    mode: &'static str,
    policy_version: &'a str,
}

#[derive(Debug, Serialize)]
struct HeartbeatView {
    at: String,
    age_s: u64,
}

/// The gateway as `sweep` and the workers last saw it.
#[derive(Debug, Serialize)]
struct GatewayView {
    #[serde(skip_serializing_if = "Option::is_none")]
    reachable: Option<bool>,
    journal: &'static str,
    #[serde(rename = "fence")]
    guard: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seen_at: Option<String>,
}

/// The process answers.
pub(crate) fn live() -> Response {
    http::ok(&json!({ "status": "live" }))
}

/// Whether the service as a whole works, and which part fails if it does not.
pub(crate) async fn ready(status: &Status) -> Response {
    let controls = status.controls.get(&status.table, &status.runtime);
    let now = status.runtime.now();
    let (beat, seen, controls) = tokio::join!(status.table.heartbeat(), status.table.last_gateway(now), controls);
    let mode = controls.service.mode;
    let readiness = judge(beat, seen, mode, status.policy.version(), now);
    if readiness.ready { http::ok(&readiness) } else { http::not_ready(&readiness) }
}

fn judge(
    beat: Result<Option<Heartbeat>, TableError>,
    seen: Result<Option<GatewaySeen>, TableError>,
    mode: Mode,
    policy_version: &str,
    now: Timestamp,
) -> Readiness<'_> {
    let mode = mode.name();
    let (beat, seen) = match (beat, seen) {
        (Ok(beat), Ok(seen)) => (beat, seen),
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(function = "status", error = %error, "readiness could not be determined");
            return Readiness {
                ready: false,
                failing: vec!["table"],
                heartbeat: None,
                gateway: None,
                mode,
                policy_version,
            };
        }
    };
    let guard = seen.as_ref().map_or(ToolGuard::Untested, |seen| seen.guard);
    let mut failing = Vec::new();
    match &beat {
        None => failing.push("heartbeat_missing"),
        Some(beat) if now.since(beat.at) > STALE_AFTER => failing.push("heartbeat_stale"),
        Some(_) => {}
    }
    if beat.is_some_and(|beat| !beat.gateway_reachable) {
        failing.push("gateway_unreachable");
    }
    if matches!(guard, ToolGuard::Broken(_)) {
        failing.push("fence_broken");
    }
    Readiness {
        ready: failing.is_empty(),
        failing,
        heartbeat: beat.map(|beat| HeartbeatView { at: beat.at.to_string(), age_s: now.since(beat.at).as_secs() }),
        gateway: Some(GatewayView {
            reachable: beat.map(|beat| beat.gateway_reachable),
            journal: if seen.is_some() { "present" } else { "never_seen" },
            guard: match guard {
                ToolGuard::Untested => "untested",
                ToolGuard::Testing(_) => "testing",
                ToolGuard::Proven => "proven",
                ToolGuard::Broken(_) => "broken",
            },
            seen_at: seen.map(|seen| seen.seen_at.to_string()),
        }),
        mode,
        policy_version,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::job::JournalId;

    const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

    fn beat(age_ms: u64, gateway_reachable: bool) -> Option<Heartbeat> {
        Some(Heartbeat { at: NOW.minus(Duration::from_millis(age_ms)), gateway_reachable, overdue: 0 })
    }

    fn seen(guard: ToolGuard) -> Option<GatewaySeen> {
        let id = JournalId { journal: "secret-journal".into(), boot: "secret-boot".into() };
        Some(GatewaySeen { id, sequence: 7, seen_at: NOW, guard })
    }

    fn failing(beat: Option<Heartbeat>, seen: Option<GatewaySeen>) -> Vec<&'static str> {
        let readiness = judge(Ok(beat), Ok(seen), Mode::Full, "p", NOW);
        assert_eq!(readiness.ready, readiness.failing.is_empty());
        assert!(!serde_json::to_string(&readiness).unwrap().contains("secret"));
        readiness.failing
    }

    #[test]
    fn whatever_is_wrong_is_named() {
        let ready: Vec<&str> = vec![];
        assert_eq!(failing(beat(180_000, true), seen(ToolGuard::Proven)), ready);
        assert_eq!(failing(beat(0, true), seen(ToolGuard::Untested)), ready);
        assert_eq!(failing(beat(0, true), seen(ToolGuard::Testing(NOW))), ready);
        assert_eq!(failing(beat(0, true), None), ready);
        assert_eq!(failing(None, None), ["heartbeat_missing"]);
        assert_eq!(failing(beat(180_001, true), None), ["heartbeat_stale"]);
        assert_eq!(failing(beat(0, false), None), ["gateway_unreachable"]);
        assert_eq!(failing(beat(180_001, false), seen(ToolGuard::Broken(NOW))).len(), 3);
    }

    #[test]
    fn a_lower_mode_is_shown_and_is_no_failure() {
        for mode in Mode::ALL {
            let readiness = judge(Ok(beat(0, true)), Ok(None), mode, "p", NOW);
            assert!(readiness.ready);
            assert_eq!(readiness.mode, mode.name());
        }
    }

    #[test]
    fn a_table_that_does_not_answer_is_all_that_is_known() {
        let readiness = judge(Ok(beat(0, true)), Err(TableError::Malformed("gateway")), Mode::ReadOnly, "p", NOW);
        assert_eq!(readiness.failing, ["table"]);
        assert!(!readiness.ready && readiness.gateway.is_none());
    }
}
