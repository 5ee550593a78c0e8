//! An agent's turns: a message, a conversation with memory, and a payment that the agent proposes, the user approves
//! and the service runs.
//!
//! With the stand-in model every claim is checked. A real model's texts vary, so with it only the service's guarantees are
//! checked.

use platform::runtime::Runtime;
use serde_json::{Value, json};

use super::{
    super::{
        Failure,
        client::{Client, Reply},
        id,
    },
    transcript::{Transcript, claims, effects, shows, status_is, succeeded, text, verified},
};
use crate::host::gateway::Gateway;

/// The note of the payment in the ledger.
const PAYMENT: &str = "green tea";

pub(super) async fn show(transcript: &mut Transcript, client: &Client, gateway: &Gateway) -> Result<(), Failure> {
    let scripted = gateway.model().stand_in.is_some();
    ask(transcript, client, scripted).await?;
    remember(transcript, client, scripted).await?;
    pay(transcript, client, gateway, scripted).await
}

/// The user's message, with directions that only the stand-in model understands.
fn message(words: &str, directions: &str, scripted: bool) -> String {
    if scripted { format!("{words} {directions}") } else { words.to_owned() }
}

/// Submits a body under a new id.
pub(super) async fn submit(client: &Client, body: &Value) -> Result<String, Failure> {
    let id = id::new(&Runtime::system());
    status_is(&client.post("/v1/jobs", Some(&id), body).await?, 202)?;
    Ok(id)
}

/// The reply in a job that is one turn.
fn reply_of(job: &Reply) -> &str {
    text(&job.body["result"]["reply"])
}

async fn ask(transcript: &mut Transcript, client: &Client, scripted: bool) -> Result<(), Failure> {
    let said = message("Good morning!", "[[say:Good morning. What can I do for you?]]", scripted);
    let body = json!({"message": said, "conversation": "breakfast"});
    transcript.step(format_args!("Talk to an agent: POST /v1/jobs {body}"));
    let id = submit(client, &body).await?;
    let job = client.until_over(&id).await?;
    succeeded(&job)?;
    shows(format_args!("reply: {}", reply_of(&job)));
    let expected = !scripted || reply_of(&job) == "Good morning. What can I do for you?";
    claims("the agent's reply is the result", !reply_of(&job).is_empty() && expected, &job.body["result"])
}

async fn remember(transcript: &mut Transcript, client: &Client, scripted: bool) -> Result<(), Failure> {
    let said = message("What did I say first?", "[[remember]]", scripted);
    let body = json!({"message": said, "conversation": "breakfast"});
    transcript.step(format_args!("Another turn of that conversation: POST /v1/jobs {body}"));
    let id = submit(client, &body).await?;
    let job = client.until_over(&id).await?;
    succeeded(&job)?;
    shows(format_args!("reply: {}", reply_of(&job)));
    if scripted {
        claims(
            "the agent remembers the first turn",
            reply_of(&job).starts_with("1 before: Good morning!"),
            &job.body["result"],
        )?;
    }
    Ok(())
}

async fn pay(transcript: &mut Transcript, client: &Client, gateway: &Gateway, scripted: bool) -> Result<(), Failure> {
    let words = format!("Please pay 120 for {PAYMENT}, with the tool ledger_pay and the note \"{PAYMENT}\".");
    let directions = format!(
        "[[tool:ledger_pay {{\"amount\":120,\"note\":\"{PAYMENT}\"}}]] [[say:I have to ask you first.]] \
         [[then]] [[say:Paid. Enjoy your tea.]]"
    );
    let body = json!({"message": message(&words, &directions, scripted), "conversation": "breakfast"});
    transcript.step(format_args!("A turn that wants to pay: POST /v1/jobs {body}"));
    let id = submit(client, &body).await?;
    let Some(approval) = until_asked(client, &id).await? else {
        if scripted {
            claims("the agent asks for the payment", false, "that the job is over")?;
        }
        shows("this model did not ask for the payment, so there is nothing to approve");
        return effects(gateway, PAYMENT, 0);
    };
    shows("status awaiting_approval: the tool guard blocked the agent's call, which became an approval request");
    effects(gateway, PAYMENT, 0)?;

    transcript.step("The user reads and approves exactly this call: POST /v1/jobs/{id}/approval");
    approve(client, &id, &approval).await?;
    let job = client.until_over(&id).await?;
    succeeded(&job)?;
    steps(&job);
    effects(gateway, PAYMENT, 1)?;
    shows(format_args!("the agent's reply, in a round with the result: {}", reply_of(&job)));
    if scripted {
        claims("the next round got the result", reply_of(&job) == "Paid. Enjoy your tea.", &job.body["result"])?;
    }

    transcript.step(format_args!("The audit chain of this turn: GET /v1/jobs/{id}/audit"));
    verified(client, &id).await.map(drop)
}

/// Polls a job until it has an approval request; `None` when it is over without one.
pub(super) async fn until_asked(client: &Client, id: &str) -> Result<Option<Value>, Failure> {
    for _ in 0..120 {
        // Without `wait`: a held poll returns at once for an approval request that it has not seen, but would hold
        // after one.
        let job = client.get(&format!("/v1/jobs/{id}")).await?.body;
        if job["status"] == "awaiting_approval" {
            return Ok(Some(job["approval"].clone()));
        }
        let Some(pause) = job["next_poll_ms"].as_u64() else { return Ok(None) };
        tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
    }
    Err(format!("job {id} has no approval request after 120 polls").into())
}

/// Approves an approval request, and prints its summary.
pub(super) async fn approve(client: &Client, id: &str, approval: &Value) -> Result<(), Failure> {
    shows(format_args!("approval request: {}", approval["summary"]));
    let decision = json!({"decision": "approve", "digest": approval["digest"], "code": "dev-demo"});
    status_is(&client.post(&format!("/v1/jobs/{id}/approval"), None, &decision).await?, 200)
}

/// Prints the steps of a job that is over.
pub(super) fn steps(job: &Reply) {
    for step in job.body["steps"].as_array().into_iter().flatten() {
        let of = step["tool"].as_str().or(step["agent"].as_str()).unwrap_or_default();
        let proposed = if step["proposed"] == true { ", proposed" } else { "" };
        shows(format_args!(
            "step {} round {}: {} {of}{proposed}: {}",
            step["step"],
            step["round"],
            text(&step["kind"]),
            text(&step["outcome"])
        ));
    }
}
