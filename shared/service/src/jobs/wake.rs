//! Wake-up messages.

use std::time::Duration;

use domain::{ids::TraceParent, job::Job, notification::Notice};
use platform::{
    metrics::Metric,
    queue::{QueueError, WakeUpMessage},
};

use super::Jobs;

impl Jobs<'_> {
    /// Sends a wake-up message to a job that a worker may claim now, or that has something to tell its user by a
    /// notification, and none to another job. If that fails, the reconciler of `sweep` sends it later, except for a
    /// notification: that is lost.
    pub async fn wake_if_due(&self, job: &Job) {
        if job.claimable(self.runtime.now()) || Notice::of(job).is_some() {
            self.wake(job, Duration::ZERO).await;
        }
    }

    /// Sends a wake-up message for a notification, if the committed job has something to tell its user. A worker sends
    /// the notification by that message of its own, so that it delays no job and no job fails with it.
    pub async fn wake_to_notify(&self, job: &Job) {
        if Notice::of(job).is_some() {
            self.wake(job, Duration::ZERO).await;
        }
    }

    /// Sends a wake-up message that is delivered after `delay`. If that fails, the reconciler of `sweep` sends it
    /// later.
    pub async fn wake(&self, job: &Job, delay: Duration) {
        let trace = job.trace.as_deref().and_then(TraceParent::parse);
        if let Err(error) = self.try_wake(job, trace.as_ref(), delay).await {
            tracing::error!(
                function = self.function, code = "wake_up_not_sent", request_id = %job.request_id, error = %error,
                "the job's wake-up message was not sent; the reconciler sends it later"
            );
        }
    }

    /// Sends a wake-up message, for a caller that is itself repeated when this fails.
    pub async fn try_wake(&self, job: &Job, trace: Option<&TraceParent>, delay: Duration) -> Result<(), QueueError> {
        let wake_up = WakeUpMessage::new(job.user_id, job.request_id, trace);
        self.queue.wake(&wake_up, delay).await.inspect_err(|_| self.runtime.count(Metric::WakeUpFailures))
    }
}
