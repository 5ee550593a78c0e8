//! Backups of a busy host whose processes are killed at their writes, each restored on another host.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use integration_tests::{App, Client, Fault, Sample, Setup, app::new_dir};
use local::host::backup::{self, BackupSettings, JournalAfter, Sources};
use platform::runtime::Clock as _;
use serde_json::{Value, json};

use super::restores::{JOURNAL, restored, write};

/// Jobs that are submitted at once.
const AT_ONCE: usize = 4;
/// One process is killed at each of so many of its writes, more than submission and execution of the jobs have.
const WRITES: u64 = 60;

/// Makes backups, one at a time.
#[derive(Clone)]
struct Backups {
    home: PathBuf,
    clock: integration_tests::clock::ManualClock,
    count: Arc<AtomicU64>,
    made: Arc<Mutex<Vec<PathBuf>>>,
}

impl Backups {
    fn of(app: &App, home: &Path) -> Self {
        Self { home: home.to_owned(), clock: app.clock.clone(), count: Arc::default(), made: Arc::default() }
    }

    fn make(&self) {
        let sources = Sources { data: self.home.clone(), config_file: None, policy_dir: None, credentials: None };
        let settings = BackupSettings {
            dir: self.home.join("backups"),
            keep: 1000,
            min_free_mb: 0,
            journal: Some(self.home.join(JOURNAL)),
            after_command: None,
        };
        let mut made = self.made.lock().unwrap();
        // The name has the time, to the millisecond.
        let at = self.clock.now().plus(Duration::from_millis(self.count.fetch_add(1, Ordering::SeqCst)));
        made.push(backup::create(&sources, &settings, at).unwrap().file);
    }

    /// Makes one after the other until it is told to stop.
    fn make_until(&self, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
        let backups = self.clone();
        std::thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                backups.make();
                std::thread::sleep(Duration::from_millis(50));
            }
        })
    }

    fn newest(&self) -> PathBuf {
        self.made.lock().unwrap().last().unwrap().clone()
    }
}

/// Submits some jobs at once and delivers them, until the process is killed at a write. Returns the jobs, and whether it was
/// killed.
async fn killed_at(app: &mut App, alice: &Client, place: u64) -> (Vec<String>, bool) {
    let ids: Vec<String> = (0..AT_ONCE).map(|_| app.new_id()).collect();
    let writes = Arc::new(AtomicU64::new(0));
    let fault = if place.is_multiple_of(2) { Fault::KilledBefore } else { Fault::KilledAfter };
    let seen = writes.clone();
    app.faults.plan(move |operation, _| {
        let is_write = matches!(operation, "PutItem" | "UpdateItem");
        (is_write && seen.fetch_add(1, Ordering::SeqCst) == place).then_some(fault)
    });
    let body = write();
    for id in &ids {
        let submitted = tokio::select! {
            reply = alice.submit_body(id, &body) => reply.status.as_u16(),
            () = app.faults.killed() => 0,
        };
        assert!([0, 202].contains(&submitted), "{place}: {submitted}");
    }
    for _ in 0..3 {
        app.deliver().await;
        app.advance(Duration::from_millis(300)).await;
    }
    (ids, writes.load(Ordering::SeqCst) > place)
}

/// A busy host, with a backup after each kill and those that a thread has made all the time.
async fn busy_host(home: &Path) -> (App, Vec<String>, Vec<PathBuf>, Vec<PathBuf>) {
    let mut app = App::with(Setup { data: Some(home.to_owned()), ..Setup::roomy() }).await;
    let (backups, stop) = (Backups::of(&app, home), Arc::new(AtomicBool::new(false)));
    let maker = backups.make_until(stop.clone());
    let (sample, mut jobs, mut after_kills) = (Sample::of_this_run(), Vec::new(), Vec::new());
    for place in (0..WRITES).filter(|place| sample.takes(*place, 10)) {
        let alice = app.login("alice").await;
        let (ids, was_killed) = killed_at(&mut app, &alice, place).await;
        app.faults.none();
        if was_killed {
            backups.make();
            after_kills.push(backups.newest());
        }
        for id in &ids {
            // The phone repeats what was not answered.
            let reply = alice.submit_body(id, &write()).await;
            assert!([200, 202].contains(&reply.status.as_u16()), "{place}: {}", reply.body);
            assert_eq!(app.finish(&alice, id).await["status"], "succeeded", "{place}");
        }
        jobs.extend(ids);
    }
    stop.store(true, Ordering::SeqCst);
    maker.join().unwrap();
    let made = backups.made.lock().unwrap().clone();
    let all_the_time = made.into_iter().filter(|file| !after_kills.contains(file)).collect();
    (app, jobs, after_kills, all_the_time)
}

/// Sends every request again, twice. What the backup knows is answered, what it does not know is refused.
async fn all_resent(app: &mut App, alice: &Client, jobs: &[String]) -> usize {
    let mut answered = 0;
    for id in [jobs, jobs].concat() {
        let reply = alice.submit_body(&id, &write()).await;
        if reply.verdict() == (410, "request_id_expired") {
            continue;
        }
        assert_eq!(reply.status, 200, "{}", reply.body);
        let status = app.finish(alice, &id).await["status"].clone();
        assert!(status == "succeeded" || status == "unknown", "{id}: {status}");
        alice.records(&id).await;
        answered += 1;
    }
    answered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_with_a_kill_at_each_write_restores_whole_chains_and_no_second_effect() {
    let home = new_dir();
    let (mut app, jobs, after_kills, all_the_time) = busy_host(&home).await;
    assert!(after_kills.len() >= 3 && all_the_time.len() >= 3, "{} {}", after_kills.len(), all_the_time.len());
    for id in &jobs {
        assert_eq!(app.effects(id), 1, "{id}");
    }
    app.gateway().kill().await;
    let every = |files: &[PathBuf], count: usize| -> Vec<PathBuf> {
        files.iter().step_by(files.len().div_ceil(count)).cloned().collect()
    };
    let (mut known, mut journals) = (Vec::new(), [false, true].into_iter().cycle());
    for file in [every(&after_kills, 3), every(&all_the_time, 1)].concat() {
        let keeps_journal = journals.next().unwrap();
        let (mut there, alice, restored) = restored(&app, &home, &file, keeps_journal).await;
        let expected = if keeps_journal { JournalAfter::Kept } else { JournalAfter::Installed };
        assert_eq!((restored.journal, restored.report.broken), (expected, 0), "{}", file.display());
        known.push(all_resent(&mut there, &alice, &jobs).await);
        for id in &jobs {
            assert_eq!(there.effects(id), 1, "{}: {id}", file.display());
        }
        let fresh = there.run(&alice, "ledger_append", json!({ "note": "after" })).await;
        assert_eq!(fresh["status"], Value::from("succeeded"), "a new job runs");
    }
    assert!(known.iter().any(|known| *known > 0), "some backup knows some job: {known:?}");
    assert!(known.iter().any(|known| *known < 2 * jobs.len()), "and some does not know all: {known:?}");
}
