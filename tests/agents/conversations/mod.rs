//! Conversations at the front door: the queue, ownership, and deletion.

use std::time::Duration;

use domain::{conversation::Conversation, limits::Rate};
use integration_tests::{App, Client, Setup};

mod cap;
mod count;
mod deletion;
mod endings;
mod own;
mod queue;

/// Without limits that matter, except that of the queue.
async fn unlimited() -> App {
    let edge = |edge: &mut platform::config::EdgeAuthConfig| {
        edge.limits.submissions = Rate::new(Duration::from_millis(1), 10_000);
        (edge.limits.in_flight, edge.limits.in_flight_long) = (100, 100);
    };
    App::with(Setup { edge, ..Setup::default() }).await
}

/// The stored conversation.
async fn kept(app: &App, client: &Client, name: &str) -> Option<Conversation> {
    app.inspect().table().conversation(client.user_id.parse().unwrap(), &name.parse().unwrap()).await.unwrap()
}

/// The request ids in its queue.
async fn queued(app: &App, client: &Client, name: &str) -> Vec<String> {
    let kept = kept(app, client, name).await;
    kept.map(|kept| kept.queue.iter().map(ToString::to_string).collect()).unwrap_or_default()
}
