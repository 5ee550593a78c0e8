//! Changes between an approval and the call: after a deployment or a change of policy no second approval is asked for.
//! If policy requires the same or a weaker approval the call runs; if it requires a stronger one the call is refused.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::policy::{Policy, PolicyFiles};
use integration_tests::{App, Client, events};
use serde_json::json;

use super::{COFFEES, DEAR, pay, payments};

fn policy(file: &str, from: &str, to: &str) -> Policy {
    Policy::parse(&PolicyFiles::built_in().replacing(file, from, to).expect("it is there")).unwrap()
}

/// Approves a payment, lets the worker be of another version, and runs it.
async fn after_a_change(app: &mut App, alice: &Client, amount: u64, changed: Policy) -> serde_json::Value {
    let id = pay(app, alice, amount).await;
    if amount > 500 {
        app.operator_decides(alice, &id, true).await;
    } else {
        assert_eq!(app.approve(alice, "alice", &id).await.status, 200);
    }
    app.new_worker(Some(changed));
    let job = app.finish(alice, &id).await;
    let paid = usize::from(job["status"] == "succeeded");
    assert_eq!(payments(app, &id).len(), paid, "{job}");
    if paid == 0 {
        assert_eq!((&job["status"], &job["effect"]), (&json!("refused"), &json!("not_run")), "{job}");
        let chain = alice.records(&id).await;
        assert_eq!(events(&chain), ["accepted", "approval_asked", "approval_decided", "ended"], "asked once");
        assert_eq!(chain[3]["code"], job["error"]["code"]);
    }
    job
}

#[tokio::test]
async fn a_need_that_has_become_weaker_or_stayed_runs() {
    let (mut app, alice) = App::start_with("alice").await;
    for (story, amount, changed) in [
        ("the same", COFFEES, Policy::parse(&PolicyFiles::built_in()).unwrap()),
        ("another title", COFFEES, policy("tools.toml", "title = \"Pay\"", "title = \"Transfer\"")),
        (
            "no approval is requested any more",
            COFFEES,
            policy(
                "tools.cedar",
                "MiniProgram::Tool::\"ledger_fail\"",
                "MiniProgram::Tool::\"ledger_fail\", MiniProgram::Tool::\"ledger_pay\"",
            ),
        ),
        ("a user would be enough", DEAR, policy("tools.cedar", "ledger_pay.amount <= 500", "ledger_pay.amount <= 600")),
    ] {
        let job = after_a_change(&mut app, &alice, amount, changed).await;
        assert_eq!(job["status"], "succeeded", "{story}: {job}");
    }
}

#[tokio::test]
async fn an_approval_that_no_longer_suffices_is_refused_without_a_new_request() {
    let (mut app, alice) = App::start_with("alice").await;
    for (story, amount, code, changed) in [
        (
            "an operator is needed now",
            COFFEES,
            "approval_insufficient",
            policy("tools.cedar", "ledger_pay.amount <= 500", "ledger_pay.amount <= 100"),
        ),
        (
            "it is forbidden now",
            COFFEES,
            "policy_denied",
            policy("tools.cedar", "ledger_pay.amount <= 10000", "ledger_pay.amount <= 100"),
        ),
        (
            "it is forbidden now, to operators as well",
            DEAR,
            "policy_denied",
            policy("tools.cedar", "ledger_pay.amount <= 10000", "ledger_pay.amount <= 100"),
        ),
        (
            "the tool has gone",
            COFFEES,
            "tool_unknown",
            policy("tools.toml", "name = \"ledger_delete\"", "name = \"ledger_wipe\""),
        ),
    ] {
        let changed = if code == "tool_unknown" { without_pay() } else { changed };
        let job = after_a_change(&mut app, &alice, amount, changed).await;
        assert_eq!(job["error"]["code"], code, "{story}: {job}");
    }
}

/// A catalogue that calls the tool by another name.
fn without_pay() -> Policy {
    let files = PolicyFiles::built_in();
    let renamed = files.replacing("tools.toml", "name = \"ledger_pay\"", "name = \"ledger_send\"").unwrap();
    let renamed = renamed.replacing("tools.cedar", "ledger_pay", "ledger_send").unwrap();
    Policy::parse(&renamed).unwrap()
}

#[tokio::test]
async fn a_call_that_needs_an_approval_since_it_was_accepted_is_refused() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    app.new_worker(Some(policy("tools.cedar", "MiniProgram::Tool::\"ledger_append\",", "")));
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], &job["error"]["code"]), (&json!("refused"), &json!("approval_insufficient")));
    assert_eq!(app.effects(&id), 0);
}

#[tokio::test]
async fn a_call_that_may_be_out_is_not_decided_again() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = pay(&app, &alice, COFFEES).await;
    app.approve(&alice, "alice", &id).await;
    // The worker dies with the call out; the next one has another policy.
    app.gateway().next("/miniprogram/v1/invoke", "reset_after", None, 2).await;
    app.deliver().await;
    app.new_worker(Some(without_pay()));
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], payments(&app, &id).len()), (&json!("succeeded"), 1), "{job}");
}

#[tokio::test]
async fn the_groups_of_now_decide() {
    let (mut app, alice) = App::start_with("alice").await;
    let groups = |names: &[&str]| AttributeValue::Ss(names.iter().map(ToString::to_string).collect());
    let only_payers = "unless { principal in MiniProgram::Group::\"payers\" };\n";
    let text = PolicyFiles::built_in().text("tools.cedar").unwrap().to_owned();
    let rule = format!(
        "{text}\n@id(\"payers-pay\")\nforbid (principal, action, resource == MiniProgram::Tool::\"ledger_pay\")\n{only_payers}"
    );
    for (members, code) in [(&["testers"][..], Some("policy_denied")), (&["payers", "testers"], None)] {
        let id = pay(&app, &alice, COFFEES).await;
        app.approve(&alice, "alice", &id).await;
        let update = app.aws.dynamodb().update_item().table_name(&app.deployment.backend.table);
        let update = update.key("pk", AttributeValue::S(format!("U#{}", alice.user_id)));
        let update = update.key("sk", AttributeValue::S("USER".into())).update_expression("SET gr = :g");
        update.expression_attribute_values(":g", groups(members)).send().await.unwrap();
        let stored = app.inspect().table().user(alice.user_id.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(stored.groups, members.iter().map(ToString::to_string).collect::<BTreeSet<_>>());
        app.new_worker(Some(Policy::parse(&PolicyFiles::built_in().with("tools.cedar", rule.clone())).unwrap()));
        let job = app.finish(&alice, &id).await;
        assert_eq!(job["error"]["code"].as_str(), code, "{job}");
    }
}

#[tokio::test]
async fn an_approval_of_other_arguments_than_are_stored_is_none() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = pay(&app, &alice, COFFEES).await;
    app.approve(&alice, "alice", &id).await;
    // An attacker who can write the table changes what will be sent.
    let job = app.inspect().stored(&alice, &id).await;
    let update = app.aws.dynamodb().update_item().table_name(&app.deployment.backend.table);
    let update = update.key("pk", AttributeValue::S(format!("U#{}", alice.user_id)));
    let update = update.key("sk", AttributeValue::S(format!("IN#{id}#{}", job.fingerprint)));
    let calls = json!([{"tool": "ledger_pay", "arguments": {"amount": 499, "note": "two coffees"}}]).to_string();
    let update = update.update_expression("SET calls = :c");
    update.expression_attribute_values(":c", AttributeValue::S(calls)).send().await.unwrap();
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], &job["error"]["code"]), (&json!("refused"), &json!("approval_insufficient")), "{job}");
    assert_eq!(payments(&app, &id).len(), 0);
}

#[tokio::test]
async fn no_call_is_sent_for_a_user_who_was_deleted() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    let delete = app.aws.dynamodb().delete_item().table_name(&app.deployment.backend.table);
    let delete = delete.key("pk", AttributeValue::S(format!("U#{}", alice.user_id)));
    delete.key("sk", AttributeValue::S("USER".into())).send().await.unwrap();
    while app.deliver().await {}
    let job = app.inspect().stored(&alice, &id).await;
    assert_eq!((job.state.name(), job.error.as_deref()), ("refused", Some("policy_denied")));
    assert_eq!(app.effects(&id), 0);
}
