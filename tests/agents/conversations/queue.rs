use domain::{conversation::QUEUED_AT_MOST, job::JobState, policy::Policy};
use integration_tests::{App, Client, Fault};
use serde_json::json;

use super::{kept, queued, unlimited};
use crate::workflows::{note, say_in, steps, two_agents};

async fn says(app: &App, client: &Client, name: &str) -> String {
    let id = app.new_id();
    let reply = client.submit_body(&id, &say_in(name, "hello")).await;
    assert_eq!(reply.status, 202, "{}", reply.body);
    id
}

#[tokio::test]
async fn jobs_stand_in_line_in_the_order_in_which_they_were_accepted() {
    let app = unlimited().await;
    let alice = app.login("alice").await;
    let mut expected = Vec::new();
    for n in 0..4 {
        expected.push(says(&app, &alice, "trip").await);
        says(&app, &alice, "other").await;
        if n == 2 {
            let id = app.new_id();
            let workflow = steps(&[note("a"), say_in("trip", "b"), say_in("trip", "c")]);
            assert_eq!(alice.submit_body(&id, &workflow).await.status, 202);
            expected.push(id);
        }
    }
    assert_eq!(queued(&app, &alice, "trip").await, expected);
    assert_eq!(kept(&app, &alice, "trip").await.unwrap().jobs, 5);
    for id in &expected {
        assert_eq!(alice.submit_body(id, &say_in("trip", "hello")).await.status.is_success(), *id != expected[3]);
    }
    assert_eq!(queued(&app, &alice, "trip").await, expected, "a replay takes no place");
}

#[tokio::test]
async fn a_conversation_stays_with_the_agent_that_it_began_with() {
    let mut app = unlimited().await;
    app.new_edge(Some(Policy::parse(&two_agents()).unwrap()));
    let alice = app.login("alice").await;
    let id = says(&app, &alice, "trip").await;
    let other = json!({"message":"hello","agent":"other","conversation":"trip"});
    let refused = app.new_id();
    assert_eq!(alice.submit_body(&refused, &other).await.verdict(), (409, "conversation_other_agent"));
    let inside = steps(&[note("a"), other.clone()]);
    assert_eq!(alice.submit_body(&refused, &inside).await.verdict(), (409, "conversation_other_agent"));
    assert_eq!(alice.get(&format!("/v1/jobs/{refused}")).await.status, 404, "nothing is recorded");
    assert_eq!(queued(&app, &alice, "trip").await, [id]);
    let user = app.inspect().table().user(alice.user_id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(user.in_flight_long.len(), 1, "and no place is taken");
}

#[tokio::test]
async fn a_conversation_queue_is_full_until_a_job_leaves_it() {
    let app = unlimited().await;
    let alice = app.login("alice").await;
    let mut ids = Vec::new();
    for _ in 0..QUEUED_AT_MOST {
        ids.push(says(&app, &alice, "trip").await);
    }
    let late = app.new_id();
    let refused = alice.submit_body(&late, &say_in("trip", "late")).await;
    assert_eq!(refused.verdict(), (429, "conversation_full"));
    assert_eq!(refused.header("retry-after"), "5");
    assert_eq!(alice.get(&format!("/v1/jobs/{late}")).await.status, 404, "nothing is recorded");
    assert_eq!(alice.submit_body(&ids[9], &say_in("trip", "hello")).await.status, 200, "a replay is no new job");
    says(&app, &alice, "other").await;
    assert_eq!(alice.cancel(&ids[3]).await.status, 200);
    assert_eq!(queued(&app, &alice, "trip").await.len(), QUEUED_AT_MOST - 1);
    assert_eq!(alice.submit_body(&late, &say_in("trip", "late")).await.status, 202);
    assert_eq!(queued(&app, &alice, "trip").await.last(), Some(&late));
}

/// A worker, or edge-auth, may die between the end of a job and its removal from the queue.
#[tokio::test]
async fn a_queue_full_of_finished_jobs_is_pruned() {
    let app = unlimited().await;
    let alice = app.login("alice").await;
    let mut ids = Vec::new();
    for _ in 0..QUEUED_AT_MOST {
        ids.push(says(&app, &alice, "trip").await);
    }
    app.faults
        .plan_items(|operation, sk| (operation == "PutItem" && sk.starts_with("C#")).then_some(Fault::LostBefore));
    for id in &ids[..3] {
        assert_eq!(alice.cancel(id).await.status, 200, "a queue that was not updated blocks no cancel");
    }
    app.faults.none();
    assert_eq!(queued(&app, &alice, "trip").await.len(), QUEUED_AT_MOST);
    says(&app, &alice, "trip").await;
    assert_eq!(queued(&app, &alice, "trip").await.len(), QUEUED_AT_MOST - 2);
}

#[tokio::test]
async fn a_job_is_accepted_also_when_the_line_cannot_be_written() {
    let app = unlimited().await;
    let alice = app.login("alice").await;
    app.faults
        .plan_items(|operation, sk| (operation == "PutItem" && sk.starts_with("C#")).then_some(Fault::LostBefore));
    let id = says(&app, &alice, "trip").await;
    app.faults.none();
    assert!(kept(&app, &alice, "trip").await.is_none());
    assert_eq!(alice.job(&id).await["status"], "queued");
    assert_eq!(app.receive().await.len(), 1, "it is woken, and its worker puts it into the queue");
}

#[tokio::test]
async fn the_next_job_is_woken_when_the_first_ends_without_a_worker() {
    let app = unlimited().await;
    let alice = app.login("alice").await;
    let ids = [says(&app, &alice, "trip").await, says(&app, &alice, "trip").await];
    // The second job has been rescheduled, because it is not first.
    let sleeping = app.inspect().stored(&alice, &ids[1]).await;
    let now = platform::runtime::Clock::now(&app.clock);
    let lease = domain::job::Lease { owner: "w".into(), expires_at: now.plus(std::time::Duration::from_secs(60)) };
    let claimed = sleeping.apply(domain::job::JobEvent::Claimed { lease }, now).unwrap();
    let check_at = now.plus(std::time::Duration::from_secs(15));
    let attempt = domain::job::Attempt::NotStarted;
    let asleep = claimed.apply(domain::job::JobEvent::Rescheduled { check_at, attempt }, now).unwrap();
    app.inspect().table().commit(&sleeping, &asleep, "test").await.unwrap();
    drop(app.receive().await);
    assert_eq!(alice.cancel(&ids[0]).await.status, 200);
    let woken = app.inspect().stored(&alice, &ids[1]).await;
    assert_eq!((woken.state, woken.claimable(platform::runtime::Clock::now(&app.clock))), (JobState::Retrying, true));
    let wake_ups = app.receive().await;
    assert!(wake_ups.iter().any(|wake_up| wake_up.body().is_some_and(|body| body.contains(&ids[1]))), "{wake_ups:?}");
    assert_eq!(queued(&app, &alice, "trip").await, [ids[1].clone()]);
}

#[tokio::test]
async fn a_rejection_wakes_the_next_job_of_the_conversation() {
    let app = unlimited().await;
    let alice = app.login("alice").await;
    let pay = json!({"tool":"ledger_pay","arguments":{"amount":120,"note":"n"}});
    let first = app.new_id();
    assert_eq!(alice.submit_body(&first, &steps(&[pay, say_in("trip", "paid")])).await.status, 202);
    let second = says(&app, &alice, "trip").await;
    drop(app.receive().await);
    assert_eq!(alice.reject(&first).await.status, 200);
    assert_eq!(queued(&app, &alice, "trip").await, std::slice::from_ref(&second));
    let wake_ups = app.receive().await;
    assert!(wake_ups.iter().any(|wake_up| wake_up.body().is_some_and(|body| body.contains(&second))), "{wake_ups:?}");
}
