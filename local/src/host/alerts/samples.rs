//! The samples of this process that alarms evaluate, kept for the length of their windows.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{
    alarms::{Alarm, Samples, Series},
    ids::Timestamp,
};
use platform::metrics::{Dimension, Kind, Measurement, Metric, Sink};

use super::rows;

/// The most samples of one series. Durations of requests are kept one by one for five minutes: this is 160 a second.
const MAX_SAMPLES: usize = 48_000;
/// An evaluation may come this much after the end of its minute.
const LATE: Duration = Duration::from_secs(120);

/// The samples. Clones share them.
#[derive(Debug, Clone)]
pub struct RecentSamples(Arc<Kept>);

#[derive(Debug)]
struct Kept {
    watched: BTreeMap<Metric, Vec<Watched>>,
    /// Milliseconds since 1970 and value, by series.
    samples: Mutex<BTreeMap<Series, VecDeque<(i64, f64)>>>,
}

#[derive(Debug)]
struct Watched {
    series: Series,
    dimensions: Vec<(Dimension, String)>,
    /// How long samples are kept.
    window: Duration,
}

impl RecentSamples {
    /// Keeps the series that these alarms evaluate.
    pub fn of(alarms: &[Alarm]) -> Self {
        let mut windows: BTreeMap<Series, Duration> = BTreeMap::new();
        for alarm in alarms {
            for series in alarm.series() {
                let window = windows.entry(series.clone()).or_default();
                *window = alarm.window().max(*window);
            }
        }
        let mut watched: BTreeMap<Metric, Vec<Watched>> = BTreeMap::new();
        for (series, window) in windows {
            if let Some((metric, dimensions)) = rows::source(&series) {
                watched.entry(metric).or_default().push(Watched { series, dimensions, window });
            }
        }
        Self(Arc::new(Kept { watched, samples: Mutex::default() }))
    }

    fn samples(&self) -> MutexGuard<'_, BTreeMap<Series, VecDeque<(i64, f64)>>> {
        self.0.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for RecentSamples {
    fn take(&self, measurement: Measurement<'_>) {
        let at = measurement.at.millis();
        for (metric, value) in measurement.values {
            let is_count = metric.kind() == Kind::Counter;
            // As in CloudWatch, which is not told the zeros of counters.
            if is_count && *value == 0.0 {
                continue;
            }
            let has = |(dimension, value): &(Dimension, String)| measurement.dimension(*dimension) == Some(value);
            for watched in self.0.watched.get(metric).into_iter().flatten() {
                if !watched.dimensions.iter().all(has) {
                    continue;
                }
                let mut samples = self.samples();
                let kept = samples.entry(watched.series.clone()).or_default();
                match kept.back_mut() {
                    // Counts of one second are one sample, so that a flood of events needs no memory.
                    Some((newest, sum)) if is_count && newest.div_euclid(1000) == at.div_euclid(1000) => *sum += value,
                    _ => kept.push_back((at, *value)),
                }
                let oldest = measurement.at.minus(watched.window.saturating_add(LATE)).millis();
                while kept.len() > MAX_SAMPLES || kept.front().is_some_and(|(at, _)| *at < oldest) {
                    kept.pop_front();
                }
            }
        }
    }
}

impl Samples for RecentSamples {
    fn within(&self, series: &Series, from: Timestamp, to: Timestamp) -> Vec<f64> {
        let samples = self.samples();
        let all = samples.get(series).into_iter().flatten();
        all.filter(|(at, _)| (from.millis()..to.millis()).contains(at)).map(|(_, value)| *value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::alarms::AlarmTable;

    const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

    fn series(metric: &str, dimensions: &[(&str, &str)]) -> Series {
        let dimensions = dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Series { metric: metric.to_owned(), dimensions }
    }

    fn take(samples: &RecentSamples, at: Timestamp, metric: Metric, value: f64, dimensions: &[(Dimension, &str)]) {
        samples.take(Measurement { at, values: &[(metric, value)], dimensions });
    }

    #[test]
    fn a_series_has_what_was_measured_with_its_dimensions_and_nothing_older_than_its_window() {
        let samples = RecentSamples::of(AlarmTable::built_in().unwrap().alarms());
        let route = (Dimension::Route, "GET /v1/tools");
        for (after, function) in [(0, "edge-auth"), (0, "status"), (3600, "status")] {
            let at = NOW.plus(Duration::from_secs(after));
            take(&samples, at, Metric::RequestErrors, 1.0, &[(Dimension::Function, function), route]);
        }
        take(&samples, NOW, Metric::FunctionErrors, 1.0, &[(Dimension::Function, "worker")]);
        take(&samples, NOW, Metric::OpenJobs, 7.0, &[]);
        let all = |series: &Series| samples.within(series, NOW, NOW.plus(Duration::from_secs(7200)));
        let function = |metric: &str, name: &str| all(&series(metric, &[("function", name)]));
        assert_eq!(function("request_errors", "edge-auth"), [1.0]);
        assert_eq!(function("request_errors", "status"), [1.0], "the older one is gone");
        assert_eq!(function("platform.function_errors", "worker"), [1.0], "what AWS measures by itself");
        assert!(all(&series("open_jobs", &[])).is_empty(), "no alarm looks at it");
        assert!(samples.within(&series("request_errors", &[]), NOW, NOW.plus(LATE)).is_empty());
    }

    #[test]
    fn counts_of_one_second_are_one_sample_and_their_zeros_are_none() {
        let samples = RecentSamples::of(AlarmTable::built_in().unwrap().alarms());
        for millis in [0, 1, 999, 1000] {
            take(&samples, NOW.plus(Duration::from_millis(millis)), Metric::RateLimited, 1.0, &[]);
        }
        take(&samples, NOW, Metric::SweepFailures, 0.0, &[]);
        for value in [0.0, 1.0] {
            take(&samples, NOW, Metric::GatewayReady, value, &[]);
        }
        let all = |metric: &str| samples.within(&series(metric, &[]), NOW, NOW.plus(LATE));
        assert_eq!(all("rate_limited"), [3.0, 1.0]);
        assert!(all("sweep_failures").is_empty());
        assert_eq!(all("gateway_ready"), [0.0, 1.0], "a gauge's zero is a value");
    }
}
