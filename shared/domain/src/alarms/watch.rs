//! The state of alarms over time: which of them fire, and when one begins or ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{Alarm, Samples, Severity, Shape};
use crate::ids::Timestamp;

/// A longer time between two evaluations means that the process was suspended or the clock was changed.
const GAP: Duration = Duration::from_secs(150);

/// An alarm ends after it has not fired for this long. One that fires at each delivery of a message is therefore
/// reported once.
const CALM: Duration = Duration::from_secs(300);

/// Change of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It has started to fire.
    Fired,
    /// It has ended.
    Over,
}

/// An alarm that began or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The alarm's name.
    pub name: String,
    /// How urgent it is.
    pub severity: Severity,
    /// What has happened when it fires: one sentence.
    pub says: String,
    /// Whether it began or ended.
    pub change: Change,
    /// The end of the minute in which it did.
    pub at: Timestamp,
}

/// Alarms that are evaluated again and again.
#[derive(Debug, Clone)]
pub struct Watch {
    alarms: Vec<Alarm>,
    /// The alarms that fire, and when each last did.
    firing: BTreeMap<String, Timestamp>,
    /// Since when samples have been taken without a gap.
    since: Timestamp,
    last: Timestamp,
}

impl Watch {
    /// Watches these alarms from `now` on. `firing` are those that fired when an earlier process ended; names that are
    /// of no present alarm are dropped.
    pub fn new(alarms: Vec<Alarm>, mut firing: BTreeSet<String>, now: Timestamp) -> Self {
        firing.retain(|name| alarms.iter().any(|alarm| alarm.name() == name));
        let firing = firing.into_iter().map(|name| (name, now)).collect();
        Self { alarms, firing, since: now, last: now }
    }

    /// The names of the alarms that fire.
    pub fn firing(&self) -> impl Iterator<Item = &str> {
        self.firing.keys().map(String::as_str)
    }

    /// Evaluates every alarm at `now`, the end of a minute, and returns those that began or ended.
    ///
    /// Samples of before the start are lost. So an alarm of an earlier process ends, and a heartbeat is missed, only
    /// after its whole window was watched; everything else can fire at once. The same applies after a gap.
    pub fn evaluate(&mut self, samples: &impl Samples, now: Timestamp) -> Vec<Transition> {
        if now < self.last || now.since(self.last) > GAP {
            self.since = now;
            self.firing.values_mut().for_each(|last| *last = now);
        }
        self.last = now;
        let mut changed = Vec::new();
        for alarm in &self.alarms {
            let has_window = now.since(self.since) >= alarm.window();
            let fires = alarm.fires(samples, now);
            let change = match (fires, self.firing.get_mut(alarm.name())) {
                (true, None) if has_window || !matches!(alarm.shape(), Shape::Heartbeat { .. }) => Change::Fired,
                (true, Some(last)) => {
                    *last = now;
                    continue;
                }
                (false, Some(last)) if has_window && now.since(*last) >= CALM => Change::Over,
                _ => continue,
            };
            match change {
                Change::Fired => _ = self.firing.insert(alarm.name().to_owned(), now),
                Change::Over => _ = self.firing.remove(alarm.name()),
            }
            changed.push(Transition {
                name: alarm.name().to_owned(),
                severity: alarm.severity(),
                says: alarm.says().to_owned(),
                change,
                at: now,
            });
        }
        changed
    }
}
