//! Parts that the request bodies of this function share.

use domain::access::service_mode;
use serde::{Deserialize, Deserializer};

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
