//! Checks the units of one host from outside, once a minute: restarts those that systemd has given up on, at most
//! three times in half an hour, and then sends an alert. The service cannot report that it is down itself.

mod crash_loop;
mod decision;
mod target;
mod unit;

use std::{path::Path, time::Duration};

use domain::{
    alarms::{Change, Severity, Transition},
    ids::Timestamp,
};
use platform::runtime::Runtime;
use serde::{Deserialize, Serialize};

pub use self::target::Target;
use self::{
    crash_loop::CrashLoop,
    decision::{Decision, Memory, Seen},
    unit::{Manager, Shown},
};
use super::{
    alerts::{self, Webhook, WebhookFault},
    systemd::SERVICE,
};
use crate::data::{DataError, is_restoring, read_state, write_state};

/// How long a health check may take.
const LIMIT: Duration = Duration::from_secs(10);
/// The pause before a message is repeated.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// The alerts, with what each says. `docs/operate/runbook.md` has a section for each.
pub const ALERTS: [(&str, &str); 3] = [
    ("gateway-stays-down", "The gateway does not work, and restarting its unit has not helped or is not possible."),
    ("service-stays-down", "The service does not work, and restarting its unit has not helped or is not possible."),
    ("service-restarts", "systemd has restarted the service three times or more within half an hour."),
];

/// State that is kept between two runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct State {
    gateway: Memory,
    service: Memory,
    restarts: CrashLoop,
    /// The target of the last run.
    target: Option<Target>,
}

impl State {
    /// Stores which alerts were sent, in the order of [`ALERTS`].
    const fn told(&mut self, [gateway, service, restarts]: [Decision; 3]) {
        self.gateway.told(gateway);
        self.service.told(service);
        self.restarts.told(restarts);
    }
}

/// One action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// `gateway`, `service` or `restore`.
    pub what: &'static str,
    /// Description of the action.
    pub done: &'static str,
}

/// A run could not carry out every decision.
#[derive(Debug, thiserror::Error)]
pub enum WatchFault {
    /// The state cannot be written: restarts would not be counted, so none is made, and each run sends its alert
    /// again.
    #[error(transparent)]
    State(#[from] DataError),
    /// The alert was not accepted. The next run sends it again.
    #[error("the alert was not taken")]
    Webhook(#[from] WebhookFault),
}

/// Result of one run.
#[derive(Debug, Default)]
pub struct Look {
    /// The actions.
    pub done: Vec<Done>,
    /// The failures. None prevents the other actions.
    pub faults: Vec<WatchFault>,
}

/// Checks gateway and service once, and acts. `state` is the file with the state.
pub async fn look(target: &Target, webhook: Option<&Webhook>, state: &Path, runtime: &Runtime) -> Look {
    let mut look = Look::default();
    if is_restoring(&target.data) {
        // A service that starts now would find only some of its files.
        look.done.push(Done { what: "restore", done: "not finished, so nothing is looked after" });
        return look;
    }
    let mut memory = State { target: Some(target.clone()), ..read_state(state) };
    let manager = target.gateway_user.as_deref().and_then(Manager::of_user);
    let ((gateway, _), (service, restarts)) = tokio::join!(
        see(manager.as_ref(), &target.gateway_unit, target.gateway_health()),
        see(Some(&Manager::System), SERVICE, target.service_health()),
    );
    let now = runtime.now();
    let mut decisions = [
        memory.gateway.decide(gateway, now),
        memory.service.decide(service, now),
        memory.restarts.decide(restarts, now),
    ];
    // Before the restart: a run that is killed must have counted it. An alert is stored only once it was accepted.
    let written = write_state(state, &memory);
    let is_written = written.is_ok();
    if let Err(fault) = written {
        look.faults.push(fault.into());
        decisions[0] = memory.gateway.unwritten(decisions[0]);
        decisions[1] = memory.service.unwritten(decisions[1]);
    }
    let units = [(manager.as_ref(), target.gateway_unit.as_str()), (Some(&Manager::System), SERVICE)];
    for ((what, decision), unit) in ["gateway", "service"].into_iter().zip(decisions).zip(units) {
        if decision == Decision::Restart {
            look.done.push(Done { what, done: restart(unit).await });
        }
    }
    tell(&mut look, webhook, &mut decisions, now).await;
    let before = memory.clone();
    memory.told(decisions);
    // If the state could not be written, no restart is made.
    if is_written
        && memory != before
        && let Err(fault) = write_state(state, &memory)
    {
        look.faults.push(fault.into());
    }
    look
}

async fn restart((manager, unit): (Option<&Manager>, &str)) -> &'static str {
    match manager {
        Some(manager) if manager.restart(unit).await => "restarted",
        _ => "could not be restarted",
    }
}

/// Sends the alerts. A decision whose alert was not sent becomes [`Decision::Wait`], so that the next run makes
/// it again; without a webhook, only an end is dropped.
async fn tell(look: &mut Look, webhook: Option<&Webhook>, decisions: &mut [Decision; 3], now: Timestamp) {
    let mut changes = Vec::new();
    for (decision, (name, says)) in decisions.iter().zip(ALERTS) {
        match decision {
            Decision::Wait | Decision::Restart => {}
            Decision::Alert => changes.push(transition(name, says, Change::Fired, now)),
            Decision::Over => changes.push(transition(name, says, Change::Over, now)),
        }
    }
    let mut is_told = false;
    if let Some(webhook) = webhook {
        match alerts::tell(webhook, &changes, RETRY_PAUSE).await {
            Ok(()) => is_told = true,
            Err(fault) => look.faults.push(fault.into()),
        }
    }
    let words = [("gateway", DOWN), ("service", DOWN), ("service", LOOPS)];
    for (decision, (what, Words { begins, over })) in decisions.iter_mut().zip(words) {
        let done = match *decision {
            Decision::Wait | Decision::Restart => continue,
            Decision::Alert => begins[usize::from(is_told)],
            Decision::Over => over,
        };
        look.done.push(Done { what, done });
        if !is_told && (*decision == Decision::Alert || webhook.is_some()) {
            *decision = Decision::Wait;
        }
    }
}

/// State of an alert in a printed line.
#[derive(Debug, Clone, Copy)]
struct Words {
    /// It begins, whether or not it could be sent.
    begins: [&'static str; 2],
    /// It is over.
    over: &'static str,
}

const DOWN: Words = Words {
    begins: ["does not work; no person could be told", "does not work; a person is told"],
    over: "works again",
};
const LOOPS: Words = Words {
    begins: [
        "was restarted by systemd three times or more; no person could be told",
        "was restarted by systemd three times or more; a person is told",
    ],
    over: "is restarted by systemd no more",
};

fn transition(name: &str, says: &str, change: Change, at: Timestamp) -> Transition {
    Transition { name: name.to_owned(), severity: Severity::Page, says: says.to_owned(), change, at }
}

/// The observed state of a unit, and how often systemd has restarted it.
async fn see(manager: Option<&Manager>, unit: &str, health: String) -> (Seen, Option<u64>) {
    let state = async {
        match manager {
            Some(manager) => manager.state(unit).await,
            None => Shown::UNKNOWN,
        }
    };
    let (Shown { unit, restarts }, is_ready) = tokio::join!(state, answers(&health));
    (Seen { unit, is_ready }, restarts)
}

/// Whether a health check succeeds.
async fn answers(url: &str) -> bool {
    let http = reqwest::Client::builder().no_proxy().timeout(LIMIT).redirect(reqwest::redirect::Policy::none()).build();
    let Ok(http) = http else { return false };
    http.get(url).send().await.is_ok_and(|answer| answer.status().is_success())
}
