//! Measures what a policy decision costs: `cargo run --release --locked --package domain --example decisions`.
//!
//! Each number is the best of several rounds, because everything that disturbs a round makes it slower, and is time on the
//! processor as Linux counts it, so that waiting for one does not count. Prints one table, in microseconds.

use std::{collections::BTreeSet, hint::black_box, time::Duration};

use domain::{
    access::service_mode::{Controls, Mode},
    ids::{Timestamp, UserId},
    policy::{CallQuery, Policy, PolicyFiles},
};
use serde_json::{Value, json};

const ROUNDS: u32 = 9;
const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

/// Time that this thread has been on a processor.
fn on_the_processor() -> Duration {
    let counts = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts it");
    let nanoseconds = counts.split_whitespace().next().and_then(|count| count.parse().ok());
    Duration::from_nanos(nanoseconds.expect("the first number of the line"))
}

/// Time of one call of `work`, over `calls` calls.
fn best(calls: u32, mut work: impl FnMut()) -> Duration {
    let round = || {
        let began = on_the_processor();
        (0..calls).for_each(|_| work());
        (on_the_processor() - began) / calls
    };
    std::iter::repeat_with(round).take(ROUNDS as usize).min().unwrap_or_default()
}

fn row(what: &str, took: Duration) {
    #[expect(clippy::print_stdout, reason = "it is what this program is for")]
    {
        println!("| {what} | {:.1} |", took.as_secs_f64() * 1e6);
    }
}

fn main() {
    let files = PolicyFiles::built_in();
    let policy = Policy::parse(&files).expect("the policies that are built in are sound");
    let mut many = String::new();
    for n in 0..100 {
        many += &format!(
            "@id(\"more-{n}\") forbid (principal in MiniProgram::Group::\"g{n}\", action, resource) \
             when {{ context.arguments has ledger_pay && context.arguments.ledger_pay.amount > {n} }};\n"
        );
    }
    let large = Policy::parse(&files.clone().with("more.cedar", many)).expect("they are sound, too");
    let mut controls = Controls::unreadable(NOW);
    controls.service.mode = Mode::Full;
    let groups: BTreeSet<String> = ["members".to_owned(), "testers".to_owned()].into();
    let pay = json!({"amount": 500, "note": "two coffees"});
    let query = |tool: &'static str, arguments: &'static Value| CallQuery {
        user_id: UserId::from_random([1; 16]),
        groups: &*Box::leak(Box::new(groups.clone())),
        tool,
        arguments,
        derived: false,
        audited: true,
        now: NOW,
    };
    let pay: &'static Value = Box::leak(Box::new(pay));
    let nothing: &'static Value = Box::leak(Box::new(json!({})));
    row(
        "first: read, parse, validate, once per process",
        best(20, || drop(black_box(Policy::parse(black_box(&files))))),
    );
    let decide = |policy: &Policy, query: CallQuery<'_>| {
        best(2000, || drop(black_box(policy.gate(&controls, black_box(&query)))))
    };
    row(&format!("a read, {} policies", policy.ids().len()), decide(&policy, query("ledger_read", nothing)));
    row(&format!("a payment, {} policies", policy.ids().len()), decide(&policy, query("ledger_pay", pay)));
    row(&format!("a payment, {} policies", large.ids().len()), decide(&large, query("ledger_pay", pay)));
    row("an unknown tool", decide(&policy, query("exec", nothing)));
}
