//! State of the alarms that the next process needs.

use std::{collections::BTreeSet, path::Path};

use domain::{
    alarms::{Alarm, Change, Transition},
    ids::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::data::{DataError, read_state, write_state};

/// Alarms when a process ends.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct State {
    /// The names of those that fire. They are not reported again.
    firing: BTreeSet<String>,
    /// Changes that no message has reported yet, oldest first. Otherwise a restart would lose an alarm whose message was not
    /// taken.
    waiting: Vec<Waiting>,
}

/// An alarm that began or ended, and that no message has reported yet. The alarm tables have its other fields.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    name: String,
    /// Whether it has ended.
    is_over: bool,
    at: Timestamp,
}

impl State {
    /// The state to be kept.
    pub(super) fn of<'a>(firing: impl Iterator<Item = &'a str>, waiting: &[Transition]) -> Self {
        let kept =
            |one: &Transition| Waiting { name: one.name.clone(), is_over: one.change == Change::Over, at: one.at };
        Self { firing: firing.map(str::to_owned).collect(), waiting: waiting.iter().map(kept).collect() }
    }

    /// The names of the firing alarms, and the unreported changes. Names of removed alarms are dropped.
    pub(super) fn resume(self, alarms: &[Alarm]) -> (BTreeSet<String>, Vec<Transition>) {
        let transition = |Waiting { name, is_over, at }: Waiting| {
            let alarm = alarms.iter().find(|alarm| alarm.name() == name)?;
            let change = if is_over { Change::Over } else { Change::Fired };
            Some(Transition { name, severity: alarm.severity(), says: alarm.says().to_owned(), change, at })
        };
        (self.firing, self.waiting.into_iter().filter_map(transition).collect())
    }

    /// Reads the file. Without a readable one nothing fires.
    pub(super) fn read(file: &Path) -> Self {
        read_state(file)
    }

    /// Replaces the file.
    pub(super) fn write(&self, file: &Path) -> Result<(), DataError> {
        write_state(file, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::alarms::AlarmTable;

    #[test]
    fn what_waits_goes_on_as_it_was_and_a_file_of_before_has_none() {
        let table = AlarmTable::of_one_host().unwrap();
        let of = |alarm: &Alarm, change| Transition {
            name: alarm.name().to_owned(),
            severity: alarm.severity(),
            says: alarm.says().to_owned(),
            change,
            at: Timestamp::from_millis(1_795_341_600_000),
        };
        let alarm = &table.alarms()[0];
        let waiting = vec![of(alarm, Change::Fired), of(alarm, Change::Over)];
        let gone = Transition { name: "no-alarm-any-more".to_owned(), ..waiting[0].clone() };
        let firing = BTreeSet::from(["disk-low".to_owned()]);
        let state = State::of(["disk-low"].into_iter(), &[waiting.clone(), vec![gone]].concat());
        let read = |text: &str| domain::json::kept::<State>(text).unwrap().resume(table.alarms());
        assert_eq!(read(&serde_json::json!(state).to_string()), (firing.clone(), waiting));
        assert_eq!(read(r#"{"firing":["disk-low"]}"#), (firing, Vec::new()));
        assert_eq!(State::read(Path::new("/does/not/exist/alerts.json")), State::default());
    }
}
