use super::*;

const MINUTE: i64 = 60_000;

/// Samples of the series `m`, `part` and `whole`: minute and value.
struct Fixed(Vec<(&'static str, i64, f64)>);

impl Samples for Fixed {
    fn within(&self, series: &Series, from: Timestamp, to: Timestamp) -> Vec<f64> {
        let label = series.dimensions.values().next().unwrap_or(&series.metric);
        let fits = |(name, minute, _): &&(&str, i64, f64)| {
            let at = Timestamp::from_millis(minute * MINUTE);
            *name == label.as_str() && from <= at && at < to
        };
        self.0.iter().filter(fits).map(|(_, _, value)| *value).collect()
    }
}

fn alarm(shape: &str, rest: &str) -> Alarm {
    let text = format!("[[{shape}]]\nname = \"a\"\nlevel = \"basic\"\nseverity = \"page\"\nsays = \"Says.\"\n{rest}");
    AlarmTable::parse(&text).unwrap().alarms()[0].clone()
}

fn fires(alarm: &Alarm, samples: &[(&'static str, i64, f64)], minute: i64) -> bool {
    alarm.fires(&Fixed(samples.to_vec()), Timestamp::from_millis(minute * MINUTE))
}

#[test]
fn the_table_that_is_compiled_in_can_be_read() {
    let table = AlarmTable::built_in().unwrap();
    assert!(table.alarms().len() > 30);
    assert!(table.alarms().iter().any(|alarm| alarm.level() == Level::Basic && alarm.severity() == Severity::Page));
}

#[test]
fn a_sum_fires_from_its_limit_on_while_its_window_holds_the_samples() {
    let sum = alarm("threshold", "watch={metric=\"m\"}\nstatistic=\"sum\"\nperiod_s=300\nat_least=3");
    let three = [("m", 0, 1.0), ("m", 1, 1.0), ("m", 2, 1.0)];
    assert_eq!([2, 3, 5, 6].map(|minute| fires(&sum, &three, minute)), [false, true, true, false]);
    assert!(!fires(&sum, &[], 3), "no samples are within every limit");
}

#[test]
fn several_series_are_summed() {
    let sum =
        alarm("threshold", "watch={metric=\"m\",sum_over={f=[\"x\",\"y\"]}}\nstatistic=\"sum\"\nperiod_s=60\nabove=2");
    assert!(fires(&sum, &[("x", 0, 1.0), ("y", 0, 2.0)], 1));
    assert!(!fires(&sum, &[("x", 0, 1.0), ("y", 0, 1.0), ("m", 0, 9.0)], 1));
}

#[test]
fn a_limit_is_passed_in_so_many_of_the_last_periods() {
    let rest = "watch={metric=\"m\"}\nstatistic=\"min\"\nperiod_s=60\nbelow=1\nbreaches=2\nperiods=3";
    let two_of_three = alarm("threshold", rest);
    let at = |values: [Option<f64>; 3]| {
        let minutes = (0..).zip(values).filter_map(|(minute, value)| Some(("m", minute, value?)));
        fires(&two_of_three, &minutes.collect::<Vec<_>>(), 3)
    };
    assert!(at([Some(0.0), Some(1.0), Some(0.0)]) && at([Some(0.0), None, Some(0.0)]));
    assert!(!at([Some(0.0), Some(1.0), Some(1.0)]) && !at([Some(0.0), None, None]) && !at([None, None, None]));
}

#[test]
fn a_percentile_says_nothing_below_its_floor() {
    let rest = "watch={metric=\"m\"}\nstatistic=\"p95\"\nperiod_s=60\nfloor=20\nabove=100";
    let p95 = alarm("threshold", rest);
    let slow = |count: usize| vec![("m", 0, 200.0); count];
    assert!(fires(&p95, &slow(20), 1) && !fires(&p95, &slow(19), 1));
    let one_slow = |quick: usize| [vec![("m", 0, 1.0); quick], slow(1)].concat();
    assert!(!fires(&p95, &one_slow(99), 1));
}

#[test]
fn a_maximum_is_the_largest_and_a_percentile_lies_between_ranks() {
    let samples: Vec<f64> = (0..=100).map(f64::from).rev().collect();
    for (name, value) in [("sum", 5050.0), ("min", 0.0), ("max", 100.0), ("p95", 95.0), ("p99.5", 99.5)] {
        assert_eq!(Statistic::parse(name).unwrap().of(&samples), Some(value), "{name}");
        assert_eq!(Statistic::parse(name).unwrap().of(&[]), None, "{name}");
    }
    assert!(["Sum", "p", "p101", "p-1", "avg", ""].iter().all(|name| Statistic::parse(name).is_none()));
}

#[test]
fn a_ratio_needs_its_floor_and_more_than_its_share() {
    let rest = "part={metric=\"part\"}\nwhole={metric=\"whole\"}\nperiod_s=60\nfloor=3\nabove=20";
    let ratio = alarm("ratio", rest);
    let of = |part: f64, whole: f64| fires(&ratio, &[("part", 0, part), ("whole", 0, whole)], 1);
    assert!(of(3.0, 14.0) && of(3.0, 3.0));
    assert!(!of(3.0, 15.0) && !of(2.0, 2.0));
    assert!(!fires(&ratio, &[("part", 0, 3.0)], 1), "without a whole there is no ratio");
    assert!(!fires(&ratio, &[("whole", 0, 3.0)], 1));
}

#[test]
fn a_heartbeat_fires_when_it_has_been_missing_for_every_period() {
    let beat = alarm("heartbeat", "watch={metric=\"m\"}\nperiod_s=60\nperiods=3");
    let last = [("m", 4, 0.0)];
    assert_eq!([5, 6, 7, 8].map(|minute| fires(&beat, &last, minute)), [false, false, false, true]);
}

#[test]
fn a_row_that_contradicts_itself_is_refused_by_its_name() {
    let common = "name=\"a\"\nlevel=\"full\"\nseverity=\"ticket\"\nsays=\"Says.\"\nwatch={metric=\"m\"}\n";
    let threshold = format!("[[threshold]]\n{common}");
    let fault = |text: String| AlarmTable::parse(&text).unwrap_err().to_string();
    for (rest, says) in [
        ("statistic=\"sum\"\nperiod_s=60", "one of above"),
        ("statistic=\"sum\"\nperiod_s=60\nabove=1\nbelow=2", "one of above"),
        ("statistic=\"sum\"\nperiod_s=90\nabove=1", "multiple of 60"),
        ("statistic=\"mean\"\nperiod_s=60\nabove=1", "statistic"),
        ("statistic=\"sum\"\nperiod_s=60\nabove=1\nfloor=3", "percentile"),
        ("statistic=\"sum\"\nperiod_s=60\nabove=1\nbreaches=2", "breaches"),
    ] {
        let told = fault(format!("{threshold}{rest}"));
        assert!(told.contains("alarm a") && told.contains(says), "{told}");
    }
    let twice = format!("{threshold}statistic=\"sum\"\nperiod_s=60\nabove=1\n");
    assert!(fault(twice.repeat(2)).contains("another one"));
    assert!(fault(format!("{twice}extra=1")).contains("extra"));
    assert!(fault(format!("[[heartbeat]]\n{common}period_s=60\nperiods=0")).contains("periods"));
}

const SUM: &str = "watch={metric=\"m\"}\nstatistic=\"sum\"\nperiod_s=120\nat_least=1";

/// The changes that a watch returns, minute by minute.
fn said(watch: &mut Watch, samples: &[(&'static str, i64, f64)], minutes: RangeInclusive<i64>) -> Vec<(i64, Change)> {
    let samples = Fixed(samples.to_vec());
    let at = |minute: i64| Timestamp::from_millis(minute * MINUTE);
    minutes.flat_map(|m| watch.evaluate(&samples, at(m)).into_iter().map(move |one| (m, one.change))).collect()
}

fn watch(alarm: Alarm, firing: &[&str]) -> Watch {
    Watch::new(vec![alarm], firing.iter().map(|name| (*name).to_owned()).collect(), Timestamp::from_millis(0))
}

#[test]
fn an_alarm_is_said_once_when_it_fires_and_once_when_it_is_over() {
    let mut sum = watch(alarm("threshold", SUM), &[]);
    // It fires and stops in turns; it ends after five minutes without firing.
    let samples = [("m", 4, 1.0), ("m", 5, 1.0), ("m", 9, 1.0)];
    assert_eq!(said(&mut sum, &samples, 1..=30), [(5, Change::Fired), (16, Change::Over)]);
    assert_eq!(sum.firing().count(), 0);
}

#[test]
fn an_alarm_of_an_earlier_process_is_over_only_after_its_window_was_watched() {
    let mut carried = watch(alarm("threshold", SUM), &["a", "removed"]);
    assert_eq!(carried.firing().collect::<Vec<_>>(), ["a"], "what is no alarm any more is forgotten");
    assert_eq!(said(&mut carried, &[], 1..=9), [(5, Change::Over)]);
    let long = SUM.replace("120", "600");
    assert_eq!(said(&mut watch(alarm("threshold", &long), &["a"]), &[], 1..=20), [(10, Change::Over)]);
    let mut still = watch(alarm("threshold", SUM), &["a"]);
    assert_eq!(said(&mut still, &[("m", 1, 1.0)], 1..=9), [(8, Change::Over)], "it fired before: not said again");
}

#[test]
fn a_heartbeat_is_missed_after_a_whole_window_and_not_because_the_clock_jumped_or_the_process_slept() {
    let beat = || alarm("heartbeat", "watch={metric=\"m\"}\nperiod_s=60\nperiods=3");
    assert_eq!(said(&mut watch(beat(), &[]), &[], 1..=9), [(3, Change::Fired)]);
    let beats: Vec<_> = (0..5).chain(1000..1005).map(|minute| ("m", minute, 1.0)).collect();
    let mut jumped = watch(beat(), &[]);
    for minutes in [1..=5, 1000..=1005, 2..=4] {
        assert!(said(&mut jumped, &beats, minutes.clone()).is_empty(), "{minutes:?}");
    }
}

#[test]
fn the_table_of_one_host_can_be_read_and_repeats_no_name() {
    let (cloud, host) = (AlarmTable::built_in().unwrap(), AlarmTable::of_one_host().unwrap());
    assert!(!host.alarms().is_empty());
    assert!(host.alarms().iter().all(|one| cloud.alarms().iter().all(|other| other.name() != one.name())));
}
