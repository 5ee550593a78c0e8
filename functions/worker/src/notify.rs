//! Sends the notification that a job's user asked for: one message of WeChat when the job has ended, or waits for the
//! user's approval.
//!
//! It runs by a wake-up message of its own, after the commit that made the notice due, and changes nothing of the job.
//! Its record is written before the message leaves, so a worker that dies, or loses WeChat's answer, leaves a notice
//! that is not sent again. Only where WeChat has certainly not taken the message is it tried again.

use std::time::Duration;

use domain::{
    ids::Timestamp,
    job::{Job, StepKind},
    limits::Backoff,
    notification::{About, Message, Notice, NoticeState, Notification, StatusWord},
};
use platform::{
    metrics::{Dimension, Metric, one_if},
    non_empty::NonEmpty,
    wechat::{
        OpenId,
        notifications::{MessageAnswer, MessageDelay, MessageRefusal, NoToken},
    },
};
use secrecy::SecretString;
use store::{Credit, CreditTaken, Recipient, TableError};

use crate::Worker;

/// How often one message is tried at most.
const TRIES_AT_MOST: u32 = 6;
/// The pauses between the tries. SQS delays a message by 15 minutes at most.
const PAUSES: Backoff = Backoff { base: Duration::from_secs(15), cap: Duration::from_secs(900) };
/// How long nothing is sent after WeChat has banned the messages of this Mini Program.
const BANNED_FOR: Duration = Duration::from_secs(3600);
const DAY_MS: i64 = 86_400_000;
/// WeChat's quotas begin anew at midnight in Beijing.
const BEIJING_MS: i64 = 8 * 3_600_000;

/// Outcome of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivery {
    Sent,
    /// WeChat's answer was lost.
    Unknown,
    /// WeChat has not taken it, for this reason; it is tried again.
    Delayed(&'static str),
    /// It is not sent, for this reason.
    NotSent(&'static str),
}

/// The longest time that one message takes. The lock of the user's messages ends by itself.
const WITHIN: Duration = Duration::from_secs(6);

/// Sends what the job has to tell its user. `None` when there is nothing, or it was handled before.
pub(crate) async fn send_due(worker: &Worker, job: &Job) -> Option<NoticeState> {
    let notice = Notice::of(job)?;
    let notification = worker.policy.notifications().get(job.notify.as_deref()?);
    if notification.is_some_and(|notification| !notification.is_sent_on(notice.occasion())) {
        return None;
    }
    let (now, nonce) = (worker.runtime.now(), worker.runtime.nonce());
    let begun = worker.table.begin_notice(job, notice, now, &nonce).await;
    let tries = begun.inspect_err(|error| report_table(job, error)).ok()??.tries;
    let delivery = match notification {
        Some(notification) => {
            // Longer, and jobs of the same batch would begin late, or the function would end in the middle.
            let delivery = tokio::time::timeout(WITHIN, tell(worker, job, notification, &nonce)).await;
            delivery.unwrap_or(Delivery::Unknown)
        }
        // It was removed since the job was accepted.
        None => Delivery::NotSent("notification_unknown"),
    };
    let delivery = match delivery {
        Delivery::Delayed(code) if tries >= TRIES_AT_MOST => Delivery::NotSent(code),
        delivery => delivery,
    };
    let (state, code) = delivery.record();
    let ended = worker.table.end_notice(job, notice, (state, code), worker.runtime.now(), &nonce).await;
    if let Err(error) = ended {
        // The record stays as it was begun: it is shown as unknown, and not sent again.
        report_table(job, &error);
        return Some(NoticeState::Unknown);
    }
    tracing::info!(
        function = "worker", request_id = %job.request_id, user_id = %job.user_id, outcome = state.name(), code,
        "a notification was handled"
    );
    match delivery {
        Delivery::Delayed(_) => worker.jobs().wake(job, PAUSES.wait(tries - 1, worker.runtime.number())).await,
        Delivery::Sent | Delivery::Unknown | Delivery::NotSent(_) => {
            let failed = !matches!(delivery, Delivery::Sent | Delivery::NotSent(NO_CREDIT));
            let measured = [(Metric::Notifications, 1.0), (Metric::NotificationFailures, one_if(failed))];
            let code = code.filter(|_| failed).unwrap_or(if failed { state.name() } else { "none" });
            worker.runtime.measure(&measured, &[(Dimension::Code, code)]);
        }
    }
    Some(state)
}

const NO_CREDIT: &str = MessageRefusal::NoCredit.code();

impl Delivery {
    const fn record(self) -> (NoticeState, Option<&'static str>) {
        match self {
            Self::Sent => (NoticeState::Sent, None),
            Self::Unknown => (NoticeState::Unknown, None),
            Self::Delayed(code) => (NoticeState::Delayed, Some(code)),
            Self::NotSent(code) => (NoticeState::NotSent, Some(code)),
        }
    }

    /// What the answer of WeChat means for the message, and for the user's credit.
    const fn of(answer: MessageAnswer) -> (Self, Credit) {
        match answer {
            MessageAnswer::Taken => (Self::Sent, Credit::Used),
            MessageAnswer::Lost => (Self::Unknown, Credit::Used),
            MessageAnswer::TokenRefused => (Self::Delayed("token_refused"), Credit::GivenBack),
            MessageAnswer::Later(delay) => (Self::Delayed(delay.code()), Credit::GivenBack),
            MessageAnswer::Refused(refusal @ MessageRefusal::NoCredit) => (Self::NotSent(refusal.code()), Credit::None),
            MessageAnswer::Refused(refusal) => (Self::NotSent(refusal.code()), Credit::GivenBack),
        }
    }
}

/// One attempt.
async fn tell(worker: &Worker, job: &Job, notification: &Notification, nonce: &str) -> Delivery {
    let keys = match worker.read_keys().await {
        Ok(keys) => keys,
        Err(_) => return Delivery::Delayed("secret_unreadable"),
    };
    let Some(app_secrets) = &keys.app_secrets else { return Delivery::NotSent("not_configured") };
    let Some(message) = message(worker, job, notification) else {
        return Delivery::NotSent(MessageRefusal::Value.code());
    };
    let template = notification.template_id.as_str();
    let now = worker.runtime.now();
    let recipient = match worker.table.take_credit(job.user_id, template, now, nonce).await {
        Ok(CreditTaken::Taken(recipient)) => recipient,
        Ok(CreditTaken::Busy) => return Delivery::Delayed(MessageDelay::Concurrent.code()),
        Ok(CreditTaken::NoCredit) => return Delivery::NotSent(NO_CREDIT),
        Ok(CreditTaken::NoUser) => return Delivery::NotSent(MessageRefusal::UserUnknown.code()),
        Err(error) => {
            report_table(job, &error);
            return Delivery::Delayed("table_unavailable");
        }
    };
    let (delivery, credit) = deliver(worker, job, app_secrets, &recipient, &message).await;
    if let Err(error) = worker.table.settle_credit(job.user_id, template, credit, nonce).await {
        // The lock ends by itself.
        report_table(job, &error);
    }
    delivery
}

/// The message: words of the settings and of the catalogue, and nothing that a user, a tool or a model wrote.
fn message(worker: &Worker, job: &Job, notification: &Notification) -> Option<Message> {
    let status = StatusWord::of(job.state)?;
    let step = match status {
        StatusWord::AwaitingApproval => job.step()?,
        _ => job.steps.first()?,
    };
    let catalogue = worker.policy.catalogue();
    let title = match step.kind {
        StepKind::Call => catalogue.get(&step.tool).map(|tool| tool.entry.title.as_str()),
        StepKind::Turn | StepKind::End => catalogue.agent(&step.tool).map(|agent| agent.title.as_str()),
    };
    let title = title.unwrap_or(&notification.title);
    let about = About { title, status, at: job.updated_at, request_id: job.request_id };
    worker.policy.notifications().message(notification, &about)
}

/// Sends the message with the shared token; once more with another token if that one is refused.
async fn deliver(
    worker: &Worker,
    job: &Job,
    app_secrets: &NonEmpty<SecretString>,
    recipient: &Recipient,
    message: &Message,
) -> (Delivery, Credit) {
    let unsent = |delivery| (delivery, Credit::GivenBack);
    let token = match token(worker, app_secrets, None).await {
        Ok(token) => token,
        Err(why) => return unsent(without_token(worker, job, why).await),
    };
    let to = OpenId::stored(&recipient.openid);
    let mut answer = worker.wechat.send_message(&token, &to, message).await;
    if answer == MessageAnswer::TokenRefused {
        match self::token(worker, app_secrets, Some(&token)).await {
            Ok(other) => answer = worker.wechat.send_message(&other, &to, message).await,
            Err(why) => return unsent(without_token(worker, job, why).await),
        }
    }
    if let MessageAnswer::Refused(refusal) = answer {
        report(worker, job, refusal).await;
    }
    Delivery::of(answer)
}

/// Why there is no token to send with.
enum WithoutToken {
    WeChat(NoToken),
    Table(TableError),
    Paused,
}

/// The token that all functions share; another one than the `refused` one, if that is given. None during a pause.
async fn token(
    worker: &Worker,
    app_secrets: &NonEmpty<SecretString>,
    refused: Option<&SecretString>,
) -> Result<SecretString, WithoutToken> {
    let stored = worker.table.access_token().await.map_err(WithoutToken::Table)?;
    if stored.as_ref().and_then(|stored| stored.paused_until).is_some_and(|until| worker.runtime.now() < until) {
        return Err(WithoutToken::Paused);
    }
    worker.access_tokens().get(stored, app_secrets, refused).await.map_err(WithoutToken::WeChat)
}

async fn without_token(worker: &Worker, job: &Job, why: WithoutToken) -> Delivery {
    match why {
        WithoutToken::Paused => Delivery::NotSent("paused"),
        WithoutToken::Table(error) => {
            report_table(job, &error);
            Delivery::Delayed("table_unavailable")
        }
        WithoutToken::WeChat(NoToken::Later) => Delivery::Delayed(MessageDelay::Busy.code()),
        WithoutToken::WeChat(NoToken::Quota) => {
            report(worker, job, MessageRefusal::Quota).await;
            Delivery::NotSent(MessageRefusal::Quota.code())
        }
        WithoutToken::WeChat(error @ (NoToken::SecretRefused(_) | NoToken::Misconfigured(_))) => {
            tracing::error!(
                function = "worker", code = "wechat_misconfigured", error = %error, request_id = %job.request_id,
                "no notification can be sent"
            );
            // The secret may have been rotated since it was read.
            worker.secrets.expire(&worker.runtime);
            Delivery::Delayed("wechat_misconfigured")
        }
    }
}

/// Logs a refusal, and stops all messages where the next one would be refused too.
async fn report(worker: &Worker, job: &Job, refusal: MessageRefusal) {
    if refusal.needs_an_operator() {
        tracing::error!(
            function = "worker", code = refusal.code(), request_id = %job.request_id,
            "WeChat refuses notifications of this kind until an operator acts"
        );
    }
    let now = worker.runtime.now();
    let until = match refusal {
        MessageRefusal::Quota => next_day(now),
        MessageRefusal::Banned => now.plus(BANNED_FOR),
        MessageRefusal::UserUnknown
        | MessageRefusal::TemplateUnknown
        | MessageRefusal::PageUnknown
        | MessageRefusal::NoCredit
        | MessageRefusal::Word
        | MessageRefusal::Value
        | MessageRefusal::NotPermitted
        | MessageRefusal::Other => return,
    };
    if let Err(error) = worker.table.pause_notifications(until).await {
        report_table(job, &error);
    }
}

fn next_day(now: Timestamp) -> Timestamp {
    let day = (now.millis() + BEIJING_MS).div_euclid(DAY_MS);
    Timestamp::from_millis((day + 1) * DAY_MS - BEIJING_MS)
}

fn report_table(job: &Job, error: &TableError) {
    tracing::warn!(
        function = "worker", code = "notification_unrecorded", error = %error, request_id = %job.request_id,
        "the progress of a notification could not be stored"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_wechat_begins_in_beijing() {
        let at = |text: &str| Timestamp::parse(&serde_json::json!(text)).unwrap();
        for (now, expected) in [
            ("2026-11-29T12:00:00Z", "2026-11-29T16:00:00Z"),
            ("2026-11-29T15:59:59Z", "2026-11-29T16:00:00Z"),
            ("2026-11-29T16:00:00Z", "2026-11-30T16:00:00Z"),
        ] {
            assert_eq!(next_day(at(now)), at(expected), "{now}");
        }
    }

    #[test]
    fn a_credit_comes_back_unless_wechat_may_have_taken_the_message() {
        for (answer, credit) in [
            (MessageAnswer::Taken, Credit::Used),
            (MessageAnswer::Lost, Credit::Used),
            (MessageAnswer::Later(MessageDelay::Unreachable), Credit::GivenBack),
            (MessageAnswer::TokenRefused, Credit::GivenBack),
            (MessageAnswer::Refused(MessageRefusal::NoCredit), Credit::None),
            (MessageAnswer::Refused(MessageRefusal::Value), Credit::GivenBack),
        ] {
            assert_eq!(Delivery::of(answer).1, credit, "{answer:?}");
        }
    }
}
