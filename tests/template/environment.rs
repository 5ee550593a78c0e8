//! Each function gets exactly the variables that it reads, with values that it takes; and each deployment publishes a
//! version of it.

use std::{cell::RefCell, collections::BTreeSet};

use platform::config::{
    self, ConfigError, EdgeAuthConfig, Env, OperatorConfig, StatusConfig, SweepConfig, WorkerConfig,
};
use serde_json::{Value, json};

use crate::document::{FUNCTIONS, Template};

/// Read by the log filter itself, which has no other way.
const READ_ELSEWHERE: &str = "RUST_LOG";

/// What the template sets for a function: name and value.
fn set(template: &Template, function: &str) -> Vec<(String, Value)> {
    let everywhere = template.at("/Globals/Function/Environment/Variables").as_object().expect("it is a mapping");
    let own = template.property(function, "Environment/Variables").as_object().expect("it is a mapping");
    everywhere.iter().chain(own).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// What a value is with every parameter at its default.
fn at_default(template: &Template, value: &Value) -> String {
    // Conditions name what is not the default.
    if let Some(otherwise) = value.pointer("/Fn::If/2") {
        return at_default(template, otherwise);
    }
    let default = |name: &str| match (name, template.at(&format!("/Parameters/{name}/Default"))) {
        ("OpenclawBaseUrl", _) => "https://gateway.example.com".to_owned(),
        (_, Value::Null) => "some-name".to_owned(),
        (_, value) => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
    };
    value.as_str().map_or_else(|| value["Ref"].as_str().map_or("some-name".to_owned(), default), str::to_owned)
}

/// Starts a function's configuration as its process does.
fn start(function: &str, env: &Env<'_>) -> Result<(), ConfigError> {
    config::cloud_metrics(env)?;
    config::release(env);
    match function {
        "EdgeAuth" => EdgeAuthConfig::from_env(env).map(drop),
        "Worker" => WorkerConfig::from_env(env).map(drop),
        "Status" => StatusConfig::from_env(env).map(drop),
        "Sweep" => SweepConfig::from_env(env).map(drop),
        "Operator" => OperatorConfig::from_env(env).map(drop),
        other => panic!("{other} is no function"),
    }
}

/// The names that a function asks for when it gets what the template sets, and how its start ended.
fn asked(template: &Template, function: &str) -> (BTreeSet<String>, Result<(), ConfigError>) {
    let set = set(template, function);
    let names = RefCell::new(BTreeSet::from([READ_ELSEWHERE.to_owned()]));
    let env = Env::from_fn(|name| {
        if name.starts_with("AWS_") {
            return (!name.starts_with("AWS_ENDPOINT_URL")).then(|| "platform".to_owned());
        }
        names.borrow_mut().insert(name.to_owned());
        set.iter().find(|(one, _)| one == name).map(|(_, value)| at_default(template, value))
    });
    let started = start(function, &env);
    drop(env);
    // The other places for secrets and checkpoints, those of a single host: asked for in every case, and not set in the
    // cloud.
    for elsewhere in ["SECRETS_FILE", "CHECKPOINT_DIR"] {
        names.borrow_mut().remove(elsewhere);
    }
    (names.into_inner(), started)
}

/// What is wrong with the variables of a function.
fn fault(template: &Template, function: &str) -> Option<String> {
    let set: BTreeSet<String> = set(template, function).into_iter().map(|(name, _)| name).collect();
    let (asked, started) = asked(template, function);
    if let Err(error) = started {
        return Some(format!("{function} does not start with the template's defaults: {error}"));
    }
    let difference =
        |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>().join(", ");
    let (missing, spare) = (difference(&asked, &set), difference(&set, &asked));
    (asked != set).then(|| format!("{function} reads [{missing}], which the template does not set, and not [{spare}]"))
}

#[test]
fn each_function_gets_exactly_the_variables_that_it_reads_with_values_that_it_takes() {
    let template = Template::read();
    let faults: Vec<String> = FUNCTIONS.iter().filter_map(|function| fault(&template, function)).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_variable_too_many_too_few_or_unreadable_is_named() {
    let template = Template::read();
    let own = |function: &str| format!("/Resources/{function}/Properties/Environment/Variables");
    for (function, name, value) in [
        ("Status", "QUEUE_URL", Some("https://queue")),
        ("Worker", "UNJOURNALED_WRITES", None),
        ("Worker", "OPENCLAW_BASE_URL", None),
        ("EdgeAuth", "SECRET_ID", None),
        ("EdgeAuth", "MAX_IN_FLIGHT", Some("many")),
        ("Sweep", "FAIR_QUEUE", Some("yes")),
        ("Sweep", "CHECKPOINT_BUCKET", None),
        ("Operator", "OPERATOR_JWKS", None),
        ("Operator", "SECRET_ID", Some("a-secret")),
    ] {
        let mut changed = template.clone();
        let variables = changed.0.pointer_mut(&own(function)).and_then(Value::as_object_mut).unwrap();
        match value {
            Some(value) => variables.insert(name.to_owned(), value.into()),
            None => variables.remove(name),
        };
        let sentence = fault(&changed, function).unwrap_or_else(|| panic!("{function} {name}"));
        assert!(sentence.contains(name) && sentence.contains(function), "{sentence}");
    }
}

/// Lambda takes no longer description of a version.
const LONGEST_DESCRIPTION: u64 = 256;

/// What keeps a deployment from publishing a version of each function, if anything does.
fn version_fault(template: &Template) -> Option<String> {
    let globals = template.at("/Globals/Function");
    let release = json!({"Ref": "Release"});
    for function in FUNCTIONS {
        let description = template.property(function, "VersionDescription");
        if description != &release {
            return Some(format!(
                "VersionDescription of {function} is {description}: two deployments could have the same"
            ));
        }
    }
    let longest = template.at("/Parameters/Release/MaxLength").as_u64().unwrap_or(u64::MAX);
    if longest > LONGEST_DESCRIPTION {
        return Some(format!(
            "Release may have {longest} characters, a description of a version {LONGEST_DESCRIPTION}"
        ));
    }
    // Lambda publishes nothing, and the deployment fails, if neither code nor configuration differ from the last
    // version.
    if globals["Environment"]["Variables"]["RELEASE"] != release {
        return Some("RELEASE is not Release: a version in which nothing is new would be refused".to_owned());
    }
    // Release has no default: an operator who forgets it would deploy under the name of the previous deployment.
    if template.at("/Parameters/Release/Default") != &Value::Null {
        return Some("Release has a Default".to_owned());
    }
    let own = FUNCTIONS.map(|function| (function, template.at(&format!("/Resources/{function}/Properties"))));
    for (place, properties) in own.into_iter().chain([("Globals", globals)]) {
        // Publishes for what Lambda does not version, a tag for instance, and Lambda refuses that.
        if properties.get("AutoPublishAliasAllProperties").is_some() {
            return Some(format!("AutoPublishAliasAllProperties is set in {place}"));
        }
    }
    None
}

#[test]
fn each_deployment_publishes_a_version_under_a_description_that_is_never_too_long() {
    let template = Template::read();
    assert_eq!(version_fault(&template), None);
    let settings = json!({"Fn::Sub": "${Release} ${OperatorIssuer} ${OperatorJwks} ${ExistingTable} ${SubnetIds}"});
    for (pointer, name, value, said) in [
        ("/Resources/Operator/Properties", "VersionDescription", settings, "VersionDescription of Operator"),
        ("/Globals/Function", "AutoPublishAliasAllProperties", json!(true), "Globals"),
        ("/Resources/Operator/Properties", "AutoPublishAliasAllProperties", json!(true), "Operator"),
        ("/Globals/Function/Environment/Variables", "RELEASE", json!("one"), "RELEASE"),
        ("/Parameters/Release", "MaxLength", json!(300), "300"),
        ("/Parameters/Release", "Default", json!("none"), "Default"),
    ] {
        let mut changed = template.clone();
        let place = changed.0.pointer_mut(pointer).and_then(Value::as_object_mut).unwrap();
        place.insert(name.to_owned(), value);
        let sentence = version_fault(&changed).unwrap_or_else(|| panic!("{pointer} {name}"));
        assert!(sentence.contains(said), "{sentence}");
    }
}
