//! Finds out whether a JSON Schema describes every object that it accepts completely.
//!
//! A schema without `"additionalProperties": false` accepts fields that it does not describe. The author of the
//! catalogue has not considered them: they may contain a model's text, or something that looks like a reference to an
//! earlier step.

use serde_json::{Map, Value};

/// Types without fields or items.
const SCALARS: [&str; 5] = ["string", "integer", "number", "boolean", "null"];

/// Whether the schema accepts, at any level, an object or a list that it does not describe completely. True in doubt:
/// `$ref`, `patternProperties` and `not` are not analysed.
pub(super) fn is_open(schema: &Value) -> bool {
    let Value::Object(schema) = schema else { return *schema != Value::Bool(false) };
    if schema.contains_key("const") || schema.contains_key("enum") {
        return false;
    }
    let Some(kind) = schema.get("type") else { return is_open_untyped(schema) };
    let kinds: Vec<&str> = match kind {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => kind.as_str().into_iter().collect(),
    };
    kinds.iter().any(|kind| match *kind {
        "object" => is_open_object(schema),
        "array" => is_open_array(schema),
        kind => !SCALARS.contains(&kind),
    })
}

/// Without a `type`, the schemas that it combines decide.
fn is_open_untyped(schema: &Map<String, Value>) -> bool {
    let parts = |name: &str| schema.get(name).and_then(Value::as_array);
    let each_is_closed = |name| parts(name).is_some_and(|parts| !parts.iter().any(is_open));
    let one_is_closed = parts("allOf").is_some_and(|parts| parts.iter().any(|part| !is_open(part)));
    !(each_is_closed("anyOf") || each_is_closed("oneOf") || one_is_closed)
}

fn is_open_object(schema: &Map<String, Value>) -> bool {
    let closes = |name: &str| schema.get(name) == Some(&Value::Bool(false));
    let properties = schema.get("properties").and_then(Value::as_object);
    !(closes("additionalProperties") || closes("unevaluatedProperties"))
        || schema.contains_key("patternProperties")
        || properties.into_iter().flatten().any(|(_, schema)| is_open(schema))
}

fn is_open_array(schema: &Map<String, Value>) -> bool {
    let listed = schema.get("prefixItems").and_then(Value::as_array);
    schema.get("items").is_none_or(is_open) || listed.into_iter().flatten().any(is_open)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_schema_is_closed_when_it_describes_every_object_and_list() {
        let closed = |properties: Value| json!({"type":"object","additionalProperties":false,"properties":properties});
        for schema in [
            closed(json!({})),
            closed(json!({"a":{"type":"string"},"b":{"type":["integer","null"]},"c":{"enum":["x", {"y":1}]}})),
            closed(json!({"a":{"type":"array","items":{"type":"number"}}})),
            closed(json!({"a":closed(json!({"b":{"const":{}}}))})),
            closed(json!({"a":{"anyOf":[{"type":"string"},closed(json!({}))]}})),
            json!({"type":"object","unevaluatedProperties":false}),
            json!({"allOf":[closed(json!({})),{}]}),
            json!(false),
        ] {
            assert!(!is_open(&schema), "{schema}");
        }
        for schema in [
            json!({}),
            json!(true),
            json!({"type":"object"}),
            json!({"type":"object","additionalProperties":{"type":"string"}}),
            json!({"type":"object","additionalProperties":false,"patternProperties":{"^x":{"type":"string"}}}),
            closed(json!({"a":{}})),
            closed(json!({"a":true})),
            closed(json!({"a":{"type":"object"}})),
            closed(json!({"a":{"type":"array"}})),
            closed(json!({"a":{"type":"array","items":{"type":"object"}}})),
            closed(json!({"a":{"type":"array","prefixItems":[{}],"items":false}})),
            closed(json!({"a":{"anyOf":[{"type":"string"},{}]}})),
            closed(json!({"a":{"$ref":"#/$defs/a"}})),
            closed(json!({"a":{"not":{"type":"string"}}})),
            json!({"type":["object","string"]}),
        ] {
            assert!(is_open(&schema), "{schema}");
        }
    }
}
