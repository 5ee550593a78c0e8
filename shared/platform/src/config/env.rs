//! The only reader of environment variables.

use std::time::Duration;

/// A variable that stops the start.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The variable is missing.
    #[error("the environment variable {0} is needed")]
    Missing(&'static str),
    /// Neither or both of two variables are set.
    #[error("exactly one of the environment variables {0} and {1} is needed")]
    OneOf(&'static str, &'static str),
    /// The variable has an invalid value.
    #[error("the environment variable {name} must be {expected}")]
    Invalid {
        /// Name of the variable.
        name: &'static str,
        /// Description of a valid value.
        expected: &'static str,
    },
}

/// Returns the value of a variable.
type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Access to variables.
pub struct Env<'a>(pub(super) Box<Lookup<'a>>);

impl std::fmt::Debug for Env<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Env")
    }
}

impl<'a> Env<'a> {
    /// The environment of the process.
    #[expect(clippy::disallowed_methods, reason = "this is the one reader of the environment")]
    pub fn process() -> Self {
        Self(Box::new(|name| std::env::var(name).ok().filter(|value| !value.is_empty())))
    }

    /// Another source of variables, for tests.
    pub fn from_fn(lookup: impl Fn(&str) -> Option<String> + 'a) -> Self {
        Self(Box::new(lookup))
    }

    pub(super) fn text(&self, name: &'static str) -> Result<String, ConfigError> {
        self.0(name).ok_or(ConfigError::Missing(name))
    }

    pub(super) fn number(&self, name: &'static str, default: u64) -> Result<u64, ConfigError> {
        match self.0(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| ConfigError::Invalid { name, expected: "a whole number" }),
        }
    }

    pub(super) fn switch(&self, name: &'static str, default: bool) -> Result<bool, ConfigError> {
        match self.0(name).as_deref() {
            None => Ok(default),
            Some("on") => Ok(true),
            Some("off") => Ok(false),
            Some(_) => Err(ConfigError::Invalid { name, expected: "on or off" }),
        }
    }

    pub(super) fn url(&self, name: &'static str) -> Result<String, ConfigError> {
        let text = self.text(name)?;
        let parsed = reqwest::Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        parsed
            .map(|_| text.trim_end_matches('/').to_owned())
            .ok_or(ConfigError::Invalid { name, expected: "an http or https URL" })
    }

    pub(super) fn seconds(&self, name: &'static str, default: u64) -> Result<Duration, ConfigError> {
        self.number(name, default).map(Duration::from_secs)
    }
}
