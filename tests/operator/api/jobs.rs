//! Jobs by state, one job, and unknown jobs that an operator resolves.

use std::time::Duration;

use integration_tests::{App, OperatorClient};
use serde_json::{Value, json};

use super::{dear, list, told, unknown};

/// Every entry of a list, page by page.
async fn all(operator: &OperatorClient, path: &str, name: &str) -> Vec<Value> {
    let (mut found, mut next) = (Vec::new(), String::new());
    for _ in 0..100 {
        let joint = if path.contains('?') { '&' } else { '?' };
        let reply = operator.get(&format!("{path}{joint}limit=2{next}")).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let page = list(&reply.body, name);
        assert!(page.len() <= 2);
        found.extend(page.clone());
        match reply.body["next_cursor"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => return found,
        }
    }
    panic!("the list does not end");
}

fn ids(entries: &[Value]) -> Vec<String> {
    entries.iter().map(|entry| entry["request_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn jobs_are_found_by_their_state_page_by_page() {
    let mut app = App::start().await;
    let (alice, zhang) = (app.login("alice").await, app.operator("zhang", &["viewer"]));
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(dear(&app, &alice).await);
        app.clock.advance(Duration::from_secs(1));
    }
    let mut queued = Vec::new();
    for _ in 0..3 {
        let id = app.submit(&alice, "ledger_read", json!({})).await;
        queued.push(id);
    }
    let found = ids(&all(&zhang, "/jobs?state=awaiting_approval", "jobs").await);
    assert_eq!(found, waiting, "the one that lapses soonest first");
    let questions = ids(&all(&zhang, "/approvals", "approvals").await);
    assert_eq!(questions, waiting);
    let mut found = ids(&all(&zhang, "/jobs?state=queued", "jobs").await);
    found.sort();
    queued.sort();
    assert_eq!(found, queued);
    for id in &waiting {
        assert_eq!(alice.cancel(id).await.status, 200);
    }
    assert!(all(&zhang, "/jobs?state=awaiting_approval", "jobs").await.is_empty(), "stale pointers are not shown");
    assert!(all(&zhang, "/approvals", "approvals").await.is_empty());
    let mut failed = Vec::new();
    for kind in ["throw", "throw", "throw"] {
        let job = app.run(&alice, "ledger_fail", json!({"kind": kind})).await;
        failed.insert(0, job["request_id"].as_str().unwrap().to_owned());
        app.clock.advance(Duration::from_secs(1));
    }
    let entries = all(&zhang, "/jobs?state=failed", "jobs").await;
    assert_eq!(ids(&entries), failed, "the newest first");
    let entry = &entries[0];
    assert_eq!(
        (&entry["status"], &entry["tool"], &entry["error"]),
        (&json!("failed"), &json!("ledger_fail"), &json!("tool_failed"))
    );
    assert_eq!((&entry["user_id"], entry["age_s"].is_u64()), (&json!(alice.user_id), true));
    assert!(all(&zhang, "/jobs?state=running", "jobs").await.is_empty());
}

#[tokio::test]
async fn a_users_jobs_are_theirs_alone_and_a_cursor_is_of_its_list() {
    let mut app = App::start().await;
    let zhang = app.operator("zhang", &["viewer"]);
    let (alice, bob) = (app.login("alice").await, app.login("bob").await);
    let mut hers = Vec::new();
    for _ in 0..3 {
        let job = app.run(&alice, "ledger_read", json!({})).await;
        hers.insert(0, job["request_id"].as_str().unwrap().to_owned());
        app.clock.advance(Duration::from_secs(1));
    }
    app.run(&bob, "ledger_read", json!({})).await;
    let path = format!("/users/{}/jobs", alice.user_id);
    assert_eq!(ids(&all(&zhang, &path, "jobs").await), hers);
    let cursor = zhang.get(&format!("{path}?limit=1")).await.body["next_cursor"].as_str().unwrap().to_owned();
    for other in [
        format!("/users/{}/jobs?cursor={cursor}", bob.user_id),
        format!("/jobs?state=failed&cursor={cursor}"),
        format!("/approvals?cursor={cursor}"),
        format!("/audit?cursor={cursor}"),
        format!("/checkpoints?cursor={cursor}"),
        format!("{path}?cursor={}", &cursor[1..]),
        format!("{path}?cursor=x"),
        format!("{path}?cursor=%00"),
    ] {
        assert_eq!(zhang.get(&other).await.verdict(), (400, "cursor_invalid"), "{other}");
    }
    assert_eq!(
        zhang.get(&format!("{path}?cursor={cursor}&cursor={cursor}")).await.verdict(),
        (400, "parameter_invalid")
    );
}

#[tokio::test]
async fn an_invalid_state_or_limit_is_refused() {
    let app = App::start().await;
    let zhang = app.operator("zhang", &["viewer"]);
    for query in [
        "",
        "?state=",
        "?state=done",
        "?state=succeeded",
        "?state=waiting",
        "?state=Unknown",
        "?state=failed&state=failed",
        "?state=failed&limit=0",
        "?state=failed&limit=101",
        "?state=failed&limit=99999999999999999999",
        "?state=failed&limit=-1",
        "?state=STATE%23failed",
    ] {
        let reply = zhang.get(&format!("/jobs{query}")).await;
        assert_eq!(reply.verdict(), (400, "parameter_invalid"), "{query}: {}", reply.body);
    }
    assert_eq!(zhang.get("/jobs?state=failed&limit=100").await.status, 200);
}

#[tokio::test]
async fn one_job_is_shown_with_its_chain_as_it_is_stored() {
    let mut app = App::start().await;
    let (alice, zhang) = (app.login("alice").await, app.operator("zhang", &["viewer"]));
    let job = app.run(&alice, "ledger_append", json!({"note": "<script>alert(1)</script>"})).await;
    let code = job["support_code"].as_str().unwrap();
    let shown = zhang.get(&format!("/jobs/{code}")).await;
    assert_eq!((&shown.body["job"], &shown.body["user_id"]), (&json!(code), &json!(alice.user_id)));
    assert_eq!(shown.body["view"]["status"], "succeeded");
    let hers = alice.get(&format!("/v1/jobs/{}/audit", job["request_id"].as_str().unwrap())).await.body;
    assert_eq!((&shown.body["audit"]["records"], &shown.body["audit"]["head"]), (&hers["records"], &hers["head"]));
    assert!(shown.body["audit"].get("digest_key").is_none(), "what opens digests of arguments is the user's");
    for nowhere in ["x", &"A".repeat(43), &code[..42], &format!("{code}A"), "..", "%2e%2e"] {
        let verdict = zhang.get(&format!("/jobs/{nowhere}")).await;
        assert_eq!(verdict.verdict(), (404, "not_found"), "{nowhere}");
    }
}

#[tokio::test]
async fn an_unknown_job_is_resolved_once_and_never_sent_again() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note": "warm"})).await;
    let (job, id) = unknown(&mut app, &alice).await;
    let (zhang, alice) = (app.operator("zhang", &["admin"]), app.login("alice").await);
    assert_eq!(ids(&all(&zhang, "/jobs?state=unknown", "jobs").await), std::slice::from_ref(&id));
    let path = format!("/jobs/{job}/resolution");
    for bad in [
        json!({"happened": true}),
        json!({"happened": "yes", "note": "n"}),
        json!({"happened": true, "note": ""}),
        json!({"happened": true, "note": "x".repeat(201)}),
        json!({"happened": true, "note": "n", "resend": true}),
    ] {
        assert_eq!(zhang.post(&path, bad.clone()).await.verdict(), (400, "body_invalid"), "{bad}");
    }
    let body = json!({"happened": true, "note": "seen in the ledger"});
    let reply = zhang.post(&path, body.clone()).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(zhang.post(&path, body).await.status, 200, "a repetition is the first answer");
    let other = zhang.post(&path, json!({"happened": false, "note": "not seen"})).await;
    assert_eq!(other.verdict(), (409, "already_resolved"));
    assert_eq!(told(&zhang).await.iter().filter(|event| *event == "job_resolved").count(), 1);
    let seen = alice.job(&id).await;
    assert_eq!((&seen["status"], &seen["effect"]), (&json!("unknown"), &json!("unknown")), "one answer");
    assert_eq!(seen["resolution"]["by"], "operator");
    assert_eq!(
        (&seen["resolution"]["happened"], &seen["resolution"]["note"]),
        (&json!(true), &json!("seen in the ledger"))
    );
    let chain = alice.get(&format!("/v1/jobs/{id}/audit")).await.body;
    let last = list(&chain, "records").last().unwrap().clone();
    assert_eq!(
        (&last["event"], &last["actor"], &last["by"]),
        (&json!("resolved"), &json!("operator"), &json!("operator"))
    );
    assert!(last["note_digest"].is_string() && !last.to_string().contains("seen in"), "{last}");
    // The gateway is up again: it is not asked, and nothing is sent.
    app.gateway().restart().await;
    app.advance(Duration::from_secs(7200)).await;
    for _ in 0..3 {
        app.sweep().await;
        while app.deliver().await {}
    }
    assert_eq!(app.effects(&id), 1, "once, before its answer was lost");
    let zhang = app.operator("zhang", &["viewer"]);
    let entry = all(&zhang, "/jobs?state=unknown", "jobs").await[0].clone();
    assert_eq!(entry["resolution"]["happened"], true);
}

#[tokio::test]
async fn what_is_not_unknown_is_not_resolved() {
    let mut app = App::start().await;
    let (alice, zhang) = (app.login("alice").await, app.operator("zhang", &["admin"]));
    let over = app.run(&alice, "ledger_append", json!({"note": "n"})).await;
    let open = dear(&app, &alice).await;
    for job in [over["support_code"].as_str().unwrap(), &super::code(&alice, &open).await] {
        let reply = zhang.post(&format!("/jobs/{job}/resolution"), json!({"happened": false, "note": "no"})).await;
        assert_eq!(reply.verdict(), (409, "job_not_unknown"), "{}", reply.body);
    }
    assert!(!told(&zhang).await.contains(&"job_resolved".to_owned()));
}

#[tokio::test]
async fn of_an_operator_and_the_journal_at_once_one_resolves_it() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note": "warm"})).await;
    let (job, id) = unknown(&mut app, &alice).await;
    app.gateway().restart().await;
    app.advance(Duration::from_secs(3600)).await;
    app.sweep().await;
    let zhang = app.operator("zhang", &["admin"]);
    let path = format!("/jobs/{job}/resolution");
    let body = json!({"happened": false, "note": "not seen"});
    let (reply, _) = tokio::join!(zhang.post(&path, body), async { app.deliver().await });
    let alice = app.login("alice").await;
    let resolution = alice.job(&id).await["resolution"].clone();
    match reply.verdict() {
        (200, _) => assert_eq!(resolution["by"], "operator"),
        verdict => {
            assert_eq!(verdict, (409, "already_resolved"));
            assert_eq!((&resolution["by"], &resolution["happened"]), (&json!("journal"), &json!(true)));
        }
    }
}
