//! Random combinations of faults: between service, table and queue, of the gateway, results that
//! some parser refuses, two workers that get the same messages. The seed of a failing run is in its
//! message.

use std::time::Duration;

use integration_tests::{App, Client, Fault, Sample, Setup};
use serde_json::json;

/// SplitMix64: the same seed, the same run of decisions.
#[derive(Clone)]
struct Dice(std::sync::Arc<std::sync::atomic::AtomicU64>);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(std::sync::Arc::new(std::sync::atomic::AtomicU64::new(seed)))
    }

    fn roll(&self, sides: u64) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15_u64;
        let mut z = self.0.fetch_add(step, std::sync::atomic::Ordering::SeqCst).wrapping_add(step);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// From now on, requests get random faults.
fn disturb(app: &App, dice: &Dice) {
    let faulty = dice.clone();
    app.faults.plan(move |_, _| match faulty.roll(12) {
        0 => Some(Fault::LostBefore),
        1 => Some(Fault::LostAfter),
        2 => Some(Fault::Twice),
        3 if faulty.roll(3) == 0 => Some(Fault::KilledBefore),
        4 if faulty.roll(3) == 0 => Some(Fault::KilledAfter),
        _ => None,
    });
}

/// The host's clock jumps, expired items are deleted by it, and its user logs in again: the session is over, or not
/// begun.
async fn jump(app: &mut App, days: i64) -> Client {
    app.faults.none();
    app.jump(days).await;
    app.expired_items().delete().await.unwrap();
    app.login("alice").await
}

const TOOLS: [&str; 4] = ["ledger_append", "ledger_append_once", "ledger_read", "ledger_fail"];

/// Half an emoji, deep nesting, keys that parsers take for something else, a key twice, and bytes that are no UTF-8.
const CONTENTS: [fn() -> Vec<u8>; 6] = [
    || br#"{"details":"half \ud83d"}"#.to_vec(),
    || format!("{}{}", "[".repeat(150), "]".repeat(150)).into_bytes(),
    || br#"{"details":{"$serde_json::private::RawValue":"nope"}}"#.to_vec(),
    || br#"{"details":[{"__proto__":{"isError":true}}]}"#.to_vec(),
    || br#"{"details":1,"details":2}"#.to_vec(),
    || b"{\"details\":\"\xff\xc3\"}".to_vec(),
];

async fn one_run(app: &mut App, seed: u64, jumps: &mut Vec<i64>) -> String {
    let dice = Dice::new(seed);
    let tool = TOOLS[usize::try_from(dice.roll(4)).unwrap()];
    let mut alice = app.login("alice").await;
    let mut jumped_days = 0;
    let id = app.new_id();
    let arguments = match tool {
        "ledger_read" => json!({}),
        "ledger_fail" => json!({"kind":"throw"}),
        _ => json!({"note":"n"}),
    };
    disturb(app, &dice);
    let mut accepted = false;
    let mut killed = false;
    for round in 0..12 {
        if !accepted {
            accepted = tokio::select! {
                reply = alice.submit(&id, tool, arguments.clone()) => [200, 202].contains(&reply.status.as_u16()),
                () = app.faults.killed() => false,
            };
        }
        let path = ["/miniprogram/v1/invoke", "/tools/invoke"][usize::try_from(dice.roll(2)).unwrap()];
        match dice.roll(10) {
            // A result, or a response of the journal, has content that some parser refuses.
            4 | 5 => {
                let content = &CONTENTS[usize::try_from(dice.roll(CONTENTS.len() as u64)).unwrap()];
                app.gateway().next_content(path, &content(), 1).await;
            }
            0 => app.gateway().next(path, "reset_before", None, 1).await,
            1 => app.gateway().next(path, "reset_after", None, 1).await,
            2 => app.gateway().next(path, "status", Some(503), 1).await,
            3 if round > 2 && !killed => {
                killed = true;
                app.gateway().restart().await;
            }
            _ => {}
        }
        if dice.roll(4) == 0 {
            app.wake(&alice, &id).await;
        }
        app.deliver().await;
        app.advance(Duration::from_secs([1, 5, 20, 61][usize::try_from(dice.roll(4)).unwrap()])).await;
        if dice.roll(3) == 0 {
            app.sweep().await;
        }
        if dice.roll(10) == 0 && accepted {
            tokio::select! { _ = alice.cancel(&id) => {}, () = app.faults.killed() => {} }
        }
        if dice.roll(10) == 0 {
            app.delays.lose_all();
        }
        if dice.roll(12) == 0 {
            let days = if jumped_days == 0 { [40, -40][usize::try_from(dice.roll(2)).unwrap()] } else { -jumped_days };
            jumped_days += days;
            jumps.push(days);
            alice = jump(app, days).await;
            disturb(app, &dice);
        }
    }
    // The clock is corrected, if necessary.
    alice = jump(app, -jumped_days).await;
    if !accepted {
        assert!([200, 202].contains(&alice.submit(&id, tool, arguments).await.status.as_u16()), "seed {seed}");
    }
    // Without faults the job ends (invariant 13).
    app.advance(Duration::from_secs(61)).await;
    app.sweep().await;
    let job = app.finish(&alice, &id).await;
    let effects = app.effects(&id);
    let status = job["status"].as_str().unwrap().to_owned();
    let story = format!("seed {seed}, {tool}, {effects} effects: {job}");
    assert!(effects <= 1, "{story}");
    match (status.as_str(), tool) {
        (_, "ledger_read") => assert_eq!(effects, 0, "{story}"),
        ("succeeded", _) => assert_eq!(effects, 1, "{story}"),
        ("failed", _) if job["effect"] == "ran" => assert_eq!(effects, 1, "{story}"),
        ("unknown", _) => {}
        // An earlier repetition may have run, so it is not denied.
        (_, "ledger_append_once") if job["effect"] == "unknown" => {}
        _ => assert_eq!((effects, &job["effect"]), (0, &json!("not_run")), "{story}"),
    }
    let audit = alice.get(&format!("/v1/jobs/{id}/audit")).await;
    assert_eq!(audit.status, 200, "{story}");
    let omitted = job["result"]["omitted"].as_str().map(|why| format!(" {why}")).unwrap_or_default();
    format!("{tool} {status}{omitted}")
}

#[tokio::test]
async fn under_random_faults_there_is_one_effect_at_most_and_a_true_answer() {
    let unlimited = |edge: &mut platform::config::EdgeAuthConfig| {
        edge.limits.submissions = domain::limits::Rate::new(Duration::from_millis(1), 1000);
    };
    let sample = Sample::of_this_run();
    let mut jumps = Vec::new();
    let mut ends = std::collections::BTreeMap::<String, usize>::new();
    for block in 0..6_u64 {
        let mut app = App::with(Setup { edge: unlimited, ..Setup::default() }).await;
        // As a host does when it starts.
        app.expired_items().read_clock().await.unwrap();
        for seed in (block * 20..(block + 1) * 20).filter(|seed| sample.takes(*seed, 5)) {
            *ends.entry(one_run(&mut app, seed, &mut jumps).await).or_default() += 1;
        }
    }
    let ahead = jumps.iter().filter(|days| **days > 0).count();
    println!(
        "CHAOS {} of 120 runs: {ends:?}; the clock jumped 40 days ahead {ahead} times, back {} times",
        ends.values().sum::<usize>(),
        jumps.len() - ahead
    );
}
