//! References to results of earlier steps: `{"$from": {"step": 0, "pointer": "/reply"}}` stands for the value at that
//! JSON pointer (RFC 6901) in that step's result. The edge checks references; the worker resolves them at the cursor.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The field that makes an object a reference.
const FROM: &str = "$from";

/// Why a reference is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeriveFault {
    /// It is not exactly `{"$from": {"step": number, "pointer": text}}`.
    #[error("{at} is not {{\"$from\": {{\"step\": number, \"pointer\": text}}}}")]
    NotAReference {
        /// JSON pointer to the reference.
        at: String,
    },
    /// It refers to a step that is not an earlier one.
    #[error("{at} names step {step}, which is not an earlier one")]
    NotEarlier {
        /// JSON pointer to the reference.
        at: String,
        /// The index that it has.
        step: usize,
    },
    /// The step's result has no value there.
    #[error("{at} names a place that step {step} did not return")]
    Missing {
        /// JSON pointer to the reference.
        at: String,
        /// Index of the step.
        step: usize,
    },
    /// The value with its references resolved is too long.
    #[error("what the references stand for is too long")]
    TooLong,
}

impl DeriveFault {
    /// JSON pointer to the reference.
    pub fn at(&self) -> &str {
        match self {
            Self::NotAReference { at } | Self::NotEarlier { at, .. } | Self::Missing { at, .. } => at,
            Self::TooLong => "",
        }
    }
}

/// Whether a value is meant as a reference; [`references`] checks the rest of it.
pub fn is_reference(value: &Value) -> bool {
    value.as_object().is_some_and(|fields| fields.contains_key(FROM))
}

/// Indexes of the steps that a value refers to. Each has to be below `own`.
pub fn references(value: &Value, own: usize) -> Result<BTreeSet<usize>, DeriveFault> {
    let mut steps = BTreeSet::new();
    walk(value, &mut String::new(), &mut |at, step, _| {
        if step >= own {
            return Err(DeriveFault::NotEarlier { at: at.to_owned(), step });
        }
        steps.insert(step);
        Ok(Value::Null)
    })?;
    Ok(steps)
}

/// Resolves every reference. `result_of` returns the result of a submitted step. The inserted values may have
/// `at_most` bytes in total, counted before they are copied: a short request may refer to a long result a thousand
/// times.
pub fn resolve<'a>(
    value: &Value,
    result_of: impl Fn(usize) -> Option<&'a Value>,
    at_most: usize,
) -> Result<Value, DeriveFault> {
    let mut left = at_most;
    walk(value, &mut String::new(), &mut |at, step, pointer| {
        let found = result_of(step).and_then(|result| result.pointer(pointer));
        let found = found.ok_or_else(|| DeriveFault::Missing { at: at.to_owned(), step })?;
        left = length(found, left).ok_or(DeriveFault::TooLong)?;
        Ok(found.clone())
    })
}

/// The rest of a length after a value; `None` when the value is too long. Counts a lower bound of its JSON text, at
/// least 1 for each part.
fn length(value: &Value, left: usize) -> Option<usize> {
    let left = left.checked_sub(1)?;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(left),
        Value::String(text) => left.checked_sub(text.len()),
        Value::Array(values) => values.iter().try_fold(left, |left, value| length(value, left)),
        Value::Object(fields) => {
            fields.iter().try_fold(left, |left, (name, value)| length(value, left.checked_sub(name.len())?))
        }
    }
}

type Replace<'r> = dyn FnMut(&str, usize, &str) -> Result<Value, DeriveFault> + 'r;

/// Walks a value and replaces its references. `at` is the JSON pointer to it.
fn walk(value: &Value, at: &mut String, replace: &mut Replace<'_>) -> Result<Value, DeriveFault> {
    match value {
        Value::Object(fields) if fields.contains_key(FROM) => {
            let (step, pointer) = reference(fields).ok_or_else(|| DeriveFault::NotAReference { at: at.clone() })?;
            replace(at, step, pointer)
        }
        Value::Object(fields) => {
            let mut replaced = Map::new();
            for (name, value) in fields {
                let value = inside(at, &name.replace('~', "~0").replace('/', "~1"), value, replace)?;
                replaced.insert(name.clone(), value);
            }
            Ok(Value::Object(replaced))
        }
        Value::Array(values) => {
            let replaced: Result<Vec<Value>, DeriveFault> = values
                .iter()
                .enumerate()
                .map(|(place, value)| inside(at, &place.to_string(), value, replace))
                .collect();
            replaced.map(Value::Array)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
    }
}

fn inside(at: &mut String, name: &str, value: &Value, replace: &mut Replace<'_>) -> Result<Value, DeriveFault> {
    let length = at.len();
    at.push('/');
    at.push_str(name);
    let replaced = walk(value, at, replace)?;
    at.truncate(length);
    Ok(replaced)
}

/// Strict, so that a misspelled reference never becomes an argument.
fn reference(fields: &Map<String, Value>) -> Option<(usize, &str)> {
    let inner = fields.get(FROM).filter(|_| fields.len() == 1)?.as_object().filter(|inner| inner.len() == 2)?;
    let step = usize::try_from(inner.get("step")?.as_u64()?).ok()?;
    let pointer = inner.get("pointer")?.as_str()?;
    is_pointer(pointer).then_some((step, pointer))
}

/// RFC 6901: empty, or tokens that start with `/`, in which `~` is followed by 0 or 1.
fn is_pointer(text: &str) -> bool {
    let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    (text.is_empty() || text.starts_with('/')) && escapes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_are_replaced_wherever_they_stand_and_nothing_else_is() {
        let results = [json!({"reply": "yes", "a/b": [{"~": 7}]}), json!(null)];
        let of = |step: usize| results.get(step);
        let value = json!({"text": {"$from": {"step": 0, "pointer": "/reply"}}, "deep": [1, {"n": {"$from": {"step": 0, "pointer": "/a~1b/0/~0"}}}],
            "whole": {"$from": {"step": 1, "pointer": ""}}, "plain": "$from"});
        assert_eq!(
            resolve(&value, of, 99),
            Ok(json!({"text": "yes", "deep": [1, {"n": 7}], "whole": null, "plain": "$from"}))
        );
        assert_eq!(references(&value, 2), Ok([0, 1].into()));
        assert_eq!(references(&json!({"a": 1}), 0), Ok([].into()));
        // Inserted values are not searched: a result cannot refer to another one.
        let sly = [json!({"$from": {"step": 1, "pointer": ""}}), json!("secret")];
        let taken = resolve(&json!({"$from": {"step": 0, "pointer": ""}}), |step| sly.get(step), 99);
        assert_eq!(taken, Ok(sly[0].clone()));
    }

    #[test]
    fn a_reference_to_a_later_step_to_itself_or_in_a_circle_is_refused() {
        let to = |step: u64| json!({"a": [{"$from": {"step": step, "pointer": ""}}]});
        for (own, step) in [(0, 0), (0, 1), (1, 1), (1, 7)] {
            let fault = DeriveFault::NotEarlier { at: "/a/0".into(), step: step as usize };
            assert_eq!(references(&to(step), own), Err(fault), "{own} {step}");
        }
    }

    #[test]
    fn whatever_is_nearly_a_reference_is_refused() {
        for near in [
            json!({"$from": 0}),
            json!({"$from": {"step": 0}}),
            json!({"$from": {"step": 0, "pointer": "/a", "default": 1}}),
            json!({"$from": {"step": 0, "pointer": "/a"}, "more": 1}),
            json!({"$from": {"step": -1, "pointer": "/a"}}),
            json!({"$from": {"step": 0.5, "pointer": "/a"}}),
            json!({"$from": {"step": "0", "pointer": "/a"}}),
            json!({"$from": {"step": 0, "pointer": "a"}}),
            json!({"$from": {"step": 0, "pointer": "/~2"}}),
            json!({"$from": {"step": 0, "pointer": "/~"}}),
            json!({"$from": {"secret": "gateway_token"}}),
            json!({"$from": {"env": "HOME", "pointer": ""}}),
        ] {
            let fault = DeriveFault::NotAReference { at: "/x~1y".into() };
            assert_eq!(references(&json!({"x/y": near.clone()}), 1), Err(fault), "{near}");
        }
    }

    #[test]
    fn a_thousand_references_to_one_long_result_are_refused_before_they_are_copied() {
        let long = json!("x".repeat(60_000));
        let many = json!(vec![json!({"$from": {"step": 0, "pointer": ""}}); 900]);
        assert_eq!(resolve(&many, |_| Some(&long), 32_768), Err(DeriveFault::TooLong));
        let small = json!(vec![json!({"a": []}); 20_000]);
        assert_eq!(
            resolve(&json!({"$from": {"step": 0, "pointer": ""}}), |_| Some(&small), 32_768),
            Err(DeriveFault::TooLong)
        );
        let fits = json!("x".repeat(32_767));
        assert!(resolve(&json!({"$from": {"step": 0, "pointer": ""}}), |_| Some(&fits), 32_768).is_ok());
    }

    #[test]
    fn a_place_that_is_not_there_is_named() {
        let result = json!({"list": [1]});
        for pointer in ["/none", "/list/1", "/list/-", "/list/01", "/list/0/x"] {
            let value = json!({"a": {"$from": {"step": 0, "pointer": pointer}}});
            let missing = DeriveFault::Missing { at: "/a".into(), step: 0 };
            assert_eq!(resolve(&value, |_| Some(&result), 99), Err(missing.clone()), "{pointer}");
            assert_eq!(resolve(&value, |_| None, 99), Err(missing), "{pointer}");
        }
    }
}
