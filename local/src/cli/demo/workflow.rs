//! A job of several steps, one of which uses the result of an earlier step.

use serde_json::json;

use super::{
    super::{Failure, client::Client},
    transcript::{Transcript, claims, effects, shows, succeeded, verified},
    turns::{approve, steps, submit, until_asked},
};
use crate::host::gateway::Gateway;

pub(super) async fn show(transcript: &mut Transcript, client: &Client, gateway: &Gateway) -> Result<(), Failure> {
    let body = json!({"steps": [
        {"tool": "ledger_append", "arguments": {"note": "three rolls"}},
        {"tool": "ledger_read", "arguments": {"limit": 1}},
        {"tool": "ledger_append", "arguments": {"note": {"$from": {"step": 1, "pointer": "/details/lines/0/op"}}}},
    ]});
    transcript.step(format_args!("A workflow, whose last step writes what the second one read: POST /v1/jobs {body}"));
    let id = submit(client, &body).await?;
    let approval = until_asked(client, &id).await?;
    claims("a write with a derived value needs an approval first", approval.is_some(), "no approval request")?;
    effects(gateway, "append", 0)?;
    approve(client, &id, &approval.unwrap_or_default()).await?;
    let job = client.until_over(&id).await?;
    succeeded(&job)?;
    steps(&job);
    effects(gateway, "three rolls", 1)?;
    effects(gateway, "append", 1)?;

    shows("its audit chain:");
    verified(client, &id).await.map(drop)
}
