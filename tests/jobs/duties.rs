//! What each duty on WeChat's platform adds in the table and at WeChat. `docs/design/numbers.md` has the same table.

use std::collections::BTreeMap;

use domain::policy::{Policy, PolicyFiles};
use integration_tests::{App, Client, OperatorClient, Setup};
use local::emulation::wechat_events::{Format, Kind, PushSettings};
use platform::runtime::Clock;
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../docs/design/numbers.md");
const TEMPLATE: &str = "hD-ixGOhYmUfjOnI8MCzQMPshzGVeux_2vzyvQu7O68";

/// Write units, read units, and calls to WeChat.
type Cost = [f64; 3];

fn so_far(app: &App) -> Cost {
    let functions = &app.functions;
    let tables =
        [functions.edge_auth.table(), app.worker.table(), functions.status.table(), functions.operator.table()];
    let consumed = tables.map(|table| (table.consumed().write_units(), table.consumed().read_units()));
    let (tokens, messages) = app.wechat().messages_asked();
    let asked = app.wechat().checked().len() + app.wechat().ranked().len();
    [
        consumed.iter().map(|units| units.0).sum(),
        consumed.iter().map(|units| units.1).sum(),
        (app.wechat_asked() + tokens + messages) as f64 + asked as f64,
    ]
}

fn less(more: Cost, fewer: Cost) -> Cost {
    std::array::from_fn(|place| more[place] - fewer[place])
}

/// The policy with every check of WeChat.
fn checking() -> Policy {
    let on = |files: PolicyFiles, file| files.replacing(file, "enabled = false", "enabled = true").unwrap();
    Policy::parse(&on(on(PolicyFiles::built_in(), "content_safety.toml"), "risk.toml")).unwrap()
}

/// A write, from its submission to its end; a text that is held meanwhile is let pass.
async fn write(app: &mut App, alice: &Client, shang: &OperatorClient, (note, notify): (&str, bool)) -> Cost {
    let mut body = json!({ "tool": "ledger_append", "arguments": { "note": note } });
    if notify {
        body["notify"] = "job_update".into();
    }
    let (id, before) = (app.new_id(), so_far(app));
    let reply = alice.submit_body(&id, &body).await;
    assert_eq!(reply.status, 202, "{}", reply.body);
    while app.deliver().await {}
    if note.starts_with("review-") {
        let path = format!("/jobs/{}/held-text", reply.body["support_code"].as_str().unwrap());
        let digest = shang.get(&path).await.body["digest"].clone();
        assert_eq!(shang.post(&path, json!({ "decision": "pass", "digest": digest })).await.status, 200);
        while app.deliver().await {}
    }
    let after = so_far(app);
    let job = alice.job(&id).await;
    assert_eq!((&job["status"], app.effects(&id)), (&json!("succeeded"), 1), "{job}");
    assert_eq!(job["notification"]["status"], if notify { json!("sent") } else { Value::Null }, "{job}");
    less(after, before)
}

async fn login(app: &App) -> Cost {
    let before = so_far(app);
    app.login("alice").await;
    less(so_far(app), before)
}

/// The client reports an acceptance, and then WeChat does.
async fn acceptance(app: &App, alice: &Client) -> [Cost; 2] {
    app.wechat().accept("alice", TEMPLATE);
    let before = so_far(app);
    let (headers, body) = ([("content-type", "application/json")], br#"{"accepted":["job_update"]}"#);
    assert_eq!(alice.send("POST", "/v1/notifications", &headers, body).await.status, 204);
    let between = so_far(app);
    let document = serde_json::from_slice(&std::fs::read(&app.secrets_file).unwrap()).unwrap();
    let (settings, now) = (PushSettings::of(&document, &app.deployment.wechat_app_id).unwrap(), app.clock.now());
    let message = Kind::Accept.message(Format::Json, &app.deployment.wechat_app_id, "alice", now);
    let push = settings.push(&message, now, &app.functions.runtime);
    let reply = app.anonymous().send("POST", &push.path(), &headers, push.body.as_bytes()).await;
    assert_eq!(reply.text, "success");
    [less(between, before), less(so_far(app), between)]
}

/// The rows of the page.
fn said() -> BTreeMap<&'static str, Vec<f64>> {
    let table = PAGE.split_once("\n| duty | ").expect("the table").1.split("\n\n").next().unwrap();
    let cells = |row: &'static str| row.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
    let rows = table.lines().skip(2).map(cells);
    rows.map(|row| (row[0], row[1..4].iter().map(|cell| cell.parse().unwrap()).collect())).collect()
}

#[tokio::test]
async fn the_page_of_numbers_says_what_each_duty_adds() {
    let mut app = App::with(Setup::roomy()).await;
    let (alice, shang) = (app.login("alice").await, app.operator("shang", &["approver"]));
    shang.get("/held-texts").await;
    let mut added = BTreeMap::new();
    // Caches are warm, and the token is stored, after the first of each kind.
    let [reported, pushed] = acceptance(&app, &alice).await;
    for with in [true, false] {
        write(&mut app, &alice, &shang, ("n", with)).await;
    }
    let plain = write(&mut app, &alice, &shang, ("n", false)).await;
    acceptance(&app, &alice).await;
    let notified = write(&mut app, &alice, &shang, ("n", true)).await;
    let logged_in = login(&app).await;
    added.insert("a notification of a job", less(notified, plain));
    added.insert("an acceptance that the client reports", reported);
    added.insert("a message that WeChat pushes", pushed);
    app.new_worker(Some(checking()));
    app.new_edge(Some(checking()));
    let alice = app.login("alice").await;
    for note in ["n", "review-20002"] {
        write(&mut app, &alice, &shang, (note, false)).await;
    }
    let checked = write(&mut app, &alice, &shang, ("n", false)).await;
    let held = write(&mut app, &alice, &shang, ("review-20002", false)).await;
    added.insert("a text of one piece that is checked", less(checked, plain));
    added.insert("the same, held and let pass", less(held, plain));
    added.insert("a login whose risk is ranked", less(login(&app).await, logged_in));
    println!("DUTIES write units, read units, calls to WeChat: {added:#?}");
    let said = said();
    assert_eq!(said.len(), added.len());
    for (duty, cost) in added {
        assert_eq!(said[duty], cost, "{duty}");
    }
}
