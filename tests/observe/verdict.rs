//! Which alarms fire while a fault lasts.

use std::collections::BTreeMap;

use domain::alarms::{Alarm, AlarmTable, Change, Level};
use local::host::alerts::not_on_one_host;

use crate::{faults::Injected, rollbacks, run::Run};

/// How long a run is quiet before anything else is done to it: the window of most alarms.
const QUIET: i64 = 6;
/// Within this time every alarm has ended.
const WAIT_LIMIT: i64 = 40;

/// Every alarm, in the order of the table.
pub(crate) fn alarms() -> Vec<Alarm> {
    let mut all = AlarmTable::built_in().expect("the table can be read").alarms().to_vec();
    all.extend(rollbacks::alarms());
    all
}

/// Runs on a thread of its own: so long a run keeps more than the stack of a test's thread holds in a debug build.
pub(crate) fn on_a_deep_stack<F: Future<Output = ()>>(whole: impl FnOnce() -> F + Send + 'static) {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("there is a runtime");
        runtime.block_on(whole());
    };
    let thread = std::thread::Builder::new().stack_size(64 * 1024 * 1024).spawn(run).expect("there is a thread");
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// A run with what is claimed of it so far.
pub(crate) struct Verdict {
    pub(crate) run: Run,
    alarms: Vec<Alarm>,
    wrong: Vec<String>,
    began: i64,
}

impl Verdict {
    pub(crate) async fn start() -> Self {
        let run = Run::warmed_up().await;
        Self { began: run.minute(), run, alarms: alarms(), wrong: Vec::new() }
    }

    /// Compares what fired since the last fault was over with what this one claims, and waits until that is over too.
    pub(crate) async fn of(&mut self, fault: &Injected) {
        self.run.quiet(2).await;
        let ended = self.run.minute();
        let mut recovered = self.run.quiet(QUIET).await;
        while !self.firing(recovered).is_empty() && recovered < ended + WAIT_LIMIT {
            recovered = self.run.quiet(1).await;
        }
        let fired = self.fired(ended);
        let said: Vec<String> = fired.iter().map(|(name, minute)| format!("\"{name}\": {minute}")).collect();
        #[expect(clippy::print_stdout, reason = "the table that the documentation quotes")]
        {
            println!("{}: {}", fault.says, said.join(", "));
        }
        let claimed: BTreeMap<&str, i64> = fault.fires.iter().copied().collect();
        let in_time =
            |(name, minute): (&String, &i64)| claimed.get(name.as_str()).is_some_and(|within| minute <= within);
        if fired.len() != claimed.len() || !fired.iter().all(in_time) {
            self.wrong.push(format!("{}: fired {}, claimed {claimed:?}", fault.says, said.join(", ")));
        }
        self.run.calm_on_one_host(WAIT_LIMIT).await;
        self.told_on_one_host(fault, &claimed);
        let still = self.firing(recovered);
        if !still.is_empty() {
            self.wrong.push(format!("{}: {still:?} did not end", fault.says));
        }
        self.began = self.run.minute();
    }

    /// On one host the same alarms fire, except those that do not apply there; each begin and end is reported once.
    fn told_on_one_host(&mut self, fault: &Injected, claimed: &BTreeMap<&str, i64>) {
        let left_out = not_on_one_host().expect("the table can be read");
        let is_here = |name: &&str| !name.ends_with("Rollback") && !left_out.contains_key(*name);
        let expected: BTreeMap<&str, i64> =
            claimed.iter().filter(|(name, _)| is_here(name)).map(|(name, within)| (*name, *within)).collect();
        let told = std::mem::take(&mut self.run.told);
        let of = |change: Change| {
            let those = told.iter().filter(move |(_, one)| one.change == change);
            those.map(|(minute, one)| (one.name.as_str(), minute - self.began)).collect::<Vec<_>>()
        };
        let (fired, over) = (of(Change::Fired), of(Change::Over));
        let in_time = |(name, minute): &(&str, i64)| expected.get(name).is_some_and(|within| minute <= within);
        if fired.len() != expected.len() || over.len() != fired.len() || !fired.iter().all(in_time) {
            self.wrong.push(format!("{}, on one host: {fired:?}, over {over:?}, claimed {expected:?}", fault.says));
        }
    }

    /// Fails unless every fault fired exactly what it claims.
    pub(crate) fn end(self) {
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
    }

    /// The alarms that fire up to the end of a minute, and in which minute after the beginning they first do.
    fn fired(&self, until: i64) -> BTreeMap<String, i64> {
        let mut fired = BTreeMap::new();
        for level in [Level::Basic, Level::Full] {
            let captured = self.run.captured(level);
            for alarm in self.alarms.iter().filter(|alarm| alarm.level() == level) {
                let first = (self.began + 1..=until).find(|minute| alarm.fires(captured, self.run.end_of(*minute)));
                if let Some(minute) = first {
                    fired.insert(alarm.name().to_owned(), minute - self.began);
                }
            }
        }
        fired
    }

    fn firing(&self, minute: i64) -> Vec<String> {
        let captured = self.run.captured(Level::Full);
        let fires = |alarm: &&Alarm| alarm.fires(captured, self.run.end_of(minute));
        self.alarms.iter().filter(fires).map(|alarm| alarm.name().to_owned()).collect()
    }
}
