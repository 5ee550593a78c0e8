//! HTTP responses. The only place where a status code is chosen.
//!
//! An error has a public part (`code`, `title`, `detail`: RFC 9457) and an internal part (the cause, logged in one
//! line). The public part of a 5xx is constant, so that no cause leaks.

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

/// Response of every function.
pub type Response = lambda_http::Response<Body>;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:ident $code:literal $title:literal;)*) => {
        /// Every error code of the HTTP API. Codes are stable: clients branch on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code, for tests and documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable code as text.
            pub const fn text(self) -> &'static str { match self { $(Self::$name => $code,)* } }

            /// The HTTP status.
            pub const fn status(self) -> StatusCode { match self { $(Self::$name => StatusCode::$status,)* } }

            const fn title(self) -> &'static str { match self { $(Self::$name => $title,)* } }
        }
    };
}

codes! {
    /// No session token, or one that is invalid, expired or revoked. The response does not say which.
    NoSession = UNAUTHORIZED "no_session" "A session is needed; log in again.";
    /// WeChat does not accept the login code: invalid, used, or older than five minutes.
    LoginCodeRejected = UNAUTHORIZED "login_code_rejected" "WeChat does not accept this login code; call wx.login again.";
    /// The user who logs in is being erased. A login leads to a new user in some seconds.
    ErasureOpen = SERVICE_UNAVAILABLE "erasure_open" "Your data is being erased; log in again in some seconds.";
    /// The login code of an erasure belongs to another user.
    ErasureOtherUser = FORBIDDEN "erasure_other_user" "The login code belongs to another user.";
    /// WeChat has blocked this user.
    LoginBlocked = FORBIDDEN "login_blocked" "WeChat does not let this user log in.";
    /// WeChat's rate limit for logins.
    LoginLimited = TOO_MANY_REQUESTS "login_limited" "Too many logins; try again later.";
    /// WeChat did not answer, or its answer does not follow its protocol.
    WechatUnavailable = SERVICE_UNAVAILABLE "wechat_unavailable" "WeChat is not answering; call wx.login again later.";
    /// A pushed message that WeChat did not send to this app, or not now. The response does not say which.
    EventRefused = FORBIDDEN "event_refused" "WeChat did not send this message to this app, or it is too old.";
    /// Not a valid HTTP request.
    RequestMalformed = BAD_REQUEST "request_malformed" "The request is not well-formed.";
    /// The header `Idempotency-Key` is missing.
    KeyMissing = BAD_REQUEST "idempotency_key_missing" "The header Idempotency-Key is needed.";
    /// `Idempotency-Key` is neither a UUIDv7 nor a ULID.
    KeyMalformed = BAD_REQUEST "idempotency_key_malformed" "The header Idempotency-Key must be a UUIDv7 or a ULID.";
    /// No job has this id, and the time in it is more than ten minutes in the future.
    RequestIdInFuture = BAD_REQUEST "request_id_in_future" "The time in the request id is later than the server's.";
    /// No job has this id, and the time in it is more than a day in the past.
    RequestIdExpired = GONE "request_id_expired" "The request id is too old to start a job.";
    /// A user who was erased since has used the id. It does not run again.
    RequestIdErased = GONE "request_id_erased" "The request with this id belonged to data that was erased.";
    /// Another request was stored under this id.
    KeyReused = UNPROCESSABLE_ENTITY "idempotency_key_reused" "This request id already names another request.";
    /// The body is over the size cap.
    BodyTooLarge = PAYLOAD_TOO_LARGE "body_too_large" "The body is over 32 KiB.";
    /// The content type is not `application/json`.
    ContentType = UNSUPPORTED_MEDIA_TYPE "content_type_unsupported" "The body must be application/json.";
    /// The body is not JSON.
    BodyNotJson = BAD_REQUEST "body_not_json" "The body is not JSON.";
    /// The body is nested more than 32 levels deep.
    BodyTooDeep = BAD_REQUEST "body_too_deep" "The body is nested too deeply.";
    /// An object has the same key twice.
    BodyDuplicateKey = BAD_REQUEST "body_duplicate_key" "An object has the same key twice.";
    /// A number is not an I-JSON number.
    BodyNumber = BAD_REQUEST "body_number" "A number is too large for JSON.";
    /// A field that is missing, unknown or of the wrong type.
    BodyInvalid = BAD_REQUEST "body_invalid" "The body does not have the expected shape.";
    /// A query parameter out of range.
    ParameterInvalid = BAD_REQUEST "parameter_invalid" "A query parameter is not valid.";
    /// The cursor was not issued by this list.
    CursorInvalid = BAD_REQUEST "cursor_invalid" "The cursor is not valid.";
    /// The arguments do not match the tool's schema.
    ArgumentsInvalid = UNPROCESSABLE_ENTITY "arguments_invalid" "The arguments do not fit the tool's schema.";
    /// `not_after` is in the past, or too far in the future.
    NotAfterInvalid = UNPROCESSABLE_ENTITY "not_after_invalid" "not_after must be in the future, by at most 24 hours.";
    /// `deadline` is in the past, or too far in the future.
    DeadlineInvalid = UNPROCESSABLE_ENTITY "deadline_invalid" "deadline must be in the future, by at most 24 hours.";
    /// There is no notification of this name.
    NotificationUnknown = UNPROCESSABLE_ENTITY "notification_unknown" "There is no notification of this name.";
    /// The conversation was started with another agent.
    ConversationOtherAgent = CONFLICT "conversation_other_agent" "This conversation is with another agent.";
    /// The conversation is being deleted.
    ConversationEnding = CONFLICT "conversation_ending" "This conversation is being deleted.";
    /// The user has the maximum number of conversations.
    ConversationsFull = CONFLICT "conversations_full" "You have the maximum number of conversations; delete one.";
    /// The queue of the conversation is full.
    ConversationFull = TOO_MANY_REQUESTS "conversation_full" "Too many jobs wait in this conversation; wait for one to end.";
    /// The tool is not in the catalogue.
    ToolUnknown = FORBIDDEN "tool_unknown" "There is no such tool for this user.";
    /// The agent is not in the catalogue.
    AgentUnknown = FORBIDDEN "agent_unknown" "There is no such agent for this user.";
    /// No policy permits the call.
    PolicyDenied = FORBIDDEN "policy_denied" "Policy does not permit this call.";
    /// A policy could not be evaluated, which denies the call.
    PolicyError = FORBIDDEN "policy_error" "Policy could not be evaluated, so this call is not permitted.";
    /// A write while the service is in `read_only`.
    ModeReadOnly = FORBIDDEN "mode_read_only" "The service is in read-only mode.";
    /// A call while the service is `closed`.
    ModeClosed = FORBIDDEN "mode_closed" "The service is closed at the moment.";
    /// The tool is switched off.
    ToolClosed = FORBIDDEN "tool_closed" "This tool is switched off at the moment.";
    /// A destructive tool without a temporary unlock.
    ToolNotOpened = FORBIDDEN "tool_not_opened" "This tool is destructive, and no operator has unlocked it.";
    /// A destructive tool while no recent checkpoint of the audit log has been exported.
    AuditUnproven = FORBIDDEN "audit_unproven" "This tool is destructive, and no recent audit checkpoint has been exported.";
    /// A user tries to decide an approval request that needs an operator.
    ApprovalByOperator = FORBIDDEN "approval_by_operator" "An operator has to decide this.";
    /// The login code belongs to another user.
    ApprovalOtherUser = FORBIDDEN "approval_other_user" "The login code belongs to another user.";
    /// An operator tries to decide a request of a user id that is registered as their own.
    ApprovalOwnRequest = FORBIDDEN "approval_own_request" "Operators cannot decide their own requests.";
    /// The operator lacks the role for this call.
    OperatorForbidden = FORBIDDEN "operator_forbidden" "Your role does not permit this.";
    /// No operator's token, or one that is invalid or expired.
    NoOperator = UNAUTHORIZED "no_operator" "An operator's token is needed; sign in again.";
    /// A decision about a job without an approval request.
    ApprovalNotAsked = CONFLICT "approval_not_asked" "This job does not wait for an approval.";
    /// A decision about another call than the one of the approval request.
    ApprovalDigestMismatch = CONFLICT "approval_digest_mismatch" "The digest does not match the call that would run.";
    /// The opposite decision is stored already.
    ApprovalDecided = CONFLICT "approval_decided" "The opposite decision has already been made.";
    /// The approval request has expired.
    ApprovalExpired = GONE "approval_expired" "The approval request has expired.";
    /// A decision about a text of a job that holds none.
    TextNotHeld = CONFLICT "text_not_held" "No text of this job waits for a decision.";
    /// A decision about another text than the one that is held.
    TextDigestMismatch = CONFLICT "text_digest_mismatch" "The digest does not match the text that is held.";
    /// The opposite decision about the text is stored already.
    TextDecided = CONFLICT "text_decided" "The opposite decision has already been made.";
    /// The text was refused because no decision came in time.
    TextDecisionExpired = GONE "text_decision_expired" "The time to decide about this text is over.";
    /// The arguments are too large to be shown in full to the approver.
    ArgumentsNotShowable = UNPROCESSABLE_ENTITY "arguments_not_showable" "The arguments are too large to be shown for approval.";
    /// The stored data of a job cannot be read, so the job cannot be shown or decided.
    JobUnreadable = CONFLICT "job_unreadable" "The stored data of this job cannot be read.";
    /// A resolution for a job that is not `unknown`.
    JobNotUnknown = CONFLICT "job_not_unknown" "This job's outcome is not unknown.";
    /// A second resolution that differs from the stored one.
    AlreadyResolved = CONFLICT "already_resolved" "This job was already resolved.";
    /// Under `local run --dev`: the `Host`, or the `Origin` of the page, is not a name of this host.
    HostNotAllowed = FORBIDDEN "host_not_allowed" "Under --dev only this host's own names are answered: localhost, 127.0.0.1, [::1].";
    /// The resource does not exist, or belongs to another user.
    NotFound = NOT_FOUND "not_found" "Not found.";
    /// The path exists, but not with this method.
    MethodNotAllowed = METHOD_NOT_ALLOWED "method_not_allowed" "This path does not take this method.";
    /// A cancellation of a job that is over.
    JobOver = CONFLICT "job_over" "The job is already over.";
    /// A wake-up for a job that a worker holds.
    JobBusy = CONFLICT "job_busy" "A worker is running this job at the moment; repeat the request.";
    /// A wake-up token that is unknown or no longer valid.
    WakeUpOver = GONE "ring_over" "The wake-up token is invalid or has expired.";
    /// The user submits faster than the rate limit allows.
    RateLimited = TOO_MANY_REQUESTS "rate_limited" "Too many requests; wait as long as Retry-After says.";
    /// The user has the maximum number of open jobs.
    InFlightFull = TOO_MANY_REQUESTS "in_flight_full" "Too many jobs are open; wait for one to end.";
    /// The table or the queue did not answer.
    Unavailable = SERVICE_UNAVAILABLE "unavailable" "The service cannot answer now; repeat the same request.";
    /// A fault of this service.
    Internal = INTERNAL_SERVER_ERROR "internal" "Internal error.";
}

impl From<DenyReason> for Code {
    fn from(reason: DenyReason) -> Self {
        match reason {
            DenyReason::ToolUnknown => Self::ToolUnknown,
            DenyReason::AgentUnknown => Self::AgentUnknown,
            // In `explain_only` a job is explained, not refused. If a refusal ever had this reason, it would be
            // reported as a denial.
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

/// An error that becomes an HTTP response.
#[derive(Debug)]
pub struct ApiError {
    /// The error code that clients branch on.
    pub code: Code,
    detail: Option<String>,
    retry_after: Option<Duration>,
    allow: Option<String>,
    extra: Vec<(String, Value)>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ApiError {
    /// An error with the constant title of its code only.
    pub fn new(code: Code) -> Self {
        Self { code, detail: None, retry_after: None, allow: None, extra: Vec::new(), cause: None }
    }

    /// Adds a detail for the client. Ignored for a 5xx.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds a machine-readable member. Ignored for a 5xx.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        self.extra.push((name.to_owned(), serde_json::to_value(value).unwrap_or(Value::Null)));
        self
    }

    /// Sets `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Keeps the internal cause, for the log.
    #[must_use]
    pub fn because(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Box::new(cause));
        self
    }

    /// 405 with the methods that the path has, as `Allow` lists them: `GET, POST`.
    pub fn other_method(allow: impl Into<String>) -> Self {
        Self { allow: Some(allow.into()), ..Self::new(Code::MethodNotAllowed) }
    }

    /// 503 without a fault: every conditional write was lost, or only a newer function understands the stored job.
    pub fn try_again() -> Self {
        Self::new(Code::Unavailable).retry_after(Duration::from_secs(1))
    }

    /// 503: the table or the queue did not answer.
    pub fn unavailable(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::try_again().because(cause)
    }

    /// The internal cause in one line. Causes are error types of this project, which contain no user data.
    pub fn inside(&self) -> Option<String> {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self.cause.as_deref()?);
        let mut parts = Vec::new();
        while let Some(error) = cause {
            parts.push(error.to_string());
            cause = error.source();
        }
        Some(parts.join(": "))
    }

    /// The response.
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

/// Seconds, rounded up and at least one: `Retry-After` has no fractions, and a retry that is too early is refused
/// again.
fn whole_seconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1)
}

fn with_body(status: StatusCode, content_type: &str, body: &Value) -> Response {
    let mut answer = Response::new(Body::Text(text::without_line_separators(body.to_string())));
    *answer.status_mut() = status;
    set(&mut answer, header::CONTENT_TYPE, content_type);
    set(&mut answer, header::CACHE_CONTROL, "no-store");
    // Responses may contain text of users and tools: browsers must not guess another content type from it.
    set(&mut answer, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    answer
}

/// Whether a rate limit or a cap refused the request.
pub fn is_over_limit(answer: &Response) -> bool {
    answer.status() == StatusCode::TOO_MANY_REQUESTS
}

/// Sets a header to a text of this program.
pub fn set(answer: &mut Response, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

/// 200 with JSON.
pub fn ok(body: &impl Serialize) -> Response {
    with_body(StatusCode::OK, "application/json", &json!(body))
}

/// 200 with a file; `cache` is its `Cache-Control`.
pub fn file(content_type: &str, cache: &str, bytes: Vec<u8>) -> Response {
    let mut answer = Response::new(Body::Binary(bytes));
    set(&mut answer, header::CONTENT_TYPE, content_type);
    set(&mut answer, header::CACHE_CONTROL, cache);
    answer
}

/// 200 with a plain text.
pub fn plain(text: &str) -> Response {
    let mut answer = Response::new(Body::Text(text.to_owned()));
    set(&mut answer, header::CONTENT_TYPE, "text/plain");
    set(&mut answer, header::CACHE_CONTROL, "no-store");
    set(&mut answer, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
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

/// 503 with JSON: a readiness probe that fails, with the reasons.
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
