//! Reads the table of alarms.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Deserialize;

use super::{Alarm, Level, Limit, Series, Severity, Shape, Statistic};

/// Why a table of alarms cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AlarmTableError {
    /// Not valid TOML, or a row has an unknown or missing field.
    #[error("the table of alarms cannot be read: {0}")]
    Syntax(#[from] toml::de::Error),
    /// A row contradicts itself or another one.
    #[error("alarm {name}: {fault}")]
    Row {
        /// The row.
        name: String,
        /// What is wrong.
        fault: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    #[serde(default)]
    threshold: Vec<ThresholdRow>,
    #[serde(default)]
    ratio: Vec<RatioRow>,
    #[serde(default)]
    heartbeat: Vec<HeartbeatRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ThresholdRow {
    name: String,
    level: Level,
    severity: Severity,
    says: String,
    watch: Watch,
    statistic: String,
    period_s: u32,
    floor: Option<u32>,
    above: Option<f64>,
    at_least: Option<f64>,
    below: Option<f64>,
    #[serde(default = "one")]
    breaches: u32,
    #[serde(default = "one")]
    periods: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RatioRow {
    name: String,
    level: Level,
    severity: Severity,
    says: String,
    part: Watch,
    whole: Watch,
    period_s: u32,
    floor: f64,
    above: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeartbeatRow {
    name: String,
    level: Level,
    severity: Severity,
    says: String,
    watch: Watch,
    period_s: u32,
    periods: u32,
}

/// One series, or one for each value of a dimension.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Watch {
    metric: String,
    #[serde(default, rename = "where")]
    dimensions: BTreeMap<String, String>,
    #[serde(default)]
    sum_over: BTreeMap<String, Vec<String>>,
}

const fn one() -> u32 {
    1
}

impl Watch {
    /// At most one dimension is summed over.
    fn series(self) -> Option<Vec<Series>> {
        let Self { metric, dimensions, sum_over } = self;
        if sum_over.len() > 1 {
            return None;
        }
        let Some((dimension, values)) = sum_over.into_iter().next() else {
            return Some(vec![Series { metric, dimensions }]);
        };
        let one = |value: String| {
            let mut dimensions = dimensions.clone();
            dimensions.insert(dimension.clone(), value);
            Series { metric: metric.clone(), dimensions }
        };
        Some(values.into_iter().map(one).collect())
    }
}

pub(super) fn parse(text: &str) -> Result<Vec<Alarm>, AlarmTableError> {
    let Rows { threshold, ratio, heartbeat } = toml::from_str(text)?;
    let threshold = threshold.into_iter().map(|row| named(row.name.clone(), threshold_alarm(row)));
    let ratio = ratio.into_iter().map(|row| named(row.name.clone(), ratio_alarm(row)));
    let heartbeat = heartbeat.into_iter().map(|row| named(row.name.clone(), heartbeat_alarm(row)));
    let alarms = threshold.chain(ratio).chain(heartbeat).collect::<Result<Vec<Alarm>, _>>()?;
    let mut names = BTreeSet::new();
    match alarms.iter().find(|alarm| !names.insert(&alarm.name)) {
        None => Ok(alarms),
        Some(twice) => named(twice.name.clone(), Err("there is another one of this name")),
    }
}

fn named<T>(name: String, read: Result<T, &'static str>) -> Result<T, AlarmTableError> {
    read.map_err(|fault| AlarmTableError::Row { name, fault })
}

fn period(seconds: u32) -> Result<Duration, &'static str> {
    let minutes = seconds > 0 && seconds.is_multiple_of(60);
    minutes.then(|| Duration::from_secs(seconds.into())).ok_or("period_s is no multiple of 60")
}

fn threshold_alarm(row: ThresholdRow) -> Result<Alarm, &'static str> {
    let limit = match (row.above, row.at_least, row.below) {
        (Some(limit), None, None) => Limit::Above(limit),
        (None, Some(limit), None) => Limit::AtLeast(limit),
        (None, None, Some(limit)) => Limit::Below(limit),
        _ => return Err("one of above, at_least and below is needed"),
    };
    let statistic = Statistic::parse(&row.statistic).ok_or("statistic is none of sum, min, max and p0 to p100")?;
    let watch = row.watch.series().ok_or("sum_over names more than one dimension")?;
    if watch.len() != 1 && statistic != Statistic::Sum {
        return Err("only a sum is over several series");
    }
    if row.floor.is_some() && !matches!(statistic, Statistic::Percentile(_)) {
        return Err("only a percentile has a floor");
    }
    if !(1..=row.periods).contains(&row.breaches) {
        return Err("breaches is not within 1 and periods");
    }
    Ok(Alarm {
        name: row.name,
        level: row.level,
        severity: row.severity,
        says: row.says,
        period: period(row.period_s)?,
        periods: row.periods,
        shape: Shape::Threshold { watch, statistic, limit, floor: row.floor, breaches: row.breaches },
    })
}

fn ratio_alarm(row: RatioRow) -> Result<Alarm, &'static str> {
    let series = |watch: Watch| watch.series().ok_or("sum_over names more than one dimension");
    if row.floor < 1.0 {
        return Err("floor is less than one");
    }
    Ok(Alarm {
        name: row.name,
        level: row.level,
        severity: row.severity,
        says: row.says,
        period: period(row.period_s)?,
        periods: 1,
        shape: Shape::Ratio { part: series(row.part)?, whole: series(row.whole)?, floor: row.floor, above: row.above },
    })
}

fn heartbeat_alarm(row: HeartbeatRow) -> Result<Alarm, &'static str> {
    let Some([watch]) = row.watch.series().and_then(|series| <[Series; 1]>::try_from(series).ok()) else {
        return Err("a heartbeat is one series");
    };
    if row.periods == 0 {
        return Err("periods is zero");
    }
    Ok(Alarm {
        name: row.name,
        level: row.level,
        severity: row.severity,
        says: row.says,
        period: period(row.period_s)?,
        periods: row.periods,
        shape: Shape::Heartbeat { watch },
    })
}
