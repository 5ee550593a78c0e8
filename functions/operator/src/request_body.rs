//! Parts that the request bodies of this function share.

use domain::access::service_mode;
use lambda_http::Request;
use platform::http::{ApiError, Code, body};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

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

/// Parses a body of exactly these fields. serde's own message would quote the body, so the error shows `expected`
/// instead.
pub(crate) fn read<T: DeserializeOwned>(request: &Request, expected: &'static str) -> Result<T, ApiError> {
    serde_json::from_value(body::read_json(request)?)
        .map_err(|_| ApiError::new(Code::BodyInvalid).detail(format!("expected {expected}")))
}
