//! A wrong parameter stops the deployment with a sentence that names it.

use serde_json::{Value, json};

use crate::document::Template;

fn takes(template: &Template, parameter: &str, text: &str) -> bool {
    let pattern = template.at(&format!("/Parameters/{parameter}/AllowedPattern"));
    let schema = json!({"type": "string", "pattern": pattern});
    jsonschema::draft202012::new(&schema).expect("a pattern").is_valid(&json!(text))
}

#[test]
fn each_parameter_says_what_it_is_and_its_refusal_names_it() {
    let template = Template::read();
    for (name, parameter) in template.at("/Parameters").as_object().unwrap() {
        // Of a number, CloudFormation's own refusal names the parameter and the bound.
        let is_range = parameter.get("MinValue").is_some() && parameter.get("MaxValue").is_some();
        let sentence = parameter["ConstraintDescription"].as_str().unwrap_or_default();
        assert!(is_range || (sentence.contains(name.as_str()) && sentence.ends_with('.')), "{name}: {sentence}");
        assert!(parameter["Description"].as_str().is_some_and(|text| text.ends_with('.')), "{name} has no Description");
        let bounded = ["AllowedValues", "AllowedPattern", "MinValue"].iter().any(|key| parameter.get(key).is_some());
        assert!(bounded, "{name} takes anything");
        match (&parameter["Default"], parameter["AllowedPattern"].as_str()) {
            (Value::String(default), Some(_)) => assert!(takes(&template, name, default), "{name}: {default}"),
            (Value::Number(default), _) => {
                let (default, bound) = (default.as_f64(), |key: &str| parameter[key].as_f64());
                let listed = parameter["AllowedValues"].as_array();
                let within = bound("MinValue") <= default && default <= bound("MaxValue");
                assert!(listed.map_or(within, |all| all.contains(&parameter["Default"])), "{name}");
            }
            _ => {}
        }
    }
}

#[test]
fn the_console_shows_each_parameter_in_one_group() {
    let template = Template::read();
    let groups = template.at("/Metadata/AWS::CloudFormation::Interface/ParameterGroups").as_array().unwrap();
    let shown: Vec<&str> =
        groups.iter().flat_map(|group| group["Parameters"].as_array().unwrap()).filter_map(Value::as_str).collect();
    let mut sorted = shown.clone();
    sorted.sort_unstable();
    let mut known: Vec<&str> = template.at("/Parameters").as_object().unwrap().keys().map(String::as_str).collect();
    known.sort_unstable();
    assert_eq!(sorted, known);
}

#[test]
fn the_gateway_and_wechat_are_reached_by_tls_or_on_loopback() {
    let template = Template::read();
    for (text, taken) in [
        ("https://gateway.example.com", true),
        ("https://10.0.3.7:18789", true),
        ("https://gateway.example.com/openclaw", true),
        ("http://127.0.0.1:18789", true),
        ("http://localhost:18789", true),
        ("http://gateway.example.com", false),
        ("http://127.0.0.1.example.com", false),
        ("http://localhost.example.com", false),
        ("https://user:token@gateway.example.com", false),
        ("https://gateway.example.com?token=x", false),
        ("ws://gateway.example.com", false),
        ("gateway.example.com", false),
        ("https://", false),
        ("", false),
    ] {
        assert_eq!(takes(&template, "OpenclawBaseUrl", text), taken, "{text}");
    }
    for (text, taken) in [
        ("https://login.example.com/keys", true),
        ("https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI/.well-known/jwks.json", true),
        ("http://127.0.0.1:9000/jwks.json", true),
        ("http://login.example.com/keys", false),
        ("https://login.example.com/keys?kid=1", false),
        ("file:///etc/keys.json", false),
        ("", false),
    ] {
        assert_eq!(takes(&template, "OperatorJwks", text), taken, "{text}");
    }
    assert!(takes(&template, "OperatorIssuer", "https://login.microsoftonline.com/0e1b/v2.0"));
    assert!(!takes(&template, "OperatorIssuer", "http://login.example.com"));
    assert!(!takes(&template, "WechatBaseUrl", "http://api.weixin.qq.com"));
    assert!(!takes(&template, "WechatBaseUrl", "https://api.weixin.qq.com/sns"));
}

#[test]
fn other_parameters_take_what_they_are_and_nothing_else() {
    let template = Template::read();
    for (parameter, good, bad) in [
        ("Release", "0123456789ab-20261129T004431Z", "two words"),
        ("Release", "0123456789ab-dirty-20261129T004431Z", ""),
        ("WechatAppId", "wx0123456789abcdef", "wx 1"),
        ("DomainName", "api.example.com", "https://api.example.com"),
        (
            "CertificateArn",
            "arn:aws-cn:acm:cn-north-1:123456789012:certificate/0-1",
            "arn:aws:iam::1:server-certificate/x",
        ),
        ("SubnetIds", "subnet-0a1b,subnet-0c2d", "subnet-0a1b,vpc-0a1b"),
        ("SecurityGroupIds", "sg-0a1b", "default"),
        ("StatusConcurrency", "50", "0"),
        ("ExistingTable", "openclaw-miniprogram-prod-Table-1ABCDEFGHIJKL-restored-2026-11-29", "a/b"),
        ("AlarmEmail", "ops@example.com", "ops"),
        ("OperatorAudience", "api://openclaw-operators", "two words"),
        ("OperatorRolesClaim", "https://example.com/roles", "the roles"),
        ("OperatorRolesClaim", "/realm_access/roles", ""),
        ("ConsoleClientId", "0oa1b2c3", "a,b"),
    ] {
        assert!(takes(&template, parameter, good), "{parameter} {good}");
        assert!(!takes(&template, parameter, bad), "{parameter} {bad}");
    }
}

#[test]
fn without_an_issuer_there_are_no_operators_and_staging_and_prod_require_one() {
    let template = Template::read();
    let default = |name: &str| template.at(&format!("/Parameters/{name}/Default")).as_str().unwrap().to_owned();
    // No host ever has a name below `.invalid` (RFC 2606): with a key set that cannot be fetched, no token is accepted.
    for name in ["OperatorIssuer", "OperatorJwks"] {
        assert!(default(name).starts_with("https://operators.invalid"), "{name}");
    }
    let rule = template.at("/Rules/RealOperators");
    let refused: Vec<String> = rule["Assertions"].as_array().unwrap().iter().map(Value::to_string).collect();
    for (name, sentence) in ["OperatorIssuer", "OperatorJwks"].into_iter().zip(refused) {
        assert!(sentence.contains(&default(name)) && sentence.contains(&format!("{name} must be named")), "{sentence}");
    }
}

#[test]
fn what_belongs_together_is_given_together() {
    let template = Template::read();
    let rules = template.at("/Rules").as_object().unwrap();
    for (rule, named) in [
        ("DomainAndCertificate", ["DomainName", "CertificateArn"]),
        ("SubnetsAndSecurityGroups", ["SubnetIds", "SecurityGroupIds"]),
        ("RealWechat", ["WechatBaseUrl", "Stage"]),
        ("RealOperators", ["OperatorIssuer", "Stage"]),
        ("NoTracesInChina", ["Tracing", "Tracing"]),
    ] {
        let sentence = rules[rule]["Assertions"][0]["AssertDescription"].as_str().unwrap();
        let read = template.parameters_in(&rules[rule]);
        for name in named {
            assert!(sentence.contains(name) && read.contains(name), "{rule}: {sentence}");
        }
    }
}
