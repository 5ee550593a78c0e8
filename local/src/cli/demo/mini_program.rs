//! The client library of Mini Programs, under Node: a double tap, a lost response and a killed app each result in one
//! job.

use std::process::Stdio;

use tokio::process::Command;

use super::{
    super::{Failure, client::Client},
    transcript::{Transcript, claims, effects, shows, succeeded},
};
use crate::{data::checkout, host::gateway::Gateway};

/// The note of the purchase in the ledger.
const NOTE: &str = "one green tea";

pub(super) async fn show(
    transcript: &mut Transcript,
    client: &Client,
    base_url: &str,
    gateway: &Gateway,
) -> Result<(), Failure> {
    transcript.step("The client library of Mini Programs: a double tap, a lost response, an app that is killed");
    let checkout = checkout()?;
    let output = Command::new(checkout.join(".local/openclaw/bin/node"))
        .arg(checkout.join("miniprogram/client/demo.mjs"))
        .args([base_url, "demo", NOTE])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines().for_each(shows);
    claims("a double tap, a lost response and a restart made one job", output.status.success(), output.status)?;
    let id = said.lines().last().ok_or("the library names no job")?;
    succeeded(&client.until_over(id).await?)?;
    effects(gateway, NOTE, 1)
}
