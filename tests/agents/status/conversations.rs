//! A user's conversations with agents, and the agents that the user may talk to.

use domain::access::service_mode::Mode;
use integration_tests::{App, Client, Contract};
use serde_json::{Value, json};

use crate::{turns::roomy, workflows::say_in};

const ROUTE: &str = "/v1/conversations";

async fn page(client: &Client, query: &str) -> Value {
    let reply = client.get(&format!("{ROUTE}{query}")).await;
    Contract::of_the_checkout().check("GET", ROUTE, &reply);
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.body
}

fn names(page: &Value) -> Vec<&str> {
    page["conversations"].as_array().unwrap().iter().map(|one| one["conversation"].as_str().unwrap()).collect()
}

async fn begin(app: &App, client: &Client, conversation: &str) -> String {
    let id = app.new_id();
    assert_eq!(client.submit_body(&id, &say_in(conversation, "[[say:hello]]")).await.status, 202);
    id
}

#[tokio::test]
async fn a_user_lists_only_own_conversations_by_name() {
    let app = App::with(roomy()).await;
    let (alice, bob) = (app.login("alice").await, app.login("bob").await);
    for name in ["trip", "notes", "a1", "notes", "zoo"] {
        begin(&app, &alice, name).await;
    }
    begin(&app, &bob, "plans").await;
    assert_eq!(names(&page(&alice, "").await), ["a1", "notes", "trip", "zoo"]);
    let first = page(&alice, "?limit=3").await;
    assert_eq!(names(&first), ["a1", "notes", "trip"]);
    let notes = &first["conversations"][1];
    assert_eq!((&notes["turns"], &notes["open"], &notes["agent"]), (&json!(2), &json!(2), &json!("main")));
    assert_eq!(notes.get("ending"), None);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = page(&alice, &format!("?limit=3&cursor={cursor}")).await;
    assert_eq!((names(&second), second.get("next_cursor")), (vec!["zoo"], None));
    assert_eq!(page(&alice, "?limit=4").await.get("next_cursor"), None, "nothing follows");
    assert_eq!(names(&page(&bob, "").await), ["plans"]);
}

#[tokio::test]
async fn a_cursor_of_conversations_is_bound_to_its_user_and_its_list() {
    let app = App::with(roomy()).await;
    let (alice, bob) = (app.login("alice").await, app.login("bob").await);
    for name in ["a", "b"] {
        begin(&app, &alice, name).await;
    }
    let cursor = page(&alice, "?limit=1").await["next_cursor"].as_str().unwrap().to_owned();
    let jobs = alice.get("/v1/jobs?limit=1").await.body["next_cursor"].as_str().unwrap().to_owned();
    for (client, path) in [
        (&bob, format!("{ROUTE}?cursor={cursor}")),
        (&alice, format!("{ROUTE}?cursor={jobs}")),
        (&alice, format!("/v1/jobs?cursor={cursor}")),
        (&alice, format!("{ROUTE}?cursor={}", &cursor[1..])),
        (&alice, format!("{ROUTE}?cursor=")),
    ] {
        let reply = client.get(&path).await;
        assert_eq!(reply.verdict(), (400, "cursor_invalid"), "{path}");
        Contract::of_the_checkout().check("GET", path.split('?').next().unwrap(), &reply);
    }
    for query in ["?limit=0", "?limit=101", "?limit=1&limit=1"] {
        assert_eq!(alice.get(&format!("{ROUTE}{query}")).await.verdict(), (400, "parameter_invalid"), "{query}");
    }
    assert_eq!(app.anonymous().get(ROUTE).await.verdict(), (401, "no_session"));
}

#[tokio::test]
async fn a_conversation_that_is_being_deleted_says_so_until_it_is_gone() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let id = begin(&app, &alice, "notes").await;
    begin(&app, &alice, "other").await;
    app.finish(&alice, &id).await;
    let idle = page(&alice, "").await;
    assert_eq!((&idle["conversations"][0]["open"], &idle["conversations"][0]["turns"]), (&json!(0), &json!(1)));
    let route = "/v1/conversations/{conversation}";
    let ending = alice.send("DELETE", "/v1/conversations/notes", &[], b"").await;
    Contract::of_the_checkout().check("DELETE", route, &ending);
    assert_eq!((ending.status.as_u16(), &ending.body["steps"][0]["kind"]), (202, &json!("end")), "{}", ending.body);
    assert_eq!(page(&alice, "").await["conversations"][0]["ending"], true);
    let job = app.finish(&alice, ending.body["request_id"].as_str().unwrap()).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    assert_eq!(names(&page(&alice, "").await), ["other"], "what is gone is passed over");
    assert_eq!(names(&page(&alice, "?limit=1").await), ["other"]);
}

#[tokio::test]
async fn the_agents_are_those_that_a_user_may_talk_to_now() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let listed = alice.get("/v1/agents").await;
    assert_eq!(listed.body, json!({"agents": [{"name": "main", "title": "Assistant"}]}));
    Contract::of_the_checkout().check("GET", "/v1/agents", &listed);
    app.mode(Mode::Closed).await;
    app.advance(service::controls::MAX_AGE).await;
    assert_eq!(alice.get("/v1/agents").await.body, json!({"agents": []}));
    assert_eq!(app.anonymous().get("/v1/agents").await.verdict(), (401, "no_session"));
}
