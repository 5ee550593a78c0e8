//! `policy/content_safety.toml`: whether texts are checked, and what follows from WeChat's suggestion. Read and checked
//! at the start of a function.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

use super::{ContentDecision, ContentFinding, Label, Suggestion};

/// Where users publish, as WeChat sees it. Its scene "profile" is left out: it needs a nickname.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scene {
    /// Comments.
    Comment,
    /// A forum.
    Forum,
    /// Posts to followers.
    SocialLog,
}

/// Whether texts are checked, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContentSafety(Option<ContentChecks>);

/// The settings of the checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentChecks {
    scene: Scene,
    hold_for: Duration,
    decisions: Decisions,
    exceptions: BTreeMap<Label, Exception>,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ContentSafetyFault {
    /// The file is not valid TOML, or does not have the expected fields.
    #[error("policy/content_safety.toml cannot be read")]
    Toml(#[source] toml::de::Error),
    /// With these settings no text would ever be refused, so the checks would have no effect.
    #[error(
        "policy/content_safety.toml: with risky = \"pass\" for every label, or for `other`, no text is ever refused; set enabled = false instead"
    )]
    NothingRefused,
    /// A less suspicious text would be treated more strictly than a more suspicious one.
    #[error("policy/content_safety.toml: {place}: `risky` is less strict than `review`")]
    Inverted {
        /// The table in the file.
        place: String,
    },
    /// Operators would have no time to decide, or a job would be open for longer than any other.
    #[error("policy/content_safety.toml: hold_for_s must be from 60 to 86400")]
    HoldFor,
    /// An exception for the label of texts in which nothing was found.
    #[error("policy/content_safety.toml: there is no exception for the label normal")]
    Normal,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    enabled: bool,
    #[serde(default = "comment")]
    scene: Scene,
    #[serde(default = "a_day")]
    hold_for_s: u64,
    #[serde(default)]
    decisions: Decisions,
    #[serde(default)]
    label: BTreeMap<Label, Exception>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Decisions {
    review: ContentDecision,
    risky: ContentDecision,
}

impl Default for Decisions {
    fn default() -> Self {
        Self { review: ContentDecision::Hold, risky: ContentDecision::Refuse }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    review: Option<ContentDecision>,
    risky: Option<ContentDecision>,
}

const fn comment() -> Scene {
    Scene::Comment
}

const fn a_day() -> u64 {
    86_400
}

impl ContentSafety {
    /// Parses and checks the settings.
    pub fn parse(text: &str) -> Result<Self, ContentSafetyFault> {
        let File { enabled, scene, hold_for_s, decisions, label: exceptions } =
            toml::from_str(text).map_err(ContentSafetyFault::Toml)?;
        if !(60..=a_day()).contains(&hold_for_s) {
            return Err(ContentSafetyFault::HoldFor);
        }
        let checks = ContentChecks { scene, hold_for: Duration::from_secs(hold_for_s), decisions, exceptions };
        if checks.exceptions.contains_key(&Label::Normal) {
            return Err(ContentSafetyFault::Normal);
        }
        // Labels that this version does not know, and answers without one, are `other`.
        let unknown = checks.decision(Suggestion::Risky, Label::Other);
        if checks.decisions.risky == ContentDecision::Pass || unknown == ContentDecision::Pass {
            return Err(ContentSafetyFault::NothingRefused);
        }
        if checks.decisions.risky < checks.decisions.review {
            return Err(ContentSafetyFault::Inverted { place: "[decisions]".to_owned() });
        }
        for label in checks.exceptions.keys() {
            if checks.decision(Suggestion::Risky, *label) < checks.decision(Suggestion::Review, *label) {
                return Err(ContentSafetyFault::Inverted { place: format!("[label.{}]", label.name()) });
            }
        }
        Ok(Self(enabled.then_some(checks)))
    }

    /// The settings of the checks; `None` when texts are not checked.
    pub const fn checks(&self) -> Option<&ContentChecks> {
        self.0.as_ref()
    }
}

impl ContentChecks {
    /// Where users publish.
    pub const fn scene(&self) -> Scene {
        self.scene
    }

    /// How long a held text waits for an operator's decision at most.
    pub const fn hold_for(&self) -> Duration {
        self.hold_for
    }

    /// What follows from WeChat's answer about a piece of a text.
    pub fn finding(&self, suggestion: Suggestion, label: Label) -> ContentFinding {
        ContentFinding { decision: self.decision(suggestion, label), suggestion, label }
    }

    fn decision(&self, suggestion: Suggestion, label: Label) -> ContentDecision {
        let exception = self.exceptions.get(&label);
        match suggestion {
            Suggestion::Pass => ContentDecision::Pass,
            Suggestion::Review => exception.and_then(|one| one.review).unwrap_or(self.decisions.review),
            Suggestion::Risky => exception.and_then(|one| one.risky).unwrap_or(self.decisions.risky),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILT_IN: &str = include_str!("../../../../policy/content_safety.toml");

    fn decision(text: &str, suggestion: Suggestion, label: Label) -> ContentDecision {
        let safety = ContentSafety::parse(text).unwrap();
        safety.checks().unwrap().finding(suggestion, label).decision
    }

    #[test]
    fn the_built_in_file_is_valid_and_off() {
        assert_eq!(ContentSafety::parse(BUILT_IN).unwrap(), ContentSafety::default());
        let on = BUILT_IN.replace("enabled = false", "enabled = true");
        for (suggestion, expected) in [
            (Suggestion::Pass, ContentDecision::Pass),
            (Suggestion::Review, ContentDecision::Hold),
            (Suggestion::Risky, ContentDecision::Refuse),
        ] {
            assert_eq!(decision(&on, suggestion, Label::Other), expected, "{suggestion:?}");
        }
        let on = ContentSafety::parse(&on).unwrap();
        let checks = on.checks().unwrap();
        assert_eq!((checks.scene(), checks.hold_for()), (Scene::Comment, Duration::from_secs(86_400)));
    }

    #[test]
    fn a_label_may_have_its_own_decision_and_the_others_keep_theirs() {
        let text = "enabled = true\nscene = \"forum\"\n[label.advertising]\nreview = \"pass\"\nrisky = \"hold\"";
        for (suggestion, label, expected) in [
            (Suggestion::Review, Label::Advertising, ContentDecision::Pass),
            (Suggestion::Risky, Label::Advertising, ContentDecision::Hold),
            (Suggestion::Review, Label::Porn, ContentDecision::Hold),
            (Suggestion::Risky, Label::Porn, ContentDecision::Refuse),
            (Suggestion::Pass, Label::Porn, ContentDecision::Pass),
        ] {
            assert_eq!(decision(text, suggestion, label), expected, "{suggestion:?} {label:?}");
        }
    }

    #[test]
    fn settings_that_would_not_do_what_they_seem_to_are_refused() {
        for (text, expected) in [
            ("", "cannot be read"),
            ("enabled = 1", "cannot be read"),
            ("enabled = true\nscene = \"profile\"", "cannot be read"),
            ("enabled = true\nmore = 1", "cannot be read"),
            ("enabled = true\nhold_for_s = 59", "hold_for_s"),
            ("enabled = true\nhold_for_s = 86401", "hold_for_s"),
            ("enabled = true\n[decisions]\npass = \"refuse\"", "cannot be read"),
            ("enabled = true\n[decisions]\nrisky = \"ignore\"", "cannot be read"),
            ("enabled = true\n[label.adverts]\nreview = \"pass\"", "cannot be read"),
            ("enabled = true\n[decisions]\nreview = \"pass\"\nrisky = \"pass\"", "no text is ever refused"),
            ("enabled = true\n[decisions]\nreview = \"refuse\"\nrisky = \"hold\"", "[decisions]: `risky`"),
            ("enabled = true\n[label.fraud]\nrisky = \"pass\"", "[label.fraud]: `risky`"),
            ("enabled = true\n[label.normal]\nrisky = \"hold\"", "label normal"),
            ("enabled = true\n[label.other]\nreview = \"pass\"\nrisky = \"pass\"", "no text is ever refused"),
            // Checked also while `enabled` is false, so that switching it on cannot fail.
            ("enabled = false\n[decisions]\nrisky = \"pass\"", "no text is ever refused"),
        ] {
            let fault = ContentSafety::parse(text).unwrap_err().to_string();
            assert!(fault.contains(expected), "{text}: {fault}");
        }
    }
}
