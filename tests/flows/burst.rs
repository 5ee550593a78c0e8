//! Concurrent submissions.

use serde_json::json;

use crate::{
    caller::{Caller, new_id},
    target::flow,
};

const USERS: usize = 6;
const JOBS_EACH: usize = 10;

#[test]
fn of_sixty_jobs_of_six_users_none_is_lost_and_none_runs_twice() {
    flow(async |target| {
        let mut jobs = Vec::new();
        for user in 0..USERS {
            let caller = Caller::log_in(target, &format!("burst-{user}")).await;
            for _ in 0..JOBS_EACH {
                let caller = caller.clone();
                jobs.push(tokio::spawn(async move {
                    let id = new_id();
                    let reply = caller.submit(&id, "ledger_append", json!({"note":"n"})).await;
                    // 200 where an earlier answer to it was lost on the way.
                    assert!([200, 202].contains(&reply.status.as_u16()), "{}", reply.body);
                    (caller.until_over(&id).await["status"].clone(), id)
                }));
            }
        }
        let mut ids = Vec::new();
        for job in jobs {
            let (status, id) = job.await.unwrap();
            assert_eq!(status, "succeeded", "{id}");
            ids.push(id);
        }
        assert_eq!(ids.len(), USERS * JOBS_EACH);
        let ledger = target.ledger().await;
        for id in &ids {
            assert_eq!(ledger.of(id), ["append"], "{id}");
        }
    });
}
