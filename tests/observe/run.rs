//! A run: the whole service by a manual clock, minute after minute, under normal traffic, with everything captured that
//! CloudWatch would be told, and what the platform itself would tell.

use std::{sync::Arc, time::Duration};

use integration_tests::{App, Client, Reply};
use platform::{
    metrics::{Dimension, Metric},
    runtime::{Clock, Runtime, System},
};
use serde_json::json;
use tracing::subscriber::DefaultGuard;

use crate::{
    alarm::Captured,
    insight::Line,
    samples::{Samples, Series},
};

mod queue;

/// Minutes of normal traffic before anything is judged: every series is there, and no window reaches back to the start.
pub(crate) const WARM_UP: i64 = 6;
const MINUTE_MS: i64 = 60_000;
/// How often in a minute what is on the queue is delivered.
const TICKS: i64 = 6;

/// A message that a worker took and did not decide.
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
    /// What was done in which minute, for people.
    pub(crate) marks: Vec<(i64, String)>,
    began: i64,
    minute: i64,
    platform: Samples,
    hidden: Vec<Hidden>,
    filled_since: Option<i64>,
    _listening: DefaultGuard,
}

impl Run {
    /// Starts, at the beginning of a minute, and warms up.
    pub(crate) async fn warmed_up() -> Self {
        let app = App::start().await;
        let listening = app.metrics.listen();
        let began = (app.clock.now().millis() / MINUTE_MS + 1) * MINUTE_MS;
        let mut run = Self {
            app,
            users: Vec::new(),
            worker_runs: true,
            worker_dies: false,
            delivers_late: false,
            sweep_runs: true,
            marks: Vec::new(),
            began,
            minute: 0,
            platform: Samples::default(),
            hidden: Vec::new(),
            filled_since: None,
            _listening: listening,
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

    /// Notes what is done now.
    pub(crate) fn mark(&mut self, what: &str) {
        self.marks.push((self.minute, what.to_owned()));
    }

    /// Counts the start of a process, as `telemetry::run` does; here there is one process, and it is the test's.
    pub(crate) fn process_starts(&self, function: &str) {
        let runtime = Runtime::new(Arc::new(self.app.clock.clone()), Arc::new(System));
        self.app.metrics.metered(runtime).measure(&[(Metric::ColdStarts, 1.0)], &[(Dimension::Function, function)]);
    }

    /// Some minutes of normal traffic.
    pub(crate) async fn minutes(&mut self, count: i64) {
        for _ in 0..count {
            if self.minute % 60 == 59 {
                self.log_in().await;
            }
            self.traffic().await;
            self.pass_minute().await;
        }
    }

    /// What users do in a normal minute: submit, repeat, poll; now and then something that is refused or that fails.
    async fn traffic(&mut self) {
        let minute = self.minute;
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
        self.platform.add(Series::new("AWS/ApiGateway", "5xx", &[("ApiId", "Api")]), self.now(), failed);
    }

    /// The metrics that Lambda emits for an invocation.
    fn invoked(&mut self, function: &str, failed: bool) {
        let (now, failed) = (self.now(), f64::from(u8::from(failed)));
        let (alias, version) = (format!("{function}:live"), format!("{function}.Version.Version"));
        let own = [("FunctionName", function)];
        let canary = [("FunctionName", function), ("Resource", alias.as_str()), ("ExecutedVersion", version.as_str())];
        for dimensions in [&own[..], &canary] {
            self.platform.add(Series::new("AWS/Lambda", "Errors", dimensions), now, failed);
        }
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
                self.invoked("Sweep", swept.is_err());
            }
            if tick == TICKS {
                self.look_at_queues().await;
            }
            self.advance_to(start + tick * MINUTE_MS / TICKS).await;
        }
        self.minute += 1;
        let end = self.began + self.minute * MINUTE_MS;
        assert!(self.now() < end + MINUTE_MS / 2, "a minute of the run took longer than a minute");
    }

    fn now(&self) -> i64 {
        self.app.clock.now().millis()
    }

    /// Waits for a time of the run. What takes time really may be late for it, but not for the end of its minute.
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

    /// Everything that was captured, and from when to when it is to be judged.
    pub(crate) fn captured(&self) -> (Captured, (i64, i64)) {
        let mut captured = Captured { samples: self.platform.clone(), lines: Vec::new() };
        for document in self.app.metrics.documents() {
            captured.samples.add_document(&document);
        }
        for (at, fields) in self.app.metrics.logs() {
            let group = match fields["function"].as_str() {
                Some("edge-auth") => "EdgeAuthLog",
                Some("status") => "StatusLog",
                Some("worker") => "WorkerLog",
                Some("sweep") => "SweepLog",
                Some("operator") => "OperatorLog",
                _ => continue,
            };
            captured.lines.push(Line { at, group: group.to_owned(), fields });
        }
        let end = self.began + self.minute * MINUTE_MS;
        (captured, (self.began + (WARM_UP - 1) * MINUTE_MS, end))
    }

    pub(crate) async fn stop(self) {}
}
