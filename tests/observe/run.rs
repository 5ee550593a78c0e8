//! A run: the whole service by a manual clock, minute by minute, with everything captured that CloudWatch would be
//! sent, and the metrics that the platform itself would emit.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use domain::{
    alarms::{Level, Series, Transition, Watch},
    ids::Timestamp,
};
use integration_tests::{App, Client, Reply};
use local::host::alerts::{self, RecentSamples};
use platform::{
    metrics::{Dimension, Measurement, Metric, Sink},
    runtime::{Clock, Runtime, System},
};
use serde_json::json;

use crate::samples::{self, Captured, series};

mod queue;

/// Minutes of normal traffic before anything is judged: no window of a rate begins with the first request.
const WARM_UP: i64 = 4;
const MINUTE_MS: i64 = 60_000;
/// How often in a minute what is on the queue is delivered.
const TICKS: i64 = 6;

/// A message that a worker received and did not acknowledge.
struct Hidden {
    until: i64,
    handle: String,
    receives: u32,
}

/// A run.
pub(crate) struct Run {
    pub(crate) app: App,
    pub(crate) users: Vec<Client>,
    /// Whether the queue calls the worker.
    pub(crate) worker_runs: bool,
    /// Whether the worker is killed while it works on a batch.
    pub(crate) worker_dies: bool,
    /// Whether messages wait most of a minute before they are delivered.
    pub(crate) delivers_late: bool,
    /// Whether the schedule calls the sweep.
    pub(crate) sweep_runs: bool,
    began: i64,
    minute: i64,
    basic: Captured,
    full: Captured,
    host: RecentSamples,
    watch: Watch,
    /// The alarms that began or ended on one host, with the minute.
    pub(crate) told: Vec<(i64, Transition)>,
    hidden: Vec<Hidden>,
    filled_since: Option<i64>,
    /// Minutes that passed only until the end of the alarms was reported on one host. The traffic pattern is not advanced.
    waited: i64,
}

impl Run {
    /// Starts, at the beginning of a minute, and warms up.
    pub(crate) async fn warmed_up() -> Self {
        let app = App::start().await;
        let began = (app.clock.now().millis() / MINUTE_MS + 1) * MINUTE_MS;
        let rows = alerts::rows().expect("the tables can be read");
        let mut run = Self {
            app,
            users: Vec::new(),
            worker_runs: true,
            worker_dies: false,
            delivers_late: false,
            sweep_runs: true,
            began,
            minute: 0,
            basic: Captured::default(),
            full: Captured::default(),
            host: RecentSamples::of(&rows),
            watch: Watch::new(rows, BTreeSet::new(), Timestamp::from_millis(began)),
            told: Vec::new(),
            hidden: Vec::new(),
            filled_since: None,
            waited: 0,
        };
        run.advance_to(began).await;
        for function in ["edge-auth", "status", "worker", "sweep", "operator"] {
            run.process_starts(function);
        }
        run.log_in().await;
        run.minutes(WARM_UP).await;
        run
    }

    /// The users log in, for two hours.
    async fn log_in(&mut self) {
        self.users.clear();
        for name in ["alice", "bob", "carol"] {
            let user = self.app.login(name).await;
            self.users.push(user);
        }
    }

    /// Counts the start of a process, as `telemetry::run` does; here there is one process, and it is the test's.
    pub(crate) fn process_starts(&self, function: &str) {
        let runtime = Runtime::new(Arc::new(self.app.clock.clone()), Arc::new(System));
        self.app.metrics.metered(runtime).measure(&[(Metric::ColdStarts, 1.0)], &[(Dimension::Function, function)]);
    }

    /// Some minutes of normal traffic.
    pub(crate) async fn minutes(&mut self, count: i64) {
        for _ in 0..count {
            self.renew_sessions().await;
            self.traffic().await;
            self.pass_minute().await;
        }
    }

    /// Some minutes in which only the schedule and the queue work. The last one is returned.
    pub(crate) async fn quiet(&mut self, count: i64) -> i64 {
        for _ in 0..count {
            self.renew_sessions().await;
            self.pass_minute().await;
        }
        self.minute
    }

    async fn renew_sessions(&mut self) {
        if self.minute % 60 == 59 {
            self.log_in().await;
        }
    }

    /// What users do in a normal minute: submit, repeat, poll; now and then something that is refused or that fails.
    async fn traffic(&mut self) {
        let minute = self.minute - self.waited;
        for (place, user) in (0..).zip(self.users.clone()) {
            let (tool, arguments) = match (place, minute % 5) {
                (0, 2) => ("ledger_fail", json!({"kind": "throw"})),
                (1, 3) => ("ledger_sleep", json!({"ms": 5})),
                (0, _) => ("ledger_append", json!({"note": "n"})),
                (1, _) => ("ledger_read", json!({})),
                _ => ("ledger_append_once", json!({"note": "n"})),
            };
            let id = self.app.new_id();
            for _ in 0..if minute % 4 == place { 2 } else { 1 } {
                let reply = user.submit(&id, tool, arguments.clone()).await;
                self.answered(&reply);
            }
            for path in [format!("/v1/jobs/{id}"), "/v1/jobs".to_owned(), "/v1/tools".to_owned()] {
                let reply = user.get(&path).await;
                self.answered(&reply);
            }
        }
        let reply = match minute % 5 {
            0 => self.app.log_in_with("dev-dora").await,
            1 => self.users[2].submit(&self.app.new_id(), "ledger_append", json!({"note": 7})).await,
            2 => self.users[1].submit(&self.app.new_id(), "exec", json!({})).await,
            3 => self.app.anonymous().get("/v1/jobs").await,
            _ => self.app.anonymous().get("/readyz").await,
        };
        self.answered(&reply);
        self.console().await;
    }

    /// What an open console asks for in a minute.
    async fn console(&mut self) {
        let viewer = self.app.operator("vera", &["viewer"]);
        for path in ["/controls", "/approvals"] {
            let reply = viewer.get(path).await;
            self.answered(&reply);
        }
    }

    /// The metrics that API Gateway emits for a response.
    pub(crate) fn answered(&mut self, reply: &Reply) {
        let failed = f64::from(u8::from(reply.status.is_server_error()));
        self.measured(series("platform.api_5xx", &[]), failed);
    }

    /// The metrics that Lambda emits for an invocation: of the function, and of the version that is live.
    fn invoked(&mut self, function: &str, failed: bool) {
        let failed = f64::from(u8::from(failed));
        for metric in ["platform.function_errors", "platform.version_errors"] {
            self.measured(series(metric, &[("function", function)]), failed);
        }
        self.measured_on_the_host(Metric::FunctionErrors, failed, &[(Dimension::Function, function)]);
    }

    /// A metric of the platform, which every level has.
    fn measured(&mut self, series: Series, value: f64) {
        let now = self.now();
        self.basic.add(series.clone(), now, value);
        self.full.add(series, now, value);
    }

    /// What `local` measures in place of the platform.
    fn measured_on_the_host(&self, metric: Metric, value: f64, dimensions: &[(Dimension, &str)]) {
        let at = Timestamp::from_millis(self.now());
        self.host.take(Measurement { at, values: &[(metric, value)], dimensions });
    }

    /// The rest of a minute: the queue delivers, the sweep runs at its half.
    pub(crate) async fn pass_minute(&mut self) {
        let start = self.began + self.minute * MINUTE_MS;
        for tick in 1..=TICKS {
            if self.worker_runs && (!self.delivers_late || tick == TICKS - 1) {
                self.deliver().await;
            }
            if self.sweep_runs && tick == TICKS / 2 {
                let deadline = self.app.clock.now().plus(Duration::from_secs(30));
                let swept = self.app.sweep.run(deadline).await;
                self.invoked("sweep", swept.is_err());
            }
            if tick == TICKS {
                self.look_at_queues().await;
            }
            self.advance_to(start + tick * MINUTE_MS / TICKS).await;
        }
        self.minute += 1;
        assert!(self.now() < self.end_of(self.minute).millis() + MINUTE_MS / 2, "a minute took longer than a minute");
        for document in self.app.metrics.documents() {
            self.basic.add_document(Level::Basic, &document);
            self.full.add_document(Level::Full, &document);
            samples::measurements(&document, &self.host);
        }
        self.app.metrics.clear();
        let changed = self.watch.evaluate(&self.host, self.end_of(self.minute));
        self.told.extend(changed.into_iter().map(|one| (self.minute, one)));
    }

    /// Lets at most this many minutes pass until the one-host evaluation has reported the end of every alarm.
    pub(crate) async fn calm_on_one_host(&mut self, at_most: i64) {
        let before = self.minute;
        while self.watch.firing().next().is_some() && self.minute < before + at_most {
            self.quiet(1).await;
        }
        self.waited += self.minute - before;
    }

    /// How many minutes have passed.
    pub(crate) const fn minute(&self) -> i64 {
        self.minute
    }

    /// When so many minutes had passed.
    pub(crate) const fn end_of(&self, minute: i64) -> Timestamp {
        Timestamp::from_millis(self.began + minute * MINUTE_MS)
    }

    /// What CloudWatch has at a level.
    pub(crate) const fn captured(&self, level: Level) -> &Captured {
        match level {
            Level::Basic => &self.basic,
            Level::Full => &self.full,
        }
    }

    fn now(&self) -> i64 {
        self.app.clock.now().millis()
    }

    /// Waits for a time of the run. Work in real time may be later than it, but not later than the end of its minute.
    async fn advance_to(&mut self, at: i64) {
        let by = u64::try_from(at - self.now()).unwrap_or(0);
        self.app.advance(Duration::from_millis(by)).await;
        let now = self.now();
        let (due, hidden) = std::mem::take(&mut self.hidden).into_iter().partition(|message| message.until <= now);
        self.hidden = hidden;
        let due: Vec<Hidden> = due;
        for message in due {
            let queue = &self.app.deployment.backend.queue_url;
            let again = self.app.aws.sqs().change_message_visibility().queue_url(queue).receipt_handle(message.handle);
            again.visibility_timeout(0).send().await.expect("the queue answers");
        }
    }
}
