//! Every metric: name, kind, unit, and the sets of dimensions that it is measured under.
//!
//! Each set says from which level on CloudWatch gets it: `Basic`, `Full`, or `Host` for sets that only one host shows.
//! CloudWatch bills each series for each hour in which it has a value (`docs/operate/cost.md`).

use domain::alarms::Level;

/// A dimension of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// A function of this service.
    Function,
    /// Method and path pattern.
    Route,
    /// Stable code of an error.
    Code,
    /// Outcome of a login.
    Outcome,
    /// State of a job.
    State,
    /// A tool of the catalogue, or `agent:` and the name of an agent.
    Tool,
    /// Reason of a refusal by policy.
    Reason,
    /// HTTP status of the gateway, or why there is no response.
    Status,
    /// What a pushed message of WeChat reports.
    Event,
    /// What WeChat suggests about a text.
    Suggestion,
}

impl Dimension {
    /// Every dimension.
    pub const ALL: [Self; 10] = [
        Self::Function,
        Self::Route,
        Self::Code,
        Self::Outcome,
        Self::State,
        Self::Tool,
        Self::Reason,
        Self::Status,
        Self::Event,
        Self::Suggestion,
    ];

    /// The published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Route => "route",
            Self::Code => "code",
            Self::Outcome => "outcome",
            Self::State => "state",
            Self::Tool => "tool",
            Self::Reason => "reason",
            Self::Status => "status",
            Self::Event => "event",
            Self::Suggestion => "suggestion",
        }
    }
}

/// Kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A number of events: summed.
    Counter,
    /// A size or duration: evaluated by percentiles.
    Distribution,
    /// A current value: the last one counts.
    Gauge,
}

impl Kind {
    /// The published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Distribution => "distribution",
            Self::Gauge => "gauge",
        }
    }
}

/// A unit, by CloudWatch's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of events.
    Count,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// No unit.
    None,
}

impl Unit {
    /// CloudWatch's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
            Self::Seconds => "Seconds",
            Self::Bytes => "Bytes",
            Self::None => "None",
        }
    }
}

/// Where a set of dimensions is published.
#[derive(Debug, Clone, Copy)]
enum Published {
    /// To CloudWatch, at every level.
    Basic,
    /// To CloudWatch, at level `full` only.
    Full,
    /// On one host only.
    Host,
}

impl Published {
    const fn at(self, level: Level) -> bool {
        match self {
            Self::Basic => true,
            Self::Full => matches!(level, Level::Full),
            Self::Host => false,
        }
    }
}

macro_rules! metrics {
    ($($name:ident = $text:literal $kind:ident $unit:ident [$([$($dimension:ident),*] $level:ident),+] $help:literal;)*) => {
        /// A metric.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric { $(#[doc = $help] $name,)* }

        impl Metric {
            /// Every metric.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The published name.
            pub const fn name(self) -> &'static str { match self { $(Self::$name => $text,)* } }

            /// Kind of the metric.
            pub const fn kind(self) -> Kind { match self { $(Self::$name => Kind::$kind,)* } }

            /// Its unit.
            pub const fn unit(self) -> Unit { match self { $(Self::$name => Unit::$unit,)* } }

            /// The sets of dimensions that it is measured under. The first one has every dimension of the others.
            pub const fn dimension_sets(self) -> &'static [&'static [Dimension]] {
                match self { $(Self::$name => &[$(&[$(Dimension::$dimension),*]),+],)* }
            }

            /// The sets that CloudWatch gets at a level.
            pub fn published(self, level: Level) -> impl Iterator<Item = &'static [Dimension]> {
                let from: &[Published] = match self { $(Self::$name => &[$(Published::$level),+],)* };
                let fits = move |from: &Published| from.at(level);
                self.dimension_sets().iter().zip(from).filter(move |(_, from)| fits(from)).map(|(set, _)| *set)
            }

            /// Documentation: when it is measured.
            pub const fn help(self) -> &'static str { match self { $(Self::$name => $help,)* } }
        }
    };
}

metrics! {
    Requests = "requests" Counter Count [[Function, Route] Host, [Function] Host] "each answered request; on AWS Lambda's `Invocations` of the function";
    RequestErrors = "request_errors" Counter Count [[Function, Route] Host, [Function] Full] "the same requests: 1 for a 5xx, else 0; a readiness probe that is answered `not ready` is not an error";
    RequestDuration = "request_duration_ms" Distribution Milliseconds [[Function, Route] Host, [Function] Host]
        "the same requests: from event to answer; on AWS Lambda's `Duration` of the function";
    Rejections = "rejections" Counter Count [[Code] Full, [] Full] "each 4xx answer";
    RateLimited = "rate_limited" Counter Count [[] Full] "each 429 answer";
    PayloadBytes = "payload_bytes" Distribution Bytes [[] Full] "each request with a body: its size, also above the limit";
    Logins = "logins" Counter Count [[Outcome] Full] "each login: `ok`, `refused` (4xx), `unavailable` (503), `misconfigured` (500)";
    WechatEvents = "wechat_events" Counter Count [[Event] Full]
        "each entry of a message that WeChat pushed: `subscribe_accepted`, `subscribe_refused`, `message_delivered`, `message_failed`, `authorization_revoked`, `authorization_cancelled`, `media_passed`, `media_held`, `unknown`; each message that is `malformed` or a `duplicate`";
    Notifications = "notifications" Counter Count [[] Host] "each notification that was sent, or will not be";
    NotificationFailures = "notification_failures" Counter Count [[Code] Full, [] Full]
        "the same notifications: 1 unless WeChat has taken the message, or the user had no credit; `code` is the one on the job, `unknown` after a lost answer, `none` for a success";
    ContentChecks = "content_checks" Counter Count [[Suggestion] Full]
        "each text that had to be checked: WeChat's suggestion `pass`, `review` or `risky`, or `unchecked`";
    RiskRanks = "risk_ranks" Counter Count [[Outcome] Full]
        "each login whose risk was asked for: WeChat's rank, `rank_0` to `rank_4`, or `unranked`";
    JobsAccepted = "jobs_accepted" Counter Count [[] Full] "each new job";
    JobsReplayed = "jobs_replayed" Counter Count [[] Full] "each repeated submission that returned the stored job";
    JobsFinished = "jobs_finished" Counter Count [[State] Full, [] Host] "each job that became terminal, once";
    JobsUnknown = "jobs_unknown" Counter Count [[] Basic] "the same jobs: each that ended as `unknown`";
    JobDuration = "job_duration_ms" Distribution Milliseconds [[] Full] "the same jobs: from accept to terminal";
    JobAttempts = "job_attempts" Distribution Count [[] Host] "the same jobs: attempts used";
    ClaimDelay = "claim_delay_ms" Distribution Milliseconds [[] Full] "each claim: the delay after the job was due";
    LeaseLost = "lease_lost" Counter Count [[] Full] "each commit of a worker that lost the conditional write";
    ToolCalls = "tool_calls" Counter Count [[Tool] Host, [] Full] "each step that ended, also as `unknown`";
    ToolFailures = "tool_failures" Counter Count [[Tool] Full, [] Full]
        "the same steps: 1 unless the step succeeded, was refused or never ran";
    ToolDuration = "tool_duration_ms" Distribution Milliseconds [[Tool] Full, [] Host]
        "the same steps, if sent: from sending to the known outcome";
    PolicyRefusals = "policy_refusals" Counter Count [[Reason] Full, [] Full] "each refusal by policy, at the edge or by the worker";
    PolicyErrors = "policy_errors" Counter Count [[] Full] "each decision in which a policy could not be evaluated, which denies";
    GatewayAnswers = "gateway_answers" Counter Count [[Status] Full, [] Full]
        "each call of the gateway by a worker: HTTP status or its class, `unreachable`, `timeout`";
    GatewayFailures = "gateway_failures" Counter Count [[] Full]
        "the same calls: 1 for 5xx, 401, 403, unreachable or timeout, else 0";
    GatewayRestarts = "gateway_restarts" Counter Count [[] Full] "each new boot id of a journal that was seen before";
    GatewayReady = "gateway_ready" Gauge None [[] Basic] "each sweep: 1 if the gateway answered its health check, else 0";
    WakeUpFailures = "wake_up_failures" Counter Count [[] Full] "each wake-up message that could not be sent";
    UndecodableMessages = "undecodable_messages" Counter Count [[] Full] "each receipt of a queue message that names no job";
    AuditWriteFailures = "audit_write_failures" Counter Count [[] Basic] "each audit record that could not be written";
    Mode = "mode" Gauge None [[] Full]
        "each sweep: the service's mode: 3 `full`, 2 `read_only` or unreadable, 1 `explain_only`, 0 `closed`";
    ModeChanges = "mode_changes" Counter Count [[] Host]
        "each recorded change of the service's mode, of a tool's mode or of a temporary unlock";
    ControlsUnreadable = "controls_unreadable" Counter Count [[] Full]
        "each failed read of the mode";
    CheckpointAge = "checkpoint_age_s" Gauge Seconds [[] Full]
        "each sweep: since the newest exported audit checkpoint was signed";
    CheckpointFailures = "checkpoint_failures" Counter Count [[] Full]
        "each sweep: 1 if a checkpoint was due and could not be signed, stored or exported, else 0";
    SweepRuns = "sweep_runs" Counter Count [[] Basic] "each sweep: the service's heartbeat, which also shows that logs arrive";
    SweepFailures = "sweep_failures" Counter Count [[] Full] "each sweep: 1 if it could not be finished, else 0";
    OpenJobs = "open_jobs" Gauge Count [[] Full] "each sweep: jobs that have not ended, and `unknown` ones that are still polled for";
    OverdueJobs = "overdue_jobs" Gauge Count [[] Full] "each sweep: open jobs that are due and not claimed";
    OverdueAge = "overdue_age_s" Gauge Seconds [[] Basic]
        "each sweep: the time for which the oldest of them has been overdue, 0 without one";
    ErasureAge = "erasure_age_s" Gauge Seconds [[] Full]
        "each sweep while an erasure of a user is not finished: since the oldest such erasure was asked for";
    ErasuresOpen = "erasures_open" Gauge Count [[] Full]
        "the same sweeps: how many erasures are not finished";
    HeldTexts = "held_texts" Gauge Count [[] Full]
        "each sweep while a text waits for an operator: how many texts do";
    HeldTextAge = "held_text_age_s" Gauge Seconds [[] Full]
        "the same sweeps: since the oldest of these texts is held";
    ColdStarts = "cold_starts" Counter Count [[Function] Host, [] Full] "each process that starts: `function` is `local` on one host";
    SecretAge = "secret_age_s" Gauge Seconds [[Function] Host, [] Full] "each refresh: age of the current version of the secret";
    SecretRefreshFailures = "secret_refresh_failures" Counter Count [[Function] Host, [] Full]
        "each refresh: 1 if the secret could not be read, else 0";
    FunctionErrors = "function_errors" Counter Count [[Function] Host]
        "on one host, each request or batch that panicked, each batch that passed its deadline, and each sweep that could not finish";
    DeadLetters = "dead_letters" Gauge Count [[] Host] "on one host, several times a minute: messages on the dead-letter queue";
    DiskLow = "disk_low" Gauge None [[] Host]
        "on one host, several times a minute: 1 while less than `server.min_free_mb` is free on the disk of the table, else 0";
    BackupAge = "backup_age_s" Gauge Seconds [[] Host]
        "on one host, several times a minute: since the newest backup was complete or, without one, since the table was made";
    AlertFailures = "alert_failures" Counter Count [[] Host]
        "on one host, each message to `alerts.webhook_file` that was not taken, and each ping of `alerts.heartbeat_url`";
}
