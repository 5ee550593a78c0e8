//! Random cases through the front door: submitted, answered, and decided again by a worker whose files, modes and
//! groups may have changed meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use domain::limits::Rate;
use edge_auth::EdgeAuth;
use integration_tests::{App, Client, Setup, sample::Sample};
use platform::{config::defaults::CHECKPOINT_MAX_AGE_S, runtime::Clock};
use serde_json::Value;
use service::controls;
use service::jobs::Decided;
use worker::Worker;

use super::{
    cases::{self, Dice},
    oracle::{self, Case, Yes},
};

/// The settings, as the oracle gets them.
struct Set {
    service_mode: u8,
    tool_modes: BTreeMap<&'static str, u8>,
    opened_until_s: Option<i64>,
    exported_at_s: Option<i64>,
}

struct Runtime {
    app: App,
    set: Set,
    /// With the policies that are built in, and with every example added.
    edges: [Arc<EdgeAuth>; 2],
    workers: [Arc<Worker>; 2],
}

impl Runtime {
    async fn start() -> Self {
        let edge = |edge: &mut platform::config::EdgeAuthConfig| {
            edge.limits.submissions = Rate::new(Duration::from_millis(1), 1000);
            edge.login_rate = Rate::new(Duration::from_millis(1), 1000);
        };
        let mut app = App::with(Setup { edge, ..Setup::default() }).await;
        let mut with = |policy| {
            app.new_edge(Some(policy));
            app.functions.edge_auth.clone()
        };
        let edges = cases::policies().map(&mut with);
        let workers = cases::policies().map(|policy| {
            app.new_worker(Some(policy));
            app.worker.clone()
        });
        // From a Monday on, whenever this is run.
        let into_the_week = (app.clock.now().millis() / 1000 + 3 * 86_400).rem_euclid(7 * 86_400);
        app.advance(Duration::from_secs(u64::try_from(7 * 86_400 - into_the_week).unwrap())).await;
        // Its number is larger than that of any checkpoint that `sweep` signs on the way, so those do not count.
        app.checkpoint(true).await;
        let exported_at_s = Some(app.clock.now().millis() / 1000);
        let set = Set { service_mode: 3, tool_modes: BTreeMap::new(), opened_until_s: None, exported_at_s };
        Self { app, set, edges, workers }
    }

    fn now_s(&self) -> i64 {
        self.app.clock.now().millis() / 1000
    }

    /// Changes some of what is set, and lets every function see it.
    async fn change(&mut self, dice: &mut Dice, case: &Case) {
        if dice.one_in(4) {
            self.set.service_mode = if dice.one_in(4) { u8::try_from(dice.roll(4)).unwrap() } else { 3 };
            self.app.mode(cases::mode(self.set.service_mode)).await;
        }
        if case.tool != "exec" && dice.one_in(4) {
            let level = if dice.one_in(4) { u8::try_from(dice.roll(4)).unwrap() } else { 3 };
            self.app.switch_tool(case.tool, cases::mode(level)).await;
            self.set.tool_modes.insert(case.tool, level);
        }
        if case.tool == "ledger_delete" && !dice.one_in(4) {
            let minutes = dice.pick(&[0, 5, 60]);
            self.app.open_tool(case.tool, minutes).await;
            self.set.opened_until_s = (minutes > 0).then(|| self.now_s() + i64::from(minutes) * 60);
        }
        if case.tool == "ledger_delete" && !dice.one_in(4) {
            let exported = !dice.one_in(4);
            self.app.checkpoint(exported).await;
            // One that is not exported takes nothing away from the one that was.
            self.set.exported_at_s = if exported { Some(self.now_s()) } else { self.set.exported_at_s };
        }
        self.app.advance(controls::MAX_AGE + Duration::from_secs(1)).await;
        // The clock goes on while the oracle is asked: not across an hour.
        if self.now_s() % 3600 > 3540 {
            self.app.advance(Duration::from_secs(60)).await;
        }
    }

    async fn groups(&self, client: &Client, groups: &[&str]) {
        let groups: BTreeSet<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        assert!(self.app.inspect().table().set_groups(client.user_id.parse().unwrap(), &groups).await.unwrap());
    }

    /// The case with the settings as they are now.
    fn seen(&self, case: &Case, examples: bool, yes: Yes) -> Case {
        Case {
            user: 0,
            broken: false,
            derived: false,
            audited: true,
            now_s: self.now_s(),
            service_mode: self.set.service_mode,
            tool_mode: self.set.tool_modes.get(case.tool).copied(),
            opened_until_s: self.set.opened_until_s,
            signed_at_s: self.set.exported_at_s,
            exported: true,
            max_age_s: i64::try_from(CHECKPOINT_MAX_AGE_S).unwrap(),
            examples,
            loose: false,
            yes,
            ..case.clone()
        }
    }
}

/// One case from login to its end; says what became of it.
async fn one(runtime: &mut Runtime, seed: u64) -> String {
    let mut dice = Dice::new(!seed);
    let mut case = cases::case(seed);
    // Cases that need an approval are more frequent than by chance.
    if dice.one_in(3) {
        case.tool = "ledger_pay";
        case.amount = dice.pick(&[21, 99, 100, 500, 501, 10_000]);
    }
    if dice.one_in(2) {
        case.groups.push("members");
    }
    let name = format!("u{seed}");
    if dice.one_in(6) {
        runtime.app.advance(Duration::from_secs(3600 * (1 + dice.roll(24)))).await;
    }
    runtime.change(&mut dice, &case).await;
    runtime.app.functions.edge_auth = runtime.edges[usize::from(case.examples)].clone();
    let client = runtime.app.login(&name).await;
    runtime.groups(&client, &case.groups).await;
    let id = runtime.app.new_id();
    let seen = runtime.seen(&case, case.examples, Yes::NotAsked);
    let expected = oracle::at_the_edge(&seen);
    let reply = client.submit(&id, case.tool, cases::arguments(&seen)).await;
    let told = format!("seed {seed}: {seen:?}: {}", reply.body);
    let yes = match expected {
        "run" => {
            assert_eq!((reply.status.as_u16(), &reply.body["status"]), (202, &Value::from("queued")), "{told}");
            Yes::NotAsked
        }
        "explain" => {
            assert_eq!((reply.status.as_u16(), &reply.body["status"]), (202, &Value::from("explained")), "{told}");
            assert_eq!(runtime.app.effects(&id), 0, "{told}");
            return "explained at the edge".to_owned();
        }
        "user" | "operator" => {
            assert_eq!((reply.status.as_u16(), &reply.body["status"]), (202, &"awaiting_approval".into()), "{told}");
            assert_eq!(reply.body["approval"]["approver"], expected, "{told}");
            match answer(runtime, &mut dice, &client, (&name, &id), expected).await {
                Yes::Open | Yes::No => return format!("{expected} did not say yes"),
                yes => yes,
            }
        }
        refused => {
            assert_eq!(reply.verdict(), (403, refused), "{told}");
            return format!("{refused} at the edge");
        }
    };
    let groups = if dice.one_in(3) { vec!["members", "newcomers"] } else { case.groups.clone() };
    runtime.groups(&client, &groups).await;
    runtime.change(&mut dice, &case).await;
    let examples = if dice.one_in(3) { !case.examples } else { case.examples };
    runtime.app.worker = runtime.workers[usize::from(examples)].clone();
    let seen = runtime.seen(&Case { groups, ..case }, examples, yes);
    let expected = oracle::at_the_worker(&seen);
    runtime.app.deliver().await;
    let job = runtime.app.finish(&client, &id).await;
    let told = format!("seed {seed}: {seen:?}: {job}");
    let (status, code, effects) = match expected {
        "send" if seen.tool == "ledger_fail" => ("failed", "tool_failed", 1),
        "send" => ("succeeded", "", ran(seen.tool)),
        "explain" => ("explained", "mode_explain_only", 0),
        refused => ("refused", refused, 0),
    };
    assert_eq!(job["status"], status, "{told}");
    assert_eq!(job["error"]["code"].as_str().unwrap_or_default(), code, "{told}");
    assert_eq!(runtime.app.effects(&id), effects, "{told}");
    format!("{expected} at the worker")
}

/// Approves, rejects, or waits until it is too late. The tool may run only after an approval by the required approver.
async fn answer(
    runtime: &mut Runtime,
    dice: &mut Dice,
    client: &Client,
    (name, id): (&str, &str),
    need: &'static str,
) -> Yes {
    let operator = need == "operator";
    if operator {
        assert_eq!(runtime.app.approve(client, name, id).await.verdict(), (403, "approval_by_operator"));
    }
    match dice.roll(6) {
        0 => {
            let job = runtime.app.finish(client, id).await;
            assert_eq!((&job["status"], runtime.app.effects(id)), (&"expired".into(), 0), "{id}: {job}");
            Yes::Open
        }
        1 => {
            if operator {
                let made = runtime.app.operator_decides(client, id, false).await;
                assert!(matches!(made, Decided::Made(_)), "{made:?}");
            } else {
                assert_eq!(client.reject(id).await.status, 200);
            }
            let job = client.job(id).await;
            assert_eq!(
                (&job["status"], &job["error"]["code"]),
                (&"refused".into(), &"approval_rejected".into()),
                "{job}"
            );
            Yes::No
        }
        _ if operator => {
            let made = runtime.app.operator_decides(client, id, true).await;
            assert!(matches!(made, Decided::Made(_)), "{made:?}");
            Yes::Operator
        }
        _ => {
            let reply = runtime.app.approve(client, name, id).await;
            assert_eq!(reply.status, 200, "{}", reply.body);
            Yes::User
        }
    }
}

/// Lines that a call of the tool leaves in the ledger.
fn ran(tool: &str) -> usize {
    match tool {
        // It deletes the ledger, with its own entries.
        "ledger_read" | "ledger_delete" => 0,
        "ledger_sleep" => 2,
        _ => 1,
    }
}

/// A run takes one case in so many.
const ONE_IN: usize = 3;

#[tokio::test]
async fn the_service_does_with_random_calls_what_the_oracle_says() {
    let mut runtime = Runtime::start().await;
    let mut became = BTreeMap::new();
    let sample = Sample::of_this_run();
    for seed in (0..300).filter(|seed| sample.takes(*seed, ONE_IN as u64)) {
        *became.entry(one(&mut runtime, seed).await).or_insert(0) += 1;
    }
    println!("POLICY through the front door {became:?}");
    for (what, of_all) in [
        ("send at the worker", 50),
        ("explained at the edge", 10),
        ("approval_insufficient at the worker", 1),
        ("policy_denied at the worker", 1),
        ("tool_not_opened at the edge", 1),
        ("audit_unproven at the edge", 1),
        ("user did not say yes", 3),
        ("operator did not say yes", 3),
    ] {
        let times = became.get(what).copied().unwrap_or(0);
        assert!(times >= sample.share(of_all, ONE_IN), "{what} is too rare: {became:?}");
    }
}
