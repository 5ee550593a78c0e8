//! The demo's output, and the checks that several of its parts share.

use std::fmt::Display;

use domain::json;
use serde_json::Value;

use super::super::{
    Failure,
    audit::answers::Chain,
    client::{Client, Reply},
    output::say,
};
use crate::host::gateway::Gateway;

/// Numbers the printed steps.
pub(super) struct Transcript(u32);

impl Transcript {
    /// A transcript without steps.
    pub(super) fn new() -> Self {
        Self(0)
    }

    /// Prints the title of the next step.
    pub(super) fn step(&mut self, title: impl Display) {
        self.0 += 1;
        say(format_args!("\n{}. {title}", self.0));
    }
}

/// Prints a detail of a step.
pub(super) fn shows(line: impl Display) {
    say(format_args!("   {line}"));
}

/// Prints a claim that holds; ends the demo with an error if it does not.
pub(super) fn claims(claim: impl Display, holds: bool, found: impl Display) -> Result<(), Failure> {
    if holds {
        shows(format_args!("ok: {claim}"));
        Ok(())
    } else {
        shows(format_args!("NOT SO: {claim}; found {found}"));
        Err(format!("the demo failed: {claim}; found {found}").into())
    }
}

pub(super) fn status_is(reply: &Reply, expected: u16) -> Result<(), Failure> {
    let found = format!("{} {}", reply.status.as_u16(), reply.body);
    claims(format_args!("the answer is {expected}"), reply.status.as_u16() == expected, found)
}

pub(super) fn refused(reply: &Reply, status: u16, code: &str) -> Result<(), Failure> {
    shows(&reply.body);
    status_is(reply, status)?;
    claims(format_args!("its code is {code}"), reply.body["code"] == code, &reply.body["code"])
}

pub(super) fn succeeded(reply: &Reply) -> Result<(), Failure> {
    claims("it succeeded", reply.body["status"] == "succeeded", &reply.body)
}

/// Counts the ledger lines that contain the note: each line is one effect of a tool.
pub(super) fn effects(gateway: &Gateway, note: &str, expected: usize) -> Result<(), Failure> {
    let ledger = std::fs::read_to_string(gateway.ledger()).unwrap_or_default();
    let lines = ledger.lines().filter_map(|line| json::kept::<Value>(line).ok());
    let found = lines.filter(|line| line["note"] == note).count();
    claims(format_args!("the tool ran {expected} time(s) for \"{note}\", says its ledger"), found == expected, found)
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

/// Prints and verifies a job's audit chain.
pub(super) async fn verified(client: &Client, id: &str) -> Result<Chain, Failure> {
    let reply = client.get(&format!("/v1/jobs/{id}/audit")).await?;
    status_is(&reply, 200)?;
    let chain: Chain = serde_json::from_value(reply.body)?;
    for record in &chain.records {
        let of = record["tool"].as_str().or(record["agent"].as_str()).unwrap_or_default();
        shows(format_args!(
            "{} {} {}: {} {of}",
            record["seq"],
            text(&record["at"]),
            text(&record["actor"]),
            text(&record["event"])
        ));
    }
    let found = chain.verify(None).err().unwrap_or_default();
    claims(format_args!("the chain of {} records verifies", chain.records.len()), found.is_empty(), found)?;
    Ok(chain)
}
