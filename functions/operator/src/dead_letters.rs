//! `GET /v1/operator/dead-letters` and `POST /v1/operator/dead-letters/replay`. A wake-up message names a job and
//! carries no work, so sending it again is safe (invariant 1 does not depend on the queue).

use domain::{
    audit::OperatorEvent,
    ids::{RequestId, UserId, support_code},
};
use lambda_http::Request;
use platform::{
    dead_letters::{Letter, Look, QueueFault},
    http::{self, ApiError, Code, Response, body},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Operator, caller::Caller, request_body::Reason};

/// How many messages a list shows and one replay takes. The next replay takes the rest.
const AT_ONCE: usize = 100;
/// Visibility timeout of listed messages: how long they stay hidden if the list request dies. In seconds.
const SHORTLY_S: i32 = 10;
/// Visibility timeout of replayed messages, in seconds: longer than the function may run.
const HIDDEN_S: i32 = 60;

#[derive(Serialize)]
struct Message<'a> {
    message_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<RequestId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<String>,
    receives: u64,
}

#[derive(Serialize)]
struct Messages<'a> {
    messages: Vec<Message<'a>>,
    count: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(default)]
    message_id: Option<String>,
    #[serde(default)]
    all: bool,
    reason: Reason,
}

impl<'a> From<&'a Letter> for Message<'a> {
    fn from(letter: &'a Letter) -> Self {
        let wake_up = letter.wake_up.as_ref();
        Self {
            message_id: &letter.id,
            job: wake_up.map(|wake_up| support_code(wake_up.user_id, wake_up.request_id)),
            user_id: wake_up.map(|wake_up| wake_up.user_id),
            request_id: wake_up.map(|wake_up| wake_up.request_id),
            sent_at: letter.sent_at.map(|at| at.to_string()),
            receives: letter.receives,
        }
    }
}

fn fault(error: QueueFault) -> ApiError {
    ApiError::unavailable(error)
}

/// Shows the oldest messages and an approximate count. The messages are released at once.
pub(crate) async fn list(operator: &Operator) -> Result<Response, ApiError> {
    let count = operator.dead.count().await.map_err(fault)?;
    let letters =
        operator.dead.receive(&Look { hidden_s: SHORTLY_S, enough: AT_ONCE, until: None }).await.map_err(fault)?;
    operator.dead.release(&letters).await.map_err(fault)?;
    let messages: Vec<Message<'_>> = letters.iter().take(AT_ONCE).map(Message::from).collect();
    let count = count.max(messages.len() as u64);
    Ok(http::ok(&Messages { messages, count }))
}

/// Sends one message again, or up to a hundred. Messages that name no job stay in the dead-letter queue.
pub(crate) async fn replay(operator: &Operator, caller: &Caller, request: &Request) -> Result<Response, ApiError> {
    let expected = r#"{"message_id": …} or {"all": true}, with "reason": 1 to 200 characters"#;
    let Body { message_id, all, reason } = body::read(request, expected)?;
    if message_id.is_some() == all {
        return Err(ApiError::new(Code::BodyInvalid).detail(format!("expected {expected}")));
    }
    let enough = if all { AT_ONCE } else { usize::MAX };
    let look = Look { hidden_s: HIDDEN_S, enough, until: message_id.clone() };
    let letters = operator.dead.receive(&look).await.map_err(fault)?;
    let wanted = |letter: &Letter| letter.wake_up.is_some() && message_id.as_ref().is_none_or(|id| *id == letter.id);
    let (chosen, others): (Vec<Letter>, Vec<Letter>) = letters.into_iter().partition(wanted);
    let (sent, done) = send(operator, caller, &chosen, message_id, &reason).await;
    // Messages that were not sent are released, also after an error. The first error is returned.
    let unsent: Vec<Letter> = others.into_iter().chain(chosen.into_iter().skip(sent)).collect();
    let released = operator.dead.release(&unsent).await.map_err(fault);
    done.and(released)?;
    let (replayed, left) = (sent, operator.dead.count().await.map_err(fault)?);
    Ok(http::ok(&json!({ "replayed": replayed, "left": left })))
}

/// Returns how many were sent, and the error that ended sending, if any.
async fn send(
    operator: &Operator,
    caller: &Caller,
    chosen: &[Letter],
    message_id: Option<String>,
    reason: &Reason,
) -> (usize, Result<(), ApiError>) {
    if chosen.is_empty() {
        return (0, if message_id.is_some() { Err(ApiError::new(Code::NotFound)) } else { Ok(()) });
    }
    let count = chosen.len() as u64;
    let event = OperatorEvent::DeadLettersReplayed { count, message_id, reason: reason.text() };
    if let Err(error) = operator.record(caller, event).await {
        return (0, Err(error));
    }
    for (sent, letter) in chosen.iter().enumerate() {
        if let Err(error) = operator.dead.replay(letter, &operator.config.queue.url).await {
            return (sent, Err(fault(error)));
        }
    }
    (chosen.len(), Ok(()))
}
