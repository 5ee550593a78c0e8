//! What the functions would write to standard output: metrics in the embedded metric format, and log lines.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex},
};

use domain::alarms::Level;
use platform::{
    metrics::{Dimension, Measurement, Meter, Metric, Sink, emf},
    runtime::{Clock, Runtime},
    telemetry,
};
use serde_json::Value;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt::{MakeWriter, format::Writer, time::FormatTime},
    prelude::*,
};

use crate::clock::ManualClock;

/// The namespace of what is captured: the name of the template's stack in tests.
pub const NAMESPACE: &str = "stack";
/// A namespace as long as that of a deployment, for counting bytes.
const DEPLOYED: &str = "openclaw-miniprogram-prod";

/// Every metric and, once [`listen`](Self::listen) was called, every log line, in order. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Capture {
    clock: ManualClock,
    lines: Arc<Mutex<Vec<Line>>>,
    published: Arc<Mutex<BTreeMap<Level, usize>>>,
}

/// One line of standard output.
#[derive(Debug, Clone)]
pub struct Line {
    /// The time by the app's clock, in milliseconds.
    pub at: i64,
    /// The metrics document or log line.
    pub content: Content,
}

/// The content of a line.
#[derive(Debug, Clone)]
pub enum Content {
    /// A document of the embedded metric format.
    Metrics(Value),
    /// A log line.
    Log(Value),
}

impl Capture {
    /// A capture that dates lines by this clock.
    pub fn new(clock: ManualClock) -> Self {
        Self { clock, ..Self::default() }
    }

    /// A runtime that measures into this capture.
    pub fn metered(&self, runtime: Runtime) -> Runtime {
        runtime.metered(Meter::into_sink(self.clone()))
    }

    /// Keeps the log lines of our own code too, at info and above, as long as the guard lives and on this thread: that
    /// is a whole test, if its runtime has one thread.
    #[must_use]
    pub fn listen(&self) -> DefaultGuard {
        self.listen_at(LevelFilter::INFO)
    }

    /// The same, at another level.
    #[must_use]
    pub fn listen_at(&self, level: LevelFilter) -> DefaultGuard {
        let ours = ["edge_auth", "worker", "status", "sweep", "domain", "platform", "store", "service", "local"]
            .map(|target| (target, level));
        let lines = telemetry::lines(self.clone(), Timer(self.clock.clone()));
        tracing_subscriber::registry().with(lines.with_filter(Targets::new().with_targets(ours))).set_default()
    }

    /// Everything, in order.
    pub fn lines(&self) -> Vec<Line> {
        self.lines.lock().expect("no panic holds it").clone()
    }

    /// The documents of the embedded metric format.
    pub fn documents(&self) -> Vec<Value> {
        self.lines().into_iter().filter_map(|line| line.content.metrics().cloned()).collect()
    }

    /// The log lines and their times.
    pub fn logs(&self) -> Vec<(i64, Value)> {
        self.lines().into_iter().filter_map(|line| Some((line.at, line.content.log()?.clone()))).collect()
    }

    /// How many bytes a deployment at a level has written: its metrics, and the log lines.
    pub fn bytes(&self, level: Level) -> usize {
        let logs: usize = self.logs().iter().map(|(_, line)| line.to_string().len() + 1).sum();
        logs + self.published.lock().expect("no panic holds it").get(&level).copied().unwrap_or_default()
    }

    /// Forgets every line so far.
    pub fn clear(&self) {
        self.lines.lock().expect("no panic holds it").clear();
        self.published.lock().expect("no panic holds it").clear();
    }

    /// The values of one series, in order. To CloudWatch each set of dimensions is a series of its own, and so it is
    /// here.
    pub fn values(&self, metric: Metric, dimensions: &[(Dimension, &str)]) -> Vec<f64> {
        let series: BTreeMap<&str, &str> =
            dimensions.iter().map(|(dimension, value)| (dimension.name(), *value)).collect();
        self.documents().iter().flat_map(|document| values(document, metric, &series)).collect()
    }

    /// The sum of one series.
    pub fn sum(&self, metric: Metric, dimensions: &[(Dimension, &str)]) -> f64 {
        self.values(metric, dimensions).iter().sum()
    }

    /// Every line as a function would have written it.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        let mut text = String::new();
        for line in self.lines() {
            let (Content::Metrics(content) | Content::Log(content)) = &line.content;
            text.push_str(&content.to_string());
            text.push('\n');
        }
        std::fs::write(file, text)
    }

    fn push(&self, at: i64, content: Content) {
        self.lines.lock().expect("no panic holds it").push(Line { at, content });
    }
}

impl Content {
    /// The document, if it is one.
    pub const fn metrics(&self) -> Option<&Value> {
        match self {
            Self::Metrics(document) => Some(document),
            Self::Log(_) => None,
        }
    }

    /// The log line, if it is one.
    pub const fn log(&self) -> Option<&Value> {
        match self {
            Self::Metrics(_) => None,
            Self::Log(fields) => Some(fields),
        }
    }
}

/// The values that a document adds to a series.
fn values(document: &Value, metric: Metric, series: &BTreeMap<&str, &str>) -> Vec<f64> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let is_series = |set: &Value| {
        let names = list(set);
        let set: BTreeMap<&str, &str> =
            names.iter().filter_map(|name| Some((name.as_str()?, document[name.as_str()?].as_str()?))).collect();
        set == *series
    };
    let directives = list(&document["_aws"]["CloudWatchMetrics"]);
    let published = directives.iter().any(|directive| {
        list(&directive["Metrics"]).iter().any(|one| one["Name"] == metric.name())
            && list(&directive["Dimensions"]).iter().any(is_series)
    });
    match &document[metric.name()] {
        _ if !published => Vec::new(),
        Value::Array(several) => several.iter().filter_map(Value::as_f64).collect(),
        one => one.as_f64().into_iter().collect(),
    }
}

impl Sink for Capture {
    fn take(&self, measurement: Measurement<'_>) {
        for document in emf::documents(NAMESPACE, None, measurement) {
            self.push(measurement.at.millis(), Content::Metrics(document));
        }
        let mut published = self.published.lock().expect("no panic holds it");
        for level in [Level::Basic, Level::Full] {
            let lines = emf::documents(DEPLOYED, Some(level), measurement).map(|line| line.to_string().len() + 1);
            *published.entry(level).or_default() += lines.sum::<usize>();
        }
    }
}

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let fields = serde_json::from_slice(bytes).expect("a log line is written at once, and is JSON");
        self.push(self.clock.now().millis(), Content::Log(fields));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Capture {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The app's clock in log lines.
struct Timer(ManualClock);

impl FormatTime for Timer {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", self.0.now())
    }
}
