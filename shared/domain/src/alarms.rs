//! Alarms over metrics: the rows of `observe/alarms.toml`, and their evaluation. Pure: samples and time are arguments.
//!
//! The same rows are CloudWatch's alarms on AWS (`observe/template.yaml`), so there are only three shapes, each of
//! which CloudWatch can express: [`Shape`].

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use serde::Deserialize;

use crate::ids::Timestamp;

mod rows;
#[cfg(test)]
mod tests;
mod watch;

pub use rows::AlarmTableError;
pub use watch::{Change, Transition, Watch};

/// How much is published and watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Only the alarms that show an outage, or a write without an audit record.
    Basic,
    /// Every alarm and metric.
    Full,
}

/// How urgent an alarm is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Users notice it now.
    Page,
    /// It can wait until morning.
    Ticket,
}

/// One time series: a metric and its dimensions. A metric without dimensions is another series than the same metric
/// with some.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// Name of the metric.
    pub metric: String,
    /// Its dimensions.
    pub dimensions: BTreeMap<String, String>,
}

/// Where samples come from.
pub trait Samples {
    /// The samples of a series at or after `from` and before `to`. None is an empty list, also for an unknown series.
    fn within(&self, series: &Series, from: Timestamp, to: Timestamp) -> Vec<f64>;
}

/// What is computed from the samples of one period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistic {
    /// Their sum.
    Sum,
    /// The smallest one.
    Min,
    /// The largest one.
    Max,
    /// A percentile, 0 to 100: between the two nearest ranks.
    Percentile(f64),
}

/// Values beyond which an alarm fires.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// More than this.
    Above(f64),
    /// This or more.
    AtLeast(f64),
    /// Less than this.
    Below(f64),
}

/// What an alarm watches.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A statistic of one metric against a limit. Several series are summed.
    Threshold {
        /// The series.
        watch: Vec<Series>,
        /// What is computed of them.
        statistic: Statistic,
        /// The limit.
        limit: Limit,
        /// With fewer samples than this the alarm does not fire.
        floor: Option<u32>,
        /// In how many of the last `periods` the limit must be passed.
        breaches: u32,
    },
    /// The sum of `part` in per cent of the sum of `whole`, above a value. Without a whole there is no ratio.
    Ratio {
        /// What is counted.
        part: Vec<Series>,
        /// What it is a part of.
        whole: Vec<Series>,
        /// With a smaller part the alarm does not fire.
        floor: f64,
        /// In per cent.
        above: f64,
    },
    /// A series without a sample in any of the last `periods`.
    Heartbeat {
        /// The series.
        watch: Series,
    },
}

/// One alarm.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    name: String,
    level: Level,
    severity: Severity,
    says: String,
    shape: Shape,
    period: Duration,
    periods: u32,
}

/// Every alarm.
#[derive(Debug, Clone, PartialEq)]
pub struct AlarmTable(Vec<Alarm>);

impl AlarmTable {
    /// The table that is compiled in.
    pub fn built_in() -> Result<Self, AlarmTableError> {
        Self::parse(include_str!("../../../observe/alarms.toml"))
    }

    /// The table of the alarms that only one host has, as compiled in.
    pub fn of_one_host() -> Result<Self, AlarmTableError> {
        Self::parse(include_str!("../../../observe/host.toml"))
    }

    /// Reads a table. An error names the row.
    pub fn parse(text: &str) -> Result<Self, AlarmTableError> {
        rows::parse(text).map(Self)
    }

    /// The alarms, in the order of the table, by shape.
    pub fn alarms(&self) -> &[Alarm] {
        &self.0
    }
}

impl Alarm {
    /// Its name, which is also its heading in `docs/operate/runbook.md`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The lowest level at which it is deployed.
    pub const fn level(&self) -> Level {
        self.level
    }

    /// How urgent it is.
    pub const fn severity(&self) -> Severity {
        self.severity
    }

    /// What has happened when it fires: one sentence.
    pub fn says(&self) -> &str {
        &self.says
    }

    /// What it watches.
    pub const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The period over which samples are taken together.
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// Number of the last periods that are evaluated.
    pub const fn periods(&self) -> u32 {
        self.periods
    }

    /// Every series that it reads.
    pub fn series(&self) -> Vec<&Series> {
        match &self.shape {
            Shape::Threshold { watch, .. } => watch.iter().collect(),
            Shape::Ratio { part, whole, .. } => part.iter().chain(whole).collect(),
            Shape::Heartbeat { watch } => vec![watch],
        }
    }

    /// How long before `now` it reads samples.
    pub fn window(&self) -> Duration {
        self.period * self.periods
    }

    /// Whether it fires at `now`, the end of the last period.
    pub fn fires(&self, samples: &impl Samples, now: Timestamp) -> bool {
        let windows = (0..self.periods).map(|back| {
            let to = now.minus(self.period * back);
            (to.minus(self.period), to)
        });
        match &self.shape {
            Shape::Threshold { watch, statistic, limit, floor, breaches } => {
                let beyond = |(from, to)| {
                    let found = gather(samples, watch, from, to);
                    let enough = floor.is_none_or(|floor| found.len() >= floor as usize);
                    enough && statistic.of(&found).is_some_and(|value| limit.is_passed_by(value))
                };
                windows.filter(|window| beyond(*window)).count() >= *breaches as usize
            }
            Shape::Ratio { part, whole, floor, above } => {
                let sum = |series: &[Series], (from, to)| gather(samples, series, from, to).iter().sum::<f64>();
                let beyond = |window| {
                    let (part, whole) = (sum(part, window), sum(whole, window));
                    whole > 0.0 && part >= *floor && part * 100.0 > *above * whole
                };
                windows.clone().all(beyond)
            }
            Shape::Heartbeat { watch } => windows.clone().all(|(from, to)| samples.within(watch, from, to).is_empty()),
        }
    }
}

fn gather(samples: &impl Samples, series: &[Series], from: Timestamp, to: Timestamp) -> Vec<f64> {
    series.iter().flat_map(|series| samples.within(series, from, to)).collect()
}

impl Limit {
    fn is_passed_by(self, value: f64) -> bool {
        match self {
            Self::Above(limit) => value > limit,
            Self::AtLeast(limit) => value >= limit,
            Self::Below(limit) => value < limit,
        }
    }

    /// The value.
    pub const fn value(self) -> f64 {
        match self {
            Self::Above(limit) | Self::AtLeast(limit) | Self::Below(limit) => limit,
        }
    }
}

/// Percentiles that a table may name.
const PERCENTILES: RangeInclusive<f64> = 0.0..=100.0;

impl Statistic {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "sum" => Self::Sum,
            "min" => Self::Min,
            "max" => Self::Max,
            _ => Self::Percentile(name.strip_prefix('p')?.parse().ok().filter(|p| PERCENTILES.contains(p))?),
        })
    }

    /// `None` without samples: that is missing data, not zero.
    fn of(self, samples: &[f64]) -> Option<f64> {
        match self {
            _ if samples.is_empty() => None,
            Self::Sum => Some(samples.iter().sum()),
            Self::Min => samples.iter().copied().reduce(f64::min),
            Self::Max => samples.iter().copied().reduce(f64::max),
            Self::Percentile(p) => Some(percentile(samples, p)),
        }
    }
}

/// Between the two nearest ranks, as most implementations do. CloudWatch does not publish its own.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small ranks")]
fn percentile(samples: &[f64], p: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = p / 100.0 * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
    below + (above - below) * rank.fract()
}
