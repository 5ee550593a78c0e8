//! Pages follow the table, the template and the code: every alarm has its section in `docs/operate/runbook.md` and back, the
//! runbook's commands name existing resources, and `docs/operate/alarms.md` has the results of the fault tests.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::alarms::{AlarmTable, Level};
use integration_tests::{App, mini_gateway};
use local::host::watch;
use platform::{runtime::Clock, telemetry};
use serde_json::json;

use crate::{
    faults::{FAULTS, NOT_SHOWN},
    verdict::alarms,
};

const RUNBOOK: &str = include_str!("../../docs/operate/runbook.md");
const TEMPLATE: &str = include_str!("../../template.yaml");

/// The sections of the runbook about alarms, by their heading.
fn sections() -> BTreeMap<&'static str, &'static str> {
    let alarms = RUNBOOK.split_once("\n## Alarms\n").expect("the runbook has a part about alarms").1;
    let sections = alarms.split("\n### ").skip(1);
    sections.map(|section| section.split_once('\n').unwrap_or((section, ""))).collect()
}

#[test]
fn every_alarm_has_its_section_in_the_runbook_and_every_section_its_alarm() {
    let alarms = alarms();
    let host = AlarmTable::of_one_host().unwrap();
    let names = alarms.iter().chain(host.alarms()).map(|alarm| alarm.name());
    let claims: BTreeSet<&str> = names.chain(watch::ALERTS.map(|(name, _)| name)).collect();
    let sections = sections();
    assert_eq!(sections.keys().copied().collect::<BTreeSet<_>>(), claims);
    for claim in claims.into_iter().filter(|claim| !claim.ends_with("Rollback")) {
        let section = sections[claim];
        assert!(section.contains("**Look at**") && section.contains("**do**") || section.contains("**Do**"), "{claim}");
        assert!(section.trim().lines().next().is_some_and(|means| means.ends_with('.')), "{claim} says what it means");
    }
}

#[test]
fn every_alarm_is_fired_by_some_fault_or_says_why_not() {
    let fired = FAULTS.iter().flat_map(|fault| fault.fires.iter().map(|(claim, _)| *claim));
    let shown: BTreeSet<&str> = fired.collect();
    let excused: BTreeSet<&str> = NOT_SHOWN.iter().map(|(claim, _)| *claim).collect();
    assert!(shown.is_disjoint(&excused), "what is shown needs no excuse");
    let claims: BTreeSet<String> = alarms().iter().map(|alarm| alarm.name().to_owned()).collect();
    assert_eq!(shown.union(&excused).map(|claim| (*claim).to_owned()).collect::<BTreeSet<_>>(), claims);
}

#[test]
fn the_page_of_alarms_says_what_the_faults_came_to() {
    let page = page();
    let copy = mini_gateway::checkout().join(".local/observe/alarms.md");
    std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
    std::fs::write(&copy, &page).unwrap();
    assert!(
        include_str!("../../docs/operate/alarms.md") == page,
        "docs/operate/alarms.md is stale: copy .local/observe/alarms.md there"
    );
}

fn page() -> String {
    let mut page = "# Which fault fires which alarm\n\n\
        Each row is tested: the whole service runs by a manual clock, the fault is injected, and every alarm of\n\
        `observe/alarms.toml` and the rollback alarms of `template.yaml` are evaluated against the metrics of the run, those of level\n\
        `basic` against the few metrics that this level publishes.\n\
        Exactly the alarms of the row fire, each at the latest at the end of the minute in brackets; the minute in which the fault\n\
        begins is 1. When the fault is over, they end. The platform's own metrics (dead letters, the age of messages, failed\n\
        invocations, 5xx of the API) come from the embedded queue and from the test's own Lambda.\n\n\
        [One host](one-host.md#alarms) evaluates the same runs: the same alarms fire, except for those that its page leaves out,\n\
        and each is reported once when it begins and once when it ends.\n\n\
        This page is written by the tests: `cargo test --workspace --test observe -- --show-output` prints each row as it was\n\
        evaluated, and a stale page fails.\n\
        What each alarm means is in the [runbook](runbook.md#alarms); those of level `basic` are in bold.\n\n\
        | fault | alarms that fire |\n|---|---|\n"
        .to_owned();
    let known = alarms();
    let basic = |claim: &str| known.iter().any(|alarm| alarm.name() == claim && alarm.level() == Level::Basic);
    let shown = |claim: &str| if basic(claim) { format!("**`{claim}`**") } else { format!("`{claim}`") };
    for fault in FAULTS {
        let alarms: Vec<String> =
            fault.fires.iter().map(|(claim, within)| format!("{} ({within})", shown(claim))).collect();
        let alarms = if alarms.is_empty() { "none".to_owned() } else { alarms.join(", ") };
        page.push_str(&format!("| {} | {alarms} |\n", fault.says));
    }
    page.push_str(
        "\n## Not shown\n\nThese alarms are defined, and no test can make them fire.\n\n| alarm | why |\n|---|---|\n",
    );
    for (claim, why) in NOT_SHOWN {
        page.push_str(&format!("| `{claim}` | {why} |\n"));
    }
    page.push_str(
        "\n## Assumptions of the evaluator\n\n\
        - An alarm is evaluated at the end of each minute, and the window of a longer period moves with it.\n\
        - A period without data is within every limit; for a heartbeat it is beyond it. CloudWatch may look at older periods while\n\
        \x20 data is missing, so an alarm may stay there for up to three of its periods after the last event.\n\
        - Percentiles lie between the two nearest ranks. CloudWatch does not publish how it computes its own.\n\
        - Metrics arrive at once. On AWS add the time that logs take to become metrics, usually well below a minute.\n",
    );
    page
}

#[test]
fn links_within_the_runbook_lead_to_a_heading() {
    let headings: BTreeSet<String> = RUNBOOK
        .lines()
        .filter_map(|line| line.strip_prefix("### ").or(line.strip_prefix("## ")))
        .map(|heading| heading.to_lowercase().replace(' ', "-"))
        .collect();
    for link in RUNBOOK.split("](#").skip(1) {
        let anchor = link.split(')').next().unwrap();
        assert!(headings.contains(anchor), "#{anchor}");
    }
}

#[test]
fn commands_of_the_runbook_name_outputs_functions_log_groups_and_fields_that_exist() {
    let outputs = TEMPLATE.split_once("\nOutputs:\n").unwrap().1;
    for call in RUNBOOK.split("$(out ").skip(1) {
        let name = call.split(')').next().unwrap();
        assert!(outputs.contains(&format!("\n  {name}:\n")) || outputs.starts_with(&format!("  {name}:\n")), "{name}");
    }
    for part in RUNBOOK.split("/aws/lambda/$STACK").skip(1) {
        let name: String = part.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
        assert!(TEMPLATE.contains(&format!("LogGroupName: !Sub /aws/lambda/${{AWS::StackName}}{name}\n")), "{name}");
    }
    for part in RUNBOOK.split("--function-name \"$STACK").skip(1) {
        let name = part.split(['"', ':']).next().unwrap();
        assert!(TEMPLATE.contains(&format!("FunctionName: !Sub ${{AWS::StackName}}{name}\n")), "{name}");
    }
    let known = |name: &str| telemetry::FIELDS.contains(&name) || ["level", "@timestamp"].contains(&name);
    for filter in RUNBOOK.split("{ $.").skip(1) {
        assert!(known(filter.split(' ').next().unwrap()), "{filter}");
    }
    for fields in RUNBOOK.lines().filter_map(|line| line.strip_prefix("fields ")) {
        assert!(fields.split(", ").all(known), "{fields}");
    }
    let conditions =
        RUNBOOK.lines().flat_map(|line| line.split("filter ").skip(1).flat_map(|rest| rest.split(" and ")));
    for condition in conditions.filter(|condition| condition.contains(" = ") || condition.contains(" in [")) {
        assert!(known(condition.split(' ').next().unwrap()), "{condition}");
    }
}

/// The value of an option in the command of a section, without its quotes.
fn option<'a>(section: &'a str, name: &str, quote: char) -> &'a str {
    let after = section.split_once(&format!("--{name} {quote}")).unwrap_or_else(|| panic!("--{name}")).1;
    after.split_once(quote).unwrap().0
}

#[tokio::test]
async fn the_command_that_revokes_a_user_kills_what_the_user_has_and_can_keep_the_user_out() {
    let section = RUNBOOK.split_once("\n## Revoke a user\n").unwrap().1;
    let (mut app, alice) = App::start_with("alice").await;
    let key = option(section, "key", '\'').replace("USER_ID", &alice.user_id);
    let key: serde_json::Value = serde_json::from_str(&key).unwrap();
    let revoke = async |app: &App, at: i64| {
        let text = |name: &str| AttributeValue::S(key[name]["S"].as_str().unwrap().to_owned());
        let update = app.aws.dynamodb().update_item().table_name(&app.deployment.backend.table);
        update
            .key("pk", text("pk"))
            .key("sk", text("sk"))
            .update_expression(option(section, "update-expression", '"'))
            .condition_expression(option(section, "condition-expression", '"'))
            .expression_attribute_values(":now", AttributeValue::N(at.to_string()))
            .send()
            .await
    };
    assert_eq!(alice.get("/v1/jobs").await.status, 200);
    let now = app.clock.now().millis() + 1;
    revoke(&app, now).await.unwrap();
    assert_eq!(alice.get("/v1/jobs").await.status, 401);
    revoke(&app, now - 1).await.expect_err("a later revocation stands");

    app.advance(std::time::Duration::from_secs(2)).await;
    let again = app.login("alice").await;
    assert_eq!(again.get("/v1/jobs").await.status, 200, "a new login gets a new session");
    assert!(section.contains("4102444800000"), "the year 2100");
    revoke(&app, 4_102_444_800_000).await.unwrap();
    assert_eq!(again.get("/v1/jobs").await.status, 401);
    let never = app.login("alice").await;
    let refused = never.submit(&app.new_id(), "ledger_read", json!({})).await;
    assert_eq!(refused.status, 401, "logins answer, and every session is dead at once");
}

#[tokio::test]
async fn the_command_that_lists_due_jobs_finds_one_that_no_worker_takes() {
    let section = RUNBOOK.split_once("\n## Stuck jobs\n").unwrap().1;
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.new_id();
    assert_eq!(alice.submit(&id, "ledger_read", json!({})).await.status, 202);
    let due = async |app: &App| {
        let mut found = Vec::new();
        for shard in 0..8 {
            let query = app.aws.dynamodb().query().table_name(&app.deployment.backend.table);
            let query = query
                .index_name(section.split_once("--index-name ").unwrap().1.split([' ', '\n']).next().unwrap())
                .key_condition_expression(option(section, "key-condition-expression", '"'))
                .expression_attribute_values(":s", AttributeValue::S(format!("OPEN#{shard}")))
                .expression_attribute_values(":now", AttributeValue::N(app.clock.now().millis().to_string()));
            found.extend(query.send().await.unwrap().items.unwrap_or_default());
        }
        found.iter().map(|item| item["sk"].as_s().unwrap().clone()).collect::<Vec<_>>()
    };
    assert!(due(&app).await.is_empty(), "it is not due yet");
    drop(app.receive().await);
    app.advance(std::time::Duration::from_secs(61)).await;
    assert_eq!(due(&app).await, [format!("J#{id}")]);
}
