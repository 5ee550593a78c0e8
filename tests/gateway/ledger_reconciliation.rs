//! Runs last: compares each line of the ledger with the intents of every audit chain of the suite.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use domain::ids::{RequestId, UserId};
use integration_tests::{App, mini_gateway};
use serde_json::Value;
use store::Stored;

use crate::real::with_gateway;

/// What a part of the suite intended.
#[derive(Debug, Default)]
struct Part {
    jobs: usize,
    turns: usize,
    rounds: usize,
    proposals: usize,
    /// The keys of `intended`, once for each record.
    intended: Vec<String>,
    /// The keys of calls that ended well.
    succeeded: BTreeSet<String>,
}

static PARTS: Mutex<BTreeMap<&'static str, Part>> = Mutex::new(BTreeMap::new());

/// Takes one chain into the account of a part of the suite.
pub(crate) fn account(part: &'static str, records: &[Value]) {
    let mut parts = PARTS.lock().unwrap_or_else(PoisonError::into_inner);
    let part = parts.entry(part).or_default();
    part.jobs += 1;
    let mut has_turn = false;
    let keys =
        records.iter().filter(|record| record["event"] == "intended").filter_map(|record| record["key"].as_str());
    let mine: Vec<String> = keys.map(str::to_owned).collect();
    for record in records {
        let key = record["key"].as_str().unwrap_or_default();
        match record["event"].as_str() {
            Some("round_ended") => {
                has_turn = true;
                part.rounds += 1;
                part.proposals += record["proposals"].as_array().map_or(0, Vec::len);
            }
            Some("ended") if record["outcome"] == "succeeded" && mine.iter().any(|known| known == key) => {
                part.succeeded.insert(key.to_owned());
            }
            Some(_) | None => {}
        }
    }
    part.turns += usize::from(has_turn);
    part.intended.extend(mine);
}

/// Takes every job of an app's table into the account, and stops the app.
pub(crate) async fn close(part: &'static str, app: App) {
    for (user, id) in jobs(&app).await {
        let Ok(Some(Stored::Job(job))) = app.inspect().table().job(user, id).await else {
            panic!("a job that cannot be read")
        };
        let records = app.inspect().table().audit_chain(user, id, job.audit).await.expect("the table answers");
        assert_eq!(domain::audit::verify(&records, domain::audit::Owner::Job(id), job.audit), Ok(()), "{id}");
        account(part, &records);
    }
}

/// Every job of the table, of every user.
async fn jobs(app: &App) -> Vec<(UserId, RequestId)> {
    let (mut found, mut from) = (Vec::new(), None);
    loop {
        let scan = app.aws.dynamodb().scan().table_name(&app.deployment.backend.table).set_exclusive_start_key(from);
        let page = scan.send().await.expect("the table answers");
        let text = |item: &std::collections::HashMap<_, aws_sdk_dynamodb::types::AttributeValue>, name: &str| {
            item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default()
        };
        for item in page.items() {
            let user = text(item, "pk").strip_prefix("U#").and_then(|user| user.parse().ok());
            let id = text(item, "sk").strip_prefix("J#").and_then(|id| id.parse().ok());
            found.extend(user.zip(id));
        }
        from = page.last_evaluated_key().cloned();
        if from.is_none() {
            return found;
        }
    }
}

/// The key that a line was written under; `None` for a call that did not come from the service.
fn key_of(line: &Value) -> Option<String> {
    let call = line["toolCallId"].as_str()?.strip_prefix("http-direct-operator-")?;
    let key = call.split('~').next().unwrap_or_default();
    (key.split('.').count() == 5).then(|| key.to_owned())
}

/// A key without the number of its repetition: repeated calls of an idempotent tool may share one effect.
fn operation(key: &str) -> &str {
    key.rsplit_once('.').map_or(key, |(operation, _)| operation)
}

#[test]
fn every_line_of_the_ledger_has_an_intent_and_no_intent_has_two_effects() {
    with_gateway(async |real| {
        let lines = mini_gateway::ledger(real.gateway().ledger());
        let parts = PARTS.lock().unwrap_or_else(PoisonError::into_inner);
        let mut written: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in &lines {
            let key = key_of(line).unwrap_or_else(|| panic!("a line that the service did not write: {line}"));
            written.entry(key).or_default().push(line["op"].as_str().unwrap_or_default().to_owned());
        }
        println!(
            "LEDGER AGAINST INTENTS\n{:<10} {:>5} {:>6} {:>7} {:>10} {:>8} {:>8} {:>6}",
            "part", "jobs", "turns", "rounds", "proposals", "intents", "effects", "lines"
        );
        let mut intents: BTreeMap<&str, usize> = BTreeMap::new();
        for (name, part) in parts.iter() {
            let keys: BTreeSet<&String> = part.intended.iter().collect();
            let effects: Vec<&Vec<String>> = keys.iter().filter_map(|key| written.get(*key)).collect();
            let of_part: usize = effects.iter().map(|ops| ops.len()).sum();
            println!(
                "{name:<10} {:>5} {:>6} {:>7} {:>10} {:>8} {:>8} {:>6}",
                part.jobs,
                part.turns,
                part.rounds,
                part.proposals,
                part.intended.len(),
                effects.len(),
                of_part
            );
            for key in &part.intended {
                *intents.entry(key).or_default() += 1;
            }
        }
        println!(
            "{:<10} {:>5} {:>6} {:>7} {:>10} {:>8} {:>8} {:>6}",
            "all",
            sum(&parts, |part| part.jobs),
            sum(&parts, |part| part.turns),
            sum(&parts, |part| part.rounds),
            sum(&parts, |part| part.proposals),
            intents.values().sum::<usize>(),
            written.len(),
            lines.len()
        );
        for (key, ops) in &written {
            // A call that was rescheduled unsent, because the gateway was down, is decided and intended again under its
            // key.
            assert!(intents.contains_key(key.as_str()), "lines {ops:?} of {key} have no intent");
            let once: BTreeSet<&String> = ops.iter().collect();
            assert_eq!(once.len(), ops.len(), "{key} had its effect twice: {ops:?}");
        }
        let effects: BTreeSet<&str> = written.keys().map(|key| operation(key)).collect();
        for key in parts.values().flat_map(|part| &part.succeeded) {
            assert!(effects.contains(operation(key)), "{key} is said to have run, and its line is gone");
        }
    });
}

fn sum(parts: &BTreeMap<&'static str, Part>, of: impl Fn(&Part) -> usize) -> usize {
    parts.values().map(of).sum()
}
