//! One long run with one fault after the other: what it measured is what the template watches, and what the picture of
//! the dashboard is drawn from (`scripts/plot-dashboard.sh`).

use domain::access::service_mode::Mode;
use integration_tests::{Fault, mini_gateway};
use serde_json::json;

use crate::{
    alarm::{alarms, rules},
    dashboard, faults, references,
    run::{Run, WARM_UP},
    template::resources,
};

/// On a thread of its own: so long a run keeps more than the stack of a test's thread holds in a debug build.
#[test]
fn a_run_of_every_fault_measures_everything_that_the_template_watches() {
    let whole = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(whole_run());
    std::thread::Builder::new().stack_size(32 * 1024 * 1024).spawn(whole).unwrap().join().unwrap();
}

async fn whole_run() {
    let mut run = Run::warmed_up().await;
    play(&mut run).await;
    modes_and_approval_requests(&mut run).await;
    let (captured, (from, to)) = run.captured();
    references::all_seen(&captured);

    let resources = resources();
    let (alarms, rules) = (alarms(&resources), rules(&resources));
    let mut shown = dashboard::shown(&dashboard::widgets(&resources), &alarms, &rules, &captured, (from, to));
    let marks = run.marks.iter().map(|(minute, mark)| json!([minute - WARM_UP + 1, mark]));
    shown["marks"] = marks.collect();
    let file = mini_gateway::checkout().join(".local/observe/dashboard.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, shown.to_string()).unwrap();
    run.app.metrics.write(&file.with_file_name("run.jsonl")).unwrap();
    run.stop().await;
}

async fn play(run: &mut Run) {
    run.minutes(4).await;
    run.mark("a user hammers");
    faults::one_user(run).await;
    run.minutes(6).await;
    run.mark("tool throws");
    faults::tool_failing(run).await;
    run.minutes(6).await;
    run.mark("gateway down");
    faults::gateway_down(run).await;
    run.minutes(6).await;
    run.mark("answer lost");
    faults::answers_lost(run).await;
    run.minutes(5).await;
    run.mark("queue down");
    faults::queue_down(run).await;
    run.minutes(6).await;
    run.mark("no worker");
    run.worker_runs = false;
    run.minutes(6).await;
    run.worker_runs = true;
    run.minutes(6).await;
    run.mark("table down");
    faults::table_failing(run).await;
    run.minutes(6).await;
    run.mark("probing");
    faults::payloads(run).await;
    faults::refusals(run).await;
    run.minutes(6).await;
    run.mark("no audit");
    faults::audit_failing(run).await;
    run.minutes(6).await;
    // Sweep has lowered the mode; an operator raises it.
    run.app.mode(Mode::Full).await;
    run.mark("no secrets");
    faults::secrets_unreadable(run).await;
    run.minutes(4).await;
    run.mark("restarts");
    faults::gateway_restarts(run).await;
    faults::processes_starting(run).await;
    run.minutes(4).await;
    run.mark("bad message");
    rare(run).await;
    run.minutes(4).await;
}

/// Lowered service modes, and approval requests that are not approved.
async fn modes_and_approval_requests(run: &mut Run) {
    run.mark("mode lowered");
    run.app.mode(Mode::ReadOnly).await;
    run.minutes(4).await;
    run.app.mode(Mode::ExplainOnly).await;
    run.minutes(3).await;
    run.app.mode(Mode::Full).await;
    run.minutes(2).await;
    run.mark("approval attacks");
    faults::approvals_attacked(run).await;
    faults::policy_failing(run).await;
    run.mark("no controls");
    faults::controls_lost(run).await;
    run.minutes(4).await;
}

/// What no fault of the list brings about.
async fn rare(run: &mut Run) {
    for code in ["dev-busy", "dev-html", "dev-expired"] {
        let reply = run.app.log_in_with(code).await;
        run.answered(&reply);
    }
    run.app.put_on_queue("{}").await;
    // Two wake-up messages of one job in one batch, both read before either is claimed: one claim is lost.
    let (user, id) = (run.users[0].clone(), run.app.new_id());
    user.submit(&id, "ledger_append", json!({"note": "n"})).await;
    run.app.wake(&user, &id).await;
    run.app.faults.plan(|operation, _| (operation == "PutItem").then_some(Fault::Late));
    run.app.deliver().await;
    run.app.faults.none();
    run.pass_minute().await;
    // An approval request that expires, and an approval by another user.
    let id = run.app.new_id();
    user.submit(&id, "ledger_pay", json!({"amount": 12, "note": "n"})).await;
    let reply = user.decide(&id, "approve", &user.digest(&id).await, Some(&run.app.fresh_code("mallory"))).await;
    run.answered(&reply);
    run.minutes(12).await;
}
