//! The only reader of environment variables.

use std::time::Duration;

/// A variable that stops the start.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// It is not there.
    #[error("the environment variable {0} is needed")]
    Missing(&'static str),
    /// None of two is there, or both are.
    #[error("exactly one of the environment variables {0} and {1} is needed")]
    OneOf(&'static str, &'static str),
    /// It cannot be read.
    #[error("the environment variable {name} must be {expected}")]
    Invalid {
        /// Its name.
        name: &'static str,
        /// What it must be.
        expected: &'static str,
    },
}

/// What finds a variable by its name.
type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Looks variables up.
pub struct Env<'a>(pub(super) Box<Lookup<'a>>);

impl std::fmt::Debug for Env<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Env")
    }
}

impl<'a> Env<'a> {
    /// The process's own environment.
    #[expect(clippy::disallowed_methods, reason = "this is the one reader of the environment")]
    pub fn process() -> Self {
        Self(Box::new(|name| std::env::var(name).ok().filter(|value| !value.is_empty())))
    }

    /// Any other.
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
