//! Attempts at a write under other names and by other tools, made by a model that follows every instruction.

use integration_tests::{App, Client, Setup};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    ledger_reconciliation,
    real::with_gateway,
    talk::{refuse_all, say, verdicts},
};

/// A listener on loopback that notices connections, like the gateway's own port.
pub(crate) async fn listener() -> (TcpListener, String) {
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = server.local_addr().expect("it is bound").to_string();
    (server, address)
}

/// Whether no client has connected.
pub(crate) async fn no_connection_came(server: &TcpListener) -> bool {
    tokio::time::timeout(std::time::Duration::from_millis(100), server.accept()).await.is_err()
}

/// Has agents make these calls, four in a turn and three turns at once; rejects every approval request, and returns the
/// jobs.
async fn try_all(app: &mut App, client: &Client, calls: &[String]) -> Vec<(Value, Vec<Value>, String)> {
    let said = |calls: &[String]| say(&format!("{} [[say:tried]] [[then]] [[say:end]]", calls.join(" ")));
    let turns: Vec<Value> = calls.chunks(4).map(said).collect();
    let mut ended = Vec::new();
    for at_once in turns.chunks(3) {
        let mut ids = Vec::new();
        for turn in at_once {
            ids.push(app.submit_body(client, turn).await);
        }
        for id in ids {
            let (job, asked) = refuse_all(app, client, &id).await;
            ended.push((job, asked, id));
        }
    }
    ended
}

#[test]
fn no_other_name_reaches_a_write() {
    with_gateway(async |real| {
        let mut app = real.app(Setup::default()).await;
        let alice = app.login("alice").await;
        let lines = real.lines();
        let names = [
            "LEDGER_APPEND",
            "Ledger_Append",
            "ledger-append",
            "ledger append",
            " ledger_append",
            "ledger_append ",
            "ledgerappend",
            "functions.ledger_append",
            "default_api:ledger_append",
            "mcp__ledger-demo__ledger_append",
            "ledger-demo/ledger_append",
            "ledger_append\\u200b",
            "ⅼedger_append",
            "ledger_append\\n",
        ];
        let call = |name: &str| format!("[[tool:\"{name}\" {{\"note\":\"as {name}\"}}]]");
        let ended = try_all(&mut app, &alice, &names.map(call)).await;
        for (names, (job, asked, id)) in names.chunks(4).zip(&ended) {
            println!("NAMES {names:?}: {} {:?}, asked {} times", job["status"], verdicts(job), asked.len());
            assert_eq!((&job["status"], real.effects(id)), (&json!("succeeded"), 0), "{job}");
            assert!(verdicts(job).iter().all(|(_, end, _)| end == "refused"), "{job}");
        }
        assert!(
            ended.iter().any(|(job, ..)| !verdicts(job).is_empty()),
            "some spellings are the gateway's name for it"
        );
        assert_eq!(real.lines(), lines);
        ledger_reconciliation::close("ways", app).await;
    });
}

/// Everything that could write, send or start something, with what would show that it did: a file that appears, a
/// request that arrives at `canary`, a line in the ledger.
fn ways(gateway: &str, canary: &str, file: &str, ledger: &str) -> Vec<String> {
    let touch = format!("touch {file}; curl -s http://{canary}/");
    let call = r#"{"tool":"ledger_append","args":{"note":"by its own port"}}"#;
    let own_port = format!("curl -s -X POST {gateway}/tools/invoke -d '{call}'");
    let code = format!("await tools.ledger_append({{note: 'by code'}}); await fetch('http://{canary}/')");
    let patch = format!("*** Begin Patch\n*** Add File: {file}\n+x\n*** End Patch");
    let append = json!({"note": "by a broker"});
    [
        ("exec", json!({"command": touch})),
        ("exec", json!({"command": own_port})),
        ("exec", json!({"code": code})),
        ("wait", json!({"code": code})),
        ("process", json!({"action": "start", "command": touch})),
        ("bash", json!({"command": touch})),
        ("web_fetch", json!({"url": format!("{gateway}/tools/invoke")})),
        ("web_fetch", json!({"url": format!("{gateway}/miniprogram/v1/invoke")})),
        ("web_fetch", json!({"url": format!("http://{canary}/")})),
        ("browser", json!({"action": "open", "url": format!("{gateway}/tools/invoke")})),
        ("gateway", json!({"action": "restart"})),
        ("cron", json!({"action": "add", "text": "[[tool:ledger_append {}]]"})),
        ("write", json!({"path": file, "content": "x"})),
        ("edit", json!({"path": ledger, "oldText": "a", "newText": "b"})),
        ("apply_patch", json!({"input": patch})),
        ("tool_call", json!({"name": "ledger_append", "arguments": append})),
        ("tool_search_code", json!({"code": "await openclaw.tools.call('ledger_append', {note: 'by a broker'})"})),
        ("sessions_spawn", json!({"task": "[[tool:ledger_append {}]]"})),
        ("sessions_send", json!({"sessionKey": "agent:main:main", "message": "[[tool:ledger_append {}]]"})),
        ("subagents", json!({"action": "list"})),
        ("miniprogram_canary", json!({})),
    ]
    .map(|(tool, arguments)| format!("[[tool:{tool} {arguments}]]"))
    .to_vec()
}

/// The attempts for which this gateway has a tool. To the others it answers that there is no such tool.
const REACH_THE_FENCE: [&str; 8] =
    ["exec", "web_fetch", "write", "edit", "apply_patch", "sessions_spawn", "sessions_send", "subagents"];

#[test]
fn no_other_way_reaches_a_write_or_the_gateways_own_port() {
    with_gateway(async |real| {
        let mut app = real.app(Setup::default()).await;
        let alice = app.login("alice").await;
        let (lines, (server, canary)) = (real.lines(), listener().await);
        let file = real.gateway().ledger().with_file_name("written-by-a-model");
        let ledger = real.gateway().ledger().display().to_string();
        let ways = ways(&real.gateway().base_url(), &canary, &file.display().to_string(), &ledger);
        let ended = try_all(&mut app, &alice, &ways).await;
        for (job, asked, id) in &ended {
            println!("WAYS: {} {:?}", job["status"], verdicts(job));
            assert_eq!((&job["status"], real.effects(id), asked.len()), (&json!("succeeded"), 0, 0), "{job}");
            assert!(verdicts(job).iter().all(|(_, end, code)| end == "refused" && code == "tool_unknown"), "{job}");
        }
        let tried = |tool: &str| ended.iter().any(|(job, ..)| verdicts(job).iter().any(|(name, ..)| name == tool));
        for tool in REACH_THE_FENCE {
            assert!(tried(tool), "{tool} was called and stopped");
        }
        assert!(no_connection_came(&server).await, "no request left the gateway");
        assert!(!file.exists(), "no file was written");
        assert_eq!(real.lines(), lines);
        let sessions = real.sessions().await;
        assert!(!sessions.to_string().contains("subagent:"), "no child was made: {sessions}");
        // The gateway's port runs no guarded tool for any caller, not even with the gateway's token.
        let direct = json!({"tool": "ledger_append", "args": {"note": "by its own port"}, "idempotencyKey": "attack"});
        assert_eq!(real.post("/tools/invoke", &direct).await.0, 403);
        ledger_reconciliation::close("ways", app).await;
    });
}
