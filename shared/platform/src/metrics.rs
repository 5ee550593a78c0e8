//! What the service measures: the one place that names a metric ([`Metric`]) and what it can be split by ([`Dimension`]).
//!
//! `docs/operate/metrics.md` is the same list for people; a test compares the two. A measurement is made where the thing has just
//! happened, after the commit that made it so: [`crate::runtime::Runtime::measure`]. Where it goes is the [`Meter`]'s business:
//! nowhere, to standard output in CloudWatch's embedded metric format ([`emf`]), or to another [`Sink`].
//!
//! A dimension's value is always a name from a list of our own: a route, a tool of the catalogue, a state, a code. What a
//! client sends never becomes one, so the number of time series is bounded.

use std::{fmt::Debug, sync::Arc, time::Duration};

use domain::ids::Timestamp;

pub mod emf;
pub mod history;
mod list;

pub use list::{Dimension, Kind, Metric, Unit};

/// The value of a dimension for which the list has no name of its own.
pub const OTHER: &str = "other";

/// One measurement: values that were had at the same moment, and what they are split by.
#[derive(Debug, Clone, Copy)]
pub struct Measurement<'a> {
    /// When.
    pub at: Timestamp,
    /// What, and how much.
    pub values: &'a [(Metric, f64)],
    /// The dimensions of all the values together; each takes those of its sets.
    pub dimensions: &'a [(Dimension, &'a str)],
}

impl<'a> Measurement<'a> {
    /// The value of a dimension.
    pub fn dimension(&self, dimension: Dimension) -> Option<&'a str> {
        self.dimensions.iter().find(|(known, _)| *known == dimension).map(|(_, value)| *value)
    }

    /// Whether it has every dimension of a set.
    pub fn has(&self, set: &[Dimension]) -> bool {
        set.iter().all(|dimension| self.dimension(*dimension).is_some_and(|value| !value.is_empty()))
    }

    /// Whether each value has every dimension that its sets name, and each dimension is one that some value has.
    fn is_whole(&self) -> bool {
        let sets = |metric: Metric| metric.dimension_sets().iter();
        let used = |dimension: Dimension| {
            self.values.iter().any(|(metric, _)| sets(*metric).any(|set| set.contains(&dimension)))
        };
        self.values.iter().all(|(metric, _)| sets(*metric).all(|set| self.has(set)))
            && self.dimensions.iter().all(|(dimension, _)| used(*dimension))
    }
}

/// Where measurements go.
pub trait Sink: Debug + Send + Sync {
    /// Takes one. It must not fail: what cannot be measured is not worth a request.
    fn take(&self, measurement: Measurement<'_>);
}

/// Both take everything.
impl<A: Sink, B: Sink> Sink for (A, B) {
    fn take(&self, measurement: Measurement<'_>) {
        self.0.take(measurement);
        self.1.take(measurement);
    }
}

/// Measures. Cheap to clone; clones measure into the same sink.
#[derive(Debug, Clone, Default)]
pub struct Meter(Option<Arc<dyn Sink>>);

impl Meter {
    /// Measures nothing.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Into any sink.
    pub fn into_sink(sink: impl Sink + 'static) -> Self {
        Self(Some(Arc::new(sink)))
    }

    /// In CloudWatch's embedded metric format to standard output, or nothing when there is no namespace.
    pub fn embedded(namespace: Option<String>) -> Self {
        namespace.map_or(Self::none(), |namespace| Self::into_sink(emf::ToStandardOutput::new(namespace)))
    }

    /// Takes a measurement. One that lacks a dimension that its metric is split by is a mistake of ours: it stops a test,
    /// and in a release only the sets that can be filled are measured.
    pub fn take(&self, measurement: Measurement<'_>) {
        debug_assert!(measurement.is_whole(), "a dimension is missing or too many: {measurement:?}");
        if let Some(sink) = &self.0 {
            sink.take(measurement);
        }
    }
}

/// A duration in milliseconds, to a tenth.
pub fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

/// A count or a size.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub fn number(count: usize) -> f64 {
    count as f64
}

/// One for what is so, zero for what is not: something that may fail is measured either way, or its rate has no base.
pub const fn one_if(so: bool) -> f64 {
    if so { 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests;
