//! The description of a call for its approver: complete, and not misleading.
//!
//! It consists of a sentence made from the catalogue's template, whose properties the schema bounds, and of the
//! arguments themselves. Texts are quoted, so that none can pass for a part of the template. Invisible and confusable
//! characters are shown as escapes. A call that cannot be shown in full cannot be approved.

use serde_json::Value;

use crate::{
    catalogue::{
        Tool, ToolEntry,
        visible_text::{self, hidden, visible_value},
    },
    json::canonical,
};

/// Maximum size of canonical arguments in bytes for a call to be shown.
pub const SHOWN_AT_MOST: usize = 4096;
/// Maximum length of a string in a summary.
const QUOTED_AT_MOST: u64 = 500;

/// Description of one call.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    /// The tool's title.
    pub title: String,
    /// The sentence.
    pub summary: String,
    /// Its arguments, with every string and key escaped.
    pub arguments: Value,
}

/// The arguments cannot be shown in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the arguments have more than {SHOWN_AT_MOST} bytes, and what cannot be shown whole cannot be approved")]
pub struct NotShowable;

/// Describes a call for its approver.
pub fn describe(tool: &Tool, arguments: &Value) -> Result<Described, NotShowable> {
    if canonical::canonical(arguments).len() > SHOWN_AT_MOST {
        return Err(NotShowable);
    }
    Ok(Described {
        title: tool.entry.title.clone(),
        summary: tool.summary.fill(arguments),
        arguments: visible_value(arguments),
    })
}

/// Template of a summary: text and property names in turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Property(String),
}

/// Why a template is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateFault {
    /// A brace has no counterpart.
    #[error("`summary` has a brace without its other half")]
    Brace,
    /// The template is too long, or has more than one line.
    #[error("`summary` must have at most 200 characters on one line")]
    TooLong,
    /// A property is optional, or too long to be read at a glance.
    #[error(
        "`summary` names {0}, which must be a required top-level property with a bound: a string with a `maxLength` of at \
         most {QUOTED_AT_MOST} or an `enum`, an integer, a boolean, or a number with `minimum` and `maximum`"
    )]
    Unbounded(String),
    /// Between two properties the end of the first one could not be recognized.
    #[error(
        "`summary` needs a space, or a sign that no number and no word of letters has, between {0} and the property before it"
    )]
    Adjoining(String),
}

impl Template {
    /// Parses an entry's `summary`; its title without one.
    pub fn parse(entry: &ToolEntry, schema: &Value) -> Result<Self, TemplateFault> {
        if entry.summary.is_empty() {
            return Ok(Self(vec![Part::Text(entry.title.clone())]));
        }
        if entry.summary.chars().count() > 200 || entry.summary.chars().any(hidden) {
            return Err(TemplateFault::TooLong);
        }
        let mut parts = Vec::new();
        let mut rest = entry.summary.as_str();
        while let Some((text, after)) = rest.split_once('{') {
            let (property, after) = after.split_once('}').ok_or(TemplateFault::Brace)?;
            if text.contains('}') || property.contains('{') {
                return Err(TemplateFault::Brace);
            }
            if !bounded(schema, property) {
                return Err(TemplateFault::Unbounded(property.to_owned()));
            }
            if !parts.is_empty() && text.chars().all(may_be_of_a_value) {
                return Err(TemplateFault::Adjoining(property.to_owned()));
            }
            parts.extend([Part::Text(text.to_owned()), Part::Property(property.to_owned())]);
            rest = after;
        }
        if rest.contains('}') {
            return Err(TemplateFault::Brace);
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    fn fill(&self, arguments: &Value) -> String {
        let mut filled = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Property(name) => match &arguments[name.as_str()] {
                    Value::String(text) => filled.push_str(&visible_text::quoted(text)),
                    // The schema requires the property, so it exists. Values other than strings are short in
                    // canonical form.
                    value => filled.push_str(&String::from_utf8_lossy(&canonical::canonical(value))),
                },
            }
        }
        filled
    }
}

/// Whether a character may be part of a value without quotes: a number, `true` or `false`.
fn may_be_of_a_value(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')
}

fn bounded(schema: &Value, property: &str) -> bool {
    let required = schema["required"].as_array().is_some_and(|list| list.iter().any(|name| name == property));
    let of = &schema["properties"][property];
    let scalar = |value: &Value| matches!(value, Value::String(_) | Value::Bool(_) | Value::Number(_));
    let listed = of["enum"].as_array().is_some_and(|list| list.iter().all(scalar));
    let limit = |names: [&str; 2]| names.iter().any(|name| of[*name].is_number());
    required
        && match of["type"].as_str() {
            Some("string") => listed || of["maxLength"].as_u64().is_some_and(|most| most <= QUOTED_AT_MOST),
            Some("integer" | "boolean") => true,
            Some("number") => {
                listed || (limit(["minimum", "exclusiveMinimum"]) && limit(["maximum", "exclusiveMaximum"]))
            }
            Some(_) => false,
            None => listed && of["type"].is_null(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;
    use serde_json::json;

    const SCHEMA: &str = r#"{"type":"object","required":["amount","note","kind","sure","rate","long","list"],"properties":{
        "amount":{"type":"integer"},"note":{"type":"string","maxLength":500},"kind":{"enum":["a",1]},
        "sure":{"type":"boolean"},"rate":{"type":"number","minimum":0,"exclusiveMaximum":1},"long":{"type":"string","maxLength":501},
        "free":{"type":"string","maxLength":5},"open":{"type":"number","minimum":0},"list":{"type":"array"}}}"#;

    fn template(summary: &str) -> Result<Template, TemplateFault> {
        let mut entry = ToolEntry::gone("t", crate::catalogue::ToolEffect::Write);
        entry.title = "Title".to_owned();
        entry.summary = summary.to_owned();
        Template::parse(&entry, &crate::json::kept(SCHEMA).unwrap())
    }

    #[test]
    fn a_summary_is_filled_from_what_will_run() {
        let arguments = json!({"amount": 500.0, "note": "tea\u{202e}4{sure}", "kind": 1, "sure": true, "rate": 0.5});
        let fill = |summary: &str| template(summary).unwrap().fill(&arguments);
        assert_eq!(fill("Pay {amount}: {note}"), "Pay 500: \"tea\\u202e4{sure}\"");
        assert_eq!(fill("{kind}, {sure} at {rate}."), "1, true at 0.5.");
        assert_eq!(fill("付款 {amount} 元"), "付款 500 元");
        assert_eq!(fill(""), "Title");
    }

    #[test]
    fn two_calls_never_read_the_same() {
        let template = template("Pay {amount} to {kind}, {note}; {note}").unwrap();
        let mut read = std::collections::BTreeMap::new();
        let texts =
            ["", "a", "a\"", "\"a", "a; a", "a\"; \"a", "a\\", "a\\\"", "1", "a ", " a", "a  a", "a a", "a\u{a0}a"];
        for (amount, kind, note) in [1, 11]
            .into_iter()
            .flat_map(|amount| [json!("a"), json!(1), json!("1")].map(|kind| (amount, kind)))
            .flat_map(|(amount, kind)| texts.map(|note| (amount, kind.clone(), note)))
        {
            let arguments = json!({"amount": amount, "kind": kind, "note": note});
            let other = read.insert(template.fill(&arguments), arguments.clone());
            assert_eq!(other, None, "{arguments}");
        }
        let two =
            super::Template(vec![Part::Property("a".into()), Part::Text(", ".into()), Part::Property("b".into())]);
        let two = &two;
        let pairs = texts.iter().flat_map(|a| texts.iter().map(move |b| two.fill(&json!({"a": a, "b": b}))));
        assert_eq!(pairs.collect::<std::collections::BTreeSet<_>>().len(), texts.len() * texts.len());
    }

    #[test]
    fn a_summary_names_only_what_is_always_there_and_short() {
        for name in ["free", "long", "open", "list", "none", "", "amount "] {
            assert_eq!(template(&format!("x {{{name}}}")), Err(TemplateFault::Unbounded(name.to_owned())), "{name}");
        }
        for broken in ["{", "}", "{{amount}}", "a } {amount}", "{amount", "{amount} }"] {
            assert_eq!(template(broken), Err(TemplateFault::Brace), "{broken}");
        }
        for unclear in
            ["{amount}{rate}", "{amount}0{rate}", "{amount}.{rate}", "{amount}-e{rate}", "{amount}true{rate}"]
        {
            assert_eq!(template(unclear), Err(TemplateFault::Adjoining("rate".to_owned())), "{unclear}");
        }
        for odd in ["a\nb", "a\u{202e}b", &"x".repeat(201)] {
            assert_eq!(template(odd), Err(TemplateFault::TooLong), "{odd}");
        }
    }

    #[test]
    fn what_cannot_be_shown_whole_cannot_be_approved() {
        let text = "[[tool]]\nname='t'\ntitle='T'\neffect='write'\ntimeout_s=5\nattempts=1\nexpected_ms=1\n\
                    schema='s'\nexample={}\n";
        let catalogue = Catalogue::parse(text, |_| Some(b"true".to_vec())).unwrap();
        let describe = |text: &str| describe(catalogue.get("t").unwrap(), &json!({ "a": text }));
        let fits = describe(&"x".repeat(SHOWN_AT_MOST - 8)).unwrap();
        assert_eq!((fits.title.as_str(), fits.summary.as_str()), ("T", "T"));
        assert_eq!(describe(&"x".repeat(SHOWN_AT_MOST - 7)), Err(NotShowable));
        // Escapes count as what they stand for, so a text of nothing else still fits.
        assert!(describe(&"\u{202e}".repeat(1000)).is_ok());
    }
}
