//! Metrics: the only place that names a metric ([`Metric`]) and its dimensions ([`Dimension`]).
//!
//! `docs/operate/metrics.md` documents the same list; a test compares the two. A measurement is made right after its
//! event, after the commit of the change: [`crate::runtime::Runtime::measure`]. The [`Meter`] decides where it goes:
//! nowhere, to standard output in CloudWatch's embedded metric format ([`emf`]), or to another [`Sink`].
//!
//! The value of a dimension is always from a list of this program: a route, a tool of the catalogue, a state, a code.
//! Client input never becomes one, so the number of time series is bounded.

use std::{fmt::Debug, sync::Arc, time::Duration};

use domain::ids::Timestamp;

pub mod emf;
pub mod history;
mod list;

pub use list::{Dimension, Kind, Metric, Unit};

/// Value of a dimension for anything that its list does not contain.
pub const OTHER: &str = "other";

/// One measurement: values of the same time, and their dimensions.
#[derive(Debug, Clone, Copy)]
pub struct Measurement<'a> {
    /// Time of the measurement.
    pub at: Timestamp,
    /// Metrics and their values.
    pub values: &'a [(Metric, f64)],
    /// Dimensions of all values together; each metric uses those of its sets.
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

    /// Whether each metric has every dimension of its sets, and each dimension is used by a metric.
    fn is_whole(&self) -> bool {
        let sets = |metric: Metric| metric.dimension_sets().iter();
        let used = |dimension: Dimension| {
            self.values.iter().any(|(metric, _)| sets(*metric).any(|set| set.contains(&dimension)))
        };
        self.values.iter().all(|(metric, _)| sets(*metric).all(|set| self.has(set)))
            && self.dimensions.iter().all(|(dimension, _)| used(*dimension))
    }
}

/// Target of measurements.
pub trait Sink: Debug + Send + Sync {
    /// Takes one measurement. Must not fail: a request never fails because it cannot be measured.
    fn take(&self, measurement: Measurement<'_>);
}

/// Two sinks: each takes every measurement.
impl<A: Sink, B: Sink> Sink for (A, B) {
    fn take(&self, measurement: Measurement<'_>) {
        self.0.take(measurement);
        self.1.take(measurement);
    }
}

/// `None` discards measurements.
impl<S: Sink> Sink for Option<S> {
    fn take(&self, measurement: Measurement<'_>) {
        if let Some(sink) = self {
            sink.take(measurement);
        }
    }
}

/// Sends measurements to a sink. Cheap to clone; clones share the sink.
#[derive(Debug, Clone, Default)]
pub struct Meter(Option<Arc<dyn Sink>>);

impl Meter {
    /// Measures nothing.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Sends to this sink.
    pub fn into_sink(sink: impl Sink + 'static) -> Self {
        Self(Some(Arc::new(sink)))
    }

    /// Writes CloudWatch's embedded metric format to standard output; `None` measures nothing.
    pub fn embedded(published: Option<emf::CloudMetrics>) -> Self {
        published.map_or(Self::none(), |published| Self::into_sink(emf::ToStandardOutput::new(published)))
    }

    /// Takes a measurement. A missing dimension is a programming error: it panics in tests; in a release only the
    /// complete sets are published.
    pub fn take(&self, measurement: Measurement<'_>) {
        debug_assert!(measurement.is_whole(), "a dimension is missing or too many: {measurement:?}");
        if let Some(sink) = &self.0 {
            sink.take(measurement);
        }
    }
}

/// A duration in milliseconds, rounded to a tenth.
pub fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

/// A count or a size.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub fn number(count: usize) -> f64 {
    count as f64
}

/// 1 for true, 0 for false: an event that may fail is measured in both cases, since a rate needs the number of
/// attempts.
pub const fn one_if(so: bool) -> f64 {
    if so { 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests;
