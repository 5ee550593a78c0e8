//! Random cases, with more weight on what lies on either side of a limit; and the same cases in the service's own
//! terms.

use std::{collections::BTreeSet, time::Duration};

use domain::{
    access::service_mode::{CheckpointSeen, Controls, Mode, Setting, ToolSwitch},
    ids::{Approver, Digest, OperatorId, Timestamp, UserId},
    job::approval::{Approval, DecidedBy, Decision},
    policy::{CallQuery, Gate, Policy, PolicyFiles, TurnGate, TurnQuery},
};
use serde_json::{Value, json};

use super::oracle::{Case, Yes};

pub(super) const TOOLS: [&str; 9] = [
    "ledger_append",
    "ledger_append_once",
    "ledger_read",
    "ledger_sleep",
    "ledger_fail",
    "ledger_pay",
    "ledger_pay",
    "ledger_delete",
    "exec",
];

/// SplitMix64: the same seed, the same case.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    pub(super) fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.roll(from.len() as u64)).unwrap()]
    }

    fn signed(&mut self, sides: u64) -> i64 {
        i64::try_from(self.roll(sides)).unwrap()
    }
}

/// The case of a seed.
pub(super) fn case(seed: u64) -> Case {
    let mut dice = Dice::new(seed);
    let tool = dice.pick(&TOOLS);
    let edges = [1, 20, 21, 99, 100, 499, 500, 501, 9_999, 10_000, 10_001, 1_000_000];
    let amount = if dice.one_in(2) { dice.pick(&edges) } else { dice.signed(12_000) + 1 };
    // Four months around the end of a year; every fifth case on the hour, or a second off it.
    let hours = 1_793_491_200 / 3600 + dice.signed(120 * 24);
    let now_s = hours * 3600 + if dice.one_in(5) { dice.pick(&[-1, 0, 1]) } else { dice.signed(3600) };
    let max_age_s = dice.pick(&[60, 900]);
    let (near, ages) = ([-1, 0, 1, 600], [0, max_age_s - 1, max_age_s, max_age_s + 1]);
    let groups = ["members", "newcomers", "testers", "others"];
    let opens = dice.one_in(2);
    Case {
        user: u8::from(dice.one_in(8)),
        groups: groups.into_iter().filter(|_| dice.one_in(2)).collect(),
        tool,
        amount,
        note: dice.pick(&["two coffees", "see https://example.com", "://", "两杯咖啡", "a:/\u{202e}/b"]),
        broken: dice.one_in(40) && ["ledger_append", "ledger_append_once", "ledger_fail", "ledger_pay"].contains(&tool),
        derived: dice.one_in(4),
        audited: !dice.one_in(10),
        now_s,
        service_mode: if dice.one_in(2) { 3 } else { u8::try_from(dice.roll(4)).unwrap() },
        tool_mode: dice.one_in(3).then(|| u8::try_from(dice.roll(4)).unwrap()),
        opened_until_s: (opens || !dice.one_in(3)).then(|| now_s + dice.pick(&near)),
        signed_at_s: (!dice.one_in(4)).then(|| now_s - dice.pick(&ages)),
        exported: !dice.one_in(4),
        max_age_s,
        examples: dice.one_in(2),
        yes: dice.pick(&[Yes::NotAsked, Yes::Open, Yes::No, Yes::User, Yes::Operator]),
        loose: dice.one_in(3),
        agent: if dice.one_in(20) { "nobody" } else { "main" },
    }
}

/// The arguments of a case.
pub(super) fn arguments(case: &Case) -> Value {
    match case.tool {
        _ if case.broken => json!({}),
        "ledger_append" | "ledger_append_once" => json!({ "note": case.note }),
        "ledger_sleep" => json!({ "ms": 0, "note": case.note }),
        "ledger_fail" => json!({ "kind": "result" }),
        "ledger_pay" => json!({ "amount": case.amount, "note": case.note }),
        _ => json!({}),
    }
}

/// The policies that are built in, and the same with every example added.
pub(super) fn policies() -> [Policy; 2] {
    let files = PolicyFiles::built_in();
    let examples = files.text("examples.cedar.txt").unwrap().to_owned();
    [Policy::parse(&files).unwrap(), Policy::parse(&files.with("examples.cedar", examples)).unwrap()]
}

/// The same with policies that permit everything that no other policy forbids.
pub(super) fn loose_policies() -> [Policy; 2] {
    const LOOSE: &str = "
        @id(\"everything-runs\")
        permit (principal, action == MiniProgram::Action::\"run\", resource);
        @id(\"few-at-once\")
        forbid (principal, action == MiniProgram::Action::\"run\", resource)
        when { context.arguments has ledger_read && context.arguments.ledger_read has limit && context.arguments.ledger_read.limit > 50 };";
    let files = PolicyFiles::built_in();
    let examples = files.text("examples.cedar.txt").unwrap().to_owned();
    let careless =
        files.replacing("tools.cedar", "context.derived && resource.effect", "false && resource.effect").unwrap();
    let files = careless.with("loose.cedar", LOOSE);
    [Policy::parse(&files).unwrap(), Policy::parse(&files.with("examples.cedar", examples)).unwrap()]
}

pub(super) fn mode(level: u8) -> Mode {
    [Mode::Closed, Mode::ExplainOnly, Mode::ReadOnly, Mode::Full][usize::from(level)]
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn controls(case: &Case, tool: &str) -> Controls {
    let set = |level| Setting { mode: mode(level), reason: "a test".into(), by: "command".into(), at: time(0) };
    let switch = ToolSwitch { setting: case.tool_mode.map(set), opened_until: case.opened_until_s.map(time) };
    let exported_at = case.exported.then(|| time(case.now_s));
    Controls {
        service: set(case.service_mode),
        lowered: None,
        tools: [(tool.to_owned(), switch)].into(),
        checkpoint: case.signed_at_s.map(|at| CheckpointSeen { seq: 1, signed_at: time(at), exported_at }),
        checkpoint_max_age: Duration::from_secs(u64::try_from(case.max_age_s).unwrap()),
        ids_from: None,
    }
}

fn gate(policy: &Policy, case: &Case) -> Gate {
    let groups: BTreeSet<String> = case.groups.iter().map(|group| (*group).to_owned()).collect();
    let query = CallQuery {
        user_id: UserId::from_random([case.user; 16]),
        groups: &groups,
        tool: case.tool,
        arguments: &arguments(case),
        derived: case.derived,
        audited: case.audited,
        now: time(case.now_s),
    };
    policy.gate(&controls(case, case.tool), &query).gate
}

/// The service's decision about a turn, in the oracle's terms.
pub(super) fn turn(policy: &Policy, case: &Case) -> (&'static str, Vec<String>) {
    let groups: BTreeSet<String> = case.groups.iter().map(|group| (*group).to_owned()).collect();
    let user_id = UserId::from_random([case.user; 16]);
    let query = TurnQuery { user_id, groups: &groups, agent: case.agent, now: time(case.now_s) };
    let gated = policy.gate_turn(&controls(case, "ledger_read"), &query);
    let gate = match gated.gate {
        TurnGate::Run => "run",
        TurnGate::WithoutTools => "without_tools",
        TurnGate::Refuse(reason) => reason.code(),
    };
    (gate, gated.tools)
}

/// The decision of the edge, in the oracle's terms.
pub(super) fn at_the_edge(policy: &Policy, case: &Case) -> &'static str {
    match gate(policy, case) {
        Gate::Run => "run",
        Gate::Ask(Approver::User) => "user",
        Gate::Ask(Approver::Operator) => "operator",
        Gate::Explain(_) => "explain",
        Gate::Refuse(reason) => reason.code(),
    }
}

/// The decision of the worker, in the oracle's terms.
pub(super) fn at_the_worker(policy: &Policy, case: &Case) -> &'static str {
    let said = |approved, by| Some(Decision { approved, by, at: time(case.now_s) });
    let operator = DecidedBy::Operator(OperatorId::from_random([7; 16]));
    let decision = match case.yes {
        Yes::NotAsked | Yes::Open => None,
        Yes::No => said(false, operator),
        Yes::User => said(true, DecidedBy::User),
        Yes::Operator => said(true, operator),
    };
    let query = Approval::requested(Approver::User, Digest::ZERO, time(case.now_s), time(case.now_s + 600));
    let approval = (case.yes != Yes::NotAsked).then_some(Approval { decision, ..query });
    match gate(policy, case) {
        Gate::Run => "send",
        Gate::Ask(need) if approval.is_some_and(|approval| approval.suffices_for(need)) => "send",
        Gate::Ask(_) => "approval_insufficient",
        Gate::Explain(_) => "explain",
        Gate::Refuse(reason) => reason.code(),
    }
}
