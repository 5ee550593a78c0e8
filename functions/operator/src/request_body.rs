//! Parts that the request bodies of this function share.

use domain::{access::service_mode, ids::Digest};
use platform::http::body;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

/// Body of a decision about exactly what was shown. `Choice` has the two names of the decision.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, bound = "Choice: DeserializeOwned")]
pub(crate) struct Decision<Choice> {
    #[serde(deserialize_with = "body::name")]
    pub(crate) decision: Choice,
    /// Digest of what was shown.
    pub(crate) digest: Digest,
    #[serde(default)]
    note: Option<Reason>,
}

impl<Choice> Decision<Choice> {
    /// The operator's reason, for the audit record.
    pub(crate) fn reason(&self) -> Option<String> {
        self.note.as_ref().map(Reason::text)
    }
}

/// An operator's reason for an action: 1 to 200 visible characters on one line.
#[derive(Debug, Clone)]
pub(crate) struct Reason(pub(crate) service_mode::Reason);

impl Reason {
    pub(crate) fn text(&self) -> String {
        self.0.text().to_owned()
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        service_mode::Reason::parse(&text).map(Self).map_err(serde::de::Error::custom)
    }
}
