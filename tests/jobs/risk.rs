//! Risk: what WeChat's rank of a user who logs in permits, by policy.

use std::sync::Arc;

use domain::policy::{Policy, PolicyFiles};
use integration_tests::{App, Setup, events};
use local::emulation::wechat_stub::{PlannedAnswer, PlannedCall, openid};
use platform::{
    metrics::{Dimension, Metric},
    runtime::{Runtime, System},
};
use serde_json::json;
use status::Status;

/// Every rank has a decision of its own kind.
const RANKS: &str =
    "enabled = true\nscene = \"content\"\nranks = [\"pass\", \"pass\", \"read_only\", \"explain_only\", \"refuse\"]\n";

fn policy(text: &str) -> Policy {
    Policy::parse(&PolicyFiles::built_in().with("risk.toml", text)).unwrap()
}

/// An app that asks WeChat for the rank of everyone who logs in.
async fn with_ranks(text: &str) -> App {
    let mut app = App::with(Setup::roomy()).await;
    ask_for_ranks(&mut app, text);
    app
}

fn ask_for_ranks(app: &mut App, text: &str) {
    app.new_edge(Some(policy(text)));
    app.new_worker(Some(policy(text)));
    let runtime = app.metrics.metered(Runtime::new(Arc::new(app.clock.clone()), Arc::new(System)));
    app.functions.status = Arc::new(Status::with_policy(app.deployment.status(), runtime, Arc::new(policy(text))));
}

fn plan(app: &App, answers: &[PlannedAnswer]) {
    answers.iter().for_each(|answer| app.wechat().plan(PlannedCall::Risk, *answer));
}

fn counted(app: &App, outcome: &str) -> f64 {
    app.metrics.sum(Metric::RiskRanks, &[(Dimension::Outcome, outcome)])
}

#[tokio::test]
async fn without_a_word_of_policy_no_rank_is_asked_for() {
    let (app, _) = App::start_with("alice").await;
    app.wechat().set_rank("alice", 4);
    assert_eq!(app.log_in_with("dev-alice").await.status, 201);
    assert!(app.wechat().ranked().is_empty());
    assert_eq!(app.wechat().messages_asked(), (0, 0), "and no token");
}

#[tokio::test]
async fn each_rank_permits_what_policy_says_until_the_next_login() {
    let mut app = with_ranks(RANKS).await;
    for (rank, read, write, tools) in [
        (0, "succeeded", (202, ""), true),
        (1, "succeeded", (202, ""), true),
        (2, "succeeded", (403, "mode_read_only"), false),
        (3, "explained", (202, ""), true),
    ] {
        app.wechat().set_rank("alice", rank);
        let alice = app.login("alice").await;
        let (id, note) = (app.new_id(), json!({ "note": "n" }));
        assert_eq!(alice.submit(&id, "ledger_append", note).await.verdict(), write, "{rank}");
        let job = app.run(&alice, "ledger_read", json!({ "limit": 1 })).await;
        assert_eq!(job["status"], read, "{rank}: {job}");
        assert_eq!(app.effects(&id), usize::from(rank < 2), "{rank}");
        let listed = alice.get("/v1/tools").await.body.to_string();
        assert_eq!(listed.contains("ledger_append"), tools, "{rank}: {listed}");
        assert_eq!(counted(&app, &format!("rank_{rank}")), 1.0);
        // Others are not limited.
        let bob = app.login("bob").await;
        assert_eq!(app.run(&bob, "ledger_append", json!({ "note": "n" })).await["status"], "succeeded");
    }
    let export = app.login("alice").await.get("/v1/users/me/export?limit=100").await.body;
    let user = export["items"].as_array().unwrap().iter().find(|item| item["kind"] == "user").unwrap();
    assert_eq!(user["limited_to"], "explain_only", "{user}");
    app.wechat().set_rank("alice", 4);
    let refused = app.log_in_with("dev-alice").await;
    assert_eq!(refused.verdict(), (403, "login_blocked"));
    app.wechat().set_rank("carol", 4);
    assert_eq!(app.log_in_with("dev-carol").await.verdict(), (403, "login_blocked"));
    assert_eq!(app.inspect().stored_items().await.iter().filter(|item| item["openid"].is_object()).count(), 2);
    // When it is switched off, a stored limit no longer holds.
    ask_for_ranks(&mut app, &RANKS.replace("true", "false"));
    let alice = app.login("alice").await;
    assert_eq!(app.run(&alice, "ledger_append", json!({ "note": "n" })).await["status"], "succeeded");
}

#[tokio::test]
async fn a_limit_stays_while_wechat_gives_no_rank_and_a_refused_login_limits_the_sessions_before_it() {
    let mut app = with_ranks(RANKS).await;
    app.wechat().set_rank("alice", 3);
    app.login("alice").await;
    plan(&app, &[PlannedAnswer::Errcode(-1)]);
    let alice = app.login("alice").await;
    assert_eq!(app.run(&alice, "ledger_append", json!({ "note": "n" })).await["status"], "explained");
    app.wechat().set_rank("alice", 0);
    let alice = app.login("alice").await;
    assert_eq!(app.run(&alice, "ledger_append", json!({ "note": "n" })).await["status"], "succeeded");
    app.wechat().set_rank("alice", 4);
    assert_eq!(app.log_in_with("dev-alice").await.verdict(), (403, "login_blocked"));
    assert_eq!(app.run(&alice, "ledger_append", json!({ "note": "n" })).await["status"], "explained");
}

#[tokio::test]
async fn a_write_that_was_accepted_before_is_refused_when_its_user_is_limited_meanwhile() {
    let mut app = with_ranks(RANKS).await;
    let alice = app.login("alice").await;
    let id = app.submit(&alice, "ledger_append", json!({ "note": "n" })).await;
    app.wechat().set_rank("alice", 2);
    let alice = app.login("alice").await;
    app.deliver().await;
    let job = alice.job(&id).await;
    assert_eq!((&job["status"], &job["error"]["code"]), (&json!("refused"), &json!("mode_read_only")), "{job}");
    assert_eq!(app.effects(&id), 0);
    assert_eq!(events(&alice.records(&id).await), ["accepted", "ended"]);
    assert_eq!(app.erase(&alice, "alice").await.status, 202, "who is limited may still leave");
    Box::pin(app.finish_erasure(&alice)).await;
    let stored = app.inspect().stored_items().await;
    assert!(stored.iter().all(|item| item.get("rk").is_none()), "the erasure has removed it");
}

#[tokio::test]
async fn no_answer_of_wechat_locks_a_user_out_unless_policy_says_so() {
    let app = with_ranks(RANKS).await;
    let _listening = app.metrics.listen();
    let answers = [
        PlannedAnswer::Errcode(-1),
        PlannedAnswer::Errcode(48001),
        PlannedAnswer::Errcode(45009),
        PlannedAnswer::Errcode(61010),
        PlannedAnswer::Errcode(99999),
        PlannedAnswer::Html,
        PlannedAnswer::Empty,
        PlannedAnswer::BadGateway,
        PlannedAnswer::Lost,
    ];
    app.wechat().set_rank("alice", 4);
    for answer in answers {
        plan(&app, &[answer]);
        assert_eq!(app.log_in_with("dev-alice").await.status, 201, "{answer:?}");
    }
    assert_eq!(counted(&app, "unranked"), 9.0);
    // A rank that this version does not know is none.
    app.wechat().set_rank("alice", 7);
    assert_eq!(app.log_in_with("dev-alice").await.status, 201);
    assert_eq!(counted(&app, "unranked"), 10.0);
    app.wechat().plan(PlannedCall::Token, PlannedAnswer::Errcode(45009));
    app.wechat().rotate_token();
    assert_eq!(app.log_in_with("dev-alice").await.status, 201, "no token");
    let lines = serde_json::to_string(&app.metrics.logs()).unwrap();
    for reason in ["wechat_busy", "not_permitted", "quota", "user_unknown", "wechat_unreachable", "refused"] {
        assert!(lines.contains(&format!("\"reason\":\"{reason}\"")), "{reason}");
    }
    for secret in ["203.0.113.9", &openid("wx-test", "alice")] {
        assert!(!lines.contains(secret), "{secret}");
        assert!(!serde_json::to_string(&app.metrics.documents()).unwrap().contains(secret), "{secret}");
    }
    for (unranked, expected) in [("refuse", (403, "login_blocked")), ("read_only", (201, ""))] {
        let app = with_ranks(&format!("{RANKS}unranked = \"{unranked}\"")).await;
        plan(&app, &[PlannedAnswer::Errcode(-1)]);
        assert_eq!(app.log_in_with("dev-alice").await.verdict(), expected);
    }
}

#[tokio::test]
async fn wechat_gets_the_address_that_logins_are_limited_by_and_a_refused_token_is_replaced_once() {
    let app = with_ranks(RANKS).await;
    let headers = [
        ("content-type", "application/json"),
        ("x-forwarded-for", "198.51.100.1"),
        ("x-real-ip", "198.51.100.2"),
        ("x-wx-client-ip", "198.51.100.3"),
    ];
    let reply = app.anonymous().send("POST", "/v1/sessions", &headers, br#"{"code":"dev-alice"}"#).await;
    assert_eq!(reply.status, 201);
    let asked = json!({
        "appid": "wx-test", "openid": openid("wx-test", "alice"), "scene": 2, "client_ip": "203.0.113.9",
    });
    assert_eq!(app.wechat().ranked(), [asked]);
    assert_eq!(app.wechat().messages_asked(), (1, 0));
    // The stored token serves the next login, until another caller replaces it.
    app.login("alice").await;
    assert_eq!((app.wechat().ranked().len(), app.wechat().messages_asked()), (2, (1, 0)));
    app.wechat().rotate_token();
    app.wechat().set_rank("alice", 4);
    assert_eq!(app.log_in_with("dev-alice").await.verdict(), (403, "login_blocked"), "asked again with a new token");
    assert_eq!((app.wechat().ranked().len(), app.wechat().messages_asked()), (4, (2, 0)));
    // Once: a token that is refused again is no reason to ask for ever.
    plan(&app, &[PlannedAnswer::Errcode(42001), PlannedAnswer::Errcode(40001)]);
    assert_eq!(app.log_in_with("dev-alice").await.status, 201);
    assert_eq!((app.wechat().ranked().len(), app.wechat().messages_asked()), (6, (3, 0)));
    assert_eq!(counted(&app, "unranked"), 1.0);
}

#[tokio::test]
async fn a_rank_costs_one_read_and_no_write() {
    let mut app = with_ranks(RANKS).await;
    app.login("alice").await;
    let with = units_of_a_login(&app).await;
    app.new_edge(None);
    let without = units_of_a_login(&app).await;
    println!("DUTY a login with a rank: {with:?} read and write units, without: {without:?}");
    assert_eq!((with.0 - without.0, with.1 - without.1), (1.0, 0.0));
}

/// Read and write units of a login of a user who is known, with the token stored.
async fn units_of_a_login(app: &App) -> (f64, f64) {
    let units = || {
        let consumed = app.functions.edge_auth.table().consumed();
        (consumed.read_units(), consumed.write_units())
    };
    app.login("alice").await;
    let before = units();
    app.login("alice").await;
    let after = units();
    (after.0 - before.0, after.1 - before.1)
}
