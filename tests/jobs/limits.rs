//! Invariant 11, *bounded*: rate, open jobs, deadlines, attempts.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use domain::limits::{Rate, admission::Limits};
use integration_tests::{App, Fault, Setup, faults::reads_items};
use platform::runtime::Clock;
use serde_json::json;

async fn strict() -> App {
    App::with(Setup {
        edge: |edge| {
            edge.limits = Limits {
                submissions: Rate::new(Duration::from_secs(2), 3),
                in_flight: 4,
                in_flight_long: 2,
                conversations: 100,
            }
        },
        ..Setup::default()
    })
    .await
}

#[tokio::test]
async fn over_the_rate_is_429_with_the_exact_wait_and_a_replay_costs_nothing() {
    let mut app = strict().await;
    let (alice, bob) = (app.login("alice").await, app.login("bob").await);
    let first = app.submit(&alice, "ledger_read", json!({})).await;
    for _ in 0..10 {
        assert_eq!(alice.submit(&first, "ledger_read", json!({})).await.status, 200);
    }
    for _ in 0..2 {
        assert_eq!(alice.submit(&app.new_id(), "ledger_read", json!({})).await.status, 202);
    }
    let refused = app.new_id();
    let reply = alice.submit(&refused, "ledger_read", json!({})).await;
    assert_eq!(reply.verdict(), (429, "rate_limited"));
    let wait: u64 = reply.header("retry-after").parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    assert_eq!(alice.get(&format!("/v1/jobs/{refused}")).await.status, 404, "nothing is stored");
    assert_eq!(bob.submit(&app.new_id(), "ledger_read", json!({})).await.status, 202, "no other user is charged");
    app.advance(Duration::from_secs(wait)).await;
    assert_eq!(alice.submit(&refused, "ledger_read", json!({})).await.status, 202, "waiting as told is enough");
}

#[tokio::test]
async fn a_submission_whose_charge_lost_its_response_is_charged_once() {
    let app = three_at_once().await;
    let alice = app.login("alice").await;
    assert_eq!(alice.submit(&app.new_id(), "ledger_read", json!({})).await.status, 202);
    lose_the_second_charge(&app);
    assert_eq!(alice.submit(&app.new_id(), "ledger_read", json!({})).await.status, 202);
    app.faults.none();
    assert_eq!(alice.submit(&app.new_id(), "ledger_read", json!({})).await.status, 202, "the third of three");
    assert_eq!(alice.submit(&app.new_id(), "ledger_read", json!({})).await.verdict(), (429, "rate_limited"));
}

#[tokio::test]
async fn a_refusal_and_a_login_whose_charge_lost_its_response_are_charged_once() {
    let app = three_at_once().await;
    let alice = app.login("alice").await;
    app.mode(domain::access::service_mode::Mode::Closed).await;
    let closed = async || alice.submit(&app.new_id(), "ledger_read", json!({})).await.code().to_owned();
    assert_eq!(closed().await, "mode_closed");
    lose_the_second_charge(&app);
    assert_eq!(closed().await, "mode_closed");
    app.faults.none();
    assert_eq!([closed().await, closed().await], ["mode_closed", "rate_limited"]);
    // The session above was the first login of three.
    lose_the_second_charge(&app);
    assert_eq!(app.log_in_with("made-up").await.status, 401);
    app.faults.none();
    assert_eq!(app.log_in_with("made-up").await.status, 401, "the third of three");
    assert_eq!(app.log_in_with("made-up").await.verdict(), (429, "rate_limited"));
}

/// Three submissions and three logins at once, and the next one twenty seconds later.
async fn three_at_once() -> App {
    App::with(Setup {
        edge: |edge| {
            edge.limits.submissions = Rate::new(Duration::from_secs(20), 3);
            edge.login_rate = Rate::new(Duration::from_secs(20), 3);
        },
        ..Setup::default()
    })
    .await
}

/// The next charge is refused at first, since something has arrived ahead of now; the answer to the second update,
/// which charges within the burst, is lost, and the SDK sends it again.
fn lose_the_second_charge(app: &App) {
    let updates = AtomicUsize::new(0);
    app.faults.plan_items(move |operation, sk| {
        let charge = operation == "UpdateItem" && sk == "USER";
        (charge && updates.fetch_add(1, Ordering::SeqCst) == 1).then_some(Fault::LostAfter)
    });
}

#[tokio::test]
async fn what_is_refused_is_charged_like_what_is_accepted_and_a_replay_is_not() {
    let app = strict().await;
    let ago = app.clock.now().minus(Duration::from_secs(60)).to_string();
    let read = |fields: serde_json::Value| {
        let mut body = json!({"tool":"ledger_read","arguments":{}});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    };
    let good = read(json!({}));
    for (user, body, verdict) in [
        ("arguments", read(json!({"arguments":{"limit":"many"}})), (422, "arguments_invalid")),
        ("a-later-step", json!({"steps":[good, read(json!({"arguments":{"limit":"x"}}))]}), (422, "arguments_invalid")),
        ("not_after", read(json!({"not_after": ago})), (422, "not_after_invalid")),
        ("deadline", read(json!({"deadline": ago})), (422, "deadline_invalid")),
        ("an-unknown-tool", json!({"tool":"exec","arguments":{}}), (403, "tool_unknown")),
    ] {
        let alice = app.login(user).await;
        let known = app.new_id();
        assert_eq!(alice.submit_body(&known, &good).await.status, 202, "{user}");
        for _ in 0..2 {
            assert_eq!(alice.submit_body(&app.new_id(), &body).await.verdict(), verdict, "{user}");
        }
        assert_eq!(alice.submit_body(&app.new_id(), &body).await.verdict(), (429, "rate_limited"), "{user}");
        for _ in 0..5 {
            assert_eq!(alice.submit_body(&known, &good).await.status, 200, "{user}: a replay costs nothing");
        }
        assert_eq!(alice.submit_body(&known, &body).await.verdict(), (422, "idempotency_key_reused"), "{user}");
    }
}

#[tokio::test]
async fn too_many_open_jobs_are_429_until_one_ends() {
    let mut app = strict().await;
    let alice = app.login("alice").await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        let id = app.submit(&alice, "ledger_read", json!({})).await;
        app.advance(Duration::from_secs(5)).await;
        ids.push(id);
    }
    let late = app.new_id();
    assert_eq!(alice.submit(&late, "ledger_read", json!({})).await.verdict(), (429, "in_flight_full"));
    assert_eq!(alice.get(&format!("/v1/jobs/{late}")).await.status, 404, "nothing is stored");
    assert_eq!(alice.submit(&ids[0], "ledger_read", json!({})).await.status, 200, "a replay is no new job");
    app.finish(&alice, &ids[0]).await;
    app.advance(Duration::from_secs(5)).await;
    assert_eq!(alice.submit(&late, "ledger_read", json!({})).await.status, 202);
}

#[tokio::test]
async fn a_crash_between_charge_and_job_does_not_lose_the_place_for_ever() {
    let mut app = strict().await;
    let alice = app.login("alice").await;
    for _ in 0..4 {
        // The user is charged, and the process dies before the job is recorded: at one of two puts that go together.
        let dead = AtomicBool::new(false);
        app.faults.plan(move |operation, _| {
            (operation == "PutItem" && !dead.swap(true, Ordering::SeqCst)).then_some(Fault::KilledBefore)
        });
        let id = app.new_id();
        tokio::select! {
            reply = alice.submit(&id, "ledger_read", json!({})) => panic!("{}", reply.body),
            () = app.faults.killed() => {}
        }
        app.faults.none();
        app.advance(Duration::from_secs(5)).await;
    }
    // Their jobs may still be being recorded; after a minute none of these four can be.
    assert_eq!(alice.submit(&app.new_id(), "ledger_read", json!({})).await.verdict(), (429, "in_flight_full"));
    app.advance(Duration::from_secs(60)).await;
    assert_eq!(alice.submit(&app.new_id(), "ledger_read", json!({})).await.status, 202);
}

#[tokio::test]
async fn sixteen_that_race_get_no_more_than_the_burst() {
    let app = strict().await;
    let alice = app.login("alice").await;
    // All of them reach the user item before any of them is charged.
    app.faults.plan(|_, _| Some(Fault::Late));
    let submissions: Vec<_> = (0..16)
        .map(|_| {
            let (alice, id) = (alice.clone(), app.new_id());
            tokio::spawn(async move { alice.submit(&id, "ledger_read", json!({})).await.status.as_u16() })
        })
        .collect();
    let mut passed = 0;
    for submission in submissions {
        match submission.await.unwrap() {
            202 => passed += 1,
            status => assert_eq!(status, 429),
        }
    }
    app.faults.none();
    assert!((1..=3).contains(&passed), "{passed}");
}

#[tokio::test]
async fn a_job_that_could_not_start_in_time_expires_and_sent_nothing() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.new_id();
    let not_after = platform::runtime::Clock::now(&app.clock).plus(Duration::from_secs(30)).to_string();
    let body = json!({"tool":"ledger_append","arguments":{"note":"n"},"not_after":not_after});
    assert_eq!(alice.submit_body(&id, &body).await.status, 202);
    app.advance(Duration::from_secs(31)).await;
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], &job["effect"], app.effects(&id)), (&json!("expired"), &json!("not_run"), 0));
}

#[tokio::test]
async fn a_worker_that_dies_each_time_before_sending_uses_its_attempts_up() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.new_id();
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    for _ in 0..5 {
        // Reads the job, claims it, dies.
        app.faults.plan(|operation, n| (reads_items(operation) && n > 0).then_some(Fault::KilledBefore));
        while app.deliver().await {}
        app.faults.none();
        app.clock.advance(Duration::from_secs(61));
        app.wake(&alice, &id).await;
    }
    let job = app.finish(&alice, &id).await;
    assert_eq!(job["error"]["code"], "attempts_exhausted", "{job}");
    assert_eq!((&job["status"], &job["effect"], app.effects(&id)), (&json!("failed"), &json!("not_run"), 0));
}

#[tokio::test]
async fn a_worker_without_time_begins_nothing() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.new_id();
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    let messages = app.receive().await;
    let now = platform::runtime::Clock::now(&app.clock);
    for left in [Duration::ZERO, Duration::from_secs(5)] {
        let event = local::emulation::poller::event(&messages);
        let done = app.worker.handle_batch(event, now.plus(left)).await;
        assert_eq!(done.batch_item_failures.len(), 1, "{left:?}: it comes back");
    }
    assert_eq!((alice.job(&id).await["status"].as_str(), app.effects(&id)), (Some("queued"), 0));
    app.hand_over(&messages).await;
    assert_eq!(app.effects(&id), 1);
}

#[tokio::test]
async fn identical_requests_that_race_are_one_job_and_its_replays_whatever_the_rate() {
    let app = strict().await;
    let alice = app.login("alice").await;
    let id = app.new_id();
    let racing: Vec<_> = (0..20)
        .map(|_| {
            let (alice, id) = (alice.clone(), id.clone());
            tokio::spawn(async move { alice.submit(&id, "ledger_read", json!({})).await.status.as_u16() })
        })
        .collect();
    let mut accepted = 0;
    for one in racing {
        match one.await.unwrap() {
            202 => accepted += 1,
            // Before the job exists, a request over the rate can only get 429.
            status => assert!([200, 429].contains(&status), "{status}"),
        }
    }
    assert_eq!(accepted, 1);
    assert_eq!(alice.submit(&id, "ledger_read", json!({})).await.status, 200);
}

#[tokio::test]
async fn asking_again_and_again_with_a_full_set_meets_the_rate() {
    let mut app = strict().await;
    let alice = app.login("alice").await;
    for _ in 0..4 {
        assert_eq!(alice.submit(&app.new_id(), "ledger_read", json!({})).await.status, 202);
        app.advance(Duration::from_secs(5)).await;
    }
    let mut codes = Vec::new();
    for _ in 0..8 {
        codes.push(alice.submit(&app.new_id(), "ledger_read", json!({})).await.code().to_owned());
    }
    assert_eq!(codes[0], "in_flight_full");
    assert!(codes.contains(&"rate_limited".to_owned()), "{codes:?}");
}

#[tokio::test]
async fn a_wake_up_message_carries_its_user_as_message_group_so_that_a_flood_delays_only_that_user() {
    for fair in [true, false] {
        let fair_queue: fn(&mut platform::config::EdgeAuthConfig) =
            if fair { |edge| edge.queue.fair = true } else { |_| {} };
        let app = App::with(Setup { edge: fair_queue, ..Setup::default() }).await;
        let alice = app.login("alice").await;
        // The embedded queue refuses groups; only what is sent is checked here, and `sweep` would send the message
        // later.
        assert_eq!(alice.submit(&app.new_id(), "ledger_read", json!({})).await.status, 202);
        let expected = fair.then(|| alice.user_id.clone());
        assert_eq!(app.delays.groups().first(), Some(&expected), "fair: {fair}");
    }
}
