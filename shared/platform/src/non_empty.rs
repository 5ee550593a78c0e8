//! Lists that are never empty.

use serde::Deserialize;

/// One or more values; the first one is distinguished.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Vec<T>")]
pub struct NonEmpty<T> {
    first: T,
    others: Vec<T>,
}

/// The list is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the list is empty")]
pub struct EmptyList;

impl<T> TryFrom<Vec<T>> for NonEmpty<T> {
    type Error = EmptyList;

    fn try_from(all: Vec<T>) -> Result<Self, EmptyList> {
        let mut all = all.into_iter();
        let first = all.next().ok_or(EmptyList)?;
        Ok(Self { first, others: all.collect() })
    }
}

impl<T> From<T> for NonEmpty<T> {
    fn from(first: T) -> Self {
        Self { first, others: Vec::new() }
    }
}

impl<T> NonEmpty<T> {
    /// The value that is used for anything new.
    pub fn first(&self) -> &T {
        &self.first
    }

    /// Every value that is accepted, the first one first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.first).chain(&self.others)
    }
}
