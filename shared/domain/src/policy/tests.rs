use std::time::Duration;

use serde_json::json;

use super::*;
use crate::access::service_mode::{CheckpointSeen, Controls, Setting, ToolSwitch};

const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

const MINUTE: Duration = Duration::from_secs(60);

fn query<'a>(groups: &'a BTreeSet<String>, tool: &'a str, arguments: &'a Value) -> CallQuery<'a> {
    let user_id = UserId::from_random([1; 16]);
    CallQuery { user_id, groups, tool, arguments, derived: false, audited: true, now: NOW }
}

fn controls(mode: Mode) -> Controls {
    let service = Setting { mode, reason: String::new(), by: "command".to_owned(), at: NOW };
    Controls { service, ..Controls::unreadable(NOW) }
}

/// Policies of a test, with a catalogue of three tools.
fn policy(cedar: &str) -> Result<Policy, PolicyFault> {
    let tool = |name: &str, effect: &str, example: &str| {
        format!(
            "[[tool]]\nname='{name}'\ntitle='T'\neffect='{effect}'\ntimeout_s=5\nattempts=1\nexpected_ms=1\n\
             schema='{name}.json'\nexample={example}\n"
        )
    };
    let tools = tool("look", "read", "{}") + &tool("pay", "write", "{amount=1}") + &tool("drop", "destructive", "{}");
    let tools = tools + "[[agent]]\nname='a'\ntitle='A'\ntools=['look', 'web_search']\n";
    let closed = r#"{"type":"object","additionalProperties":false}"#;
    let amount = json!({"type":"object","required":["amount"],"additionalProperties":false,"properties":{
        "amount":{"type":"integer"},"rate":{"type":"number"},"to":{"type":"array","items":{"type":"string"}}}});
    let files = PolicyFiles::default()
        .with("tools.toml", tools)
        .with("schemas/look.json", closed)
        .with("schemas/drop.json", closed)
        .with("schemas/pay.json", amount.to_string())
        .with("t.cedar", cedar);
    Policy::parse(&files)
}

fn decided(policy: &Policy, tool: &str, arguments: &Value) -> (&'static str, Vec<String>) {
    let decided = policy.decide(&query(&BTreeSet::new(), tool, arguments), Mode::Full);
    (decided.decision.name(), decided.policies)
}

#[test]
fn who_asks_from_deep_inside_gets_the_same_answer() {
    let policy = Policy::built_in().unwrap();
    let arguments = json!({"note": "n"});
    let ask = || decided(&policy, "ledger_append", &arguments).0;
    let answer = std::thread::scope(|scope| {
        let shallow = std::thread::Builder::new().stack_size(160 * 1024).spawn_scoped(scope, ask).unwrap();
        shallow.join().unwrap()
    });
    assert_eq!(answer, ask());
}

#[test]
fn the_built_in_policies_decide_as_the_documentation_says() {
    let policy = Policy::built_in().unwrap();
    assert_eq!(policy.warnings(), [""; 0]);
    for (tool, arguments, decision, policies) in [
        ("ledger_read", json!({}), "run", &["reads-run"][..]),
        ("ledger_append", json!({"note":"n"}), "run", &["demo-notes-run"]),
        ("ledger_pay", json!({"amount":500,"note":"n"}), "run_if_user_approves", &["writes-need-the-user"]),
        (
            "ledger_pay",
            json!({"amount":501,"note":"n"}),
            "run_if_operator_approves",
            &["payments-above-500-need-an-operator", "the-rest-needs-an-operator"],
        ),
        (
            "ledger_pay",
            json!({"amount":10_001,"note":"n"}),
            "policy_denied",
            &["payments-above-10000-are-refused", "payments-above-500-need-an-operator"],
        ),
        ("ledger_delete", json!({}), "run_if_operator_approves", &["the-rest-needs-an-operator"]),
        ("exec", json!({}), "tool_unknown", &[]),
        ("", json!({}), "tool_unknown", &[]),
        ("LEDGER_READ", json!({}), "tool_unknown", &[]),
    ] {
        let policies = policies.iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(decided(&policy, tool, &arguments), (decision, policies), "{tool} {arguments}");
    }
}

#[test]
fn what_a_turn_came_up_with_is_never_written_unasked() {
    let policy = Policy::built_in().unwrap();
    let (groups, note) = (BTreeSet::new(), json!({"note":"n"}));
    let derived = |tool, arguments| CallQuery { derived: true, ..query(&groups, tool, arguments) };
    let decision = |query: CallQuery<'_>| policy.decide(&query, Mode::Full).decision;
    assert_eq!(decision(derived("ledger_append", &note)), PolicyDecision::RunIfUserApproves);
    assert_eq!(decision(derived("ledger_read", &json!({}))), PolicyDecision::Run);
}

#[test]
fn what_an_open_schema_lets_through_is_taken_as_derived() {
    let tool = |name: &str, effect: &str| {
        format!(
            "[[tool]]\nname='{name}'\ntitle='T'\neffect='{effect}'\ntimeout_s=5\nattempts=1\nexpected_ms=1\n\
             schema='{name}.json'\nexample={{}}\n"
        )
    };
    let open = r#"{"type":"object","properties":{"x":{"type":"object"}},"additionalProperties":false}"#;
    let closed = r#"{"type":"object","properties":{"x":{"type":"string"}},"additionalProperties":false}"#;
    let files = PolicyFiles::default()
        .with("tools.toml", tool("open", "write") + &tool("closed", "write") + &tool("look", "read"))
        .with("schemas/open.json", open)
        .with("schemas/closed.json", closed)
        .with("schemas/look.json", open)
        .with("t.cedar", ALL);
    let policy = Policy::parse(&files).unwrap();
    let (groups, arguments) = (BTreeSet::new(), json!({}));
    let gate = |tool| policy.gate(&controls(Mode::Full), &query(&groups, tool, &arguments));
    assert_eq!(gate("open").gate, Gate::Ask(Approver::User));
    assert_eq!(gate("open").decided.policies.last().map(String::as_str), Some(DERIVED_FLOOR));
    assert_eq!((gate("closed").gate, gate("look").gate), (Gate::Run, Gate::Run));
}

#[test]
fn without_policies_nothing_runs() {
    let policy = policy("").unwrap();
    for tool in ["look", "pay", "drop"] {
        assert_eq!(decided(&policy, tool, &json!({"amount":1})), ("policy_denied", vec![]), "{tool}");
    }
    let gated = policy.gate_turn(&controls(Mode::Full), &agents::talk(&BTreeSet::new(), "a"));
    assert_eq!((gated.gate, gated.tools), (TurnGate::Refuse(DenyReason::PolicyDenied), vec![]));
}

/// A policy that permits everything; the tests append policies that forbid.
const ALL: &str = "@id(\"all\") permit (principal, action, resource);\n";

#[test]
fn a_derived_write_needs_an_approval_under_every_policy() {
    let policy = policy(ALL).unwrap();
    let (groups, arguments) = (BTreeSet::new(), json!({"amount": 1}));
    let mut controls = controls(Mode::Full);
    controls.tools.insert("drop".to_owned(), ToolSwitch { setting: None, opened_until: Some(NOW.plus(MINUTE)) });
    controls.checkpoint = Some(CheckpointSeen { seq: 1, signed_at: NOW, exported_at: Some(NOW) });
    controls.checkpoint_max_age = MINUTE;
    for (tool, derived, gate) in [
        ("look", true, Gate::Run),
        ("pay", true, Gate::Ask(Approver::User)),
        ("drop", true, Gate::Ask(Approver::User)),
        ("look", false, Gate::Run),
        ("pay", false, Gate::Run),
        ("drop", false, Gate::Run),
    ] {
        let gated = policy.gate(&controls, &CallQuery { derived, ..query(&groups, tool, &arguments) });
        assert_eq!(gated.gate, gate, "{tool} {derived}");
        let asks = gate == Gate::Ask(Approver::User);
        assert_eq!(gated.decided.decision.approver(), asks.then_some(Approver::User), "{tool} {derived}");
        let policies: &[&str] = if asks { &["all", DERIVED_FLOOR] } else { &["all"] };
        assert_eq!(gated.decided.policies, policies, "{tool} {derived}");
    }
}

#[test]
fn the_first_permitted_action_decides_and_a_forbid_beats_every_permit() {
    let all = "@id(\"all\") permit (principal, action, resource);\n";
    assert_eq!(decided(&policy(all).unwrap(), "pay", &json!({"amount":1})).0, "run");
    for (action, decision) in
        [("run", "run_if_user_approves"), ("run_if_user_approves", "run"), ("run_if_operator_approves", "run")]
    {
        let forbid = format!("@id(\"no\") forbid (principal, action == MiniProgram::Action::\"{action}\", resource);");
        let policy = policy(&(all.to_owned() + &forbid)).unwrap();
        assert_eq!(decided(&policy, "pay", &json!({"amount":1})).0, decision, "{action}");
    }
    let never = policy(&(all.to_owned() + "@id(\"no\") forbid (principal, action, resource);")).unwrap();
    assert_eq!(decided(&never, "pay", &json!({"amount":1})), ("policy_denied", vec!["no".to_owned()]));
}

#[test]
fn conditions_see_arguments_groups_mode_time_and_where_values_come_from() {
    let groups = ["testers".to_owned()].into();
    let arguments = json!({"amount": 7, "rate": 0.25, "to": ["a", "b"]});
    let base = query(&groups, "pay", &arguments);
    for (condition, holds) in [
        ("context.arguments has pay && context.arguments.pay.amount == 7", true),
        ("context.arguments has look", false),
        (
            "context.arguments has pay && context.arguments.pay has rate && context.arguments.pay.rate.lessThan(decimal(\"0.3\"))",
            true,
        ),
        ("context.arguments has pay && context.arguments.pay has to && context.arguments.pay.to.contains(\"b\")", true),
        ("principal in MiniProgram::Group::\"testers\"", true),
        ("principal in MiniProgram::Group::\"others\"", false),
        ("principal == MiniProgram::User::\"01010101-0101-4101-8101-010101010101\"", true),
        ("resource.effect == \"write\" && !resource.idempotent", true),
        ("context.mode == \"full\"", true),
        ("context.derived || !context.audited", false),
        ("context.hour == 10 && context.weekday == 7", true),
        ("context.now < datetime(\"2026-11-23\")", true),
        ("context.now.offset(duration(\"8h\")).toTime() == duration(\"18h\")", true),
    ] {
        let policy = policy(&format!(
            "@id(\"p\") permit (principal, action, resource is MiniProgram::Tool) when {{ {condition} }};"
        ))
        .unwrap();
        let decision = policy.decide(&base, Mode::Full).decision;
        assert_eq!(decision == PolicyDecision::Run, holds, "{condition}: {decision:?}");
    }
}

#[test]
fn what_cannot_be_evaluated_denies_whatever_the_others_say() {
    let overflow = "context.arguments has pay && context.arguments.pay.amount * 9223372036854775807 > 0";
    let all = "@id(\"all\") permit (principal, action, resource);\n";
    for broken in [
        format!("@id(\"broken\") permit (principal, action, resource is MiniProgram::Tool) when {{ {overflow} }};"),
        format!("@id(\"broken\") forbid (principal, action, resource is MiniProgram::Tool) when {{ {overflow} }};"),
        // Only the evaluation of the last action reaches it.
        format!(
            "@id(\"broken\") permit (principal, action == MiniProgram::Action::\"run_if_operator_approves\", resource) \
             when {{ {overflow} }};"
        ),
    ] {
        let policy = policy(&(all.to_owned() + &broken)).unwrap();
        let arguments = json!({"amount": 77_777});
        let decided = policy.decide(&query(&BTreeSet::new(), "pay", &arguments), Mode::Full);
        assert_eq!(decided.decision, PolicyDecision::Deny(DenyReason::PolicyError), "{broken}");
        assert_eq!(decided.errors, ["broken: a number is too large"], "{broken}");
        assert!(!format!("{decided:?}").contains("77777"), "{decided:?}");
        let gated = policy.gate(&controls(Mode::Full), &query(&BTreeSet::new(), "pay", &json!({"amount": 2})));
        assert_eq!(gated.gate, Gate::Refuse(DenyReason::PolicyError));
        assert_eq!(policy.gate(&controls(Mode::Full), &query(&BTreeSet::new(), "look", &json!({}))).gate, Gate::Run);
    }
}

#[test]
fn what_cedar_cannot_hold_denies() {
    let policy = policy("@id(\"all\") permit (principal, action, resource);").unwrap();
    for (arguments, told) in [
        (json!({"amount": 1, "rate": 0.12345}), "the value at \"/rate\" does not fit a decimal of four places"),
        (json!({}), "the value at \"/amount\" is missing"),
        (json!({"amount": "1"}), "the value at \"/amount\" has another type than its schema says"),
    ] {
        let decided = policy.decide(&query(&BTreeSet::new(), "pay", &arguments), Mode::Full);
        assert_eq!(decided.decision, PolicyDecision::Deny(DenyReason::PolicyError), "{arguments}");
        assert_eq!(decided.errors, [told], "{arguments}");
    }
    // A time that Cedar cannot represent denies the call.
    let (groups, arguments) = (BTreeSet::new(), json!({"amount": 1}));
    let far = CallQuery { now: Timestamp::from_millis(i64::MAX), ..query(&groups, "pay", &arguments) };
    assert_eq!(policy.decide(&far, Mode::Full).decision, PolicyDecision::Deny(DenyReason::PolicyError));
}

mod agents;
mod files;
mod service_mode;
