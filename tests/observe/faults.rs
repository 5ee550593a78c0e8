//! The faults: what is injected, for how long, and which alarms fire.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    access::service_mode::Mode,
    policy::{Policy, PolicyFiles},
};
use integration_tests::{Client, Fault, faults::reads_items};
use serde_json::json;

use crate::run::Run;

macro_rules! faults {
    ($($group:ident { $($name:ident: $says:literal fires { $($claim:literal: $within:literal),* $(,)? })* })*) => {
        /// Every fault.
        pub(crate) const FAULTS: &[Injected] =
            &[$($(Injected { says: $says, fires: &[$(($claim, $within)),*] }),*),*];

        /// One run for each group: warmed up, then one fault after the other, each until its alarms are over.
        mod each {
            $(
                #[test]
                fn $group() {
                    crate::verdict::on_a_deep_stack(|| async {
                        let mut verdict = Box::pin(crate::verdict::Verdict::start()).await;
                        $(
                            Box::pin(super::$name(&mut verdict.run)).await;
                            let fault = super::Injected { says: $says, fires: &[$(($claim, $within)),*] };
                            Box::pin(verdict.of(&fault)).await;
                        )*
                        verdict.end();
                    });
                }
            )*
        }
    };
}

/// A fault.
pub(crate) struct Injected {
    /// What happens.
    pub(crate) says: &'static str,
    /// Exactly the alarms that fire, each at the latest at the end of this minute, the fault's first one being 1.
    pub(crate) fires: &'static [(&'static str, i64)],
}

faults! {
    faults_of_the_gateway {
        nothing: "nothing: 20 minutes of normal traffic, one restart of the gateway, 20 minutes without requests" fires {}
        gateway_down: "the gateway is down" fires { "gateway-failing": 1, "gateway-not-ready": 3 }
        gateway_errors: "the gateway answers 500" fires { "gateway-failing": 1, "gateway-not-ready": 3 }
        tool_failing: "a tool throws" fires { "tools-failing": 2 }
        answers_lost: "the journal loses the response of a write's tool" fires { "unknown-jobs": 1 }
        gateway_restarts: "the gateway restarts three times in ten minutes" fires { "gateway-restarts": 4 }
    }
    faults_of_table_and_secrets {
        table_failing: "the table does not answer" fires {
            "edge-auth-errors": 1, "status-errors": 1, "sweep-failing": 2, "functions-failing": 3,
            "ApiRollback": 1, "SweepRollback": 1, "operator-errors": 2, "controls-unreadable": 3, "checkpoints-failing": 3,
        }
        table_slow: "each request to the table takes 600 ms longer" fires { "edge-auth-slow": 1, "status-slow": 1 }
        audit_failing: "audit records cannot be written" fires {
            "audit-failing": 1, "edge-auth-errors": 1, "ApiRollback": 1,
        }
        secrets_unreadable: "the secrets cannot be read" fires { "secrets-failing": 6 }
        policy_failing: "a policy cannot be evaluated" fires { "policy-errors": 1 }
        controls_lost: "the mode cannot be read, for three minutes" fires {
            "controls-unreadable": 1, "operator-errors": 3, "refusals": 3,
        }
        erasure_stuck: "the job of a newer version keeps an erasure open, for 35 minutes" fires { "erasures-late": 32 }
        bucket_shut: "checkpoints cannot be exported, for 25 minutes" fires { "checkpoints-failing": 16, "checkpoints-late": 20 }
    }
    faults_of_queue_and_schedule {
        queue_down: "the queue accepts no messages" fires {
            "wake-ups-failing": 1, "sweep-failing": 3, "overdue-jobs": 4, "SweepRollback": 2,
        }
        worker_dead: "the queue invokes no worker, for half an hour" fires {
            "overdue-jobs": 4, "stuck-jobs": 12, "queue-age": 22, "claims-late": 31,
        }
        worker_late: "the queue invokes the worker 40 seconds late" fires { "claims-late": 4 }
        worker_dying: "the worker crashes in every batch" fires { "functions-failing": 3, "overdue-jobs": 6, "WorkerRollback": 1 }
        message_of_another: "a message that names no job" fires { "undecodable-messages": 1, "dead-letters": 33 }
        sweep_stopped: "the schedule does not invoke sweep" fires { "log-silence": 3 }
    }
    faults_of_clients_and_operators {
        one_user: "one user sends 250 requests in two minutes" fires { "rate-limited": 1, "rejections": 1 }
        payloads: "three users send 40 KiB each time" fires { "payloads": 2 }
        invalid_requests: "ten users send invalid requests" fires { "rejections": 1 }
        refusals: "five users call tools that policy denies them" fires { "refusals": 1 }
        processes_starting: "forty processes start in four minutes" fires { "cold-starts": 4 }
        approvals_attacked: "two users approve another call than the displayed one" fires { "approval-attacks": 1 }
        text_held: "a text waits a quarter of an hour for an operator" fires { "held-texts-late": 12 }
        mode_lowered: "an operator sets the mode to read_only, for 20 minutes" fires { "mode-lowered": 16 }
    }
}

/// Alarms that no fault here can fire, and why.
pub(crate) const NOT_SHOWN: &[(&str, &str)] = &[
    ("functions-throttled", "Lambda itself counts throttled invocations, and the tests run without Lambda"),
    ("EdgeAuthRollback", "edge-auth answers every fault of the tests; none crashes its process"),
    ("StatusRollback", "the same for status"),
    ("OperatorRollback", "the same for operator"),
];

pub(crate) async fn nothing(run: &mut Run) {
    run.minutes(20).await;
    run.app.gateway().restart().await;
    run.quiet(20).await;
}

pub(crate) async fn gateway_down(run: &mut Run) {
    let mut gateway = run.app.gateway.take().expect("there is one");
    gateway.kill().await;
    run.minutes(5).await;
    gateway.restart().await;
    run.app.gateway = Some(gateway);
}

pub(crate) async fn gateway_errors(run: &mut Run) {
    for path in ["/miniprogram/v1/invoke", "/miniprogram/v1/outcome", "/miniprogram/v1/health", "/healthz"] {
        run.app.gateway().next(path, "status", Some(500), 10_000).await;
    }
    run.minutes(5).await;
    run.app.gateway().restart().await;
}

pub(crate) async fn gateway_restarts(run: &mut Run) {
    for _ in 0..3 {
        run.app.gateway().restart().await;
        run.minutes(3).await;
    }
}

pub(crate) async fn tool_failing(run: &mut Run) {
    for _ in 0..4 {
        for user in run.users.clone() {
            submit(run, &user, "ledger_fail", json!({"kind": "throw"})).await;
        }
        run.minutes(1).await;
    }
}

pub(crate) async fn answers_lost(run: &mut Run) {
    run.app.gateway().next("/tools/invoke", "reset_after", None, 1).await;
    let user = run.users[0].clone();
    submit(run, &user, "ledger_append", json!({"note": "n"})).await;
    run.pass_minute().await;
    run.minutes(2).await;
}

pub(crate) async fn table_failing(run: &mut Run) {
    let table = ["GetItem", "BatchGetItem", "PutItem", "UpdateItem", "Query"];
    run.app.faults.plan(move |operation, _| table.contains(&operation).then_some(Fault::LostBefore));
    run.minutes(3).await;
    run.app.faults.none();
}

pub(crate) async fn table_slow(run: &mut Run) {
    // The worker is stopped, so that the polls are held.
    run.worker_runs = false;
    let (users, mut ids) = (run.users.clone(), Vec::new());
    for user in &users {
        let id = run.app.new_id();
        user.submit(&id, "ledger_append", json!({"note": "n"})).await;
        ids.push(id);
    }
    run.app.faults.plan(|operation, _| (reads_items(operation) || operation == "PutItem").then_some(Fault::Slow));
    let mut asked = tokio::task::JoinSet::new();
    for round in 0..8 {
        for (user, id) in users.iter().cloned().zip(ids.clone()) {
            let new = run.app.new_id();
            asked.spawn(async move {
                let held = user.get(&format!("/v1/jobs/{id}?wait=3")).await;
                if round > 5 { held } else { user.submit(&new, "ledger_read", json!({})).await }
            });
        }
    }
    for reply in asked.join_all().await {
        run.answered(&reply);
    }
    run.app.faults.none();
    run.worker_runs = true;
    run.pass_minute().await;
}

pub(crate) async fn audit_failing(run: &mut Run) {
    // The first record of a job is kept with its payload.
    let holds_a_record = |key: &str| key.starts_with("A#") || key.starts_with("IN#");
    run.app
        .faults
        .plan_items(move |operation, key| (operation == "PutItem" && holds_a_record(key)).then_some(Fault::LostBefore));
    run.minutes(3).await;
    run.app.faults.none();
    // Sweep has lowered the mode, and an operator raises it.
    run.quiet(2).await;
    run.app.mode(Mode::Full).await;
}

pub(crate) async fn queue_down(run: &mut Run) {
    run.app.faults.plan(|operation, _| operation.starts_with("SendMessage").then_some(Fault::LostBefore));
    run.minutes(3).await;
    run.app.faults.none();
}

pub(crate) async fn worker_dead(run: &mut Run) {
    run.worker_runs = false;
    run.minutes(8).await;
    run.quiet(22).await;
    run.worker_runs = true;
}

pub(crate) async fn worker_late(run: &mut Run) {
    run.delivers_late = true;
    for _ in 0..6 {
        for user in run.users.clone() {
            submit(run, &user, "ledger_read", json!({})).await;
        }
        run.minutes(1).await;
    }
    run.delivers_late = false;
}

pub(crate) async fn worker_dying(run: &mut Run) {
    run.worker_dies = true;
    run.minutes(3).await;
    run.worker_dies = false;
}

pub(crate) async fn message_of_another(run: &mut Run) {
    run.app.put_on_queue(r#"{"hello":"world"}"#).await;
    run.quiet(34).await;
    // A person has looked at the message and purged the queue, as the runbook says.
    let (sqs, queue) = (run.app.aws.sqs(), run.app.deployment.backend.dlq_url.clone());
    let dead = sqs.receive_message().queue_url(&queue).send().await.expect("the queue answers");
    for message in dead.messages() {
        let handle = message.receipt_handle().expect("a received message has one");
        sqs.delete_message().queue_url(&queue).receipt_handle(handle).send().await.expect("the queue answers");
    }
}

pub(crate) async fn secrets_unreadable(run: &mut Run) {
    let (file, aside) = (run.app.secrets_file.clone(), run.app.secrets_file.with_extension("aside"));
    std::fs::rename(&file, &aside).expect("the file is there");
    run.minutes(8).await;
    std::fs::rename(&aside, &file).expect("the file is there");
}

pub(crate) async fn one_user(run: &mut Run) {
    let user = run.users[2].clone();
    for _ in 0..2 {
        for request in 0..125 {
            submit(run, &user, "ledger_read", json!({})).await;
            // However long the requests take here, no claim is late.
            if request % 25 == 0 {
                run.deliver().await;
            }
        }
        run.minutes(1).await;
    }
}

pub(crate) async fn payloads(run: &mut Run) {
    let large = json!({"note": "x".repeat(40 * 1024)});
    for _ in 0..2 {
        for user in run.users.clone() {
            for _ in 0..4 {
                submit(run, &user, "ledger_append", large.clone()).await;
            }
        }
        run.minutes(1).await;
    }
}

pub(crate) async fn invalid_requests(run: &mut Run) {
    for round in 0..10 {
        let user = run.app.login(&format!("broken-{round}")).await;
        for _ in 0..8 {
            submit(run, &user, "ledger_append", json!({"note": 7})).await;
        }
    }
    run.minutes(2).await;
}

pub(crate) async fn refusals(run: &mut Run) {
    for round in 0..5 {
        let user = run.app.login(&format!("curious-{round}")).await;
        for tool in ["exec", "ledger_delete"] {
            submit(run, &user, tool, json!({})).await;
            submit(run, &user, tool, json!({})).await;
        }
    }
    run.minutes(2).await;
}

pub(crate) async fn sweep_stopped(run: &mut Run) {
    run.sweep_runs = false;
    run.minutes(6).await;
    run.sweep_runs = true;
}

pub(crate) async fn processes_starting(run: &mut Run) {
    for _ in 0..4 {
        for _ in 0..10 {
            run.app.new_worker(None);
            run.process_starts("worker");
        }
        run.minutes(1).await;
    }
}

pub(crate) async fn policy_failing(run: &mut Run) {
    let overflows = "\n@id(\"overflows\")\nforbid (principal, action, resource) when { 9223372036854775807 + context.weekday > 0 };\n";
    let files = PolicyFiles::built_in().with("broken.cedar", overflows);
    run.app.new_edge(Some(Policy::parse(&files).expect("it has no fault that can be seen before")));
    // Users who log in now are served by it.
    let user = run.app.login("dora").await;
    submit(run, &user, "ledger_append", json!({"note": "n"})).await;
    run.app.new_edge(None);
    run.pass_minute().await;
    run.minutes(2).await;
}

pub(crate) async fn approvals_attacked(run: &mut Run) {
    for user in [run.users[0].clone(), run.users[1].clone()] {
        let id = run.app.new_id();
        user.submit(&id, "ledger_pay", json!({"amount": 12, "note": "n"})).await;
        for _ in 0..3 {
            let reply = user.decide(&id, "approve", &"A".repeat(43), Some("dev-alice")).await;
            run.answered(&reply);
        }
        let reply = user.reject(&id).await;
        run.answered(&reply);
    }
    run.minutes(2).await;
}

pub(crate) async fn mode_lowered(run: &mut Run) {
    run.app.mode(Mode::ReadOnly).await;
    run.minutes(2).await;
    run.quiet(18).await;
    run.app.mode(Mode::Full).await;
}

pub(crate) async fn controls_lost(run: &mut Run) {
    run.app
        .faults
        .plan_items(|operation, key| (operation == "Query" && key.starts_with("LADDER#")).then_some(Fault::LostBefore));
    run.minutes(3).await;
    run.app.faults.none();
}

pub(crate) async fn bucket_shut(run: &mut Run) {
    let (directory, aside) =
        (run.app.deployment.checkpoints(), run.app.deployment.checkpoints().with_extension("aside"));
    std::fs::rename(&directory, &aside).expect("there was a checkpoint");
    std::fs::write(&directory, "no directory").expect("the place is free");
    run.quiet(25).await;
    std::fs::remove_file(&directory).expect("it is a file");
    std::fs::rename(&aside, &directory).expect("it was a directory");
}

pub(crate) async fn erasure_stuck(run: &mut Run) {
    let erin = run.app.login("erin").await;
    let id = run.app.new_id();
    let reply = erin.submit(&id, "ledger_read", json!({})).await;
    run.answered(&reply);
    run.quiet(1).await;
    set_version(run, &erin, &id, 99).await;
    assert_eq!(run.app.erase(&erin, "erin").await.status, 202);
    run.quiet(35).await;
    set_version(run, &erin, &id, 1).await;
}

pub(crate) async fn text_held(run: &mut Run) {
    let files = PolicyFiles::built_in().replacing("content_safety.toml", "enabled = false", "enabled = true");
    run.app.new_worker(Some(Policy::parse(&files.expect("it is off")).expect("the file is valid")));
    let user = run.app.login("hong").await;
    submit(run, &user, "ledger_append", json!({ "note": "review-20002" })).await;
    // After a quarter of an hour its time is over.
    run.quiet(18).await;
    run.app.new_worker(None);
}

/// Makes a stored job one of another version of its schema.
async fn set_version(run: &Run, user: &Client, id: &str, version: u32) {
    let update = run.app.aws.dynamodb().update_item().table_name(&run.app.deployment.backend.table);
    update
        .key("pk", AttributeValue::S(format!("U#{}", user.user_id)))
        .key("sk", AttributeValue::S(format!("J#{id}")))
        .update_expression("SET v = :v")
        .expression_attribute_values(":v", AttributeValue::N(version.to_string()))
        .send()
        .await
        .expect("the table answers");
}

async fn submit(run: &mut Run, user: &Client, tool: &str, arguments: serde_json::Value) {
    let reply = user.submit(&run.app.new_id(), tool, arguments).await;
    run.answered(&reply);
}
