//! What a check found. Pure.

use std::{error::Error, fmt::Display};

use serde::Serialize;

/// How serious a finding is. Ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// It works, and should be changed.
    Warn,
    /// Something does not work, or would be lost.
    Fail,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked.
    pub check: &'static str,
    /// How serious it is.
    pub state: State,
    /// What was found.
    pub reason: String,
    /// The command or the edit that repairs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, found: impl Display) -> Self {
        Self { check, state: State::Ok, reason: found.to_string(), mend: None }
    }

    pub(super) fn warn(check: &'static str, reason: impl Display, mend: &str) -> Self {
        Self { state: State::Warn, mend: mend_of(mend), ..Self::ok(check, reason) }
    }

    pub(super) fn fail(check: &'static str, reason: impl Display, mend: &str) -> Self {
        Self { state: State::Fail, mend: mend_of(mend), ..Self::ok(check, reason) }
    }
}

fn mend_of(mend: &str) -> Option<String> {
    (!mend.is_empty()).then(|| mend.to_owned())
}

/// The exit code: 0 if everything is well, 1 for warnings, 2 for failures.
pub fn exit_code(findings: &[Finding]) -> u8 {
    match findings.iter().map(|finding| finding.state).max() {
        None | Some(State::Ok) => 0,
        Some(State::Warn) => 1,
        Some(State::Fail) => 2,
    }
}

/// An error and its cause in one line.
pub(super) fn sentence(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_decides_the_exit_code() {
        let (ok, warn) = (Finding::ok("a", "x"), Finding::warn("b", "y", "do it"));
        assert_eq!(exit_code(&[]), 0);
        assert_eq!(exit_code(std::slice::from_ref(&ok)), 0);
        assert_eq!(exit_code(&[warn.clone(), ok.clone()]), 1);
        assert_eq!(exit_code(&[warn, Finding::fail("c", "z", ""), ok]), 2);
    }
}
