//! Flows without faults, and repeated requests.

use integration_tests::App;
use serde_json::json;

#[tokio::test]
async fn a_write_runs_once_and_its_result_comes_back() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.new_id();

    let accepted = alice.submit(&id, "ledger_append", json!({"note":"two coffees"})).await;
    assert_eq!(accepted.status, 202, "{}", accepted.body);
    assert_eq!(accepted.header("location"), format!("/v1/jobs/{id}"));
    assert_eq!(accepted.body["status"], "queued");

    let job = app.finish(&alice, &id).await;
    assert_eq!(job["status"], "succeeded");
    assert_eq!(job["result"]["details"]["written"], true, "{job}");
    assert_eq!(job["steps"], json!([{"kind":"call","tool":"ledger_append","step":0,"round":0,"outcome":"succeeded"}]));
    assert!(job.get("effect").is_none() && job.get("error").is_none() && job.get("next_poll_ms").is_none(), "{job}");
    assert_eq!(app.effects(&id), 1);
}

#[tokio::test]
async fn the_same_request_again_gets_the_stored_job_whatever_became_of_it() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.new_id();
    let body = json!({"tool":"ledger_append","arguments":{"note":"n"}});
    assert_eq!(alice.submit_body(&id, &body).await.status, 202);
    let replayed = alice.submit_body(&id, &body).await;
    assert_eq!((replayed.status.as_u16(), replayed.header("idempotent-replayed")), (200, "true"));
    app.finish(&alice, &id).await;
    let replayed = alice.submit_body(&id, &body).await;
    assert_eq!(replayed.body["status"], "succeeded");
    assert_eq!(replayed.body["result"]["details"]["written"], true);
    while app.deliver().await {}
    assert_eq!(app.effects(&id), 1);
}

#[tokio::test]
async fn a_request_id_names_one_request_in_every_spelling() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.new_id();
    let body = json!({"tool":"ledger_append","arguments":{"note":"n"},"sent_at":"2026-11-22T10:00:00Z"});
    assert_eq!(alice.submit_body(&id.to_uppercase(), &body).await.status, 202);
    let again = json!({"sent_at":1_795_341_600,"arguments":{"note":"n"},"tool":"ledger_append"});
    for spelling in [id.clone(), id.replace('-', ""), format!("\"{id}\""), format!("urn:uuid:{id}")] {
        assert_eq!(alice.submit_body(&spelling, &again).await.status, 200, "{spelling}");
    }
    assert_eq!(app.finish(&alice, &id).await["request_id"], id);
    assert_eq!(app.effects(&id), 1);
}

#[tokio::test]
async fn eight_at_once_are_one() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.new_id();
    let submissions = (0..8).map(|_| {
        let (alice, id) = (alice.clone(), id.clone());
        tokio::spawn(async move { alice.submit(&id, "ledger_append", json!({"note":"n"})).await })
    });
    let mut statuses = Vec::new();
    for submission in submissions.collect::<Vec<_>>() {
        statuses.push(submission.await.unwrap().status.as_u16());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 202).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 202].contains(status)), "{statuses:?}");
    app.finish(&alice, &id).await;
    assert_eq!(app.effects(&id), 1);
}

#[tokio::test]
async fn eight_wake_up_messages_at_once_run_it_once() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    for _ in 0..7 {
        app.wake(&alice, &id).await;
    }
    while app.deliver().await {}
    let job = app.finish(&alice, &id).await;
    assert_eq!(job["status"], "succeeded");
    assert_eq!(app.effects(&id), 1);
}

#[tokio::test]
async fn a_read_runs_and_tells_what_was_written() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"first"})).await;
    let job = app.run(&alice, "ledger_read", json!({})).await;
    assert_eq!(job["status"], "succeeded");
    assert!(job["result"].to_string().contains("first"), "{job}");
}

#[tokio::test]
async fn a_tool_that_fails_says_so_and_whether_a_new_request_is_safe() {
    let (mut app, alice) = App::start_with("alice").await;
    for kind in ["throw", "input", "result"] {
        let job = app.run(&alice, "ledger_fail", json!({"kind":kind})).await;
        assert_eq!(job["status"], "failed", "{kind}: {job}");
        assert_eq!(job["effect"], "ran", "{kind}: {job}");
        assert_eq!(job["error"]["code"], "tool_failed", "{kind}: {job}");
        let id = job["request_id"].as_str().unwrap().to_owned();
        assert_eq!(app.effects(&id), 1, "{kind}");
        assert!(!job.to_string().contains("secret"), "what the tool threw stays inside: {job}");
    }
}

#[tokio::test]
async fn a_slow_tool_costs_the_worker_no_waiting() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.submit(&alice, "ledger_sleep", json!({"ms":2500})).await;
    let began = std::time::Instant::now();
    app.deliver().await;
    assert!(began.elapsed().as_millis() < 2000, "{:?}", began.elapsed());
    assert_eq!(alice.job(&id).await["status"], "running");
    assert_eq!(app.inspect().stored(&alice, &id).await.state, domain::job::JobState::Waiting);
    app.has_written(&id, 2).await;
    assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
    assert_eq!(app.effects(&id), 2, "one line at its start and one at its end");
    assert_eq!(app.inspect().stored(&alice, &id).await.steps[0].attempts, 1, "returns from waiting are no attempts");
}

#[tokio::test]
async fn a_large_result_is_returned_and_one_over_the_cap_is_reported_as_omitted() {
    let (mut app, alice) = App::start_with("alice").await;
    for _ in 0..8 {
        app.run(&alice, "ledger_append", json!({"note":"x".repeat(1900)})).await;
    }
    let job = app.run(&alice, "ledger_read", json!({})).await;
    let stored = job["result"].to_string();
    assert!(stored.len() > 16_000, "{}", stored.len());
    for _ in 0..24 {
        app.advance(std::time::Duration::from_secs(10)).await;
        app.run(&alice, "ledger_append", json!({"note":"x".repeat(1900)})).await;
    }
    let job = app.run(&alice, "ledger_read", json!({})).await;
    assert_eq!((&job["status"], &job["result"]), (&json!("succeeded"), &json!({"omitted":"too_large"})));
}

#[tokio::test]
async fn users_do_not_see_each_other() {
    let mut app = App::start().await;
    let (alice, bob) = (app.login("alice").await, app.login("bob").await);
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    for path in [format!("/v1/jobs/{id}"), format!("/v1/jobs/{id}/audit")] {
        assert_eq!(bob.get(&path).await.verdict(), (404, "not_found"), "{path}");
    }
    assert_eq!(bob.cancel(&id).await.verdict(), (404, "not_found"));
    assert_eq!(bob.get("/v1/jobs").await.body["jobs"], json!([]));
    // The same id is another job for another user.
    assert_eq!(bob.submit(&id, "ledger_read", json!({})).await.status, 202);
    assert_eq!(app.finish(&alice, &id).await["steps"][0]["tool"], "ledger_append");
    assert_eq!(app.finish(&bob, &id).await["steps"][0]["tool"], "ledger_read");
}

#[tokio::test]
async fn a_job_of_a_ulid_is_found_again_by_the_id_that_the_service_made_of_it() {
    let (mut app, alice) = App::start_with("alice").await;
    let uuid: uuid::Uuid = app.new_id().parse().unwrap();
    let mut bits = uuid.as_u128();
    let mut ulid = String::new();
    for _ in 0..26 {
        ulid.insert(0, char::from(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"[usize::try_from(bits & 31).unwrap()]));
        bits >>= 5;
    }
    // Another version than 7, as most ULIDs have.
    ulid.replace_range(10..11, "1");
    let accepted = alice.submit(&ulid, "ledger_append", json!({"note":"n"})).await;
    assert_eq!(accepted.status, 202, "{}", accepted.body);
    let id = accepted.body["request_id"].as_str().unwrap().to_owned();
    for spelling in [&id, &ulid, &ulid.to_lowercase()] {
        assert_eq!(alice.submit(spelling, "ledger_append", json!({"note":"n"})).await.status, 200, "{spelling}");
    }
    app.finish(&alice, &id).await;
    assert_eq!(app.effects(&id), 1);
}
