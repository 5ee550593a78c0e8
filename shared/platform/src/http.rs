//! HTTP answers. The only place where a status code is chosen.
//!
//! An error has an outside (`code`, `title`, `detail`: RFC 9457) and an inside (the cause, for one log line). What a 5xx
//! tells the outside is constant.

use std::time::Duration;

use http::{HeaderValue, StatusCode, header};
use lambda_http::Body;
use serde::Serialize;
use serde_json::{Map, Value, json};

use domain::{json::text, policy::DenyReason};

pub mod bearer;
pub mod body;
pub mod query;
pub mod retry_after;
pub mod routes;

/// An answer of any function.
pub type Response = lambda_http::Response<Body>;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:ident $code:literal $title:literal;)*) => {
        /// Every error that a client can meet. A code is stable: clients branch on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code, for tests and documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable text.
            pub const fn text(self) -> &'static str { match self { $(Self::$name => $code,)* } }

            /// The HTTP status.
            pub const fn status(self) -> StatusCode { match self { $(Self::$name => StatusCode::$status,)* } }

            const fn title(self) -> &'static str { match self { $(Self::$name => $title,)* } }
        }
    };
}

codes! {
    /// No token, or one that is not (or no longer) a session. The reason is not told.
    NoSession = UNAUTHORIZED "no_session" "A session is needed; log in again.";
    /// WeChat does not accept the login code: invalid, used, or older than five minutes.
    LoginCodeRejected = UNAUTHORIZED "login_code_rejected" "WeChat does not accept this login code; call wx.login again.";
    /// WeChat blocks this user.
    LoginBlocked = FORBIDDEN "login_blocked" "WeChat does not let this user log in.";
    /// WeChat limits logins.
    LoginLimited = TOO_MANY_REQUESTS "login_limited" "Too many logins; try again later.";
    /// WeChat did not answer, or not in its own protocol.
    WechatUnavailable = SERVICE_UNAVAILABLE "wechat_unavailable" "WeChat is not answering; call wx.login again later.";
    /// Not a request that HTTP allows.
    RequestMalformed = BAD_REQUEST "request_malformed" "The request is not well-formed.";
    /// No `Idempotency-Key`.
    KeyMissing = BAD_REQUEST "idempotency_key_missing" "The header Idempotency-Key is needed.";
    /// An `Idempotency-Key` that is no UUIDv7 and no ULID.
    KeyMalformed = BAD_REQUEST "idempotency_key_malformed" "The header Idempotency-Key must be a UUIDv7 or a ULID.";
    /// An unknown id whose time is more than ten minutes ahead.
    RequestIdInFuture = BAD_REQUEST "request_id_in_future" "The time inside the request id lies ahead of the server's.";
    /// An unknown id whose time is more than a day back.
    RequestIdExpired = GONE "request_id_expired" "The request id is too old to start a job.";
    /// Another request under a known id.
    KeyReused = UNPROCESSABLE_ENTITY "idempotency_key_reused" "This request id already names another request.";
    /// Over the size cap.
    BodyTooLarge = PAYLOAD_TOO_LARGE "body_too_large" "The body is over 32 KiB.";
    /// Not `application/json`.
    ContentType = UNSUPPORTED_MEDIA_TYPE "content_type_unsupported" "The body must be application/json.";
    /// Not JSON.
    BodyNotJson = BAD_REQUEST "body_not_json" "The body is not JSON.";
    /// Nested deeper than 32.
    BodyTooDeep = BAD_REQUEST "body_too_deep" "The body nests too deep.";
    /// A key twice in one object.
    BodyDuplicateKey = BAD_REQUEST "body_duplicate_key" "An object has the same key twice.";
    /// A number that is not an I-JSON number.
    BodyNumber = BAD_REQUEST "body_number" "A number is too large for JSON.";
    /// A field that is missing, unknown or of the wrong type.
    BodyInvalid = BAD_REQUEST "body_invalid" "The body does not have the expected shape.";
    /// A query parameter out of range.
    ParameterInvalid = BAD_REQUEST "parameter_invalid" "A query parameter is not valid.";
    /// A cursor that this list did not give out.
    CursorInvalid = BAD_REQUEST "cursor_invalid" "The cursor is not valid.";
    /// Arguments that do not fit the tool's schema.
    ArgumentsInvalid = UNPROCESSABLE_ENTITY "arguments_invalid" "The arguments do not fit the tool's schema.";
    /// `not_after` in the past, or too far ahead.
    NotAfterInvalid = UNPROCESSABLE_ENTITY "not_after_invalid" "not_after must lie ahead, by at most 24 hours.";
    /// `deadline` in the past, or too far ahead.
    DeadlineInvalid = UNPROCESSABLE_ENTITY "deadline_invalid" "deadline must lie ahead, by at most 24 hours.";
    /// A conversation that was begun with another agent.
    ConversationOtherAgent = CONFLICT "conversation_other_agent" "This conversation is with another agent.";
    /// A conversation that is being deleted.
    ConversationEnding = CONFLICT "conversation_ending" "This conversation is being deleted.";
    /// As many conversations as a user may have.
    ConversationsFull = CONFLICT "conversations_full" "You have as many conversations as you may; delete one.";
    /// More jobs wait for their turn in a conversation than may.
    ConversationFull = TOO_MANY_REQUESTS "conversation_full" "Too many jobs wait in this conversation; wait for one to end.";
    /// Not in the catalogue.
    ToolUnknown = FORBIDDEN "tool_unknown" "There is no such tool for this user.";
    /// Not in the catalogue.
    AgentUnknown = FORBIDDEN "agent_unknown" "There is no such agent for this user.";
    /// No policy permits the call.
    PolicyDenied = FORBIDDEN "policy_denied" "Policy does not permit this call.";
    /// A policy could not be evaluated, which denies.
    PolicyError = FORBIDDEN "policy_error" "Policy could not be evaluated, so this call is not permitted.";
    /// A write while the service only reads.
    ModeReadOnly = FORBIDDEN "mode_read_only" "The service only reads now.";
    /// Anything while the service is closed.
    ModeClosed = FORBIDDEN "mode_closed" "The service is closed now.";
    /// A tool that was switched off.
    ToolClosed = FORBIDDEN "tool_closed" "This tool is switched off now.";
    /// A destructive tool that no operator has opened.
    ToolNotOpened = FORBIDDEN "tool_not_opened" "This tool destroys, and no operator has opened it.";
    /// A destructive tool while no recent checkpoint of the audit log has been exported.
    AuditUnproven = FORBIDDEN "audit_unproven" "This tool destroys, and the audit log cannot be proven now.";
    /// A user decides what an operator has to decide.
    ApprovalByOperator = FORBIDDEN "approval_by_operator" "An operator has to decide this.";
    /// The login code belongs to somebody else.
    ApprovalOtherUser = FORBIDDEN "approval_other_user" "The login code belongs to another user.";
    /// An operator decides a request of their own user.
    ApprovalOwnRequest = FORBIDDEN "approval_own_request" "Nobody approves their own request.";
    /// An operator without the role that a call needs.
    OperatorForbidden = FORBIDDEN "operator_forbidden" "Your role does not permit this.";
    /// No operator's token, or one that does not count.
    NoOperator = UNAUTHORIZED "no_operator" "An operator's token is needed; sign in again.";
    /// A decision on a job that asks for none.
    ApprovalNotAsked = CONFLICT "approval_not_asked" "This job does not wait for an approval.";
    /// A decision on another call than the one that is asked about.
    ApprovalDigestMismatch = CONFLICT "approval_digest_mismatch" "The digest is not that of what would run.";
    /// It was decided otherwise.
    ApprovalDecided = CONFLICT "approval_decided" "This was already decided otherwise.";
    /// Too late.
    ApprovalExpired = GONE "approval_expired" "The time to decide this is over.";
    /// Arguments that cannot be shown whole to whoever would approve them.
    ArgumentsNotShowable = UNPROCESSABLE_ENTITY "arguments_not_showable" "The arguments are too large to be shown for approval.";
    /// What is stored of a job cannot be read, so it cannot be shown or decided.
    JobUnreadable = CONFLICT "job_unreadable" "What is stored of this job cannot be read.";
    /// Resolving what is not unknown.
    JobNotUnknown = CONFLICT "job_not_unknown" "This job's outcome is not unknown.";
    /// Resolving twice, otherwise.
    AlreadyResolved = CONFLICT "already_resolved" "This job was already resolved.";
    /// Under `local run --dev`: a request whose `Host`, or whose page, is not of this host.
    HostNotAllowed = FORBIDDEN "host_not_allowed" "Under --dev only this host's own names are answered: localhost, 127.0.0.1, [::1].";
    /// Missing, or somebody else's.
    NotFound = NOT_FOUND "not_found" "There is nothing here.";
    /// A known path, another method.
    MethodNotAllowed = METHOD_NOT_ALLOWED "method_not_allowed" "This path does not take this method.";
    /// Cancelling what is over.
    JobOver = CONFLICT "job_over" "The job is already over.";
    /// A ring for a job that a worker is looking at.
    JobBusy = CONFLICT "job_busy" "A worker is looking at this job now; ring again.";
    /// A ring of which nobody knows, or any more.
    WakeUpOver = GONE "ring_over" "What this ring was given for is over, or never was.";
    /// More submissions than the rate allows.
    RateLimited = TOO_MANY_REQUESTS "rate_limited" "Too many requests; wait as long as Retry-After says.";
    /// More open jobs than the cap.
    InFlightFull = TOO_MANY_REQUESTS "in_flight_full" "Too many jobs are open; wait for one to end.";
    /// Table or queue did not answer.
    Unavailable = SERVICE_UNAVAILABLE "unavailable" "The service cannot answer now; repeat the same request.";
    /// Our fault.
    Internal = INTERNAL_SERVER_ERROR "internal" "Something went wrong here.";
}

impl From<DenyReason> for Code {
    fn from(reason: DenyReason) -> Self {
        match reason {
            DenyReason::ToolUnknown => Self::ToolUnknown,
            DenyReason::AgentUnknown => Self::AgentUnknown,
            // Where the service explains, it does not refuse; if it ever did, it would be a denial like any other.
            DenyReason::PolicyDenied | DenyReason::ModeExplainOnly => Self::PolicyDenied,
            DenyReason::PolicyError => Self::PolicyError,
            DenyReason::ModeReadOnly => Self::ModeReadOnly,
            DenyReason::ModeClosed => Self::ModeClosed,
            DenyReason::ToolClosed => Self::ToolClosed,
            DenyReason::ToolNotOpened => Self::ToolNotOpened,
            DenyReason::AuditUnproven => Self::AuditUnproven,
        }
    }
}

/// An error on its way to the client.
#[derive(Debug)]
pub struct ApiError {
    /// What the client branches on.
    pub code: Code,
    detail: Option<String>,
    retry_after: Option<Duration>,
    allow: Option<String>,
    extra: Vec<(String, Value)>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ApiError {
    /// An error that says no more than its code.
    pub fn new(code: Code) -> Self {
        Self { code, detail: None, retry_after: None, allow: None, extra: Vec::new(), cause: None }
    }

    /// Says more to the client. Ignored for a 5xx.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds a member for programs. Ignored for a 5xx.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        self.extra.push((name.to_owned(), serde_json::to_value(value).unwrap_or(Value::Null)));
        self
    }

    /// Says when to come back.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Keeps what went wrong inside, for the log.
    #[must_use]
    pub fn because(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Box::new(cause));
        self
    }

    /// A known path, asked with another method than these: `GET, POST`.
    pub fn other_method(allow: impl Into<String>) -> Self {
        Self { allow: Some(allow.into()), ..Self::new(Code::MethodNotAllowed) }
    }

    /// Nothing is wrong but the moment: others were quicker, or only a newer function knows what to do.
    pub fn try_again() -> Self {
        Self::new(Code::Unavailable).retry_after(Duration::from_secs(1))
    }

    /// The table or the queue did not answer.
    pub fn unavailable(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::try_again().because(cause)
    }

    /// The inside of the error, on one line. Causes are our own error types, which carry no user data.
    pub fn inside(&self) -> Option<String> {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self.cause.as_deref()?);
        let mut parts = Vec::new();
        while let Some(error) = cause {
            parts.push(error.to_string());
            cause = error.source();
        }
        Some(parts.join(": "))
    }

    /// The answer.
    pub fn into_response(self) -> Response {
        let status = self.code.status();
        let mut problem = Map::new();
        if !status.is_server_error() {
            problem.extend(self.extra);
            problem.extend(self.detail.map(|detail| ("detail".to_owned(), Value::String(detail))));
        }
        problem.insert("type".to_owned(), Value::String(format!("urn:openclaw-miniprogram:{}", self.code.text())));
        problem.insert("title".to_owned(), self.code.title().into());
        problem.insert("status".to_owned(), status.as_u16().into());
        problem.insert("code".to_owned(), self.code.text().into());
        let mut answer = with_body(status, "application/problem+json", &Value::Object(problem));
        if let Some(wait) = self.retry_after {
            set(&mut answer, header::RETRY_AFTER, &whole_seconds(wait).to_string());
        }
        if let Some(allow) = self.allow {
            set(&mut answer, header::ALLOW, &allow);
        }
        if matches!(self.code, Code::NoSession | Code::NoOperator) {
            set(&mut answer, header::WWW_AUTHENTICATE, "Bearer");
        }
        answer
    }
}

/// Seconds, rounded up and at least one: `Retry-After` knows no fractions, and too early is refused again.
fn whole_seconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1)
}

fn with_body(status: StatusCode, content_type: &str, body: &Value) -> Response {
    let mut answer = Response::new(Body::Text(text::without_line_separators(body.to_string())));
    *answer.status_mut() = status;
    set(&mut answer, header::CONTENT_TYPE, content_type);
    set(&mut answer, header::CACHE_CONTROL, "no-store");
    // A text that somebody else wrote is data, whatever it looks like.
    set(&mut answer, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    answer
}

/// Whether a limit was met.
pub fn is_over_limit(answer: &Response) -> bool {
    answer.status() == StatusCode::TOO_MANY_REQUESTS
}

/// Sets a header to a text that we made ourselves.
pub fn set(answer: &mut Response, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

/// 200 with JSON.
pub fn ok(body: &impl Serialize) -> Response {
    with_body(StatusCode::OK, "application/json", &json!(body))
}

/// 200 with a file, to be kept as `cache` says.
pub fn file(content_type: &str, cache: &str, bytes: Vec<u8>) -> Response {
    let mut answer = Response::new(Body::Binary(bytes));
    set(&mut answer, header::CONTENT_TYPE, content_type);
    set(&mut answer, header::CACHE_CONTROL, cache);
    answer
}

/// 201 with JSON.
pub fn created(body: &impl Serialize) -> Response {
    with_body(StatusCode::CREATED, "application/json", &json!(body))
}

/// 202 with JSON.
pub fn accepted(body: &impl Serialize) -> Response {
    with_body(StatusCode::ACCEPTED, "application/json", &json!(body))
}

/// 204.
pub fn no_content() -> Response {
    empty(StatusCode::NO_CONTENT)
}

/// 304.
pub fn not_modified() -> Response {
    empty(StatusCode::NOT_MODIFIED)
}

/// 503 with JSON: a readiness probe that fails, and says why.
pub fn not_ready(body: &impl Serialize) -> Response {
    with_body(StatusCode::SERVICE_UNAVAILABLE, "application/json", &json!(body))
}

fn empty(status: StatusCode) -> Response {
    let mut answer = Response::new(Body::Empty);
    *answer.status_mut() = status;
    set(&mut answer, header::CACHE_CONTROL, "no-store");
    answer
}

#[cfg(test)]
mod tests;
