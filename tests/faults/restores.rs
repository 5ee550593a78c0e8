//! A host that lost its disk, or its table only, and was restored from a backup of each instant.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use domain::{access::service_mode::Mode, policy::PolicyFiles};
use integration_tests::{App, Client, Sample, Setup, app::new_dir};
use local::{
    data::DataDir,
    host::backup::{self, BackupFault, BackupSettings, JournalAfter, Restore, Restored, Sources},
};
use platform::runtime::{Clock as _, Runtime, System};
use serde_json::{Value, json};

/// Longer than a phone's clock may run ahead: from then on new jobs are accepted.
const AFTERWARDS: Duration = Duration::from_secs(11 * 60);
const LEDGER: &str = "ledger.jsonl";
pub(super) const JOURNAL: &str = "journal.db";

/// A host, a backup before each write of a job, and the jobs after the last backup.
struct LostHost {
    app: App,
    home: PathBuf,
    backups: Vec<PathBuf>,
    /// Ran before the first backup.
    before: String,
    /// Submitted after the first backup; the backups lie between its writes.
    during: String,
    /// Asked for approval at the time of every backup; approved and run later.
    asked: String,
}

pub(super) fn write() -> Value {
    json!({ "tool": "ledger_append", "arguments": { "note": "once" } })
}

async fn accepted(app: &App, alice: &Client, body: &Value) -> String {
    let id = app.new_id();
    assert_eq!(alice.submit_body(&id, body).await.status, 202);
    id
}

async fn lost_host() -> LostHost {
    let home = new_dir();
    let mut app = App::with(Setup { data: Some(home.clone()), ..Setup::roomy() }).await;
    let alice = app.login("alice").await;
    let before = accepted(&app, &alice, &write()).await;
    assert_eq!(app.finish(&alice, &before).await["status"], "succeeded");
    let payment = json!({ "tool": "ledger_pay", "arguments": { "amount": 120, "note": "milk" } });
    let asked = accepted(&app, &alice, &payment).await;
    while app.deliver().await {}
    assert_eq!(alice.job(&asked).await["status"], "awaiting_approval");
    app.advance(Duration::from_secs(400)).await;
    app.sweep().await;

    let alice = app.login("alice").await;
    let backups = Arc::new(Mutex::new(Vec::new()));
    take_backups(&app, &home, backups.clone());
    let during = accepted(&app, &alice, &write()).await;
    assert_eq!(app.finish(&alice, &during).await["status"], "succeeded");
    app.faults.none();
    let backups = backups.lock().unwrap().clone();
    assert!(backups.len() >= 6, "{backups:?}");

    assert_eq!(app.approve(&alice, "alice", &asked).await.status, 200);
    assert_eq!(app.finish(&alice, &asked).await["status"], "succeeded");
    assert_eq!((app.effects(&before), app.effects(&during), app.effects(&asked)), (1, 1, 1));
    app.advance(Duration::from_secs(400)).await;
    app.sweep().await;
    app.gateway().kill().await;
    LostHost { app, home, backups, before, during, asked }
}

/// Makes a backup before each write of the service to its table.
fn take_backups(app: &App, home: &Path, made: Arc<Mutex<Vec<PathBuf>>>) {
    let sources = Sources { data: home.to_owned(), config_file: None, policy_dir: None, credentials: None };
    let settings = BackupSettings {
        dir: home.join("backups"),
        keep: 1000,
        min_free_mb: 0,
        journal: Some(home.join(JOURNAL)),
        after_command: None,
    };
    let clock = app.clock.clone();
    app.faults.plan(move |operation, n| {
        if matches!(operation, "PutItem" | "UpdateItem") {
            let at = clock.now().plus(Duration::from_millis(n));
            made.lock().unwrap().push(backup::create(&sources, &settings, at).unwrap().file);
        }
        None
    });
}

/// Restores a backup of a host on another host. What the tools have done outside stays done.
pub(super) async fn restored(old: &App, home: &Path, file: &Path, keep_journal: bool) -> (App, Client, Restored) {
    let dir = new_dir();
    let data = DataDir::take_for_restore(&dir).unwrap();
    fs::copy(home.join(LEDGER), dir.join(LEDGER)).unwrap();
    if keep_journal {
        for suffix in ["", "-wal"] {
            let name = format!("{JOURNAL}{suffix}");
            fs::copy(home.join(&name), dir.join(&name)).unwrap();
        }
    }
    let (journal, checkpoints) = (dir.join(JOURNAL), home.join("checkpoints"));
    let restored = backup::restore(Restore {
        file,
        data: &data,
        journal: Some(&journal),
        checkpoints: Some(&checkpoints),
        configuration: None,
        policy: PolicyFiles::built_in(),
        retention: Duration::from_secs(30 * 86_400),
        runtime: Runtime::new(Arc::new(old.clock.clone()), Arc::new(System)),
    });
    let restored = restored.await.unwrap();
    drop(data);
    let mut app = App::with(Setup { data: Some(dir), mode: None, ..Setup::roomy() }).await;
    app.advance(Duration::from_millis(old.clock.ahead_ms().unsigned_abs()) + AFTERWARDS).await;
    let alice = app.login("alice").await;
    let closed = alice.submit_body(&app.new_id(), &write()).await;
    assert_eq!(closed.verdict(), (403, "mode_closed"), "{}", closed.body);
    app.mode(Mode::Full).await;
    app.advance(service::controls::MAX_AGE).await;
    (app, alice, restored)
}

impl LostHost {
    async fn restored(&self, file: &Path, keep_journal: bool) -> (App, Client, Restored) {
        restored(&self.app, &self.home, file, keep_journal).await
    }
}

/// Sends a request again with its id: at most its first effect is there in the end.
async fn resent(app: &mut App, alice: &Client, id: &str, body: &Value) -> Value {
    let reply = alice.submit_body(id, body).await;
    let job = match reply.verdict() {
        (410, "request_id_expired") => return json!("refused"),
        (200, _) => app.finish(alice, id).await,
        verdict => panic!("{verdict:?}: {}", reply.body),
    };
    job["status"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_between_any_two_writes_restores_without_a_second_effect() {
    let host = lost_host().await;
    let sample = Sample::of_this_run();
    for (place, file) in host.backups.iter().enumerate() {
        // The first is from before the job was accepted.
        if place > 0 && !sample.takes(place as u64, 4) {
            continue;
        }
        let (mut app, alice, restored) = host.restored(file, false).await;
        assert_eq!(restored.journal, JournalAfter::Installed, "{place}");
        let lost = restored.lost.unwrap();
        assert!(lost.broken > 0 && restored.report.broken == 0, "{place}: {lost:?}");
        if place == 0 {
            assert!(lost.faults.iter().any(|fault| fault.contains("the job is missing")), "{:?}", lost.faults);
        }
        // Each request is sent again twice: nothing runs a second time.
        for _ in 0..2 {
            assert_eq!(resent(&mut app, &alice, &host.before, &write()).await, "succeeded");
            let ended = resent(&mut app, &alice, &host.during, &write()).await;
            let expected = if place == 0 { "refused" } else { "unknown" };
            assert!(ended == expected || ended == "refused" || ended == "succeeded", "{place}: {ended}");
        }
        let asked = alice.job(&host.asked).await;
        assert_eq!((&asked["status"], &asked["effect"]), (&json!("unknown"), &json!("unknown")), "{place}: {asked}");
        for id in [&host.before, &host.during, &host.asked] {
            assert_eq!(app.effects(id), 1, "{place}: {id}");
        }
        let fresh = app.run(&alice, "ledger_append", json!({ "note": "after" })).await;
        assert_eq!(fresh["status"], "succeeded", "{place}: a new job runs");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateways_present_journal_stays_and_what_was_open_is_unknown_all_the_same() {
    let host = lost_host().await;
    let middle = &host.backups[host.backups.len() / 2];
    let (mut app, alice, restored) = host.restored(middle, true).await;
    assert_eq!(restored.journal, JournalAfter::Kept);
    assert!(restored.ended > 0);
    resent(&mut app, &alice, &host.during, &write()).await;
    assert_eq!(alice.job(&host.asked).await["effect"], "unknown");
    for id in [&host.before, &host.during, &host.asked] {
        assert_eq!(app.effects(id), 1, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_with_a_fault_changes_nothing_of_the_old_state() {
    let mut host = lost_host().await;
    let whole = host.backups.pop().unwrap();
    backup::verify(&whole).unwrap();
    let data = DataDir::take_for_restore(&host.home).unwrap();
    let table = fs::read(host.home.join("table.db")).unwrap();
    let bytes = fs::read(&whole).unwrap();
    let damaged = host.home.join("damaged.tar");
    for (name, found) in [
        ("cut short", bytes.get(..bytes.len() / 2).unwrap().to_vec()),
        ("one bit of the table", {
            let mut bytes = bytes.clone();
            *bytes.get_mut(5000).unwrap() ^= 1;
            bytes
        }),
    ] {
        fs::write(&damaged, found).unwrap();
        let refused = backup::restore(Restore {
            file: &damaged,
            data: &data,
            journal: None,
            checkpoints: None,
            configuration: None,
            policy: PolicyFiles::built_in(),
            retention: Duration::from_secs(30 * 86_400),
            runtime: Runtime::system(),
        });
        assert!(matches!(refused.await, Err(BackupFault::NotABackup { .. })), "{name}");
        assert!(matches!(backup::verify(&damaged), Err(BackupFault::NotABackup { .. })), "{name}");
        assert_eq!(fs::read(host.home.join("table.db")).unwrap(), table, "{name}");
    }
    // A restore that was interrupted is said, and does not look like a new host.
    fs::write(data.restoring(), "").unwrap();
    drop(data);
    let refused = DataDir::take(&host.home).unwrap_err().to_string();
    assert!(refused.contains("interrupted"), "{refused}");
}
