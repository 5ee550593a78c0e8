//! Turns: who may talk to an agent, and what it uses by itself.

use super::{files::examples, *};

pub(super) fn talk<'a>(groups: &'a BTreeSet<String>, agent: &'a str) -> TurnQuery<'a> {
    TurnQuery { user_id: UserId::from_random([1; 16]), groups, agent, now: NOW }
}

#[test]
fn a_permitted_turn_is_limited_by_the_service_mode() {
    use TurnGate::{Refuse, Run, WithoutTools};
    let only = "@id(\"only\") forbid (principal, action == MiniProgram::Action::\"talk\", resource == MiniProgram::Agent::\"a\") \
                unless { principal in MiniProgram::Group::\"members\" && context.hour == 10 && context.mode != \"closed\" };";
    let policy = policy(&(ALL.to_owned() + only)).unwrap();
    let (members, nobody) = (["members".to_owned()].into(), BTreeSet::new());
    let later = Timestamp::from_millis(NOW.millis() + 3_600_000);
    for (mode, gate) in [
        (Mode::Full, Run),
        (Mode::ReadOnly, Run),
        (Mode::ExplainOnly, WithoutTools),
        (Mode::Closed, Refuse(DenyReason::ModeClosed)),
    ] {
        let gated = policy.gate_turn(&controls(mode), &talk(&members, "a"));
        assert_eq!(gated.gate, gate, "{mode:?}");
        assert_eq!(gated.tools.len(), if gate == Run { 2 } else { 0 }, "{mode:?}");
        for query in [talk(&nobody, "a"), TurnQuery { now: later, ..talk(&members, "a") }] {
            let gated = policy.gate_turn(&controls(mode), &query);
            let reason = if mode == Mode::Closed { DenyReason::ModeClosed } else { DenyReason::PolicyDenied };
            assert_eq!((gated.gate, gated.tools), (Refuse(reason), vec![]), "{mode:?}");
            let policies = if mode == Mode::Closed { vec![] } else { vec!["only".to_owned()] };
            assert_eq!(gated.decided.policies, policies, "{mode:?}");
        }
        let unknown = policy.gate_turn(&controls(mode), &talk(&members, "b"));
        assert_eq!((unknown.gate, unknown.tools), (Refuse(DenyReason::AgentUnknown), vec![]));
    }
}

#[test]
fn a_turn_that_cannot_be_decided_does_not_run() {
    let broken =
        "@id(\"broken\") forbid (principal, action, resource) when { context.hour * 9223372036854775807 < 0 };";
    let broken = policy(&(ALL.to_owned() + broken)).unwrap();
    let nobody = BTreeSet::new();
    let far = TurnQuery { now: Timestamp::from_millis(i64::MAX), ..talk(&nobody, "a") };
    for (policy, query, told) in [
        (&broken, talk(&nobody, "a"), "broken: a number is too large"),
        (&policy(ALL).unwrap(), far, "the time cannot be held"),
    ] {
        let gated = policy.gate_turn(&controls(Mode::Full), &query);
        assert_eq!((gated.gate, gated.tools), (TurnGate::Refuse(DenyReason::PolicyError), vec![]));
        assert_eq!(gated.decided.errors, [told]);
    }
}

#[test]
fn an_agent_uses_by_itself_what_its_user_may_read_whatever_the_arguments_are() {
    let nobody = BTreeSet::new();
    let look = "resource == MiniProgram::Tool::\"look\"";
    for (story, policies, usable) in [
        ("everything", String::new(), true),
        (
            "another tool is forbidden",
            "@id(\"f\") forbid (principal, action, resource == MiniProgram::Tool::\"pay\");".into(),
            true,
        ),
        ("it is forbidden", format!("@id(\"f\") forbid (principal, action, {look});"), false),
        (
            "it takes a yes",
            format!("@id(\"f\") forbid (principal, action == MiniProgram::Action::\"run\", {look});"),
            false,
        ),
        (
            "it is forbidden to what comes from a turn",
            format!(
                "@id(\"f\") forbid (principal, action == MiniProgram::Action::\"run\", {look}) when {{ context.derived }};"
            ),
            false,
        ),
        (
            "its arguments matter",
            format!(
                "@id(\"f\") forbid (principal, action == MiniProgram::Action::\"run\", {look}) \
                     when {{ context.arguments has look && context.arguments.look == {{}} && false }};"
            ),
            false,
        ),
        (
            "another's arguments matter",
            "@id(\"f\") forbid (principal, action == MiniProgram::Action::\"run\", resource) \
             when { context.arguments has pay && context.arguments.pay.amount > 5 };"
                .into(),
            true,
        ),
    ] {
        let policy = policy(&(ALL.to_owned() + &policies)).unwrap();
        let tools = policy.gate_turn(&controls(Mode::Full), &talk(&nobody, "a")).tools;
        let expected: &[&str] = if usable { &["look", "web_search"] } else { &["web_search"] };
        assert_eq!(tools, expected, "{story}");
    }
    let mut closed = controls(Mode::Full);
    let setting = Some(controls(Mode::Closed).service);
    closed.tools.insert("look".to_owned(), ToolSwitch { setting, opened_until: None });
    assert_eq!(
        policy(ALL).unwrap().gate_turn(&closed, &talk(&nobody, "a")).tools,
        ["web_search"],
        "it is switched off"
    );
}

/// Example, groups, time, and its decision about a turn of `main` that every user may have.
pub(super) const ABOUT_AGENTS: [(&str, &[&str], &str, &str); 8] = [
    ("assistant-is-for-members", &[], "2026-11-20T04:00:00Z", "policy_denied"),
    ("assistant-is-for-members", &["others", "members"], "2026-11-20T04:00:00Z", "run"),
    ("assistant-in-working-hours", &[], "2026-11-20T09:00:00+08:00", "run"),
    ("assistant-in-working-hours", &[], "2026-11-20T08:59:59+08:00", "policy_denied"),
    ("assistant-in-working-hours", &[], "2026-11-20T17:59:59+08:00", "run"),
    ("assistant-in-working-hours", &[], "2026-11-20T18:00:00+08:00", "policy_denied"),
    ("assistant-in-working-hours", &[], "2026-11-21T12:00:00+08:00", "policy_denied"),
    ("not-this-user", &[], "2026-11-20T04:00:00Z", "policy_denied"),
];

#[test]
fn each_example_about_agents_changes_what_it_says() {
    let (built_in, examples) = (Policy::built_in().unwrap(), examples());
    for (id, groups, at, says) in ABOUT_AGENTS {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        let query = TurnQuery { now: Timestamp::parse(&json!(at)).unwrap(), ..talk(&groups, "main") };
        assert_eq!(built_in.decide_turn(&query, Mode::Full).decision, PolicyDecision::Run);
        assert_eq!(examples[id].decide_turn(&query, Mode::Full).decision.name(), says, "{id}: {at}");
    }
}
