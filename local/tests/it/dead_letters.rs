//! `local dead-letters` as a process, on the embedded queue.

use std::process::Command;

use local::emulation::{
    engine_ports::{EnginePorts, ServedEngines},
    engines::{EngineOptions, Engines},
};
use platform::runtime::Runtime;
use serde_json::json;

const USER: &str = "3f0c9a52-5d5e-4a5f-9f0e-6c1f0d7b2a11";
const JOB: &str = "019a8f3c-7e10-7abc-9def-0123456789ab";

/// Engines with dead letters.
struct Queues {
    engines: Engines,
    served: ServedEngines,
    sqs: aws_sdk_sqs::Client,
}

impl Queues {
    /// Two messages that name a job, and one that does not.
    async fn start() -> Self {
        let ports = EnginePorts::bind(0, 0).await.unwrap();
        let options = EngineOptions { queue_port: ports.queue_port(), ..EngineOptions::default() };
        let engines = Engines::start(options).await.unwrap();
        let served = ports.serve(&engines, &Runtime::system());
        let sqs = engines.backend.aws.sqs();
        let queues = Self { engines, served, sqs };
        for body in [wake_up(JOB), wake_up(&JOB.replace("ab", "cd")), json!({"my": "secret"}).to_string()] {
            let dead = &queues.engines.backend.dlq_url;
            queues.sqs.send_message().queue_url(dead).message_body(body).send().await.unwrap();
        }
        queues
    }

    async fn stop(self) {
        self.served.stop().await;
        self.engines.stop().await;
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let (backend, mut command) = (&self.served.backend, Command::new(env!("CARGO_BIN_EXE_local")));
        command.arg("dead-letters").args(arguments).args(["--dead-letter-queue-url", &backend.dlq_url]);
        command.env("AWS_ENDPOINT_URL_SQS", backend.aws.sqs_endpoint.as_ref().unwrap()).env("AWS_REGION", "us-east-1");
        let credential = &backend.aws.credentials;
        command.env("AWS_ACCESS_KEY_ID", credential.access_key_id());
        command.env("AWS_SECRET_ACCESS_KEY", credential.secret_access_key());
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    fn succeeds(&self, arguments: &[&str]) -> String {
        let (code, out, err) = self.run(arguments);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{arguments:?}: {out}");
        assert!(!out.contains("secret"), "nothing of a body but its ids: {out}");
        out
    }

    /// Bodies on the queue that the worker reads.
    async fn woken(&self) -> Vec<String> {
        let receive = self.sqs.receive_message().queue_url(&self.engines.backend.queue_url);
        let got = receive.max_number_of_messages(10).wait_time_seconds(0).send().await.unwrap();
        let mut bodies: Vec<_> = got.messages.unwrap_or_default().into_iter().filter_map(|got| got.body).collect();
        bodies.sort();
        bodies
    }
}

fn wake_up(job: &str) -> String {
    json!({"user_id": USER, "request_id": job}).to_string()
}

/// The message id at the start of the line that has `mark`.
fn id_of<'a>(listed: &'a str, mark: &str) -> &'a str {
    listed.lines().find(|line| line.contains(mark)).unwrap().split_whitespace().next().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_listed_by_the_ids_they_name_and_stay_as_they_are() {
    let queues = Queues::start().await;
    for look in 1..=2 {
        let listed = queues.succeeds(&["list"]);
        assert_eq!(listed.lines().count(), 4, "look {look}: {listed}");
        assert!(listed.lines().any(|line| line.contains(JOB) && line.contains(USER)), "{listed}");
        let line = listed.lines().find(|line| line.contains("undecodable")).unwrap();
        assert!(line.contains("  age ") && line.contains(&format!("  received {look}")), "{listed}");
        assert!(listed.ends_with("3 messages, 1 of them undecodable.\n"), "{listed}");
    }
    assert!(queues.woken().await.is_empty());
    queues.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_rings_for_what_it_was_told_and_leaves_what_names_no_job() {
    let queues = Queues::start().await;
    let url = queues.engines.backend.queue_url.clone();
    let listed = queues.succeeds(&["list"]);
    queues.succeeds(&["replay", "--queue-url", &url, "--id", id_of(&listed, JOB)]);
    assert_eq!(queues.woken().await, [wake_up(JOB)]);
    let told = queues.succeeds(&["replay", "--queue-url", &url, "--all"]);
    assert!(told.ends_with("1 messages replayed, 1 undecodable ones left.\n"), "{told}");
    assert_eq!(queues.woken().await.len(), 1);

    let listed = queues.succeeds(&["list"]);
    assert!(listed.ends_with("1 messages, 1 of them undecodable.\n"), "{listed}");
    queues.succeeds(&["discard", "--id", id_of(&listed, "undecodable")]);
    assert_eq!(queues.succeeds(&["list"]), "0 messages, 0 of them undecodable.\n");
    queues.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_is_deleted_only_once_the_queue_has_taken_it() {
    let queues = Queues::start().await;
    let nowhere = queues.engines.backend.queue_url.replace("/jobs", "/no-such-queue");
    let (code, out, err) = queues.run(&["replay", "--queue-url", &nowhere, "--all"]);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.contains("0 messages were replayed, then the queue did not take a message"), "{err}");
    let listed = queues.succeeds(&["list"]);
    assert!(
        listed.ends_with("3 messages, 1 of them undecodable.\n"),
        "they are there, and can be seen at once: {listed}"
    );
    queues.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_or_not_said_stops_the_command_with_a_sentence() {
    let queues = Queues::start().await;
    let (code, _, err) = queues.run(&["discard", "--id", "no-such-message"]);
    assert_eq!(
        (code, err.as_str()),
        (Some(1), "local: there is no message no-such-message in the dead-letter queue\n")
    );
    let url = queues.engines.backend.queue_url.clone();
    let (code, _, err) = queues.run(&["replay", "--queue-url", &url]);
    assert!(code == Some(2) && err.contains("--all"), "{err}");
    let output = Command::new(env!("CARGO_BIN_EXE_local"))
        .args(["dead-letters", "list", "--dead-letter-queue-url", "http://127.0.0.1:1/q"])
        .env_remove("AWS_REGION")
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && err.contains("AWS_REGION"), "{err}");
    assert!(queues.succeeds(&["list"]).ends_with("3 messages, 1 of them undecodable.\n"));
    queues.stop().await;
}
