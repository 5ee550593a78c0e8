//! The template, with every short form of an intrinsic function in its long form.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// The parsed template.
#[derive(Debug, Clone)]
pub(crate) struct Template(pub(crate) Value);

/// The functions, by their logical ids.
pub(crate) const FUNCTIONS: [&str; 5] = ["EdgeAuth", "Worker", "Status", "Sweep", "Operator"];

impl Template {
    /// The one that is deployed.
    pub(crate) fn read() -> Self {
        let file = integration_tests::mini_gateway::checkout().join("template.yaml");
        Self::parse(&std::fs::read_to_string(file).expect("the template is there"))
    }

    pub(crate) fn parse(text: &str) -> Self {
        let mut yaml: serde_yaml_ng::Value = serde_yaml_ng::from_str(text).expect("the template is YAML");
        yaml.apply_merge().expect("its merges are of mappings");
        Self(long_form(yaml))
    }

    /// What is there, or `null`.
    pub(crate) fn at(&self, pointer: &str) -> &Value {
        self.0.pointer(pointer).unwrap_or(&Value::Null)
    }

    /// A property of a resource.
    pub(crate) fn property(&self, resource: &str, path: &str) -> &Value {
        self.at(&format!("/Resources/{resource}/Properties/{path}"))
    }

    /// A number, or the least and the most that its parameter takes.
    pub(crate) fn range(&self, resource: &str, path: &str) -> Result<(f64, f64), String> {
        let value = self.property(resource, path);
        let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok());
        let bounds = match value["Ref"].as_str() {
            None => number(value).map(|number| (number, number)),
            Some(parameter) => {
                let bound = |name: &str| number(self.at(&format!("/Parameters/{parameter}/{name}")));
                bound("MinValue").zip(bound("MaxValue"))
            }
        };
        bounds.ok_or_else(|| format!("{resource}.{path} is no number and no parameter with bounds: {value}"))
    }

    /// Resources of a type.
    pub(crate) fn of_type<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let all = self.at("/Resources").as_object().expect("there are resources");
        all.iter().filter(move |(_, one)| one["Type"] == kind).map(|(name, one)| (name.as_str(), one))
    }

    /// The parameters that a value refers to, through conditions as well.
    pub(crate) fn parameters_in(&self, value: &Value) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let parameters = self.at("/Parameters").as_object().expect("there are parameters");
        let mut open = vec![value];
        while let Some(value) = open.pop() {
            match value {
                Value::Array(list) => open.extend(list),
                Value::Object(map) => {
                    if let Some(name) = map.get("Ref").and_then(Value::as_str) {
                        found.extend(parameters.contains_key(name).then(|| name.to_owned()));
                    }
                    if let Some(condition) = map.get("Fn::If").and_then(|parts| parts[0].as_str()) {
                        open.push(self.at(&format!("/Conditions/{condition}")));
                    }
                    if let Some(sub) = map.get("Fn::Sub") {
                        let text = sub.as_str().or(sub[0].as_str()).unwrap_or_default();
                        let names = text.split("${").skip(1).filter_map(|rest| rest.split('}').next());
                        found.extend(names.filter(|name| parameters.contains_key(*name)).map(str::to_owned));
                    }
                    open.extend(map.values());
                }
                _ => {}
            }
        }
        found
    }
}

fn long_form(value: serde_yaml_ng::Value) -> Value {
    use serde_yaml_ng::Value as Yaml;
    match value {
        Yaml::Tagged(tagged) => {
            let (tag, value) = (tagged.tag.to_string(), long_form(tagged.value));
            match (tag.trim_start_matches('!'), value) {
                ("Ref", value) => json!({ "Ref": value }),
                ("GetAtt", Value::String(path)) => {
                    let (resource, attribute) = path.split_once('.').expect("GetAtt names an attribute");
                    json!({ "Fn::GetAtt": [resource, attribute] })
                }
                (name, value) => json!({ format!("Fn::{name}"): value }),
            }
        }
        Yaml::Sequence(list) => list.into_iter().map(long_form).collect(),
        Yaml::Mapping(map) => {
            let text = |key: Yaml| key.as_str().map(str::to_owned).expect("a key is text");
            Value::Object(map.into_iter().map(|(key, value)| (text(key), long_form(value))).collect::<Map<_, _>>())
        }
        plain => serde_json::to_value(plain).expect("plain values are JSON"),
    }
}
