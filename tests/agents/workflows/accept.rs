use std::time::Duration;

use domain::{
    job::{Job, JobState, StepKind},
    policy::Policy,
};
use integration_tests::{App, Client, Setup};
use platform::runtime::Clock;
use serde_json::{Value, json};

use super::{from, note, say, say_in, steps, two_agents};

/// Tolerance: the clock advances while a request is answered.
fn about(real: Duration, s: u64) {
    assert!(
        real <= Duration::from_secs(s) && real + Duration::from_secs(30) > Duration::from_secs(s),
        "{real:?}, not {s} s"
    );
}

async fn accepted(app: &App, client: &Client, body: &Value) -> Job {
    let id = app.new_id();
    let reply = client.submit_body(&id, body).await;
    assert_eq!(reply.status, 202, "{}", reply.body);
    app.inspect().stored(client, &id).await
}

#[tokio::test]
async fn a_turn_is_a_job_that_is_woken_at_once() {
    let (app, alice) = App::start_with("alice").await;
    let id = app.new_id();
    let reply = alice.submit_body(&id, &say_in("trip", "Where to?")).await;
    assert_eq!((reply.status.as_u16(), &reply.body["status"]), (202, &json!("queued")), "{}", reply.body);
    assert_eq!(reply.header("location"), format!("/v1/jobs/{id}"));
    let job = app.inspect().stored(&alice, &id).await;
    let [step] = &job.steps[..] else { panic!("{job:?}") };
    assert_eq!((step.kind, step.tool.as_str(), step.of, step.round), (StepKind::Turn, "main", 0, 0));
    assert_eq!(step.conversation.as_ref().map(ToString::to_string).as_deref(), Some("trip"));
    let line = app.inspect().table().conversation(job.user_id, &"trip".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((line.queue, line.jobs, line.agent.as_str()), (vec![job.request_id], 1, "main"));
    assert_eq!(app.receive().await.len(), 1, "one wake-up message");
    assert!(!reply.body.to_string().contains("Where to?"), "what was said is not told again");
}

#[tokio::test]
async fn a_workflow_is_recorded_step_by_step_and_says_what_comes_from_where() {
    let (app, alice) = App::start_with("alice").await;
    let body = steps(&[
        json!({"tool":"ledger_read","arguments":{},"deadline_s":60.0}),
        json!({"message":["Sum up: ", from(0, "/notes")],"conversation":"trip","deadline_s":120}),
        say("Something else"),
        json!({"tool":"ledger_append","arguments":{"note":from(1, "/reply")}}),
        note("the end"),
    ]);
    let job = accepted(&app, &alice, &body).await;
    let told: Vec<_> =
        job.steps.iter().map(|s| (s.of, s.kind, s.derived, s.deadline_s, s.conversation.is_some())).collect();
    let expected = [
        (0, StepKind::Call, false, Some(60), false),
        (1, StepKind::Turn, true, Some(120), true),
        (2, StepKind::Turn, false, None, false),
        (3, StepKind::Call, true, None, false),
        (4, StepKind::Call, false, None, false),
    ];
    assert_eq!(told, expected);
    assert_eq!((job.state, job.cursor, job.schema_version()), (JobState::Queued, 0, 2));
    // Three calls that may each wait 15 minutes, two turns that may each wait as long and take five rounds of ten
    // minutes.
    about(job.not_after.since(job.created_at), 3 * 900 + 2 * (900 + 5 * 600));
    let [accepted] = &chain(&alice, &job).await[..] else { panic!("one record") };
    assert_eq!(
        (&accepted["event"], &accepted["decision"], &accepted["tool"]),
        (&json!("accepted"), &json!("run"), &json!("ledger_read"))
    );
    let later = json!([
        {"step":1,"tool":"main","decision":"run","policies":["agents-talk"]},
        {"step":2,"tool":"main","decision":"run","policies":["agents-talk"]},
        // A call with a value from a turn is decided when the value is known.
        {"step":4,"tool":"ledger_append","decision":"run","policies":["demo-notes-run"]},
    ]);
    assert_eq!(accepted["later"], later);
}

async fn chain(client: &Client, job: &Job) -> Vec<Value> {
    let chain = client.get(&format!("/v1/jobs/{}/audit", job.request_id)).await.body;
    chain["records"].as_array().unwrap().clone()
}

/// Invariant 6, *same id, same request*, for everything that a turn or a workflow is made of.
#[tokio::test]
async fn the_same_again_is_the_same_job_and_anything_else_is_422() {
    let mut app = App::start().await;
    app.new_edge(Some(Policy::parse(&two_agents()).unwrap()));
    let alice = app.login("alice").await;
    // One time for all requests: the clock advances between two lines.
    let now = app.clock.now();
    let at = |s: u64| now.plus(Duration::from_secs(s));
    let turn = json!({"message":"hello","conversation":"trip","deadline":at(600).to_string()});
    let workflow = steps(&[note("a"), json!({"message":["b ", from(0, "/text")]})]);
    let same = [
        json!({"deadline":at(600).millis(),"conversation":"trip","agent":"main","message":"hello","sent_at":at(1).to_string()}),
        json!({"steps":[{"conversation":"trip","message":"hello"}],"deadline":at(600).to_string()}),
    ];
    let others = [
        json!({"message":"hello!","conversation":"trip","deadline":at(600).to_string()}),
        json!({"message":"hello","conversation":"trip2","deadline":at(600).to_string()}),
        json!({"message":"hello","deadline":at(600).to_string()}),
        json!({"message":"hello","agent":"other","conversation":"trip","deadline":at(600).to_string()}),
        json!({"message":"hello","conversation":"trip","deadline":at(601).to_string()}),
        json!({"message":"hello","conversation":"trip"}),
        json!({"message":"hello","conversation":"trip","deadline":at(600).to_string(),"deadline_s":5}),
        json!({"message":"hello","conversation":"trip","deadline":at(600).to_string(),"not_after":at(60).to_string()}),
        note("hello"),
        workflow.clone(),
    ];
    replayed(&app, &alice, &turn, &same, &others).await;
    let same = [json!({"steps":[{"arguments":{"note":"a"},"tool":"ledger_append"},
        {"message":["b ", {"$from":{"pointer":"/text","step":0}}],"agent":"main"}]})];
    let others = [
        steps(&[json!({"message":["b ", "a"]}), note("a")]),
        steps(&[note("a"), json!({"message":["b ", from(0, "/texts")]})]),
        steps(&[note("a"), json!({"message":["b ", from(0, "")]})]),
        steps(&[note("a"), json!({"message":["b ", from(0, "/text"), "!"]})]),
        steps(&[note("a"), note("a"), json!({"message":["b ", from(0, "/text")]})]),
        steps(&[note("a")]),
        note("a"),
        turn,
    ];
    replayed(&app, &alice, &workflow, &same, &others).await;
}

async fn replayed(app: &App, client: &Client, first: &Value, same: &[Value], others: &[Value]) {
    let id = app.new_id();
    assert_eq!(client.submit_body(&id, first).await.status, 202);
    for body in same.iter().chain([first]) {
        let reply = client.submit_body(&id, body).await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("idempotent-replayed")),
            (200, "true"),
            "{body}: {}",
            reply.body
        );
    }
    for body in others {
        let reply = client.submit_body(&id, body).await;
        assert_eq!(reply.verdict(), (422, "idempotency_key_reused"), "{body}");
    }
}

#[tokio::test]
async fn only_the_first_step_asks_at_once() {
    let (app, alice) = App::start_with("alice").await;
    let pay = json!({"tool":"ledger_pay","arguments":{"amount":120,"note":"two coffees"}});
    let asks = accepted(&app, &alice, &steps(&[pay.clone(), note("paid")])).await;
    assert_eq!(asks.state, JobState::AwaitingApproval);
    let shown = alice.job(&asks.request_id.to_string()).await;
    assert_eq!(shown["approval"]["arguments"], pay["arguments"], "{shown}");
    let later = accepted(&app, &alice, &steps(&[note("to be paid"), pay])).await;
    assert_eq!(later.state, JobState::Queued);
    assert!(later.steps.iter().all(|step| step.approval.is_none()));
}

#[tokio::test]
async fn no_approval_is_accepted_after_the_jobs_deadline() {
    let (app, alice) = App::start_with("alice").await;
    let at = |s: u64| app.clock.now().plus(Duration::from_secs(s)).to_string();
    for (times, within) in [
        (json!({}), 600),
        (json!({"deadline":at(100)}), 100),
        (json!({"not_after":at(50)}), 50),
        (json!({"not_after":at(50),"deadline":at(40)}), 40),
        (json!({"deadline":at(3600)}), 600),
    ] {
        let mut body = json!({"tool":"ledger_pay","arguments":{"amount":120,"note":"n"}});
        body.as_object_mut().unwrap().extend(times.as_object().unwrap().clone());
        let job = accepted(&app, &alice, &body).await;
        about(job.lapses_at().unwrap().since(job.created_at), within);
        assert_eq!(job.deadline.is_some(), times["deadline"].is_string());
    }
}

#[tokio::test]
async fn twenty_steps_are_one_job_and_its_time_to_start_is_a_day_at_most() {
    let (app, alice) = App::start_with("alice").await;
    let notes: Vec<Value> = (0..20).map(|n| note(&n.to_string())).collect();
    let job = accepted(&app, &alice, &steps(&notes)).await;
    assert_eq!(job.steps.len(), 20);
    about(job.not_after.since(job.created_at), 20 * 900);
    let turns: Vec<Value> = (0..20).map(|n| say(&n.to_string())).collect();
    let job = accepted(&app, &alice, &steps(&turns)).await;
    about(job.not_after.since(job.created_at), 20 * 3900);
    let more = Policy::parse(
        &two_agents().replacing("tools.toml", "title = \"Another\"", "title = \"Another\"\nrounds = 8").unwrap(),
    );
    let mut app = app;
    app.new_edge(Some(more.unwrap()));
    let alice = app.login("alice").await;
    let turns: Vec<Value> = (0..20).map(|n| json!({"message":n.to_string(),"agent":"other"})).collect();
    let job = accepted(&app, &alice, &steps(&turns)).await;
    about(job.not_after.since(job.created_at), 86_400);
}

#[tokio::test]
async fn a_message_may_have_sixteen_kibibytes_and_a_body_thirty_two() {
    let (app, alice) = App::start_with("alice").await;
    accepted(&app, &alice, &say(&"é".repeat(8 * 1024))).await;
    let half = "x".repeat(16 * 1024 - 100);
    let body = steps(&[say(&half), say(&half)]).to_string();
    let padded = format!("{body}{}", " ".repeat(32 * 1024 - body.len()));
    let headers = [("content-type", "application/json"), ("idempotency-key", &app.new_id())];
    assert_eq!(alice.send("POST", "/v1/jobs", &headers, padded.as_bytes()).await.status, 202);
    let over = format!("{padded} ");
    let headers = [("content-type", "application/json"), ("idempotency-key", &app.new_id())];
    assert_eq!(alice.send("POST", "/v1/jobs", &headers, over.as_bytes()).await.verdict(), (413, "body_too_large"));
}

/// A tool that is submitted alone may have an argument named `$from`: no earlier step can be referred to.
#[tokio::test]
async fn alone_a_call_may_use_the_name_of_a_reference_as_its_tool_likes() {
    let schema = r#"{"type":"object","properties":{"note":{"type":"object"}}}"#;
    let files = two_agents().with("schemas/note.json", schema);
    // The examples of the tools have to fit.
    let files = files.replacing("tools.toml", "{ note = \"two coffees\" }", "{ note = {} }").unwrap();
    let mut app = App::with(Setup::default()).await;
    app.new_edge(Some(Policy::parse(&files).unwrap()));
    let alice = app.login("alice").await;
    let job = accepted(&app, &alice, &json!({"tool":"ledger_append","arguments":{"note":from(7, "x")}})).await;
    assert!(!job.steps[0].derived);
}
