//! Faults in policy files.

use std::fmt;

use crate::{
    catalogue::CatalogueFault, content_safety::ContentSafetyFault, notification::NotificationFault, risk::RiskFault,
};

/// Why policy files cannot be used. A function with such files refuses to start, and logs the place of the fault.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFault {
    /// The catalogue is inconsistent.
    #[error(transparent)]
    Catalogue(#[from] CatalogueFault),
    /// The settings of notifications are inconsistent.
    #[error(transparent)]
    Notifications(#[from] NotificationFault),
    /// The settings of content safety are inconsistent.
    #[error(transparent)]
    ContentSafety(#[from] ContentSafetyFault),
    /// The settings about the risk of users are inconsistent.
    #[error(transparent)]
    Risk(#[from] RiskFault),
    /// A policy or schema file does not parse, does not fit the schema, or violates a rule of this service.
    #[error("policy/{file}:{place}: {problem}")]
    File {
        /// The path below `policy/`.
        file: String,
        /// Position in the file.
        place: Place,
        /// Description of the fault.
        problem: String,
    },
    /// A file is missing, or is not UTF-8.
    #[error("policy/{file} is missing or is not UTF-8")]
    Missing {
        /// The path below `policy/`.
        file: String,
    },
}

/// A line and a column, both from 1, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl Place {
    /// The position of a byte offset in a text.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Self { line: before.matches('\n').count() + 1, column }
    }

    /// The position that Cedar reports, else the start of the policy.
    pub(super) fn pointed_at(text: &str, diagnostic: &dyn miette::Diagnostic, otherwise: usize) -> Self {
        let pointed = diagnostic.labels().and_then(|mut labels| labels.next()).map(|label| label.offset());
        Self::of(text, pointed.unwrap_or(otherwise))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters() {
        let text = "é(\n  x";
        for (offset, line, column) in [(0, 1, 1), (1, 1, 1), (2, 1, 2), (4, 2, 1), (6, 2, 3), (99, 2, 4)] {
            assert_eq!(Place::of(text, offset), Place { line, column }, "{offset}");
        }
    }
}
