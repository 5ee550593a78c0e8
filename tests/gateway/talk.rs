//! Messages to the agents of the real gateway, whose model follows the directions in the user's message
//! (`scripts/openclaw/stand-in-model.mjs`).

use std::time::{Duration, Instant};

use integration_tests::{App, Client};
use serde_json::{Value, json};

use crate::real::Real;

const PAUSE: Duration = Duration::from_millis(50);
const FASTER: Duration = Duration::from_millis(450);

/// A body that says something in a session of its own.
pub(crate) fn say(message: &str) -> Value {
    json!({ "message": message })
}

/// A body that says something in a conversation.
pub(crate) fn say_in(conversation: &str, message: &str) -> Value {
    json!({ "message": message, "conversation": conversation })
}

/// Submits, and brings the job to its end.
pub(crate) async fn run(app: &mut App, client: &Client, body: Value) -> (Value, String) {
    let id = app.submit_body(client, &body).await;
    (over(app, client, &id).await, id)
}

/// Has a conversation deleted, and returns the job once that is over.
pub(crate) async fn delete(app: &mut App, client: &Client, conversation: &str) -> Value {
    let reply = client.send("DELETE", &format!("/v1/conversations/{conversation}"), &[], b"").await;
    assert_eq!(reply.status, 202, "{}", reply.body);
    let id = reply.body["request_id"].as_str().expect("a job").to_owned();
    over(app, client, &id).await
}

/// Brings a job to its end.
pub(crate) async fn over(app: &mut App, client: &Client, id: &str) -> Value {
    until(app, client, id, is_over).await
}

/// Delivers until the job is as wanted, and returns it. The service's clock runs ten times as fast as the gateway's, so
/// that a turn is polled soon after its end.
pub(crate) async fn until(app: &mut App, client: &Client, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        app.advance(FASTER).await;
        while app.deliver().await {}
        let job = client.job(id).await;
        if wanted(&job) {
            return job;
        }
        assert!(began.elapsed() < Duration::from_secs(150), "never as wanted: {job}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether a job waits for its user's approval.
pub(crate) fn asks(job: &Value) -> bool {
    job["status"] == "awaiting_approval"
}

fn is_over(job: &Value) -> bool {
    job["status"].is_string() && job["next_poll_ms"].is_null()
}

/// Brings a job to its end, and rejects every approval request. Returns the job and the requests: tool and summary of
/// each.
pub(crate) async fn refuse_all(app: &mut App, client: &Client, id: &str) -> (Value, Vec<Value>) {
    let mut asked = Vec::new();
    loop {
        let job = until(app, client, id, |job| asks(job) || is_over(job)).await;
        if !asks(&job) {
            return (job, asked);
        }
        asked.push(job["approval"].clone());
        assert_eq!(client.reject(id).await.status, 200, "{job}");
    }
}

/// The steps of a job that an agent proposed.
pub(crate) fn proposals(job: &Value) -> Vec<Value> {
    let steps = job["steps"].as_array().cloned().unwrap_or_default();
    steps.into_iter().filter(|step| step["proposed"] == true).collect()
}

/// Tool, outcome and code of each proposal.
pub(crate) fn verdicts(job: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let one = |step: &Value| (text(&step["tool"]), text(&step["outcome"]), text(&step["error"]["code"]));
    proposals(job).iter().map(one).collect()
}

/// The reply that a job ended with.
pub(crate) fn reply(job: &Value) -> &str {
    job["result"]["reply"].as_str().unwrap_or_default()
}

/// The audit chain of a job, as its owner gets it.
pub(crate) async fn chain(client: &Client, id: &str) -> Value {
    let reply = client.get(&format!("/v1/jobs/{id}/audit")).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.body
}

/// The records of a chain with this event.
pub(crate) fn records(chain: &Value, event: &str) -> Vec<Value> {
    let records = chain["records"].as_array().cloned().unwrap_or_default();
    records.into_iter().filter(|record| record["event"] == event).collect()
}

/// Everything that agents called inside their runs: tool and decision.
pub(crate) fn calls_of(chain: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rounds = records(chain, "round_ended");
    let calls = rounds.iter().flat_map(|round| round["calls"].as_array().cloned().unwrap_or_default());
    calls.map(|call| (text(&call["tool"]), text(&call["decision"]))).collect()
}

impl Real {
    /// The requests that the stand-in model has got since the gateway's start: text, results, tools offered, earlier
    /// messages.
    pub(crate) async fn asked_of_the_model(&mut self) -> Vec<Value> {
        let url = self.gateway().model().stand_in.expect("the test gateways have the stand-in");
        let http = reqwest::Client::builder().no_proxy().build().expect("a plain client");
        let answer = http.get(format!("{url}/requests")).send().await.expect("the stand-in answers");
        answer.json().await.expect("a list")
    }

    /// What the model was asked about a message that holds this text.
    pub(crate) async fn asked_about(&mut self, text: &str) -> Vec<Value> {
        let all = self.asked_of_the_model().await;
        all.into_iter().filter(|asked| asked["text"].as_str().is_some_and(|said| said.contains(text))).collect()
    }

    /// Waits until the model has been asked about that so often.
    pub(crate) async fn model_has(&mut self, text: &str, times: usize) {
        assert!(self.model_is_asked(text, times).await, "the model is not asked about {text:?}");
    }

    /// Delivers until the model has been asked about that: the first delivery may not send the turn, if the gateway has
    /// just started and is too slow for the worker.
    pub(crate) async fn deliver_until_model_has(&mut self, app: &mut App, text: &str) {
        for _ in 0..1800 {
            app.advance(Duration::ZERO).await;
            while app.deliver().await {}
            if !self.asked_about(text).await.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the model is not asked about {text:?}");
    }

    /// Whether the model is asked about that so often, within three minutes: a gateway that resumes turns on a busy
    /// machine takes more than one.
    pub(crate) async fn model_is_asked(&mut self, text: &str, times: usize) -> bool {
        for _ in 0..1800 {
            if self.asked_about(text).await.len() >= times {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        false
    }

    /// Posts to a route of the gateway with its token, as a worker does, or an attacker who has stolen the token.
    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}{path}", self.gateway().base_url());
        let http = reqwest::Client::builder().no_proxy().build().expect("a plain client");
        let sent = http.post(url).bearer_auth(self.gateway().token()).json(body).send().await;
        let answer = sent.expect("the gateway answers");
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    /// The sessions that the gateway lists, with their other fields.
    pub(crate) async fn sessions(&mut self) -> Value {
        let list = json!({"tool": "sessions_list", "args": {"limit": 200}});
        let (status, answer) = self.post("/tools/invoke", &list).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// How many lines the ledger has.
    pub(crate) fn lines(&mut self) -> usize {
        integration_tests::mini_gateway::ledger(self.gateway().ledger()).len()
    }
}
