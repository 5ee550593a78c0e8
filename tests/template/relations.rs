//! Numbers and promises that have to fit each other. Each relation is a function of the template; a table of changes
//! shows that every one of them can fail, with a sentence that names what is wrong.

mod changes;
mod kept;
mod limits;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::document::{FUNCTIONS, Template};

type Relation = (&'static str, fn(&Template) -> Result<(), String>);

const RELATIONS: &[Relation] = &[
    ("visibility", limits::visibility_outlasts_the_worker),
    ("worker time", limits::worker_calls_end_before_the_worker),
    ("api time", limits::the_api_waits_for_its_functions),
    ("edge time", limits::edge_auth_has_time_for_its_longest_path),
    ("status time", limits::status_has_time_for_its_longest_poll),
    ("sweep time", limits::a_sweep_ends_before_the_next),
    ("receives", limits::a_message_outlives_the_attempts_of_its_job),
    ("retention", kept::records_outlive_the_window_of_ids),
    ("dead letters", kept::dead_letters_are_kept_longest),
    ("gateway load", limits::the_gateway_takes_what_workers_send),
    ("recursion", limits::the_workers_chain_is_not_cut_after_16_hops),
    ("batch", limits::a_batch_fills_the_worker_and_reports_failures),
    ("throttling", limits::routes_that_cost_more_take_fewer),
    ("lock out", limits::one_client_does_not_use_up_what_a_route_takes),
    ("shield", limits::behind_the_shield_addresses_are_counted_by_waf_alone),
    ("status concurrency", limits::held_polls_can_be_kept_from_the_other_functions),
    ("vpc", only_functions_that_call_the_gateway_are_in_the_subnets),
    ("observe level", the_functions_publish_what_the_alarms_of_the_level_read),
    ("kept", kept::table_secrets_and_checkpoints_are_kept),
    ("encrypted", kept::table_and_queues_are_encrypted),
    ("checkpoints", kept::a_checkpoint_is_younger_than_what_is_asked_of_it),
    ("locked", kept::no_role_may_change_an_exported_checkpoint),
    ("no alarm acts", no_alarm_acts_on_the_service),
    ("alias", every_caller_of_a_function_calls_its_alias),
    ("version check", every_new_version_is_invoked_before_it_gets_traffic),
    ("access log", kept::the_access_log_holds_nothing_personal),
    ("logs end", kept::logs_are_not_kept_for_ever),
];

/// Maximum length of the template in bytes: about ten minutes of reading.
const MOST_BYTES: usize = 60_000;

fn hold(true_so: bool, sentence: impl FnOnce() -> String) -> Result<(), String> {
    if true_so { Ok(()) } else { Err(sentence()) }
}

fn seconds(template: &Template, resource: &str, path: &str) -> Result<f64, String> {
    template.range(resource, path).map(|(least, _)| least)
}

fn only_functions_that_call_the_gateway_are_in_the_subnets(t: &Template) -> Result<(), String> {
    let everywhere = t.at("/Globals/Function/VpcConfig");
    hold(everywhere.is_null(), || format!("VpcConfig of all functions is {everywhere}"))?;
    for function in FUNCTIONS {
        let calls = t.property(function, "Environment/Variables/OPENCLAW_BASE_URL").is_object();
        let inside = t.property(function, "VpcConfig");
        let role = t.at(&format!("/Resources/{function}Role")).to_string();
        let may = role.contains("ec2:CreateNetworkInterface");
        hold((inside["Fn::If"][0] == "InVpc") == calls && may == calls, || {
            format!("VpcConfig of {function} is {inside}; it calls the gateway: {calls}; it may be in a subnet: {may}")
        })?;
    }
    Ok(())
}

fn the_functions_publish_what_the_alarms_of_the_level_read(t: &Template) -> Result<(), String> {
    let variables = t.at("/Globals/Function/Environment/Variables");
    let (published, read) = (&variables["METRICS_LEVEL"], t.property("Observation", "Parameters/Level"));
    hold(published == read && read["Fn::If"][1] == "full", || format!("METRICS_LEVEL is {published}, Level {read}"))?;
    let (namespace, prefix) = (&variables["METRICS_NAMESPACE"], t.property("Observation", "Parameters/Prefix"));
    let condition = t.at("/Resources/Observation/Condition");
    hold(&namespace["Fn::If"][0] == condition && &namespace["Fn::If"][1] == prefix, || {
        format!("METRICS_NAMESPACE is {namespace}; the alarms are there if {condition}, and read {prefix}")
    })
}

fn no_alarm_acts_on_the_service(t: &Template) -> Result<(), String> {
    let events = t.property("Sweep", "Events").as_object().into_iter().flatten();
    for (name, event) in events {
        hold(event["Type"] == "Schedule", || {
            format!("{name} invokes Sweep, and is no schedule: what monitors the service must not change its mode")
        })?;
    }
    // Those of this template are for CodeDeploy alone; those of observe/template.yaml know no other target than their topic.
    for (name, alarm) in t.of_type("AWS::CloudWatch::Alarm") {
        for kind in ["AlarmActions", "OKActions", "InsufficientDataActions"] {
            hold(alarm["Properties"][kind].is_null(), || format!("{kind} of {name} are set"))?;
        }
    }
    let topic = t.property("Observation", "Parameters/AlarmTopic");
    hold(topic["Ref"] == "AlarmTopic", || format!("AlarmTopic of Observation is {topic}"))?;
    let subscribed = t.of_type("AWS::SNS::Subscription").find(|(_, one)| one["Properties"]["Protocol"] != "email");
    subscribed.map_or(Ok(()), |(name, _)| Err(format!("{name} gets alarms, and is no person")))
}

fn every_caller_of_a_function_calls_its_alias(t: &Template) -> Result<(), String> {
    for (kind, path) in
        [("AWS::ApiGatewayV2::Integration", "IntegrationUri"), ("AWS::Lambda::Permission", "FunctionName")]
    {
        for (name, one) in t.of_type(kind) {
            let target = one["Properties"][path]["Ref"].as_str().unwrap_or_default();
            hold(FUNCTIONS.iter().any(|function| target == format!("{function}.Alias")), || {
                format!("{path} of {name} does not name an alias, so a rollback would not reach it")
            })?;
        }
    }
    let alias = t.at("/Globals/Function/AutoPublishAlias");
    hold(alias == "live", || format!("AutoPublishAlias is {alias}; events, alarms and documents say live"))
}

fn every_new_version_is_invoked_before_it_gets_traffic(t: &Template) -> Result<(), String> {
    let hook = t.at("/Globals/Function/DeploymentPreference/Hooks/PreTraffic");
    hold(hook["Ref"] == "VersionCheck", || format!("PreTraffic is {hook}, not VersionCheck"))?;
    for function in FUNCTIONS {
        let own = t.property(function, "DeploymentPreference/Hooks");
        hold(own.is_null(), || format!("DeploymentPreference of {function} has hooks of its own: {own}"))?;
    }
    let of = |role: &str, sid: &str| {
        let statements = t.property(role, "Policies/0/PolicyDocument/Statement").as_array();
        statements.into_iter().flatten().find(|one| one["Sid"] == sid).unwrap_or(&Value::Null).clone()
    };
    let invokes = of("ShiftRole", "Check");
    let is_right = invokes["Action"] == "lambda:InvokeFunction"
        && invokes["Resource"]["Fn::GetAtt"] == json!(["VersionCheck", "Arn"]);
    hold(is_right, || format!("ShiftRole may not invoke VersionCheck: {invokes}"))?;
    let versions = of("VersionCheckRole", "Versions")["Resource"].to_string();
    for function in FUNCTIONS {
        let name = t.property(function, "FunctionName")["Fn::Sub"].as_str().unwrap_or_default();
        hold(versions.contains(&format!(":function:{name}:*")), || {
            format!("VersionCheckRole may not invoke the versions of {function}")
        })?;
    }
    let file = t.property("VersionCheck", "Handler").as_str().and_then(|handler| handler.strip_suffix(".handler"));
    let folder = t.property("VersionCheck", "Code").as_str().unwrap_or_default();
    let path =
        integration_tests::mini_gateway::checkout().join(folder).join(format!("{}.py", file.unwrap_or_default()));
    hold(path.is_file(), || format!("Handler of VersionCheck is not in {folder}"))
}

#[test]
fn the_template_is_read_in_ten_minutes() {
    let file = integration_tests::mini_gateway::checkout().join("template.yaml");
    let bytes = std::fs::read(file).unwrap().len();
    assert!(
        bytes <= MOST_BYTES,
        "template.yaml has {bytes} bytes, {MOST_BYTES} are enough: generate it, nest it, or say it in docs"
    );
}

#[test]
fn the_numbers_of_the_template_fit_each_other_and_the_code() {
    let template = Template::read();
    let faults: Vec<String> = RELATIONS.iter().filter_map(|(_, relation)| relation(&template).err()).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_number_out_of_relation_stops_with_a_sentence_that_names_it() {
    let template = Template::read();
    let mut broken = BTreeSet::new();
    for (relation, pointer, value, named) in changes::changes() {
        let mut changed = template.clone();
        *changed.0.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is not in the template")) = value;
        let (_, check) = RELATIONS.iter().find(|(name, _)| *name == relation).expect("the relation is there");
        let sentence = check(&changed).expect_err(pointer);
        assert!(sentence.contains(named), "{pointer}: {sentence}");
        broken.insert(relation);
    }
    let all: BTreeSet<&str> = RELATIONS.iter().map(|(name, _)| *name).collect();
    assert_eq!(broken, all, "each relation can fail");
}
