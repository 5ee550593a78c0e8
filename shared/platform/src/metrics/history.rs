//! Measurements of this process over the last three hours, for charts: a circular list of slots of fifteen seconds.
//! It is lost with the process; Prometheus or CloudWatch store longer histories.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Dimension, Measurement, Metric, Sink};
use domain::ids::Timestamp;

/// Duration of a slot.
pub const SLOT: Duration = Duration::from_secs(15);
/// Number of slots: three hours.
const SLOTS: usize = 720;
/// Ratio of successive bucket limits of durations, and so the precision of a percentile.
const GROWTH: f64 = 1.2;
/// Limit of the first bucket in milliseconds.
const FIRST_MS: f64 = 0.1;
/// Number of the last bucket: above four minutes.
const BUCKETS: u8 = 84;

/// A chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chart {
    /// Answered requests, by function.
    Requests,
    /// 95th percentile of their duration in milliseconds, by function.
    P95,
    /// Refusals by policy and service mode, by reason.
    Refusals,
    /// Failed calls, by tool.
    Failures,
}

impl Chart {
    /// The public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::P95 => "p95_ms",
            Self::Refusals => "refusals",
            Self::Failures => "failures",
        }
    }

    /// The metric and the dimension of the chart.
    pub const fn source(self) -> (Metric, Dimension) {
        match self {
            Self::Requests => (Metric::Requests, Dimension::Function),
            Self::P95 => (Metric::RequestDuration, Dimension::Function),
            Self::Refusals => (Metric::PolicyRefusals, Dimension::Reason),
            Self::Failures => (Metric::ToolFailures, Dimension::Tool),
        }
    }

    /// Every chart.
    pub const ALL: [Self; 4] = [Self::Requests, Self::P95, Self::Refusals, Self::Failures];
}

/// One series of a chart; its points are epoch seconds and value.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The chart.
    pub chart: Chart,
    /// The function, reason or tool of the series.
    pub label: String,
    /// Counts have a point for each step; a percentile has none where nothing was measured.
    pub points: Vec<(i64, f64)>,
}

type Key = (Chart, String);

#[derive(Debug, Default)]
struct Slot {
    /// Slots since 1970.
    number: i64,
    counts: BTreeMap<Key, f64>,
    durations: BTreeMap<Key, BTreeMap<u8, u32>>,
}

/// The circular list. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct History(Arc<Mutex<VecDeque<Slot>>>);

fn slot_of(at: Timestamp) -> i64 {
    at.seconds_floor().div_euclid(SLOT.as_secs().cast_signed())
}

impl History {
    /// The series from `from` on, with one point for each `step` slots.
    pub fn lines(&self, from: Timestamp, now: Timestamp, step: u32) -> Vec<Line> {
        let step = i64::from(step.max(1));
        let group = |number: i64| number.div_euclid(step);
        let (first, last) = (group(slot_of(from)), group(slot_of(now)));
        let mut counts: BTreeMap<Key, BTreeMap<i64, f64>> = BTreeMap::new();
        let mut durations: BTreeMap<Key, BTreeMap<i64, BTreeMap<u8, u32>>> = BTreeMap::new();
        for slot in self.slots().iter() {
            let at = group(slot.number);
            if !(first..=last).contains(&at) {
                continue;
            }
            for (key, count) in &slot.counts {
                *counts.entry(key.clone()).or_default().entry(at).or_default() += count;
            }
            for (key, buckets) in &slot.durations {
                let merged = durations.entry(key.clone()).or_default().entry(at).or_default();
                for (bucket, count) in buckets {
                    *merged.entry(*bucket).or_default() += count;
                }
            }
        }
        let seconds = |at: i64| at * step * SLOT.as_secs().cast_signed();
        let counted = counts.into_iter().map(|((chart, label), by_time)| {
            let points = (first..=last).map(|at| (seconds(at), by_time.get(&at).copied().unwrap_or(0.0)));
            Line { chart, label, points: points.collect() }
        });
        let timed = durations.into_iter().map(|((chart, label), by_time)| {
            let points = by_time.into_iter().map(|(at, buckets)| (seconds(at), percentile_95(&buckets)));
            Line { chart, label, points: points.collect() }
        });
        counted.chain(timed).collect()
    }

    fn slots(&self) -> MutexGuard<'_, VecDeque<Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for History {
    fn take(&self, measurement: Measurement<'_>) {
        let number = slot_of(measurement.at);
        for (metric, value) in measurement.values {
            let Some(chart) = Chart::ALL.into_iter().find(|chart| chart.source().0 == *metric) else { continue };
            let Some(label) = measurement.dimension(chart.source().1) else { continue };
            let mut slots = self.slots();
            // After a clock was set back no older slot is added: the measurement counts in the newest one.
            if slots.back().is_none_or(|newest| newest.number < number) {
                slots.push_back(Slot { number, ..Slot::default() });
                if slots.len() > SLOTS {
                    slots.pop_front();
                }
            }
            let Some(slot) = slots.back_mut() else { continue };
            let key = (chart, label.to_owned());
            match chart {
                Chart::P95 => *slot.durations.entry(key).or_default().entry(bucket(*value)).or_default() += 1,
                Chart::Requests | Chart::Refusals | Chart::Failures => *slot.counts.entry(key).or_default() += value,
            }
        }
    }
}

/// The first bucket whose limit is at least the duration.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range of the buckets")]
fn bucket(millis: f64) -> u8 {
    ((millis.max(FIRST_MS) / FIRST_MS).ln() / GROWTH.ln()).ceil().clamp(0.0, f64::from(BUCKETS)) as u8
}

/// Limit of the bucket with the 95th percentile.
fn percentile_95(buckets: &BTreeMap<u8, u32>) -> f64 {
    let all: u64 = buckets.values().map(|count| u64::from(*count)).sum();
    let wanted = (all * 95).div_ceil(100);
    let mut seen = 0;
    let found = buckets.iter().find(|(_, count)| {
        seen += u64::from(**count);
        seen >= wanted
    });
    let end = FIRST_MS * GROWTH.powi(i32::from(found.map_or(0, |(bucket, _)| *bucket)));
    (end * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

    fn measure(history: &History, at: Timestamp, values: &[(Metric, f64)], dimensions: &[(Dimension, &str)]) {
        history.take(Measurement { at, values, dimensions });
    }

    #[test]
    fn counts_add_up_in_their_slot_and_silence_is_zero() {
        let history = History::default();
        for (after, tool) in [(0, "pay"), (14, "pay"), (15, "pay"), (45, "read")] {
            let at = NOW.plus(Duration::from_secs(after));
            measure(&history, at, &[(Metric::ToolFailures, 1.0)], &[(Dimension::Tool, tool)]);
        }
        let now = NOW.plus(Duration::from_secs(45));
        let lines = history.lines(NOW, now, 1);
        let values = |line: &Line| line.points.iter().map(|(_, value)| *value).collect::<Vec<_>>();
        assert_eq!((lines[0].label.as_str(), values(&lines[0])), ("pay", vec![2.0, 1.0, 0.0, 0.0]));
        assert_eq!((lines[1].label.as_str(), values(&lines[1])), ("read", vec![0.0, 0.0, 0.0, 1.0]));
        assert_eq!(lines[0].points[0].0, NOW.seconds_floor());
        let minutes = history.lines(NOW, now, 4);
        assert_eq!(values(&minutes[0]), [3.0]);
    }

    #[test]
    fn a_percentile_is_exact_to_a_fifth() {
        let history = History::default();
        for millis in 1..=100 {
            let values = [(Metric::Requests, 1.0), (Metric::RequestDuration, f64::from(millis))];
            measure(&history, NOW, &values, &[(Dimension::Function, "status"), (Dimension::Route, "r")]);
        }
        let lines = history.lines(NOW, NOW, 1);
        let p95 = lines.iter().find(|line| line.chart == Chart::P95).unwrap().points[0].1;
        assert!((95.0..=95.0 * 1.2).contains(&p95), "{p95}");
        assert_eq!(lines.iter().find(|line| line.chart == Chart::Requests).unwrap().points[0].1, 100.0);
        for (millis, expected) in [(0.0, 0), (0.1, 0), (1e9, BUCKETS)] {
            assert_eq!(bucket(millis), expected);
        }
    }

    #[test]
    fn three_hours_are_kept_and_a_clock_that_goes_back_breaks_nothing() {
        let history = History::default();
        for slot in 0..1000 {
            let at = NOW.plus(SLOT * slot);
            measure(&history, at, &[(Metric::ToolFailures, 1.0)], &[(Dimension::Tool, "t")]);
        }
        assert_eq!(history.slots().len(), SLOTS);
        measure(&history, NOW, &[(Metric::ToolFailures, 1.0)], &[(Dimension::Tool, "t")]);
        assert_eq!(history.slots().len(), SLOTS);
        let all = history.lines(NOW, NOW.plus(SLOT * 1000), 1);
        assert_eq!(all[0].points.iter().map(|(_, value)| value).sum::<f64>(), 721.0);
    }
}
