//! Every metric: name, kind, unit, and the sets of dimensions that it is published under.

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
}

impl Dimension {
    /// Every dimension.
    pub const ALL: [Self; 9] = [
        Self::Function,
        Self::Route,
        Self::Code,
        Self::Outcome,
        Self::State,
        Self::Tool,
        Self::Reason,
        Self::Status,
        Self::Event,
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

macro_rules! metrics {
    ($($name:ident = $text:literal $kind:ident $unit:ident [$([$($dimension:ident),*]),+] $help:literal;)*) => {
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

            /// The sets of dimensions that it is published under. The first one has every dimension of the others.
            pub const fn dimension_sets(self) -> &'static [&'static [Dimension]] {
                match self { $(Self::$name => &[$(&[$(Dimension::$dimension),*]),+],)* }
            }

            /// Documentation: when it is measured.
            pub const fn help(self) -> &'static str { match self { $(Self::$name => $help,)* } }
        }
    };
}

metrics! {
    Requests = "requests" Counter Count [[Function, Route], [Function]] "each answered request";
    RequestErrors = "request_errors" Counter Count [[Function, Route], [Function]] "the same requests: 1 for a 5xx, else 0; a readiness probe that is answered `not ready` is not an error";
    RequestDuration = "request_duration_ms" Distribution Milliseconds [[Function, Route], [Function]]
        "the same requests: from event to answer";
    Rejections = "rejections" Counter Count [[Code], []] "each 4xx answer";
    RateLimited = "rate_limited" Counter Count [[]] "each 429 answer";
    PayloadBytes = "payload_bytes" Distribution Bytes [[]] "each request with a body: its size, also above the limit";
    Logins = "logins" Counter Count [[Outcome]] "each login: `ok`, `refused` (4xx), `unavailable` (503), `misconfigured` (500)";
    WechatEvents = "wechat_events" Counter Count [[Event]]
        "each entry of a message that WeChat pushed: `subscribe_accepted`, `subscribe_refused`, `message_delivered`, `message_failed`, `authorization_revoked`, `authorization_cancelled`, `media_passed`, `media_held`, `unknown`; each message that is `malformed` or a `duplicate`";
    JobsAccepted = "jobs_accepted" Counter Count [[]] "each new job";
    JobsReplayed = "jobs_replayed" Counter Count [[]] "each repeated submission that returned the stored job";
    JobsFinished = "jobs_finished" Counter Count [[State], []] "each job that became terminal, once";
    JobDuration = "job_duration_ms" Distribution Milliseconds [[]] "the same jobs: from accept to terminal";
    JobAttempts = "job_attempts" Distribution Count [[]] "the same jobs: attempts used";
    ClaimDelay = "claim_delay_ms" Distribution Milliseconds [[]] "each claim: the delay after the job was due";
    LeaseLost = "lease_lost" Counter Count [[]] "each commit of a worker that lost the conditional write";
    ToolCalls = "tool_calls" Counter Count [[Tool], []] "each step that ended, also as `unknown`";
    ToolFailures = "tool_failures" Counter Count [[Tool], []]
        "the same steps: 1 unless the step succeeded, was refused or never ran";
    ToolDuration = "tool_duration_ms" Distribution Milliseconds [[Tool], []]
        "the same steps, if sent: from sending to the known outcome";
    PolicyRefusals = "policy_refusals" Counter Count [[Reason], []] "each refusal by policy, at the edge or by the worker";
    PolicyErrors = "policy_errors" Counter Count [[]] "each decision in which a policy could not be evaluated, which denies";
    GatewayAnswers = "gateway_answers" Counter Count [[Status], []]
        "each call of the gateway by a worker: HTTP status or its class, `unreachable`, `timeout`";
    GatewayFailures = "gateway_failures" Counter Count [[]]
        "the same calls: 1 for 5xx, 401, 403, unreachable or timeout, else 0";
    GatewayRestarts = "gateway_restarts" Counter Count [[]] "each new boot id of a journal that was seen before";
    GatewayReady = "gateway_ready" Gauge None [[]] "each sweep: 1 if the gateway answered its health check, else 0";
    WakeUpFailures = "ring_failures" Counter Count [[]] "each wake-up message that could not be sent";
    UndecodableMessages = "undecodable_messages" Counter Count [[]] "each receipt of a queue message that names no job";
    AuditWriteFailures = "audit_write_failures" Counter Count [[]] "each audit record that could not be written";
    Mode = "mode" Gauge None [[]]
        "each sweep: the service's mode: 3 `full`, 2 `read_only` or unreadable, 1 `explain_only`, 0 `closed`";
    ModeChanges = "mode_changes" Counter Count [[]]
        "each recorded change of the service's mode, of a tool's mode or of a temporary unlock";
    ControlsUnreadable = "controls_unreadable" Counter Count [[]]
        "each failed read of the mode: it could not be read, or none was ever set";
    CheckpointAge = "checkpoint_age_s" Gauge Seconds [[]]
        "each sweep: since the newest exported audit checkpoint was signed";
    CheckpointFailures = "checkpoint_failures" Counter Count [[]]
        "each sweep: 1 if a checkpoint was due and could not be signed, stored or exported, else 0";
    SweepRuns = "sweep_runs" Counter Count [[]] "each sweep: the service's heartbeat, which also shows that logs arrive";
    SweepFailures = "sweep_failures" Counter Count [[]] "each sweep: 1 if it could not be finished, else 0";
    OpenJobs = "open_jobs" Gauge Count [[]] "each sweep: jobs that have not ended, and `unknown` ones that are still polled for";
    OverdueJobs = "overdue_jobs" Gauge Count [[]] "each sweep: open jobs that are due and not claimed";
    OverdueAge = "overdue_age_s" Gauge Seconds [[]]
        "each sweep: the time for which the oldest of them has been overdue, 0 without one";
    ColdStarts = "cold_starts" Counter Count [[Function]] "each process that starts: `function` is `local` on one host";
    SecretAge = "secret_age_s" Gauge Seconds [[Function]] "each refresh: age of the current version of the secret";
    SecretRefreshFailures = "secret_refresh_failures" Counter Count [[Function]]
        "each refresh: 1 if the secret could not be read, else 0";
}
