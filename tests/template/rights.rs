//! The rights of each function are exactly those that it uses: the service runs, and every call to AWS is noted.

mod bucket;
mod flows;
mod recorder;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::document::{FUNCTIONS, Template};

/// Rights by function: an action and what it is on.
type Rights = BTreeMap<String, BTreeSet<String>>;

/// Used by the platform under the function's role, not by its code: logs, and polling the queue.
const OF_THE_PLATFORM: [&str; 2] = ["Logs", "EventSource"];

fn listed(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |all| all.iter().collect())
}

/// What a statement is about, by the name of the resource.
fn named(resource: &Value) -> String {
    let bucket = resource["Fn::Sub"].as_str().and_then(|text| text.strip_prefix("${")?.strip_suffix(".Arn}/*"));
    let text = resource["Ref"].as_str().or(resource["Fn::GetAtt"][0].as_str()).or(bucket).or(resource.as_str());
    let table = || {
        let arn = resource["Fn::Sub"][0].as_str().unwrap_or_else(|| panic!("not understood: {resource}"));
        let (_, rest) = arn.split_once("table/${Name}").unwrap_or_else(|| panic!("not a table: {arn}"));
        format!("Table{rest}")
    };
    text.map_or_else(table, str::to_owned)
}

fn granted(template: &Template) -> Rights {
    let mut rights = Rights::new();
    for function in FUNCTIONS {
        let role = template.property(function, "Role")["Fn::GetAtt"][0].as_str().expect("the template says it");
        let own = rights.entry(function.to_owned()).or_default();
        for policy in template.property(role, "Policies").as_array().expect("the template says it") {
            for statement in listed(&policy["PolicyDocument"]["Statement"]) {
                let conditional = statement.get("Fn::If").is_some();
                let allows = conditional || statement["Effect"] == "Allow";
                if !allows || conditional || OF_THE_PLATFORM.iter().any(|sid| statement["Sid"] == *sid) {
                    continue;
                }
                for action in listed(&statement["Action"]) {
                    for resource in listed(&statement["Resource"]) {
                        own.insert(format!(
                            "{} on {}",
                            action.as_str().expect("the template says it"),
                            named(resource)
                        ));
                    }
                }
            }
        }
    }
    rights
}

/// What is used and not granted, and what is granted and not used.
fn faults(used: &Rights, granted: &Rights) -> Vec<String> {
    let lacking = |a: &Rights, b: &Rights, what: &str| -> Vec<String> {
        let lacks = |function: &String, right: &String| !b.get(function).is_some_and(|rights| rights.contains(right));
        let all = a.iter().flat_map(|(function, rights)| rights.iter().map(move |right| (function, right)));
        all.filter(|(function, right)| lacks(function, right))
            .map(|(f, right)| format!("{f}: {right}: {what}"))
            .collect()
    };
    [lacking(used, granted, "used and not granted"), lacking(granted, used, "granted and not used")].concat()
}

#[tokio::test]
async fn each_function_may_do_exactly_what_it_does() {
    let used = flows::rights_used().await;
    let faults = faults(&used, &granted(&Template::read()));
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!(used.len(), FUNCTIONS.len());
}

#[test]
fn a_right_that_is_missing_or_spare_is_named() {
    let template = Template::read();
    let actions = "/Resources/StatusRole/Properties/Policies/0/PolicyDocument/Statement/1/Action";
    for (changed, named) in [
        (json!(["dynamodb:GetItem", "dynamodb:BatchGetItem"]), "Status: dynamodb:Query on Table: used and not granted"),
        (
            json!(["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:PutItem"]),
            "PutItem on Table: granted and not used",
        ),
    ] {
        let mut other = template.clone();
        *other.0.pointer_mut(actions).unwrap() = changed;
        let faults = faults(&granted(&template), &granted(&other));
        assert!(faults.len() == 1 && faults[0].contains(named), "{faults:?}");
    }
}

/// The partitions that the statements of a function with this action name.
fn partitions(template: &Template, function: &str, action: &str) -> Vec<String> {
    let statements = template.property(&format!("{function}Role"), "Policies/0/PolicyDocument/Statement");
    let all = statements.as_array().expect("there are some");
    let about = all.iter().filter(|one| listed(&one["Action"]).contains(&&json!(action)));
    let keys = about.flat_map(|statement| {
        assert_eq!(statement["Effect"], "Allow", "{function}: {statement}");
        let condition = statement["Condition"].as_object().and_then(|all| all.values().next());
        let keys = condition.unwrap_or_else(|| panic!("{function}: {statement} names no partition"));
        listed(&keys["dynamodb:LeadingKeys"])
            .into_iter()
            .map(|key| key.as_str().expect("a key is a text").to_owned())
            .collect::<Vec<_>>()
    });
    keys.collect()
}

/// Functions that any client may reach, or that a gateway's answer reaches, read no partition but their own keys', the
/// controls', and, for an erasure, those of users; and delete only what an erasure deletes.
#[test]
fn edge_auth_and_the_worker_may_query_and_delete_only_what_the_template_names() {
    let template = Template::read();
    let of = |function, action| partitions(&template, function, action);
    assert_eq!(of("EdgeAuth", "dynamodb:Query"), [store::keys::CONTROL]);
    assert_eq!(of("Worker", "dynamodb:Query"), [store::keys::CONTROL, "U#*"]);
    assert_eq!(of("EdgeAuth", "dynamodb:DeleteItem"), [""; 0]);
    assert_eq!(of("Worker", "dynamodb:DeleteItem"), ["U#*", "LOGIN#*", store::keys::ERASURES_OPEN]);
}

/// Partitions that a function may not write, by its statements that deny.
fn denied(template: &Template, function: &str) -> Vec<String> {
    let statements = template.property(&format!("{function}Role"), "Policies/0/PolicyDocument/Statement");
    let denying = statements.as_array().expect("there are some").iter().filter(|one| one["Effect"] == "Deny");
    let keys = denying.flat_map(|one| {
        assert_eq!(one["Action"], json!(["dynamodb:PutItem", "dynamodb:UpdateItem"]), "every write that it may do");
        listed(&one["Condition"]["ForAnyValue:StringLike"]["dynamodb:LeadingKeys"])
    });
    keys.filter_map(|key| Some(key.as_str()?.to_owned())).collect()
}

#[test]
fn what_decides_over_a_client_is_not_the_functions_to_write_that_clients_reach() {
    use store::keys;
    let template = Template::read();
    let covers = |function: &str, partition: &str| {
        denied(&template, function).iter().any(|key| match key.strip_suffix('*') {
            Some(start) => partition.starts_with(start),
            None => partition == key,
        })
    };
    let operator = keys::operator(domain::ids::Digest::ZERO);
    for (function, partition, is_denied) in [
        ("EdgeAuth", keys::CONTROL, true),
        ("EdgeAuth", keys::CHECKPOINTS, true),
        ("EdgeAuth", keys::OPERATORS, true),
        ("EdgeAuth", operator.as_str(), true),
        ("Worker", keys::CHECKPOINTS, true),
        ("Worker", keys::OPERATORS, true),
        ("Worker", operator.as_str(), true),
        // What it has seen of the gateway.
        ("Worker", keys::CONTROL, false),
        ("EdgeAuth", "U#somebody", false),
    ] {
        assert_eq!(covers(function, partition), is_denied, "{function} {partition}");
    }
}

#[test]
fn the_queue_is_the_workers_each_secret_its_functions_and_only_status_does_not_write() {
    let text = |function: &str| {
        let role = format!("/Resources/{function}Role");
        Template::read().at(&role).to_string()
    };
    for function in FUNCTIONS {
        let takes = granted(&Template::read())[function].iter().any(|right| right.starts_with("sqs:ReceiveMessage"));
        assert!(!takes, "{function}");
        let polls = text(function).contains("EventSource");
        assert_eq!(polls, function == "Worker", "{function}");
        assert_eq!(!text(function).contains("dynamodb:PutItem"), function == "Status", "{function}");
        for secret in ["EdgeAuth", "Status", "Worker", "Sweep"] {
            let reads = text(function).contains(&format!("{secret}Secret"));
            assert_eq!(reads, function == secret, "{function} and the secret of {secret}");
        }
    }
}
