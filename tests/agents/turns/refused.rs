//! Turns that the gateway refuses to run, and conversations that it refuses to delete: with a fake journal in place
//! of a real one.

use std::{
    convert::Infallible,
    net::Ipv4Addr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming};
use integration_tests::{App, Setup};
use local::emulation::listener::{self, Server};
use serde_json::{Value, json};

use super::{roomy, verdict};

/// A fake journal that accepts every round, and then reports this outcome.
#[derive(Clone)]
struct StubJournal {
    outcome: Value,
    sent: Arc<AtomicU32>,
    /// Number of requests to delete a session, which it refuses permanently.
    ended: Arc<AtomicU32>,
}

impl StubJournal {
    fn answer(&self, route: &str) -> (u16, Value) {
        let entry = |entry: Value| json!({ "entry": entry });
        let rest = match route {
            "canary" => json!({ "fence": "holds" }),
            "turns" => {
                self.sent.fetch_add(1, Ordering::SeqCst);
                entry(json!({ "kind": "turn", "state": "started" }))
            }
            "outcome" => entry(self.outcome.clone()),
            "revoke" => entry(json!({ "kind": "turn", "state": "revoked" })),
            "end-session" => {
                self.ended.fetch_add(1, Ordering::SeqCst);
                json!({ "error": { "type": "invalid_request" } })
            }
            _ => json!({}),
        };
        let status = if route == "end-session" { 400 } else { 200 };
        let mut answer = json!({ "protocol": 1, "journal": "stub", "boot": "one", "sequence": 1 });
        answer.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        (status, answer)
    }
}

impl hyper::service::Service<Request<Incoming>> for StubJournal {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let route = request.uri().path().rsplit('/').next().unwrap_or_default();
        let (status, answer) = self.answer(route);
        let answer = Response::builder().status(status).body(Full::new(answer.to_string().into()));
        Box::pin(async move { Ok(answer.unwrap()) })
    }
}

/// An app whose gateway is such a journal.
async fn with_journal_that_says(outcome: Value) -> (App, Server, StubJournal) {
    let stub = StubJournal { outcome, sent: Arc::default(), ended: Arc::default() };
    let kept = stub.clone();
    let listener = listener::bind((Ipv4Addr::LOCALHOST, 0).into(), "").await.unwrap();
    let server = listener::serve(listener, move |_| stub.clone());
    let gateway = Some((server.base_url(), "token".to_owned()));
    (App::with(Setup { gateway, ..roomy() }).await, server, kept)
}

#[tokio::test]
async fn a_turn_that_the_gateway_refuses_for_good_fails_at_its_first_look_and_is_sent_once() {
    let refused = json!({"kind": "turn", "state": "failed", "error": "refused_by_gateway"});
    let (mut app, server, journal) = with_journal_that_says(refused).await;
    let alice = app.login("alice").await;
    let id = super::say(&app, &alice, "/reset").await;
    let job = app.finish(&alice, &id).await;
    assert_eq!((verdict(&job), &job["effect"]), (("failed", "refused_by_gateway"), &json!("not_run")), "{job}");
    assert_eq!(journal.sent.load(Ordering::SeqCst), 1);
    app.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn a_turn_that_the_journal_gives_back_again_and_again_is_sent_six_times_and_then_fails() {
    let (mut app, server, journal) = with_journal_that_says(json!({"kind": "turn", "state": "released"})).await;
    let alice = app.login("alice").await;
    let id = super::say(&app, &alice, "hello").await;
    let job = app.finish(&alice, &id).await;
    assert_eq!((verdict(&job), &job["effect"]), (("failed", "refused_by_gateway"), &json!("not_run")), "{job}");
    assert_eq!(journal.sent.load(Ordering::SeqCst), 6, "once, and five times more");
    let chain = alice.records(&id).await;
    assert!(chain.len() <= 8, "few records of nothing: {}", chain.len());
    let since = app.inspect().stored(&alice, &id).await;
    assert!(since.updated_at.since(since.created_at) < Duration::from_secs(600), "it does not wait for not_after");
    app.stop().await;
    server.stop().await;
}

/// A deletion is repeated for a day while the gateway is unreachable, since repeating it is harmless; not when it is
/// refused.
#[tokio::test]
async fn the_end_of_a_conversation_that_the_gateway_refuses_for_good_is_asked_for_once() {
    let replied = json!({"kind": "turn", "state": "finished", "reply": "hello"});
    let (mut app, server, journal) = with_journal_that_says(replied).await;
    let alice = app.login("alice").await;
    let id = app.submit_body(&alice, &crate::workflows::say_in("trip", "hello")).await;
    assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
    let ending = alice.send("DELETE", "/v1/conversations/trip", &[], b"").await;
    let job = app.finish(&alice, ending.body["request_id"].as_str().unwrap()).await;
    assert_eq!(verdict(&job), ("refused", "gateway_request_rejected"), "{job}");
    assert_eq!(journal.ended.load(Ordering::SeqCst), 1);
    app.stop().await;
    server.stop().await;
}
