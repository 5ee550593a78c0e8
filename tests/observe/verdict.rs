//! Which alarms a run fires.

use std::collections::BTreeMap;

use crate::{
    alarm::{alarms, rules},
    missing::State,
    run::{Run, WARM_UP},
    template::resources,
};

/// Every alarm that fires in a run, and in which minute after the warm-up it does first: 1 is the minute that a fault
/// begins in.
pub(crate) fn fired(run: &Run) -> BTreeMap<String, i64> {
    let resources = resources();
    let (rules, (captured, (from, to))) = (rules(&resources), run.captured());
    let mut fired = BTreeMap::new();
    for alarm in alarms(&resources) {
        let states = alarm.states(&captured, &rules, from, to);
        if let Some((at, _)) = states.into_iter().find(|(_, state)| *state == State::Alarm) {
            fired.insert(alarm.claim, (at - from) / 60_000 - 1);
        }
    }
    fired
}

/// Stops the run, prints what fired and when, and fails unless it is exactly this, each in time.
pub(crate) async fn fires_exactly(run: Run, expected: &[(&str, i64)]) {
    let fired = fired(&run);
    #[expect(clippy::print_stdout, reason = "the table that the documentation quotes")]
    for (minute, mark) in &run.marks {
        let list: Vec<String> = fired.iter().map(|(claim, minute)| format!("{claim} (minute {minute})")).collect();
        println!("minute {}: {mark}: {}", minute - WARM_UP + 1, list.join(", "));
    }
    run.stop().await;
    let mut names: Vec<&str> = expected.iter().map(|(claim, _)| *claim).collect();
    names.sort_unstable();
    assert_eq!(fired.keys().map(String::as_str).collect::<Vec<_>>(), names);
    for (claim, within) in expected {
        assert!((1..=*within).contains(&fired[*claim]), "{claim} fires in minute {}", fired[*claim]);
    }
}
