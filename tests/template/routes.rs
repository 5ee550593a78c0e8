//! Every route of `openapi.yaml` is in the template and back, at the function that serves it on one host.

use std::collections::BTreeMap;

use platform::http::routes::{Function, ROUTES};
use serde_json::Value;

use crate::document::Template;

/// Routes of the template that stand for more than one route of the contract. They answer other methods and other paths
/// as the contract says.
const OTHERS: [(&str, &str); 9] = [
    ("ANY /v1/sessions", "EdgeAuth"),
    ("ANY /v1/rings", "EdgeAuth"),
    ("ANY /v1/users/me", "EdgeAuth"),
    ("ANY /v1/wechat/events", "EdgeAuth"),
    ("ANY /v1/jobs/{request_id}/cancel", "EdgeAuth"),
    ("ANY /v1/jobs/{request_id}/approval", "EdgeAuth"),
    ("ANY /v1/conversations/{conversation}", "EdgeAuth"),
    ("ANY /v1/operator/{proxy+}", "Operator"),
    ("$default", "Status"),
];

/// Each route of the template, with the function that its integration names.
fn deployed(template: &Template) -> BTreeMap<String, String> {
    let routes = template.of_type("AWS::ApiGatewayV2::Route").map(|(name, route)| {
        let properties = &route["Properties"];
        let target = properties["Target"]["Fn::Sub"].as_str().unwrap_or_default();
        let integration = target.strip_prefix("integrations/${").and_then(|rest| rest.strip_suffix('}'));
        let integration = integration.unwrap_or_else(|| panic!("{name}: {target}"));
        let alias = template.property(integration, "IntegrationUri")["Ref"].as_str().unwrap_or_default();
        let key = properties["RouteKey"].as_str().unwrap_or_else(|| panic!("{name} has no RouteKey"));
        (key.to_owned(), alias.trim_end_matches(".Alias").to_owned())
    });
    routes.collect()
}

/// Served on one host, and on AWS only to invokers of the function, because it reads the table for every caller.
const NOT_PUBLISHED: &str = "GET /readyz";

fn served() -> BTreeMap<String, String> {
    let function = |function| match function {
        Function::EdgeAuth => "EdgeAuth",
        Function::Status => "Status",
        Function::Operator => "Operator",
    };
    ROUTES
        .iter()
        .map(|route| (format!("{} {}", route.method, route.path), function(route.function()).to_owned()))
        .collect()
}

/// The only route of operators: they share one rate, and the function has the list of their methods and paths.
const OPERATORS: &str = "/v1/operator/";

/// What differs, in words.
fn fault(template: &Template, expected: &BTreeMap<String, String>) -> Option<String> {
    let mut deployed = deployed(template);
    if deployed.contains_key(NOT_PUBLISHED) {
        return Some(format!("{NOT_PUBLISHED} is published: it reads the table for every client"));
    }
    for (key, function) in OTHERS {
        if deployed.remove(key).as_deref() != Some(function) {
            return Some(format!("{key} does not go to {function}"));
        }
    }
    if let Some(key) = deployed.keys().find(|key| key.contains(OPERATORS)) {
        return Some(format!("{key} is a route beside ANY /v1/operator/{{proxy+}}, and would have a rate of its own"));
    }
    let by_one_route = |key: &str, function: &str| key.contains(OPERATORS) && function == "Operator";
    let mut published = expected.iter().filter(|(key, function)| *key != NOT_PUBLISHED && !by_one_route(key, function));
    let missing = published.find(|(key, function)| deployed.get(*key) != Some(*function));
    if let Some((key, function)) = missing {
        return Some(format!("{key} goes to {:?} in the template, and has to go to {function}", deployed.get(key)));
    }
    deployed
        .keys()
        .find(|key| !expected.contains_key(*key))
        .map(|key| format!("{key} is a route of the template alone"))
}

#[test]
fn every_route_is_deployed_to_the_function_that_serves_it_and_back() {
    assert_eq!(fault(&Template::read(), &served()), None);
}

#[test]
fn every_route_of_the_contract_is_deployed_and_back() {
    let file = integration_tests::mini_gateway::checkout().join("openapi.yaml");
    let document: Value = serde_yaml_ng::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let mut written = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            if ["get", "post", "put", "patch", "delete"].contains(&method.as_str()) {
                let key = format!("{} {path}", method.to_uppercase());
                let function = served().remove(&key).unwrap_or_else(|| panic!("{key} is not served"));
                written.insert(key, function);
            }
        }
    }
    assert_eq!(fault(&Template::read(), &written), None);
}

#[test]
fn a_route_that_is_missing_or_goes_elsewhere_is_named() {
    for (pointer, value, named) in [
        ("/Resources/AuditRoute/Properties/RouteKey", "GET /v1/jobs/{id}/audit", "GET /v1/jobs/{request_id}/audit"),
        ("/Resources/CancelRoute/Properties/Target/Fn::Sub", "integrations/${StatusIntegration}", "cancel"),
        ("/Resources/OtherRoute/Properties/RouteKey", "GET /v1/else", "$default"),
        ("/Resources/LiveRoute/Properties/RouteKey", "GET /readyz", "GET /readyz is published"),
        ("/Resources/OperatorRoute/Properties/RouteKey", "ANY /v1/operators/{proxy+}", "ANY /v1/operator/{proxy+}"),
        ("/Resources/ToolsRoute/Properties/RouteKey", "GET /v1/operator/me", "rate of its own"),
    ] {
        let mut changed = Template::read();
        *changed.0.pointer_mut(pointer).unwrap() = value.into();
        let sentence = fault(&changed, &served()).expect(pointer);
        assert!(sentence.contains(named), "{sentence}");
    }
}
