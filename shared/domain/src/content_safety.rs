//! Content safety: what follows from WeChat's opinion about a text of a user or of a model, and how a text is divided
//! for the check.
//!
//! `policy/content_safety.toml` has the decisions. Nothing here keeps, prints or stores a text.

use serde::{Deserialize, Serialize};
use serde_json::Value;

mod checked_text;
mod pieces;
mod settings;

pub use checked_text::{CheckedText, HeldKind};
pub use pieces::{PIECE_AT_MOST, pieces};
pub use settings::{ContentChecks, ContentSafety, ContentSafetyFault, Scene};

/// Path of the settings below `policy/`.
pub const CONTENT_SAFETY: &str = "content_safety.toml";

/// WeChat's suggestion about a text. The names are part of the public format of audit records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suggestion {
    /// Nothing was found.
    Pass,
    /// A person should look at it.
    Review,
    /// It violates a rule.
    Risky,
}

impl Suggestion {
    /// The published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Review => "review",
            Self::Risky => "risky",
        }
    }
}

/// What WeChat found. The names are part of the public format of audit records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// Nothing.
    Normal,
    /// Advertising.
    Advertising,
    /// Politics.
    Politics,
    /// Pornography.
    Porn,
    /// Abuse.
    Abuse,
    /// Crime.
    Crime,
    /// Fraud.
    Fraud,
    /// Vulgarity.
    Vulgar,
    /// A violation of copyright.
    Copyright,
    /// Something else, or a label that this version does not know.
    Other,
}

impl Label {
    /// The published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Advertising => "advertising",
            Self::Politics => "politics",
            Self::Porn => "porn",
            Self::Abuse => "abuse",
            Self::Crime => "crime",
            Self::Fraud => "fraud",
            Self::Vulgar => "vulgar",
            Self::Copyright => "copyright",
            Self::Other => "other",
        }
    }
}

/// What policy decides about a text; the last one is the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentDecision {
    /// The text may be sent or shown.
    Pass,
    /// An operator has to decide. Until then the text is neither sent nor shown.
    Hold,
    /// The text is neither sent nor shown.
    Refuse,
}

/// The decision about a text, with what it follows from, as an audit record has it. Contains nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ContentFinding {
    /// The decision of policy.
    pub decision: ContentDecision,
    /// WeChat's suggestion.
    pub suggestion: Suggestion,
    /// WeChat's label.
    pub label: Label,
}

impl ContentFinding {
    /// What a text begins with, before any of its pieces is checked.
    pub const NOTHING: Self =
        Self { decision: ContentDecision::Pass, suggestion: Suggestion::Pass, label: Label::Normal };

    /// The finding about a text of which a further piece was checked: the strictest decision of its pieces.
    #[must_use]
    pub fn with(self, piece: Self) -> Self {
        self.max(piece)
    }
}

/// The text that a user or a model wrote into a value: its strings, joined by line breaks. Keys are left out, since the
/// tool's schema names them; so are numbers.
pub fn text_of(value: &Value) -> String {
    let mut strings = Vec::new();
    collect(value, &mut strings);
    strings.join("\n")
}

fn collect<'a>(value: &'a Value, strings: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => strings.push(text),
        Value::Array(values) => values.iter().for_each(|value| collect(value, strings)),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, strings)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_strictest_decision_about_a_piece_is_that_about_the_text() {
        let finding = |decision, suggestion, label| ContentFinding { decision, suggestion, label };
        let passed = finding(ContentDecision::Pass, Suggestion::Review, Label::Advertising);
        let held = finding(ContentDecision::Hold, Suggestion::Review, Label::Vulgar);
        let refused = finding(ContentDecision::Refuse, Suggestion::Risky, Label::Politics);
        for pieces in [[passed, held, refused], [refused, held, passed], [held, refused, passed]] {
            assert_eq!(pieces.into_iter().fold(ContentFinding::NOTHING, ContentFinding::with), refused);
        }
        assert_eq!(ContentFinding::NOTHING.with(passed), passed);
        assert_eq!(
            serde_json::to_value(held).unwrap(),
            json!({"decision":"hold","suggestion":"review","label":"vulgar"})
        );
    }

    #[test]
    fn a_value_has_the_text_of_its_strings_at_any_depth() {
        let value = json!({"note": "tea", "amount": 5, "lines": ["a", {"deep": "b", "none": null}], "yes": true});
        let mut lines: Vec<String> = text_of(&value).lines().map(str::to_owned).collect();
        lines.sort();
        assert_eq!(lines, ["a", "b", "tea"]);
        assert_eq!(text_of(&json!({"limit": 1})), "");
    }

    #[test]
    fn names_are_those_that_are_stored() {
        for label in [Label::Normal, Label::Advertising, Label::Copyright, Label::Other] {
            assert_eq!(serde_json::to_value(label).unwrap(), label.name());
        }
        for suggestion in [Suggestion::Pass, Suggestion::Review, Suggestion::Risky] {
            assert_eq!(serde_json::to_value(suggestion).unwrap(), suggestion.name());
        }
    }
}
