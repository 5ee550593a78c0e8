//! The template's alarms, rules and dashboard, with its intrinsic functions resolved.

use serde_json::{Map, Value, json};
use serde_yaml_ng::Value as Yaml;

/// The stack's name in this test, and so the namespace of its metrics.
pub(crate) const STACK: &str = "stack";

/// A resource: its logical name, its type, its properties.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) properties: Value,
}

/// Every resource of `template.yaml`. A name of another resource stands for it: `Queue`, or `Queue.QueueName` for an
/// attribute.
pub(crate) fn resources() -> Vec<Resource> {
    parse(include_str!("../../template.yaml"))
}

fn parse(text: &str) -> Vec<Resource> {
    let mut template: Yaml = serde_yaml_ng::from_str(text).expect("the template is YAML");
    template.apply_merge().expect("merge keys name mappings");
    let resources = template.get("Resources").and_then(Yaml::as_mapping).expect("the template has resources");
    let resource = |(name, body): (&Yaml, &Yaml)| Resource {
        name: name.as_str().expect("a logical name").to_owned(),
        kind: body.get("Type").and_then(Yaml::as_str).expect("a resource has a type").to_owned(),
        properties: body.get("Properties").map_or_else(|| json!({}), resolve),
    };
    resources.iter().map(resource).collect()
}

/// A value as JSON, intrinsic functions resolved.
fn resolve(value: &Yaml) -> Value {
    match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(truth) => json!(truth),
        Yaml::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => json!(whole),
            (None, float) => json!(float),
        },
        Yaml::String(text) => json!(text),
        Yaml::Sequence(items) => items.iter().map(resolve).collect(),
        Yaml::Mapping(entries) => {
            let entry = |(key, value): (&Yaml, &Yaml)| (key.as_str().unwrap_or_default().to_owned(), resolve(value));
            Value::Object(entries.iter().map(entry).collect::<Map<_, _>>())
        }
        Yaml::Tagged(tagged) => match (tagged.tag.to_string().as_str(), resolve(&tagged.value)) {
            ("!Ref", Value::String(name)) => json!(named(&name)),
            ("!GetAtt", Value::String(name)) => json!(name),
            ("!Sub", Value::String(text)) => json!(substitute(&text)),
            // Conditions, mappings and what else the watched part does not use.
            (tag, inner) => json!({ tag: inner }),
        },
    }
}

fn named(name: &str) -> String {
    match name {
        "AWS::StackName" => STACK,
        "AWS::Region" => "eu-west-1",
        "AWS::Partition" => "aws",
        "AWS::AccountId" => "123456789012",
        "AWS::URLSuffix" => "amazonaws.com",
        other => other,
    }
    .to_owned()
}

fn substitute(text: &str) -> String {
    let mut parts = text.split("${");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, after) = part.split_once('}').expect("a substitution is closed");
        whole.push_str(&named(name));
        whole.push_str(after);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intrinsic_functions_and_merge_keys_are_resolved() {
        let text = "Resources:\n  A:\n    Type: T\n    Properties: &a\n      P: !Ref AWS::StackName\n      Q: !GetAtt Queue.QueueName\n  \
                    B:\n    Type: T\n    Properties:\n      <<: *a\n      P: !Sub \"x-${AWS::Region}-${Queue}\"\n  C: {Type: U}\n";
        let resources = parse(text);
        assert_eq!(resources[0].properties, json!({"P": STACK, "Q": "Queue.QueueName"}));
        assert_eq!(resources[1].properties["P"], "x-eu-west-1-Queue");
        assert_eq!(resources[1].properties["Q"], "Queue.QueueName");
        assert_eq!((resources[2].name.as_str(), resources[2].kind.as_str()), ("C", "U"));
    }

    #[test]
    fn the_template_is_read_whole() {
        let resources = resources();
        let count = |kind: &str| resources.iter().filter(|resource| resource.kind == kind).count();
        assert!(count("AWS::CloudWatch::Alarm") >= 25 && count("AWS::CloudWatch::InsightRule") == 3);
        assert_eq!((count("AWS::CloudWatch::Dashboard"), count("AWS::Serverless::Function")), (1, 5));
    }
}
