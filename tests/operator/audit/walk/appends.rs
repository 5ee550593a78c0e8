//! Appends to side chains: concurrent writers, repetitions, and concurrent readers.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use domain::audit::ChainName;
use integration_tests::{App, Fault};
use local::audit::{self as walk, Scope, Source, Verification};
use platform::runtime::Clock;

use super::{closed, operator, runtime};

#[tokio::test]
async fn appends_that_cross_or_repeat_are_each_one_record_and_a_reader_never_sees_a_broken_chain() {
    let app = App::start().await;
    let runtime = &runtime(&app);
    let config = app.deployment.sweep().table;
    let faulty = &store::Table::new(config.aws.dynamodb(), config.table, config.retention);
    for fault in [Fault::LostAfter, Fault::Twice, Fault::Late, Fault::LostBefore].repeat(3) {
        // One move of the head goes wrong; while the SDK repeats it, others go ahead.
        let hit = AtomicBool::new(false);
        app.faults.plan(move |operation, _| {
            (operation == "UpdateItem" && !hit.swap(true, Ordering::SeqCst)).then_some(fault)
        });
        let before = app.inspect().table().chain_head(ChainName::Operators).await.unwrap().length;
        let append =
            async |n: u64| faulty.append_operator(runtime, operator(), closed(&n.to_string()), "p").await.unwrap();
        let reader = async {
            for _ in 0..5 {
                let asked = Verification {
                    scope: Scope::Operators,
                    checkpoints: None,
                    retention: Duration::ZERO,
                    now: app.clock.now(),
                };
                let report = walk::run(&Source::Table(app.inspect().table().clone()), &asked, &|_| {}).await.unwrap();
                assert_eq!(report.faults, [""; 0]);
            }
        };
        let (a, b, c, d, ()) = tokio::join!(append(1), append(2), append(3), append(4), reader);
        let mut places = [a, b, c, d].map(|head| head.length);
        places.sort_unstable();
        assert_eq!(places, [1, 2, 3, 4].map(|n| before + n), "{fault:?}");
        let page = app.inspect().table().operator_chain(before, 100).await.unwrap();
        let mut reasons: Vec<&str> = page.records.iter().map(|record| record["reason"].as_str().unwrap()).collect();
        reasons.sort_unstable();
        assert_eq!((reasons, page.head.length), (vec!["1", "2", "3", "4"], before + 4), "{fault:?}");
        app.faults.none();
    }
    // Page by page, and from any place on.
    let (mut after, mut read) = (0, 0);
    loop {
        let page = app.inspect().table().operator_chain(after, 3).await.unwrap();
        read += page.records.len() as u64;
        assert!(page.records.iter().all(|record| record["seq"].as_u64().unwrap() > after));
        match page.next {
            Some(next) => after = next,
            None => break assert_eq!(read, page.head.length),
        }
    }
}
