//! Reads `/readyz` of the service on this host.

use std::{collections::BTreeSet, time::Duration};

use domain::{ids::Timestamp, json};
use serde::Deserialize;
use serde_json::Value;

/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(4);
/// The pause between two requests of [`wait`].
const PAUSE: Duration = Duration::from_millis(500);

/// What `/readyz` says.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Readiness {
    /// What fails; empty for a service that is ready.
    pub failing: BTreeSet<String>,
    /// The service mode.
    #[serde(default)]
    pub mode: Option<String>,
    #[serde(default)]
    heartbeat: Value,
}

/// Why readiness is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoReadiness {
    /// Nothing listens there, or it does not answer in time.
    #[error("{0} does not answer")]
    Silent(Port),
    /// Something else listens there.
    #[error("{0} is not this service")]
    Foreign(Port),
}

/// A port of this host on which the service listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port(pub u16);

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://127.0.0.1:{}/readyz", self.0)
    }
}

impl Readiness {
    /// Asks the service once.
    pub async fn read(port: Port) -> Result<Self, NoReadiness> {
        let silent = NoReadiness::Silent(port);
        let http = reqwest::Client::builder().no_proxy().timeout(LIMIT).build().map_err(|_| silent)?;
        let answer = http.get(port.to_string()).send().await.map_err(|_| silent)?;
        let body = answer.bytes().await.map_err(|_| silent)?;
        json::kept(body).map_err(|_| NoReadiness::Foreign(port))
    }

    /// What fails although nothing got worse, in one phrase.
    pub(super) fn still_failing(&self) -> Option<String> {
        let names: Vec<&str> = self.failing.iter().map(String::as_str).collect();
        (!names.is_empty()).then(|| format!("/readyz names, as before: {}", names.join(", ")))
    }

    /// What fails now and did not fail before, in one phrase. A heartbeat of before `since` was written by an earlier
    /// process, and says nothing of this one.
    fn worse(&self, before: &BTreeSet<String>, since: Timestamp) -> Option<String> {
        let new: Vec<&str> = self.failing.difference(before).map(String::as_str).collect();
        if !new.is_empty() {
            return Some(format!("it is not ready: {}", new.join(", ")));
        }
        let beats = |at| at >= since;
        let is_late = before.iter().any(|failing| failing.starts_with("heartbeat"));
        let has_swept = Timestamp::parse(&self.heartbeat["at"]).is_ok_and(beats);
        (!has_swept && !is_late).then(|| "it answers, and its sweep has not run".to_owned())
    }
}

/// Waits until the service has swept since `since`, and nothing fails that did not fail `before`. The error says in one
/// phrase what was seen last.
pub async fn wait(
    port: Port,
    before: &BTreeSet<String>,
    since: Timestamp,
    limit: Duration,
) -> Result<Readiness, String> {
    let mut seen = String::new();
    let ready = async {
        loop {
            match Readiness::read(port).await {
                Ok(readiness) => match readiness.worse(before, since) {
                    None => return readiness,
                    Some(worse) => seen = worse,
                },
                Err(fault) => seen = fault.to_string(),
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let waited = tokio::time::timeout(limit, ready).await;
    waited.map_err(|_| seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_failed_before_is_not_worse_and_a_heartbeat_of_before_is_not_enough() {
        let at = |millis: i64| Timestamp::from_millis(1_795_341_600_000 + millis);
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let seen = |failing: &[&str], beat: i64| Readiness {
            failing: set(failing),
            mode: None,
            heartbeat: json!({ "at": at(beat).to_string() }),
        };
        let worse = |readiness: &Readiness, before: &[&str]| readiness.worse(&set(before), at(1000));
        assert_eq!(worse(&seen(&[], 1000), &[]), None);
        assert_eq!(worse(&seen(&["gateway_unreachable"], 1000), &["gateway_unreachable"]), None);
        assert!(
            worse(&seen(&["gateway_unreachable", "table"], 1000), &["gateway_unreachable"]).unwrap().contains("table")
        );
        assert!(worse(&seen(&[], 999), &[]).unwrap().contains("sweep"));
        assert!(worse(&Readiness::default(), &[]).unwrap().contains("sweep"));
        assert_eq!(worse(&seen(&["heartbeat_stale"], 1), &["heartbeat_stale"]), None);
    }
}
