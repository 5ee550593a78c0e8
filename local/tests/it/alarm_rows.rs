//! Every alarm of one host, from the samples that breach it to the webhook, by a manual clock.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain::{
    alarms::{Alarm, Limit, Series, Shape, Statistic},
    ids::Timestamp,
};
use local::{
    disk::DiskGuard,
    emulation::engines::{EngineOptions, Engines},
    host::alerts::{AlertOptions, Alerts, Format, RecentSamples, Sources, Webhook, rows},
};
use platform::{
    metrics::{Dimension, Measurement, Meter, Metric, Sink},
    runtime::{Clock, Runtime, System},
};
use store::Table;

use super::{
    alerts::{Heard, listen},
    directory,
};

const MINUTE_MS: i64 = 60_000;
/// The longest window of an alarm, and the time without samples until it is over.
const PATIENCE: usize = 45;

#[derive(Debug)]
struct Manual(AtomicI64);

impl Clock for Manual {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Counts the rounds of the evaluation by what it measures in each.
#[derive(Debug, Clone, Default)]
struct Rounds(Arc<AtomicUsize>);

impl Sink for Rounds {
    fn take(&self, measurement: Measurement<'_>) {
        if measurement.values.iter().any(|(metric, _)| *metric == Metric::DiskLow) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// The evaluation of one host, with samples of the test in place of a service's.
struct Evaluated {
    clock: Arc<Manual>,
    rounds: Rounds,
    samples: RecentSamples,
    /// While it exists, its disk is low.
    low_disk: PathBuf,
    alarms: Vec<Alarm>,
    heard: Arc<Heard>,
    alerts: Alerts,
    engines: Engines,
}

impl Evaluated {
    async fn start() -> Self {
        let data = directory("alarm-rows");
        let (url, heard) = listen();
        let (alarms, rounds) = (rows().unwrap(), Rounds::default());
        let samples = RecentSamples::of(&alarms);
        let now = System.now().millis() / MINUTE_MS * MINUTE_MS;
        let clock = Arc::new(Manual(AtomicI64::new(now)));
        let meter = Meter::into_sink((samples.clone(), rounds.clone()));
        let runtime = Runtime::new(clock.clone(), Arc::new(System)).metered(meter);
        let engines = Engines::start(EngineOptions::default()).await.unwrap();
        let backend = engines.backend.clone();
        let low_disk = data.join("disk");
        let sources = Sources {
            runtime,
            samples: samples.clone(),
            table: Table::new(backend.aws.dynamodb(), backend.table.clone(), Duration::from_secs(86_400)),
            backend,
            disk: DiskGuard::new(&low_disk, u64::MAX),
            data,
        };
        let webhook = Webhook::parse(&format!("{url}/robot?key=secret"), Format::Json).unwrap();
        let every = Duration::from_millis(1);
        let options =
            AlertOptions { webhook: Some(webhook), every, retry_pause: Duration::ZERO, ..AlertOptions::default() };
        let alerts = Alerts::start(options, sources).unwrap();
        Self { clock, rounds, samples, low_disk, alarms, heard, alerts, engines }
    }

    fn take(&self, series: &Series, value: f64) {
        let name = series.metric.trim_start_matches("platform.");
        let metric = *Metric::ALL.iter().find(|metric| metric.name() == name).unwrap();
        let dimension = |(name, value): (&String, &'_ String)| {
            let dimension = Dimension::ALL.into_iter().find(|dimension| dimension.name() == name).unwrap();
            (dimension, value.clone())
        };
        let dimensions: Vec<(Dimension, String)> = series.dimensions.iter().map(dimension).collect();
        let dimensions: Vec<_> = dimensions.iter().map(|(dimension, value)| (*dimension, value.as_str())).collect();
        self.samples.take(Measurement { at: self.clock.now(), values: &[(metric, value)], dimensions: &dimensions });
    }

    /// Samples of one minute that are just beyond the limit of an alarm; none for a heartbeat.
    fn breach(&self, alarm: &Alarm) {
        match alarm.shape() {
            // The evaluation measures the disk itself.
            Shape::Threshold { watch, .. } if watch[0].metric == Metric::DiskLow.name() => {
                fs::create_dir_all(&self.low_disk).unwrap();
            }
            Shape::Threshold { watch, statistic, limit, floor, .. } => {
                let beyond = match limit {
                    Limit::Above(value) => value + 1.0,
                    Limit::AtLeast(value) => *value,
                    Limit::Below(value) => value - 1.0,
                };
                let samples = if matches!(statistic, Statistic::Percentile(_)) { floor.unwrap_or(1) } else { 1 };
                for _ in 0..samples {
                    self.take(&watch[0], beyond);
                }
            }
            Shape::Ratio { part, whole, floor, .. } => {
                self.take(&part[0], *floor);
                self.take(&whole[0], *floor);
            }
            Shape::Heartbeat { .. } => {}
        }
    }

    /// Lets one minute pass, which an alarm may breach, and waits until its end was evaluated. Every other heartbeat goes on.
    async fn minute(&self, breached: Option<&Alarm>) {
        for alarm in &self.alarms {
            match alarm.shape() {
                Shape::Heartbeat { watch } if breached.is_none_or(|other| other.name() != alarm.name()) => {
                    self.take(watch, 1.0);
                }
                _ => {}
            }
        }
        match breached {
            Some(alarm) => self.breach(alarm),
            None => _ = fs::remove_dir(&self.low_disk),
        }
        self.clock.0.fetch_add(MINUTE_MS, Ordering::SeqCst);
        // The first round that begins after the end of the minute evaluates it, unless the one before did.
        let before = self.rounds.0.load(Ordering::SeqCst);
        while self.rounds.0.load(Ordering::SeqCst) < before + 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Lets minutes pass until there are so many changes in the messages. Returns how many minutes.
    async fn until(&self, changes: usize, breached: Option<&Alarm>) -> usize {
        for minutes in 0..PATIENCE {
            if self.told().len() >= changes {
                return minutes;
            }
            self.minute(breached).await;
        }
        panic!("{:?} within {PATIENCE} minutes: {:?}", breached.map(Alarm::name), self.told());
    }

    /// Name and state of each alarm in each message.
    fn told(&self) -> Vec<(String, String)> {
        let messages = self.heard.messages.lock().unwrap();
        let alarms = messages.iter().flat_map(|message| message["alarms"].as_array().unwrap().clone());
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        alarms.map(|alarm| (text(&alarm["name"]), text(&alarm["state"]))).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_alarm_is_told_once_when_it_begins_and_once_when_it_ends_and_no_other_with_it() {
    let host = Evaluated::start().await;
    // The windows of all alarms have been watched.
    for _ in 0..PATIENCE {
        host.minute(None).await;
    }
    assert_eq!(host.told(), [], "nothing is wrong");
    for alarm in &host.alarms {
        let name = alarm.name();
        let minutes = host.until(1, Some(alarm)).await;
        let windows = usize::try_from(alarm.window().as_secs() / 60).unwrap();
        assert!(minutes <= windows + 1, "{name} after {minutes} minutes");
        // The fault lasts: it is not told again.
        for _ in 0..3 {
            host.minute(Some(alarm)).await;
        }
        host.until(2, None).await;
        for _ in 0..2 {
            host.minute(None).await;
        }
        let told = |state: &str| (name.to_owned(), state.to_owned());
        assert_eq!(host.told(), [told("alarm"), told("ok")]);
        host.heard.messages.lock().unwrap().clear();
    }
    host.alerts.stop();
    host.engines.stop().await;
}
