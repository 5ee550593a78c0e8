//! The part of a tool's arguments that policies can use: those that Cedar has types for.

use std::{collections::BTreeMap, fmt};

use cedar_policy::RestrictedExpression;
use serde_json::{Map, Value};

/// The Cedar type of a value that a JSON Schema describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    Long,
    Text,
    Bool,
    /// A number with at most four decimal places.
    Decimal,
    Set(Box<Self>),
    Record(BTreeMap<String, Field>),
}

/// A property of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    shape: Shape,
    required: bool,
}

/// A value does not match its schema, or Cedar cannot represent it. Contains the property's name, never the value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value at {path:?} {problem}")]
pub(crate) struct Misfit {
    /// JSON pointer (RFC 6901) from the arguments' root.
    pub(crate) path: String,
    /// Description of the fault.
    pub(crate) problem: &'static str,
}

impl Shape {
    /// The type for a schema; `None` when Cedar has none, and policies cannot use the value.
    pub(crate) fn of(schema: &Value) -> Option<Self> {
        let schema = schema.as_object()?;
        match schema.get("type") {
            Some(Value::String(kind)) => match kind.as_str() {
                "integer" => Some(Self::Long),
                "string" => Some(Self::Text),
                "boolean" => Some(Self::Bool),
                "number" => Some(Self::Decimal),
                "array" => match Self::of(schema.get("items")?)? {
                    Self::Set(_) | Self::Record(_) => None,
                    scalar => Some(Self::Set(Box::new(scalar))),
                },
                "object" => Some(Self::record(schema)),
                _ => None,
            },
            // A union of several types.
            Some(_) => None,
            None => Self::of_listed(schema),
        }
    }

    /// The type for an empty schema.
    pub(crate) const fn nothing() -> Self {
        Self::Record(BTreeMap::new())
    }

    /// The type of an object, without the properties that policies cannot use.
    pub(crate) fn record(schema: &Map<String, Value>) -> Self {
        let required = |name: &str| {
            let list = schema.get("required").and_then(Value::as_array);
            list.is_some_and(|list| list.iter().any(|listed| listed == name))
        };
        let properties = schema.get("properties").and_then(Value::as_object);
        let fields = properties.into_iter().flatten().filter_map(|(name, schema)| {
            Some((name.clone(), Field { shape: Self::of(schema)?, required: required(name) }))
        });
        Self::Record(fields.collect())
    }

    /// The type by `const` or `enum` without a `type`, when all values have the same type.
    fn of_listed(schema: &Map<String, Value>) -> Option<Self> {
        let of_value = |value: &Value| match value {
            Value::String(_) => Some(Self::Text),
            Value::Bool(_) => Some(Self::Bool),
            Value::Number(number) if number.is_i64() => Some(Self::Long),
            Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
        };
        if let Some(value) = schema.get("const") {
            return of_value(value);
        }
        let listed = schema.get("enum")?.as_array()?;
        let first = of_value(listed.first()?)?;
        listed.iter().all(|value| of_value(value).as_ref() == Some(&first)).then_some(first)
    }

    /// Converts a value to Cedar.
    pub(crate) fn see(&self, value: &Value) -> Result<RestrictedExpression, Misfit> {
        let misfit = |problem| Misfit { path: String::new(), problem };
        match (self, value) {
            (Self::Long, Value::Number(number)) => {
                let long = whole(number).ok_or_else(|| misfit("is not a whole number"))?;
                Ok(RestrictedExpression::new_long(long))
            }
            (Self::Decimal, Value::Number(number)) => {
                let text = decimal(number).ok_or_else(|| misfit("does not fit a decimal of four places"))?;
                Ok(RestrictedExpression::new_decimal(text))
            }
            (Self::Text, Value::String(text)) => Ok(RestrictedExpression::new_string(text.clone())),
            (Self::Bool, Value::Bool(flag)) => Ok(RestrictedExpression::new_bool(*flag)),
            (Self::Set(of), Value::Array(items)) => {
                let see = |(n, item): (usize, &Value)| of.see(item).map_err(|misfit| misfit.below(&n.to_string()));
                let seen: Result<Vec<_>, _> = items.iter().enumerate().map(see).collect();
                seen.map(RestrictedExpression::new_set)
            }
            (Self::Record(fields), Value::Object(values)) => {
                let mut seen = Vec::with_capacity(fields.len());
                for (name, field) in fields {
                    match values.get(name) {
                        Some(value) => {
                            seen.push((name.clone(), field.shape.see(value).map_err(|misfit| misfit.below(name))?));
                        }
                        None if field.required => return Err(misfit("is missing").below(name)),
                        None => {}
                    }
                }
                RestrictedExpression::new_record(seen).map_err(|_| misfit("is there twice"))
            }
            _ => Err(misfit("has another type than its schema says")),
        }
    }
}

impl Misfit {
    fn below(self, name: &str) -> Self {
        let name = name.replace('~', "~0").replace('/', "~1");
        Self { path: format!("/{name}{}", self.path), ..self }
    }
}

/// JSON Schema accepts 5.0 as an integer, so this does too.
#[expect(clippy::cast_possible_truncation, reason = "up to 2^53 a whole double is exact")]
fn whole(number: &serde_json::Number) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let of_double = |f: f64| (f.fract() == 0.0 && f.abs() <= EXACT).then_some(f as i64);
    number.as_i64().or_else(|| number.as_f64().and_then(of_double))
}

/// A number in Cedar's decimal syntax: digits, a point, one to four digits; `None` when that would change its value.
fn decimal(number: &serde_json::Number) -> Option<String> {
    // Cedar's decimals are 64-bit integers of ten-thousandths.
    const LIMIT: f64 = 922_337_203_685_477.0;
    let double = number.as_f64().filter(|double| double.abs() < LIMIT)?;
    // Prints the fewest digits that identify the double, without an exponent.
    let text = double.to_string();
    match text.split_once('.') {
        None => Some(format!("{text}.0")),
        Some((_, places)) if places.len() <= 4 => Some(text),
        Some(_) => None,
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Long => f.write_str("Long"),
            Self::Text => f.write_str("String"),
            Self::Bool => f.write_str("Bool"),
            Self::Decimal => f.write_str("decimal"),
            Self::Set(of) => write!(f, "Set<{of}>"),
            Self::Record(fields) => {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(name, field)| format!("{}{}: {}", key(name), optional(field.required), field.shape))
                    .collect();
                if fields.is_empty() { f.write_str("{}") } else { write!(f, "{{ {} }}", fields.join(", ")) }
            }
        }
    }
}

const fn optional(required: bool) -> &'static str {
    if required { "" } else { "?" }
}

/// An attribute's name in a Cedar schema, quoted where necessary.
pub(crate) fn key(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let reserved = ["in", "namespace", "type", "entity", "action", "context", "principal", "resource", "enum"];
    let keyword = ["true", "false", "if", "then", "else", "like", "has", "is"];
    if plain && !reserved.contains(&name) && !keyword.contains(&name) { name.to_owned() } else { format!("{name:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_schema_is_seen_as_far_as_cedar_has_types() {
        let schema = json!({
            "type": "object",
            "required": ["amount", "to"],
            "properties": {
                "amount": {"type": "integer"}, "rate": {"type": "number"}, "note": {"type": "string"},
                "sure": {"type": "boolean"}, "kind": {"enum": ["a", "b"]}, "level": {"enum": [1, 2]}, "always": {"const": true},
                "tags": {"type": "array", "items": {"type": "string"}},
                "to": {"type": "object", "properties": {"name": {"type": "string"}, "extra": {}}},
                "nullable": {"type": ["string", "null"]}, "mixed": {"enum": ["a", 1]}, "any": true,
                "lists": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
                "choice": {"anyOf": [{"type": "string"}]}, "bare": {"type": "array"}, "in": {"type": "string"}, "Ünder": {"type": "string"}
            }
        });
        assert_eq!(
            Shape::of(&schema).unwrap().to_string(),
            "{ always?: Bool, amount: Long, \"in\"?: String, kind?: String, level?: Long, note?: String, \
             rate?: decimal, sure?: Bool, tags?: Set<String>, to: { name?: String }, \"Ünder\"?: String }"
        );
        assert_eq!(Shape::of(&json!({"type":"object"})).unwrap().to_string(), "{}");
    }

    #[test]
    fn a_value_that_cedar_cannot_hold_is_reported_by_its_pointer_alone() {
        let shape = Shape::of(&json!({"type":"object","required":["n"],"properties":{
            "n":{"type":"integer"},"d":{"type":"number"},"s":{"type":"array","items":{"type":"string"}},
            "o":{"type":"object","properties":{"t":{"type":"string"},"a/b~c":{"type":"string"}}}}}))
        .unwrap();
        assert_eq!(shape.see(&json!({"n": 9_007_199_254_740_991.0})).map(drop), Ok(()));
        let good = json!({"n": 5.0, "d": 0.1234, "s": ["x"], "o": {"t": "x", "more": null}, "more": 7});
        assert_eq!(shape.see(&good).map(drop), Ok(()));
        for (value, told) in [
            (json!({}), "the value at \"/n\" is missing"),
            (json!({"n": 1.5}), "the value at \"/n\" is not a whole number"),
            (json!({"n": "1"}), "the value at \"/n\" has another type than its schema says"),
            (json!({"n": 1, "d": 0.12345}), "the value at \"/d\" does not fit a decimal of four places"),
            (json!({"n": 1, "d": 1e15}), "the value at \"/d\" does not fit a decimal of four places"),
            (json!({"n": 1e16}), "the value at \"/n\" is not a whole number"),
            (json!({"n": 1, "s": ["x", 1]}), "the value at \"/s/1\" has another type than its schema says"),
            (json!({"n": 1, "o": {"t": null}}), "the value at \"/o/t\" has another type than its schema says"),
            (json!({"n": 1, "o": {"a/b~c": 1}}), "the value at \"/o/a~1b~0c\" has another type than its schema says"),
            (json!([]), "the value at \"\" has another type than its schema says"),
        ] {
            assert_eq!(shape.see(&value).map(drop).unwrap_err().to_string(), told, "{value}");
        }
    }

    #[test]
    fn a_decimal_is_the_number_or_none() {
        let of = |value: Value| value.as_number().and_then(decimal);
        for (value, text) in [
            (json!(5), Some("5.0")),
            (json!(-0.5), Some("-0.5")),
            (json!(12.3456), Some("12.3456")),
            (json!(1e-7), None),
            (json!(0.1 + 0.2), None),
            (json!(9_007_199_254_740_991_i64), None),
        ] {
            assert_eq!(of(value.clone()).as_deref(), text, "{value}");
        }
    }
}
