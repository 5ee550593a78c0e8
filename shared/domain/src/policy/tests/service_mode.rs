//! Checks before the policies: service mode, mode of the tool, temporary unlock, audit checkpoint.

use std::collections::BTreeMap;

use super::*;

const EXPLAIN: Gate = Gate::Explain(DenyReason::ModeExplainOnly);
const CLOSED: Gate = Gate::Refuse(DenyReason::ModeClosed);

#[test]
fn the_service_mode_is_decided_before_the_policies() {
    let policy = policy("@id(\"all\") permit (principal, action, resource);").unwrap();
    let groups = BTreeSet::new();
    let amount = json!({"amount": 1});
    for (mode, look, pay, drop) in [
        (Mode::Full, Gate::Run, Gate::Run, Gate::Refuse(DenyReason::ToolNotOpened)),
        (Mode::ReadOnly, Gate::Run, Gate::Refuse(DenyReason::ModeReadOnly), Gate::Refuse(DenyReason::ModeReadOnly)),
        (Mode::ExplainOnly, EXPLAIN, EXPLAIN, EXPLAIN),
        (Mode::Closed, CLOSED, CLOSED, CLOSED),
    ] {
        let gate = |tool| policy.gate(&controls(mode), &query(&groups, tool, &amount)).gate;
        assert_eq!((gate("look"), gate("pay"), gate("drop")), (look, pay, drop), "{mode:?}");
        assert_eq!(gate("exec"), Gate::Refuse(DenyReason::ToolUnknown), "{mode:?}");
    }
}

#[test]
fn a_tool_that_is_switched_off_says_so_and_what_policy_denies_is_not_explained() {
    let policy =
        policy("@id(\"reads\") permit (principal, action, resource is MiniProgram::Tool) when { resource.effect == \"read\" };").unwrap();
    let groups = BTreeSet::new();
    let amount = json!({"amount": 1});
    let mut controls = controls(Mode::Full);
    let setting = Some(Setting { mode: Mode::Closed, ..controls.service.clone() });
    controls.tools.insert("look".to_owned(), ToolSwitch { setting, opened_until: None });
    let gate = |controls: &Controls, tool| policy.gate(controls, &query(&groups, tool, &amount)).gate;
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
        let query = query(&groups, "drop", &nothing);
        assert_eq!(policy.gate(&controls, &query).gate, gate, "{opened:?} {checkpoint:?}");
    }
}

#[test]
fn nothing_is_written_unaudited_whatever_policy_says() {
    let policy = policy("@id(\"all\") permit (principal, action, resource);").unwrap();
    let (groups, amount) = (BTreeSet::new(), json!({"amount": 1}));
    let gate =
        |tool| policy.gate(&controls(Mode::Full), &CallQuery { audited: false, ..query(&groups, tool, &amount) }).gate;
    assert_eq!((gate("look"), gate("pay")), (Gate::Run, Gate::Refuse(DenyReason::AuditUnproven)));
}
