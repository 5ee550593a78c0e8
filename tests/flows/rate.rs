//! Requests beyond a user's limits.

use std::time::Instant;

use serde_json::json;

use crate::{
    caller::{Caller, WAIT_LIMIT, new_id, wait_retry_after},
    target::flow,
};

/// Submissions that are sent at once.
const WAVE: usize = 8;

#[test]
fn over_the_rate_is_429_for_that_user_alone_until_retry_after() {
    flow(async |target| {
        let (alice, bob) = (Caller::log_in(target, "greedy").await, Caller::log_in(target, "modest").await);
        let read = json!({"limit": 1});
        let (mut accepted, mut refused, began) = (Vec::new(), Vec::new(), Instant::now());
        // The limit of open jobs may be reached before the rate limit; further requests are charged.
        while !refused.iter().any(|(_, code)| code == "rate_limited") {
            assert!(began.elapsed() < WAIT_LIMIT, "the rate has no limit");
            let wave: Vec<_> = (0..WAVE)
                .map(|_| {
                    let (alice, id, read) = (alice.clone(), new_id(), read.clone());
                    tokio::spawn(async move { (alice.submit(&id, "ledger_read", read).await, id) })
                })
                .collect();
            for one in wave {
                let (reply, id) = one.await.unwrap();
                if reply.status == 202 {
                    accepted.push(id);
                    continue;
                }
                assert!(["rate_limited", "in_flight_full"].contains(&reply.code()), "{}", reply.body);
                assert_eq!(reply.status, 429);
                let wait: u64 = reply.header("retry-after").parse().unwrap();
                assert!((1..=2).contains(&wait), "{wait}");
                refused.push((id, reply.code().to_owned()));
            }
        }
        assert_eq!(bob.submit(&new_id(), "ledger_read", read.clone()).await.status, 202, "no other user is charged");
        for (id, _) in &refused {
            assert_eq!(alice.look(id).await.verdict(), (404, "not_found"), "nothing is stored");
        }
        let (late, began) = (&refused[0].0, Instant::now());
        loop {
            let reply = alice.submit(late, "ledger_read", read.clone()).await;
            if reply.status == 202 {
                break;
            }
            assert_eq!(reply.status, 429, "{}", reply.body);
            assert!(began.elapsed() < WAIT_LIMIT, "the service does not recover");
            wait_retry_after(&reply).await;
        }
        for id in accepted.iter().chain([late]) {
            assert_eq!(alice.until_over(id).await["status"], "succeeded");
        }
    });
}
