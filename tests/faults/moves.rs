//! A host that moves to AWS: its export, imported into another engine. On the second engine of `make test`, which is the
//! emulator of the rehearsal, the import is the one of `docs/operate/one-host.md`; the embedded engine gets the same lines as
//! items.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use integration_tests::{App, Client, Fault, Setup, app::new_dir, mini_gateway};
use local::{
    data::DataDir,
    emulation::backend::TABLE,
    host::export::{SECRETS_FOLDER, TABLE_FOLDER, export},
};
use platform::runtime::Clock as _;
use serde_json::{Value, json};

const BUCKET: &str = "moved";

fn note(text: &str) -> Value {
    json!({ "tool": "ledger_append", "arguments": { "note": text } })
}

fn read(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// What the host has done when it stops.
struct Host {
    /// It goes no further, but its gateway does: that moves nowhere.
    app: App,
    user_id: String,
    /// Ended, with its view then.
    done: (String, Value),
    /// Its worker was killed after the call.
    running: String,
    /// Nothing of it has run.
    queued: String,
    /// Asks its user.
    asks: String,
}

async fn stopped_host(home: &Path) -> Host {
    let mut app = App::with(Setup { data: Some(home.to_owned()), ..Setup::roomy() }).await;
    let alice = app.login("alice").await;
    let done = app.submit_body(&alice, &note("done")).await;
    let view = app.finish(&alice, &done).await;
    assert_eq!(view["status"], "succeeded");
    let asks = app.submit(&alice, "ledger_pay", json!({ "amount": 120, "note": "milk" })).await;
    while app.deliver().await {}
    assert_eq!(alice.job(&asks).await["status"], "awaiting_approval");
    let running = app.submit_body(&alice, &note("running")).await;
    let writes = AtomicUsize::new(0);
    // The intent is stored and the call has been made; the outcome is not written any more.
    app.faults.plan(move |operation, _| {
        let is_late = operation == "PutItem" && writes.fetch_add(1, Ordering::SeqCst) >= 4;
        is_late.then_some(Fault::KilledBefore)
    });
    app.deliver().await;
    app.faults.none();
    assert_eq!((alice.job(&running).await["status"].clone(), app.effects(&running)), (json!("running"), 1));
    let queued = app.submit_body(&alice, &note("queued")).await;
    Host { user_id: alice.user_id, app, done: (done, view), running, queued, asks }
}

/// Exports as `local export` does. The users of a test are the stub's, which no host may export: its document says otherwise.
async fn exported(app: &App, home: &Path) -> PathBuf {
    let mut document = read(&app.secrets_file);
    document["dev"] = json!(false);
    fs::write(&app.secrets_file, document.to_string()).unwrap();
    let to = home.join("export");
    let data = DataDir::take_for_export(home).unwrap();
    let items = export(&data, &to, app.clock.now()).await.unwrap();
    let lines = fs::read_to_string(to.join(TABLE_FOLDER).join("items.json")).unwrap();
    assert_eq!(lines.lines().count() as u64, items);
    to
}

/// The parameters of the new table, as the page gives them to `import-table`.
fn table_of_the_page() -> Value {
    let page = fs::read_to_string(mini_gateway::checkout().join("docs/operate/one-host.md")).unwrap();
    let (_, rest) = page.split_once("--table-creation-parameters '").unwrap();
    let mut parameters: Value = serde_json::from_str(rest.split_once('\'').unwrap().0).unwrap();
    parameters["TableName"] = json!(TABLE);
    parameters
}

/// Imports through S3, as the page says, in place of the empty table.
async fn import_table(app: &App, url: &str, items: Vec<u8>) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let count = items.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    for (path, body) in [(BUCKET.to_owned(), Vec::new()), (format!("{BUCKET}/moved/items.json"), items)] {
        let put = http.put(format!("{url}/{path}")).body(body).send().await.unwrap();
        assert!(put.status().is_success(), "{path}: {}", put.status());
    }
    app.aws.dynamodb().delete_table().table_name(TABLE).send().await.unwrap();
    let call = async |action: &str, body: Value| -> Value {
        let request = http.post(url).header("x-amz-target", format!("DynamoDB_20120810.{action}"));
        let scope = "AWS4-HMAC-SHA256 Credential=local/20261130/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0";
        let request = request.header("authorization", scope).header("content-type", "application/x-amz-json-1.0");
        let text = request.body(body.to_string()).send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let asked = json!({
        "InputFormat": "DYNAMODB_JSON",
        "S3BucketSource": { "S3Bucket": BUCKET, "S3KeyPrefix": "moved/" },
        "TableCreationParameters": table_of_the_page(),
    });
    let begun = call("ImportTable", asked).await;
    let arn = begun["ImportTableDescription"]["ImportArn"].clone();
    assert!(arn.is_string(), "{begun}");
    for _ in 0..600 {
        let described = call("DescribeImport", json!({ "ImportArn": arn })).await["ImportTableDescription"].clone();
        if described["ImportStatus"] != "IN_PROGRESS" {
            assert_eq!(
                (&described["ImportStatus"], &described["ImportedItemCount"]),
                (&json!("COMPLETED"), &json!(count))
            );
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the import does not end");
}

/// The deployment, with the table and the secrets of the export, beside the gateway that stayed.
#[expect(clippy::disallowed_methods, reason = "a test has no configuration of its own")]
async fn deployed(host: &Host, from: &Path) -> App {
    let gateway = host.app.gateway.as_ref().unwrap().base_url();
    let gateway = Some((gateway, mini_gateway::TOKEN.to_owned()));
    let mut app = App::with(Setup { gateway, mode: None, ..Setup::roomy() }).await;
    let items = fs::read(from.join(TABLE_FOLDER).join("items.json")).unwrap();
    match std::env::var("SECOND_ENGINE_URL") {
        Ok(url) => import_table(&app, &url, items).await,
        Err(_) => {
            let lines = items.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let items: Vec<Value> =
                lines.map(|line| serde_json::from_slice::<Value>(line).unwrap()["Item"].clone()).collect();
            app.inspect().store_items(&items).await;
        }
    }
    let moved = |name: &str| read(&from.join(SECRETS_FOLDER).join(format!("{name}.json")));
    let (edge, status, worker, sweep) = (moved("edge-auth"), moved("status"), moved("worker"), moved("sweep"));
    let mut document = read(&app.secrets_file);
    // WeChat's part stays that of the stub, which has an app secret of its own.
    for (key, value) in [
        ("sessions", &edge["sessions"]),
        ("logins", &edge["logins"]),
        ("cursors", &status["cursors"]),
        ("openclaw", &worker["openclaw"]),
        ("checkpoints", &sweep["checkpoints"]),
    ] {
        assert!(!value.is_null(), "{key}");
        document[key] = value.clone();
    }
    fs::write(&app.secrets_file, document.to_string()).unwrap();
    // Later than everything that the host has stored.
    app.advance(Duration::from_millis(host.app.clock.ahead_ms().unsigned_abs()) + Duration::from_secs(70)).await;
    app
}

async fn resent(alice: &Client, id: &str, body: &Value) -> Value {
    let reply = alice.submit_body(id, body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_moved_to_aws_has_the_same_users_jobs_and_chains_and_a_resent_id_has_no_second_effect() {
    let home = new_dir();
    let host = stopped_host(&home).await;
    let from = exported(&host.app, &home).await;
    let mut app = deployed(&host, &from).await;
    let alice = app.login("alice").await;
    assert_eq!(alice.user_id, host.user_id, "the login keys have moved");
    let (done, view) = &host.done;
    assert_eq!(alice.job(done).await, *view);
    assert_eq!(resent(&alice, done, &note("done")).await["status"], "succeeded");
    assert_eq!(alice.submit_body(done, &note("another")).await.verdict(), (422, "idempotency_key_reused"));

    // Open jobs go on: the queue of the host is lost, and the reconciler wakes them.
    for (id, body) in [(&host.running, note("running")), (&host.queued, note("queued"))] {
        resent(&alice, id, &body).await;
        assert_eq!(app.finish(&alice, id).await["status"], "succeeded");
    }
    assert_eq!(app.approve(&alice, "alice", &host.asks).await.status, 200);
    assert_eq!(app.finish(&alice, &host.asks).await["status"], "succeeded");
    for id in [done, &host.running, &host.queued, &host.asks] {
        alice.records(id).await;
        assert_eq!(host.app.effects(id), 1, "{id}");
    }
    let zhang = app.operator("zhang", &["viewer"]);
    let audit = zhang.get("/audit?limit=100").await.body;
    assert!(!audit["records"].as_array().unwrap().is_empty(), "the operators' chain has the mode of the host: {audit}");
}
