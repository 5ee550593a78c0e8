//! The alarms that are evaluated on one host.

use std::collections::BTreeMap;

use domain::alarms::{Alarm, AlarmTable, AlarmTableError, Series};
use platform::metrics::{Dimension, Metric};

/// The rows of `observe/alarms.toml` that mean nothing on one host, and why. `docs/operate/one-host.md` has the same table.
pub fn not_on_one_host() -> Result<BTreeMap<String, String>, AlarmTableError> {
    Ok(toml::from_str(include_str!("../../../../observe/not-on-one-host.toml"))?)
}

/// Every alarm of one host.
pub fn rows() -> Result<Vec<Alarm>, AlarmTableError> {
    let (cloud, host) = (AlarmTable::built_in()?, AlarmTable::of_one_host()?);
    let left_out = not_on_one_host()?;
    let is_here = |alarm: &&Alarm| !left_out.contains_key(alarm.name());
    Ok(cloud.alarms().iter().filter(is_here).chain(host.alarms()).cloned().collect())
}

/// What this process measures of a series. What AWS measures by itself (`platform.…`), it measures itself. `None` for
/// what it does not measure.
pub(super) fn source(series: &Series) -> Option<(Metric, Vec<(Dimension, String)>)> {
    let name = series.metric.strip_prefix("platform.").unwrap_or(&series.metric);
    let metric = *Metric::ALL.iter().find(|metric| metric.name() == name)?;
    let dimension = |(name, value): (&String, &String)| {
        let dimension = Dimension::ALL.into_iter().find(|dimension| dimension.name() == name)?;
        Some((dimension, value.clone()))
    };
    let dimensions = series.dimensions.iter().map(dimension).collect::<Option<Vec<_>>>()?;
    let widest = metric.dimension_sets().first()?;
    dimensions.iter().all(|(dimension, _)| widest.contains(dimension)).then_some((metric, dimensions))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_evaluated_or_listed_with_its_reason() {
        for alarm in rows().unwrap() {
            for series in alarm.series() {
                assert!(source(series).is_some(), "{}: nothing here measures {series:?}", alarm.name());
            }
        }
        let table = AlarmTable::built_in().unwrap();
        for (name, why) in not_on_one_host().unwrap() {
            assert!(table.alarms().iter().any(|alarm| alarm.name() == name), "{name} is no alarm");
            assert!(!why.is_empty(), "{name}");
        }
    }

    #[test]
    fn the_page_lists_the_rows_that_are_not_evaluated_and_those_that_only_one_host_has() {
        let page = include_str!("../../../../docs/operate/one-host.md");
        for (name, why) in not_on_one_host().unwrap() {
            assert!(page.contains(&format!("| `{name}` | {why} |\n")), "{name}: {why}");
        }
        for alarm in AlarmTable::of_one_host().unwrap().alarms() {
            assert!(page.contains(&format!("| `{}` | {} |\n", alarm.name(), alarm.says())), "{}", alarm.name());
        }
    }
}
