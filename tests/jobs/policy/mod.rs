//! Policy: an oracle that shares no code with it agrees about random calls and turns, and about some of the calls
//! through the front door.

use std::collections::BTreeMap;

use integration_tests::sample::Sample;

mod cases;
mod errors;
mod front_door;
mod oracle;

/// The cases that this run takes, of ten thousand, and how many of them each decision has at the least.
fn seeds() -> (impl Iterator<Item = u64>, usize) {
    let sample = Sample::of_this_run();
    ((0..10_000).filter(move |seed| sample.takes(*seed, 5)), sample.share(30, 5))
}

#[test]
fn an_oracle_agrees_about_random_calls() {
    let policies = [cases::policies(), cases::loose_policies()];
    let (mut edge, mut worker) = (BTreeMap::new(), BTreeMap::new());
    let (seeds, at_least) = seeds();
    for seed in seeds {
        let case = cases::case(seed);
        let policy = &policies[usize::from(case.loose)][usize::from(case.examples)];
        let at_the_edge = cases::at_the_edge(policy, &case);
        assert_eq!(at_the_edge, oracle::at_the_edge(&case), "at the edge, seed {seed}: {case:?}");
        let at_the_worker = cases::at_the_worker(policy, &case);
        assert_eq!(at_the_worker, oracle::at_the_worker(&case), "at the worker, seed {seed}: {case:?}");
        *edge.entry(at_the_edge).or_insert(0) += 1;
        *worker.entry(at_the_worker).or_insert(0) += 1;
    }
    println!("POLICY at the edge {edge:?}\nPOLICY at the worker {worker:?}");
    // Each decision must occur, otherwise the comparison proves nothing about it.
    assert!(
        edge.len() == 12 && edge.values().chain(worker.values()).all(|count| *count >= at_least),
        "{edge:?} {worker:?}"
    );
}

#[test]
fn an_oracle_agrees_about_random_turns() {
    let policies = [cases::policies(), cases::loose_policies()];
    let mut became = BTreeMap::new();
    let (seeds, at_least) = seeds();
    for seed in seeds {
        let case = cases::case(seed);
        let policy = &policies[usize::from(case.loose)][usize::from(case.examples)];
        let (gate, tools) = cases::turn(policy, &case);
        assert_eq!((gate, tools.iter().map(String::as_str).collect()), oracle::turn(&case), "seed {seed}: {case:?}");
        *became.entry((gate, tools.len())).or_insert(0) += 1;
    }
    println!("POLICY of turns {became:?}");
    assert!(became.len() == 6 && became.values().all(|count| *count >= at_least), "{became:?}");
}
