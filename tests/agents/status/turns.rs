//! A turn as clients see it: progress, proposals, reply.

use std::time::Duration;

use domain::policy::{Policy, PolicyFiles};
use integration_tests::{App, Client, Contract, Reply};
use serde_json::{Value, json};

use crate::{turns::roomy, workflows::say};

/// The policy of the repository, with a read whose arguments may be seen.
fn with_a_public_read() -> Policy {
    let entry = "name = \"ledger_read\"\n";
    let files = PolicyFiles::built_in().replacing("tools.toml", entry, &format!("{entry}public = true\n"));
    Policy::parse(&files.unwrap()).unwrap()
}

async fn look(client: &Client, id: &str) -> Reply {
    let reply = client.get(&format!("/v1/jobs/{id}")).await;
    Contract::of_the_checkout().check("GET", "/v1/jobs/{request_id}", &reply);
    reply
}

/// Polls, as the worker's own polls become due, until the agent is seen to have called so many tools.
pub(crate) async fn until_seen(app: &mut App, client: &Client, id: &str, calls: usize) -> Reply {
    for _ in 0..60 {
        while app.deliver().await {}
        let reply = look(client, id).await;
        let progress = reply.body["steps"][0]["progress"].as_array().cloned().unwrap_or_default();
        if progress.iter().filter(|one| one["doing"] == "tool").count() >= calls {
            return reply;
        }
        app.advance(Duration::from_secs(5)).await;
    }
    panic!("nothing is seen: {}", client.job(id).await);
}

#[tokio::test]
async fn what_an_agent_does_is_seen_while_it_does_it_but_not_with_what() {
    let mut app = App::with(roomy()).await;
    app.new_worker(Some(with_a_public_read()));
    let (alice, bob) = (app.login("alice").await, app.login("bob").await);
    let id = app.new_id();
    let script =
        "[[tool:ledger_read {\"limit\":3}]][[tool:ledger_append {\"note\":\"private words\"}]][[pause:5]][[say:done]]";
    assert_eq!(alice.submit_body(&id, &say(script)).await.status, 202);
    let seen = until_seen(&mut app, &alice, &id, 2).await;
    let turn = &seen.body["steps"][0];
    assert_eq!(
        (&seen.body["status"], &turn["kind"], &turn["agent"]),
        (&json!("running"), &json!("turn"), &json!("main"))
    );
    let calls: Vec<Value> =
        turn["progress"].as_array().unwrap().iter().filter(|one| one["doing"] == "tool").cloned().collect();
    let told = |call: &Value| [&call["tool"], &call["state"], &call["arguments"]].map(Clone::clone);
    assert_eq!(told(&calls[0]), [json!("ledger_read"), json!("done"), json!("{\"limit\":3}")], "{seen:?}");
    assert_eq!(told(&calls[1]), [json!("ledger_append"), json!("proposed"), Value::Null], "{seen:?}");
    assert!(!seen.body.to_string().contains("private words"), "{}", seen.body);
    let wait = seen.body["next_poll_ms"].as_u64().unwrap();
    assert!((1000..=5000).contains(&wait), "{wait}");
    let path = format!("/v1/jobs/{id}");
    let again = alice.send("GET", &path, &[("if-none-match", seen.header("etag"))], b"").await;
    assert_eq!((again.status.as_u16(), &again.body), (304, &Value::Null));
    assert!(!again.header("next-poll-ms").is_empty());
    for path in [path.clone(), format!("{path}/steps/0"), format!("{path}/audit")] {
        assert_eq!(bob.get(&path).await.verdict(), (404, "not_found"), "{path}");
    }
}

#[tokio::test]
async fn each_call_of_one_tool_is_seen_with_its_own_arguments() {
    let mut app = App::with(roomy()).await;
    app.new_worker(Some(with_a_public_read()));
    let alice = app.login("alice").await;
    let id = app.new_id();
    let script = "[[tool:ledger_read {\"limit\":1}]][[tool:ledger_read {\"limit\":9}]][[pause:5]][[say:done]]";
    assert_eq!(alice.submit_body(&id, &say(script)).await.status, 202);
    let seen = until_seen(&mut app, &alice, &id, 2).await;
    let progress = seen.body["steps"][0]["progress"].as_array().unwrap().iter();
    let shown: Vec<&Value> = progress.filter(|one| one["doing"] == "tool").map(|one| &one["arguments"]).collect();
    assert_eq!(shown, [&json!("{\"limit\":1}"), &json!("{\"limit\":9}")], "{seen:?}");
}

#[tokio::test]
async fn a_proposal_is_a_step_of_its_own_and_asks_as_what_it_is() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let id = app.new_id();
    let script = "[[tool:ledger_append {\"note\":\"two coffees\"}]][[say:I would note it]][[then]][[say:noted]]";
    assert_eq!(alice.submit_body(&id, &say(script)).await.status, 202);
    let asked = asked(&mut app, &alice, &id).await;
    let approval = &asked["approval"];
    assert_eq!(
        (&approval["place"], &approval["proposed"], &approval["derived"]),
        (&json!(1), &json!(true), &json!(true))
    );
    assert_eq!((&approval["approver"], &approval["arguments"]), (&json!("user"), &json!({"note": "two coffees"})));
    assert_eq!(asked["next_poll_ms"], 5000, "a person is slow");
    assert_eq!(kinds(&asked), ["turn -", "call proposed", "turn -"], "{asked}");
    assert_eq!(app.effects(&id), 0);
    assert_eq!(app.approve(&alice, "alice", &id).await.status, 200);
    let job = app.finish_in_real_time(&alice, &id, Duration::from_secs(30)).await;
    look(&alice, &id).await;
    let result = json!({"reply": "noted", "ai_generated": true});
    assert_eq!((&job["status"], &job["result"]), (&json!("succeeded"), &result), "{job}");
    assert_eq!(app.effects(&id), 1);
    let rounds: Vec<_> = job["steps"].as_array().unwrap().iter().map(|step| (&step["step"], &step["round"])).collect();
    assert_eq!(rounds, [(&json!(0), &json!(0)), (&json!(0), &json!(1)), (&json!(0), &json!(2))]);
    let mut results = Vec::new();
    for place in 0..3 {
        let step = alice.get(&format!("/v1/jobs/{id}/steps/{place}")).await;
        Contract::of_the_checkout().check("GET", "/v1/jobs/{request_id}/steps/{place}", &step);
        results.push(step.body.get("result").cloned());
    }
    assert!(results[1].as_ref().is_some_and(|result| result["content"].is_array()), "{results:?}");
    assert_eq!(results[2].as_ref(), job.get("result"));
    let chain = alice.get(&format!("/v1/jobs/{id}/audit")).await;
    Contract::of_the_checkout().check("GET", "/v1/jobs/{request_id}/audit", &chain);
}

/// Brings a turn to its approval request.
async fn asked(app: &mut App, client: &Client, id: &str) -> Value {
    for _ in 0..60 {
        while app.deliver().await {}
        let job = look(client, id).await.body;
        match job["status"].as_str() {
            Some("awaiting_approval") => return job,
            Some("queued" | "running" | "retrying") => app.advance(Duration::from_secs(5)).await,
            _ => panic!("it is over: {job}"),
        }
    }
    panic!("nothing is asked: {}", client.job(id).await);
}

fn kinds(job: &Value) -> Vec<String> {
    let steps = job["steps"].as_array().unwrap().iter();
    steps
        .map(|step| {
            let proposed = if step["proposed"] == true { "proposed" } else { "-" };
            format!("{} {proposed}", step["kind"].as_str().unwrap())
        })
        .collect()
}
