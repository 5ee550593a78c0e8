use std::{collections::BTreeMap, time::Duration};

use serde_json::json;

use super::*;
use crate::mode::{CheckpointSeen, Controls, Setting, ToolSwitch};

const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

fn asked<'a>(groups: &'a BTreeSet<String>, tool: &'a str, arguments: &'a Value) -> Asked<'a> {
    let user_id = UserId::from_random([1; 16]);
    Asked { user_id, groups, tool, arguments, derived: false, audited: true, now: NOW }
}

fn controls(mode: Mode) -> Controls {
    let service = Setting { mode, reason: String::new(), by: "command".to_owned(), at: NOW };
    Controls { service, ..Controls::unreadable(NOW) }
}

/// Policies of a test beside a catalogue of three tools.
fn policy(cedar: &str) -> Result<Policy, PolicyFault> {
    let tool = |name: &str, effect: &str, example: &str| {
        format!(
            "[[tool]]\nname='{name}'\ntitle='T'\neffect='{effect}'\ntimeout_s=5\nattempts=1\nexpected_ms=1\n\
             schema='{name}.json'\nexample={example}\n"
        )
    };
    let tools = tool("look", "read", "{}") + &tool("pay", "write", "{amount=1}") + &tool("drop", "destructive", "{}");
    let amount = json!({"type":"object","required":["amount"],"properties":{
        "amount":{"type":"integer"},"rate":{"type":"number"},"to":{"type":"array","items":{"type":"string"}}}});
    let files = PolicyFiles::default()
        .with("tools.toml", tools)
        .with("schemas/look.json", "{}")
        .with("schemas/drop.json", "{}")
        .with("schemas/pay.json", amount.to_string())
        .with("t.cedar", cedar);
    Policy::parse(&files)
}

fn decided(policy: &Policy, tool: &str, arguments: &Value) -> (&'static str, Vec<String>) {
    let decided = policy.decide(&asked(&BTreeSet::new(), tool, arguments), Mode::Full);
    (decided.decision.name(), decided.policies)
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
    let derived = |tool, arguments| Asked { derived: true, ..asked(&groups, tool, arguments) };
    let decision = |asked: Asked<'_>| policy.decide(&asked, Mode::Full).decision;
    assert_eq!(decision(derived("ledger_append", &note)), PolicyDecision::RunIfUserApproves);
    assert_eq!(decision(derived("ledger_read", &json!({}))), PolicyDecision::Run);
}

#[test]
fn without_policies_nothing_runs() {
    let policy = policy("").unwrap();
    for tool in ["look", "pay", "drop"] {
        assert_eq!(decided(&policy, tool, &json!({"amount":1})), ("policy_denied", vec![]), "{tool}");
    }
}

#[test]
fn the_first_question_that_is_permitted_decides_and_a_forbid_beats_every_permit() {
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
    let base = asked(&groups, "pay", &arguments);
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
        let policy =
            policy(&format!("@id(\"p\") permit (principal, action, resource) when {{ {condition} }};")).unwrap();
        let decision = policy.decide(&base, Mode::Full).decision;
        assert_eq!(decision == PolicyDecision::Run, holds, "{condition}: {decision:?}");
    }
}

#[test]
fn what_cannot_be_evaluated_denies_whatever_the_others_say() {
    let overflow = "context.arguments has pay && context.arguments.pay.amount * 9223372036854775807 > 0";
    let all = "@id(\"all\") permit (principal, action, resource);\n";
    for broken in [
        format!("@id(\"broken\") permit (principal, action, resource) when {{ {overflow} }};"),
        format!("@id(\"broken\") forbid (principal, action, resource) when {{ {overflow} }};"),
        // Only the last question meets it.
        format!(
            "@id(\"broken\") permit (principal, action == MiniProgram::Action::\"run_if_operator_approves\", resource) \
             when {{ {overflow} }};"
        ),
    ] {
        let policy = policy(&(all.to_owned() + &broken)).unwrap();
        let arguments = json!({"amount": 77_777});
        let decided = policy.decide(&asked(&BTreeSet::new(), "pay", &arguments), Mode::Full);
        assert_eq!(decided.decision, PolicyDecision::Deny(DenyReason::PolicyError), "{broken}");
        assert_eq!(decided.errors, ["broken: a number is too large"], "{broken}");
        assert!(!format!("{decided:?}").contains("77777"), "{decided:?}");
        let gated = policy.gate(&controls(Mode::Full), &asked(&BTreeSet::new(), "pay", &json!({"amount": 2})));
        assert_eq!(gated.gate, Gate::Refuse(DenyReason::PolicyError));
        assert_eq!(policy.gate(&controls(Mode::Full), &asked(&BTreeSet::new(), "look", &json!({}))).gate, Gate::Run);
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
        let decided = policy.decide(&asked(&BTreeSet::new(), "pay", &arguments), Mode::Full);
        assert_eq!(decided.decision, PolicyDecision::Deny(DenyReason::PolicyError), "{arguments}");
        assert_eq!(decided.errors, [told], "{arguments}");
    }
    // A time that Cedar cannot read is no reason to guess.
    let (groups, arguments) = (BTreeSet::new(), json!({"amount": 1}));
    let far = Asked { now: Timestamp::from_millis(i64::MAX), ..asked(&groups, "pay", &arguments) };
    assert_eq!(policy.decide(&far, Mode::Full).decision, PolicyDecision::Deny(DenyReason::PolicyError));
}

#[test]
fn a_file_that_cannot_be_used_is_told_with_its_line_and_column() {
    let scope = "(principal, action, resource)";
    for (story, text, place, says) in [
        ("no Cedar", "permit (principal);\n".to_owned(), "1:", ""),
        ("half a policy", format!("@id(\"a\")\npermit {scope} when {{"), "2:", ""),
        (
            "no such attribute",
            format!("// x\n@id(\"a\")\npermit {scope}\nwhen {{ resource.colour == \"red\" }};"),
            "4:8",
            "colour",
        ),
        (
            "an optional one, unchecked",
            format!("@id(\"a\")\npermit {scope}\nwhen {{ context.arguments.pay.amount == 1 }};"),
            "3:8",
            "pay",
        ),
        ("another type", format!("@id(\"a\") permit {scope} when {{ context.hour == \"10\" }};"), "1:", ""),
        (
            "no such action",
            "@id(\"a\")\npermit (principal, action == MiniProgram::Action::\"rum\", resource);".to_owned(),
            "2:",
            "rum",
        ),
        ("no id", format!("@id(\"a\") permit {scope};\n\n  permit {scope};"), "3:3", "@id"),
        ("an odd id", format!("@id(\"a b\") permit {scope};"), "1:1", "@id"),
        ("an id twice", format!("@id(\"a\") permit {scope};\n@id(\"a\") forbid {scope};"), "2:1", "another policy"),
        ("a template", "@id(\"a\")\npermit (principal == ?principal, action, resource);".to_owned(), "1:1", "template"),
    ] {
        let told = policy(&text).unwrap_err().to_string();
        assert!(told.starts_with(&format!("policy/t.cedar:{place}")), "{story}: {told}");
        assert!(told.contains(says) && !told.contains('\n'), "{story}: {told}");
    }
    let files = PolicyFiles::built_in().with("more.cedar", format!("@id(\"reads-run\") permit {scope};"));
    let told = Policy::parse(&files).unwrap_err().to_string();
    assert!(told.contains("another policy has the @id reads-run"), "across files: {told}");
    let told = Policy::parse(&PolicyFiles::default().with("tools.toml", [0xff])).unwrap_err().to_string();
    assert_eq!(told, "policy/tools.toml is missing or is not UTF-8");
}

#[test]
fn the_ladder_comes_before_the_policies() {
    let policy = policy("@id(\"all\") permit (principal, action, resource);").unwrap();
    let groups = BTreeSet::new();
    let amount = json!({"amount": 1});
    for (mode, look, pay, drop) in [
        (Mode::Full, Gate::Run, Gate::Run, Gate::Refuse(DenyReason::ToolNotOpened)),
        (Mode::ReadOnly, Gate::Run, Gate::Refuse(DenyReason::ModeReadOnly), Gate::Refuse(DenyReason::ModeReadOnly)),
        (Mode::ExplainOnly, EXPLAIN, EXPLAIN, EXPLAIN),
        (Mode::Closed, CLOSED, CLOSED, CLOSED),
    ] {
        let gate = |tool| policy.gate(&controls(mode), &asked(&groups, tool, &amount)).gate;
        assert_eq!((gate("look"), gate("pay"), gate("drop")), (look, pay, drop), "{mode:?}");
        assert_eq!(gate("exec"), Gate::Refuse(DenyReason::ToolUnknown), "{mode:?}");
    }
}

const EXPLAIN: Gate = Gate::Explain(DenyReason::ModeExplainOnly);
const CLOSED: Gate = Gate::Refuse(DenyReason::ModeClosed);

#[test]
fn a_tool_that_is_switched_off_says_so_and_what_policy_denies_is_not_explained() {
    let policy =
        policy("@id(\"reads\") permit (principal, action, resource) when { resource.effect == \"read\" };").unwrap();
    let groups = BTreeSet::new();
    let amount = json!({"amount": 1});
    let mut controls = controls(Mode::Full);
    let setting = Some(Setting { mode: Mode::Closed, ..controls.service.clone() });
    controls.tools.insert("look".to_owned(), ToolSwitch { setting, opened_until: None });
    let gate = |controls: &Controls, tool| policy.gate(controls, &asked(&groups, tool, &amount)).gate;
    assert_eq!(gate(&controls, "look"), Gate::Refuse(DenyReason::ToolClosed));
    assert_eq!(gate(&controls, "pay"), Gate::Refuse(DenyReason::PolicyDenied));
    controls.service.mode = Mode::Closed;
    assert_eq!(gate(&controls, "look"), CLOSED);
    controls.tools = BTreeMap::new();
    controls.service.mode = Mode::ExplainOnly;
    assert_eq!((gate(&controls, "look"), gate(&controls, "pay")), (EXPLAIN, Gate::Refuse(DenyReason::PolicyDenied)));
}

#[test]
fn a_destructive_tool_needs_everything_at_once() {
    let policy = policy("@id(\"all\") permit (principal, action, resource);").unwrap();
    let (groups, nothing) = (BTreeSet::new(), json!({}));
    let later = NOW.plus(Duration::from_secs(60));
    let proven = CheckpointSeen { seq: 1, signed_at: NOW, exported_at: Some(NOW) };
    for (opened, checkpoint, gate) in [
        (Some(later), Some(proven), Gate::Run),
        (None, Some(proven), Gate::Refuse(DenyReason::ToolNotOpened)),
        (Some(NOW), Some(proven), Gate::Refuse(DenyReason::ToolNotOpened)),
        (Some(later), None, Gate::Refuse(DenyReason::AuditUnproven)),
        (Some(later), Some(CheckpointSeen { exported_at: None, ..proven }), Gate::Refuse(DenyReason::AuditUnproven)),
    ] {
        let mut controls = controls(Mode::Full);
        controls.tools.insert("drop".to_owned(), ToolSwitch { setting: None, opened_until: opened });
        (controls.checkpoint, controls.checkpoint_max_age) = (checkpoint, Duration::from_secs(60));
        let asked = asked(&groups, "drop", &nothing);
        assert_eq!(policy.gate(&controls, &asked).gate, gate, "{opened:?} {checkpoint:?}");
    }
}

#[test]
fn nothing_is_written_unaudited_whatever_policy_says() {
    let policy = policy("@id(\"all\") permit (principal, action, resource);").unwrap();
    let (groups, amount) = (BTreeSet::new(), json!({"amount": 1}));
    let gate =
        |tool| policy.gate(&controls(Mode::Full), &Asked { audited: false, ..asked(&groups, tool, &amount) }).gate;
    assert_eq!((gate("look"), gate("pay")), (Gate::Run, Gate::Refuse(DenyReason::AuditUnproven)));
}

#[test]
fn the_checked_in_schema_is_what_the_catalogue_makes() {
    let policy = Policy::built_in().unwrap();
    let checked_in = PolicyFiles::built_in();
    assert_eq!(checked_in.text(SCHEMA), Some(policy.schema_text().as_str()), "run `local policy schema --write`");
}

/// The examples, each alone beside the policies that are built in.
fn examples() -> BTreeMap<String, Policy> {
    let text = PolicyFiles::built_in().text("examples.cedar.txt").expect("it is there").to_owned();
    let blocks = text.split("\n\n").filter(|block| block.contains("@id("));
    let parse = |block: &str| {
        let id = block.split('"').nth(1).expect("an @id").to_owned();
        let policy = Policy::parse(&PolicyFiles::built_in().with("example.cedar", block)).unwrap();
        assert_eq!(policy.warnings(), [""; 0], "{id}");
        (id, policy)
    };
    blocks.map(parse).collect()
}

#[test]
fn each_example_is_valid_and_changes_what_it_says() {
    struct Row {
        id: &'static str,
        call: (&'static str, Value),
        groups: &'static [&'static str],
        at: &'static str,
        audited: bool,
        says: (&'static str, &'static str),
    }
    const NOON: &str = "2026-11-20T04:00:00Z";
    let pay = |amount: i64| ("ledger_pay", json!({"amount": amount, "note": "n"}));
    let note = |text: &str| ("ledger_append", json!({ "note": text }));
    let row = |id, call, says| Row { id, call, groups: &[], at: NOON, audited: true, says };
    let (user, operator) = ("run_if_user_approves", "run_if_operator_approves");
    let rows = [
        row("small-payments-run", pay(20), (user, "run")),
        row("small-payments-run", pay(21), (user, user)),
        row("only-members-pay", pay(20), (user, "policy_denied")),
        Row { groups: &["members"], ..row("only-members-pay", pay(20), (user, user)) },
        Row { groups: &["newcomers"], ..row("newcomers-need-an-operator-from-100", pay(100), (user, operator)) },
        Row { groups: &["newcomers"], ..row("newcomers-need-an-operator-from-100", pay(99), (user, user)) },
        row("newcomers-need-an-operator-from-100", pay(100), (user, user)),
        row("sleep-is-for-testers", ("ledger_sleep", json!({"ms": 1})), ("run", "policy_denied")),
        Row {
            groups: &["a", "testers"],
            ..row("sleep-is-for-testers", ("ledger_sleep", json!({"ms": 1})), ("run", "run"))
        },
        row("payments-in-office-hours", pay(20), (user, user)),
        Row { at: "2026-11-20T18:00:00+08:00", ..row("payments-in-office-hours", pay(20), (user, operator)) },
        Row { at: "2026-11-20T17:59:59+08:00", ..row("payments-in-office-hours", pay(20), (user, user)) },
        Row { at: "2026-11-21T12:00:00+08:00", ..row("payments-in-office-hours", pay(20), (user, operator)) },
        row("notes-are-a-trial", note("n"), ("run", "run")),
        Row { at: "2027-01-01T00:00:00+08:00", ..row("notes-are-a-trial", note("n"), ("run", "policy_denied")) },
        row("no-links-in-notes", note("see https://example.com"), ("run", "policy_denied")),
        row("no-links-in-notes", note("two coffees"), ("run", "run")),
        row("no-reads-without-audit", ("ledger_read", json!({})), ("run", "run")),
        Row { audited: false, ..row("no-reads-without-audit", ("ledger_read", json!({})), ("run", "policy_denied")) },
        row("not-this-user", note("n"), ("run", "policy_denied")),
    ];
    let (built_in, examples) = (Policy::built_in().unwrap(), examples());
    let shown: BTreeSet<&str> = rows.iter().map(|row| row.id).collect();
    assert!(examples.keys().map(String::as_str).eq(shown), "every example has a row");
    for Row { id, call: (tool, arguments), groups, at, audited, says } in rows {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        let now = Timestamp::parse(&json!(at)).unwrap();
        let asked = Asked { audited, now, ..asked(&groups, tool, &arguments) };
        let name = |policy: &Policy| policy.decide(&asked, Mode::Full).decision.name();
        assert_eq!((name(&built_in), name(&examples[id])), says, "{id}: {tool} {arguments} {at}");
    }
}
