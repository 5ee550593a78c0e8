//! A user who is erased: what is left is a report, and the next login is a new user.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    super::{
        Failure,
        client::{Client, Reply},
    },
    transcript::{Transcript, claims, refused, shows, status_is, text},
};

/// Maximum number of reads of the report, and of attempts to log in.
const READS_AT_MOST: usize = 150;
const PAUSE: Duration = Duration::from_millis(200);

pub(super) async fn show(transcript: &mut Transcript, client: &Client, anonymous: &Client) -> Result<(), Failure> {
    let body = json!({"code": "dev-demo"});
    transcript.step(format_args!("Erase this user: DELETE /v1/users/me {body}"));
    let asked = client.delete("/v1/users/me", &body).await?;
    status_is(&asked, 202)?;
    let (erasure, user) = (text(&asked.body["erasure_id"]).to_owned(), text(&asked.body["user_id"]).to_owned());
    refused(&client.get("/v1/jobs").await?, 401, "no_session")?;

    transcript.step("The report: the same request again");
    let report = reported(client, &body).await?;
    shows(&report.body);
    claims("it is the same erasure", text(&report.body["erasure_id"]) == erasure, &report.body)?;
    let erased = &report.body["erased"];
    claims(
        "arguments, messages and logins are deleted",
        any(&erased["submissions"]) && any(&erased["logins"]),
        erased,
    )?;
    shows("A second pass follows within ten minutes; the demo does not wait for it.");

    transcript.step("The next login");
    let reply = logged_in(anonymous, &body).await?;
    status_is(&reply, 201)?;
    claims("it is a new user", text(&reply.body["user_id"]) != user, &reply.body["user_id"])
}

fn any(count: &Value) -> bool {
    count.as_u64().is_some_and(|count| count > 0)
}

/// The report as soon as the first pass has deleted what users write, or the last one that was read.
async fn reported(client: &Client, body: &Value) -> Result<Reply, Failure> {
    let is_erased = |reply: &Reply| ["submissions", "logins"].iter().all(|kind| any(&reply.body["erased"][kind]));
    read_until(is_erased, || client.delete("/v1/users/me", body)).await
}

/// A login is refused until every request id of the erased user is stored as used.
async fn logged_in(anonymous: &Client, body: &Value) -> Result<Reply, Failure> {
    let is_decided = |reply: &Reply| reply.body["code"] != "erasure_open";
    read_until(is_decided, || anonymous.post("/v1/sessions", None, body)).await
}

/// The first reply that is as wanted, or the last one that was read.
async fn read_until<F>(is_wanted: impl Fn(&Reply) -> bool, ask: impl Fn() -> F) -> Result<Reply, Failure>
where
    F: Future<Output = Result<Reply, Failure>>,
{
    let mut reply = ask().await?;
    for _ in 0..READS_AT_MOST {
        if is_wanted(&reply) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        reply = ask().await?;
    }
    Ok(reply)
}
