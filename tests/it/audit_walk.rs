//! Verifying from outside: whatever is changed, removed, moved, cut or written anew in the table is named with its job; what
//! fits in itself is betrayed by the checkpoints; and a verifier in another language says the same.

use std::{
    collections::HashMap,
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use integration_tests::{App, Client, Fault, mini_gateway::checkout};
use local::audit::{self as walk, Report, Scope, Source, Verification};
use serde_json::{Value, json};
use shared::{
    approval::OperatorId,
    audit::{AuditHead, ChainName, OperatorActor, OperatorEvent, RefusalEvent, verify},
    canonical,
    checkpoint::PublicKey,
    clock::{Clock, System, World},
    digest::Digest,
    user_id::UserId,
    view::support_code,
};

type Item = HashMap<String, AttributeValue>;
type Tampering<'a> = Box<dyn Fn(&mut Value) + 'a>;

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn world(app: &App) -> World {
    World::new(Arc::new(app.clock.clone()), Arc::new(System))
}

fn closed(reason: &str) -> OperatorEvent {
    OperatorEvent::ToolClosed { tool: "ledger_wipe".into(), reason: reason.into() }
}

fn operator() -> OperatorActor {
    OperatorActor::Operator(OperatorId::from_random([7; 16]))
}

fn refusal(code: &str) -> RefusalEvent {
    RefusalEvent { tool: Some("ledger_pay".into()), code: code.into(), policies: vec!["p".into()], request_id: None }
}

/// A service with something in every chain, all of it signed and exported.
struct Signed {
    app: App,
    alice: Client,
    user: UserId,
    job: String,
    code: String,
}

impl Signed {
    async fn start() -> Self {
        let mut app = App::start().await;
        let alice = app.login("alice").await;
        let bob = app.login("bob").await;
        let user: UserId = alice.user_id.parse().unwrap();
        let job =
            app.run(&alice, "ledger_append", json!({"note":"n"})).await["request_id"].as_str().unwrap().to_owned();
        app.run(&bob, "ledger_read", json!({})).await;
        for code in ["policy_denied", "mode_read_only", "mode_closed"] {
            app.table.append_refusal(&world(&app), user, refusal(code), "p").await.unwrap();
            app.table.append_operator(&world(&app), operator(), closed(code), "p").await.unwrap();
        }
        app.advance(Duration::from_secs(300)).await;
        app.sweep().await;
        app.advance(Duration::from_secs(301)).await;
        app.sweep().await;
        app.advance(Duration::from_secs(301)).await;
        app.sweep().await;
        let code = support_code(user, job.parse().unwrap());
        Self { app, alice, user, job, code }
    }

    fn key(&self) -> PublicKey {
        let secrets: Value = serde_json::from_slice(&std::fs::read(&self.app.secrets_file).unwrap()).unwrap();
        serde_json::from_value(secrets["checkpoints"]["keys"][0].clone()).unwrap()
    }

    async fn walk(&self, source: &Source, scope: Scope, checkpoints: bool) -> Report {
        let checkpoints = checkpoints.then(|| (self.app.deployment.checkpoints(), vec![self.key()]));
        let retention = Duration::from_secs(30 * 86_400);
        let asked = Verification { scope, checkpoints, retention, now: self.app.clock.now() };
        walk::run(source, &asked, &|_| {}).await.unwrap()
    }

    fn table(&self) -> Source {
        Source::Table(self.app.table.clone())
    }

    async fn everything(&self, checkpoints: bool) -> Report {
        self.walk(&self.table(), Scope::Everything, checkpoints).await
    }

    /// What is found without and with checkpoints.
    async fn found(&self) -> [Vec<String>; 2] {
        [self.everything(false).await.faults, self.everything(true).await.faults]
    }

    async fn items(&self, pk: &str, prefix: &str) -> Vec<Item> {
        let query = self.app.aws.dynamodb().query().table_name(&self.app.deployment.backend.table);
        let query = query.key_condition_expression("pk = :p AND begins_with(sk, :s)").consistent_read(true);
        let query = query.expression_attribute_values(":p", text(pk)).expression_attribute_values(":s", text(prefix));
        query.send().await.unwrap().items.unwrap()
    }

    async fn put(&self, item: &Item) {
        let put = self.app.aws.dynamodb().put_item().table_name(&self.app.deployment.backend.table);
        put.set_item(Some(item.clone())).send().await.unwrap();
    }

    async fn delete(&self, item: &Item) {
        let delete = self.app.aws.dynamodb().delete_item().table_name(&self.app.deployment.backend.table);
        delete.key("pk", item["pk"].clone()).key("sk", item["sk"].clone()).send().await.unwrap();
    }

    fn partition(&self) -> String {
        format!("U#{}", self.user)
    }

    async fn job_item(&self) -> Item {
        self.items(&self.partition(), &format!("J#{}", self.job)).await.pop().unwrap()
    }

    /// The items of records of alice's job. The first one is with the payload.
    async fn job_records(&self) -> Vec<Item> {
        let mut records = self.items(&self.partition(), &format!("IN#{}#", self.job)).await;
        records.extend(self.items(&self.partition(), &format!("A#{}#", self.job)).await);
        records
    }
}

fn with(item: &Item, name: &str, value: AttributeValue) -> Item {
    let mut item = item.clone();
    item.insert(name.to_owned(), value);
    item
}

fn record(item: &Item) -> Value {
    serde_json::from_str(item["rec"].as_s().unwrap()).unwrap()
}

fn head_of(length: u64, digest: Digest) -> AttributeValue {
    AttributeValue::M(HashMap::from([
        ("n".to_owned(), AttributeValue::N(length.to_string())),
        ("h".to_owned(), text(digest.to_string())),
    ]))
}

#[tokio::test]
async fn everything_one_user_one_job_and_a_copy_of_it_all_verify() {
    let signed = Signed::start().await;
    let all = signed.everything(true).await;
    assert_eq!((&all.faults, all.jobs, all.refusals, all.checkpoints), (&vec![], 2, 1, 3), "{all:?}");
    // Two jobs, one user's refusals, the operators' chain.
    assert_eq!(all.anchored, 4, "{all:?}");
    let user = signed.walk(&signed.table(), Scope::User(signed.user), true).await;
    assert_eq!((&user.faults, user.jobs, user.refusals, user.anchored), (&vec![], 1, 1, 2));
    let job = signed.walk(&signed.table(), Scope::Job(signed.user, signed.job.parse().unwrap()), true).await;
    assert_eq!((&job.faults, job.jobs, job.refusals, job.anchored), (&vec![], 1, 0, 1));
    let operators = signed.walk(&signed.table(), Scope::Operators, true).await;
    assert_eq!((&operators.faults, operators.jobs, operators.records), (&vec![], 0, 4));
    // Copied out, it says the same.
    let out = signed.app.secrets_file.with_file_name("export");
    walk::export(&signed.table(), &out).await.unwrap();
    let copy = signed.walk(&Source::Export(out.clone()), Scope::Everything, true).await;
    assert_eq!(Report { notes: vec![], ..copy }, Report { notes: vec![], ..all });
    assert!(walk::export(&signed.table(), &out).await.is_err(), "what is there is not mixed with what was");
    signed.app.stop().await;
}

#[tokio::test]
async fn what_is_changed_removed_or_moved_is_named_with_its_job() {
    let signed = Signed::start().await;
    let records = signed.job_records().await;
    let whole = [vec![], vec![]] as [Vec<String>; 2];
    assert_eq!(signed.found().await, whole);
    // Changed.
    let mut other = record(&records[1]);
    other["tool"] = json!("other");
    signed.put(&with(&records[1], "rec", text(other.to_string()))).await;
    let [plain, _] = signed.found().await;
    assert_eq!(plain, [format!("job {}: record 3 does not follow from record 2", signed.code)]);
    signed.put(&records[1]).await;
    // Removed.
    for place in [0, 1, 2] {
        signed.delete(&records[place]).await;
        let [plain, _] = signed.found().await;
        assert!(plain.len() == 1 && plain[0].contains(&signed.code), "{plain:?}");
        signed.put(&records[place]).await;
    }
    // Moved: each is where the other was.
    signed.put(&with(&records[0], "rec", records[1]["rec"].clone())).await;
    signed.put(&with(&records[1], "rec", records[0]["rec"].clone())).await;
    let [plain, _] = signed.found().await;
    assert!(plain.len() == 1 && plain[0].contains(&signed.code), "{plain:?}");
    signed.put(&records[0]).await;
    signed.put(&records[1]).await;
    // The chains beside the jobs.
    for (pk, name) in [
        (signed.partition(), format!("refusals:{}", signed.user)),
        ("CHAIN#OPERATORS".to_owned(), "operators".to_owned()),
    ] {
        let records = signed.items(&pk, "R#").await;
        let n = records.len();
        let mut other = record(&records[n - 2]);
        other["actor"] = json!("alarm:x");
        signed.put(&with(&records[n - 2], "rec", text(other.to_string()))).await;
        let [plain, _] = signed.found().await;
        assert_eq!(plain, [format!("chain {name}: record {n} does not follow from record {}", n - 1)]);
        signed.put(&records[n - 2]).await;
        signed.delete(&records[n - 2]).await;
        let [plain, _] = signed.found().await;
        assert_eq!(plain, [format!("chain {name}: record {} is not the one that belongs there", n - 1)]);
        signed.put(&records[n - 2]).await;
        signed.delete(&records[n - 1]).await;
        let [plain, _] = signed.found().await;
        assert!(plain.len() == 1 && plain[0].contains("does not end in its head"), "{plain:?}");
        signed.put(&records[n - 1]).await;
    }
    assert_eq!(signed.found().await, whole);
    signed.app.stop().await;
}

#[tokio::test]
async fn a_chain_of_an_earlier_version_which_kept_its_first_record_by_itself_verifies() {
    let signed = Signed::start().await;
    let payload = signed.job_records().await.remove(0);
    let digest = payload["rd"].as_s().unwrap();
    let mut apart = with(&payload, "sk", text(format!("A#{}#00001#{digest}", signed.job)));
    let mut alone = payload.clone();
    for name in ["key", "calls", "rd"] {
        apart.remove(name);
    }
    for name in ["rec", "rd"] {
        alone.remove(name);
    }
    signed.put(&alone).await;
    assert!(!signed.everything(false).await.faults.is_empty(), "its first record is missing");
    signed.put(&apart).await;
    assert_eq!(signed.found().await, [vec![], vec![]] as [Vec<String>; 2]);
    signed.app.stop().await;
}

#[tokio::test]
async fn a_chain_that_was_cut_or_written_anew_fits_in_itself_and_not_the_checkpoints() {
    let signed = Signed::start().await;
    let (job, records) = (signed.job_item().await, signed.job_records().await);
    // Cut: the head names the record before.
    let before: Digest = record(&records[2])["prev"].as_str().unwrap().to_owned().try_into().unwrap();
    signed.put(&with(&job, "au", head_of(2, before))).await;
    let [plain, anchored] = signed.found().await;
    assert_eq!(plain, [""; 0]);
    assert_eq!(anchored.len(), 1);
    assert!(anchored[0].contains(&signed.code) && anchored[0].contains("was cut"), "{anchored:?}");
    // Written anew, with links that fit: it never failed, it was another tool.
    let mut head = AuditHead::EMPTY;
    for item in &records {
        let mut record = record(item);
        record["tool"] = json!("ledger_read");
        record["prev"] = json!(head.digest.to_string());
        let bytes = canonical::canonical(&record);
        head = AuditHead { length: head.length + 1, digest: Digest::sha256(&bytes) };
        let sk = format!("A#{}#{:05}#{}", signed.job, head.length, head.digest);
        let mut item = item.clone();
        item.remove("rd");
        let item = &item;
        signed.put(&with(&with(item, "rec", text(String::from_utf8(bytes).unwrap())), "sk", text(sk))).await;
    }
    signed.put(&with(&job, "au", head_of(head.length, head.digest))).await;
    let [plain, anchored] = signed.found().await;
    assert_eq!(plain, [""; 0]);
    assert!(
        anchored.len() == 1 && anchored[0].contains("written anew") && anchored[0].contains(&signed.code),
        "{anchored:?}"
    );
    // Gone altogether.
    signed.delete(&job).await;
    let [plain, anchored] = signed.found().await;
    assert_eq!(plain, [""; 0]);
    assert!(
        anchored.len() == 1 && anchored[0].contains("missing") && anchored[0].contains(&signed.code),
        "{anchored:?}"
    );
    signed.put(&job).await;
    // The chains beside the jobs, cut.
    for pk in [signed.partition(), "CHAIN#OPERATORS".to_owned()] {
        let head = signed.items(&pk, "RH").await.pop().unwrap();
        let records = signed.items(&pk, "R#").await;
        let (length, before) = (records.len() - 1, record(records.last().unwrap()));
        let cut = with(&head, "n", AttributeValue::N(length.to_string()));
        let cut = with(&cut, "h", text(before["prev"].as_str().unwrap()));
        signed.put(&cut).await;
        let [plain, anchored] = signed.found().await;
        assert_eq!(plain, [""; 0]);
        assert!(anchored.len() == 1 && anchored[0].contains("was cut"), "{anchored:?}");
        signed.put(&head).await;
    }
    signed.app.stop().await;
}

#[tokio::test]
async fn a_checkpoint_that_is_changed_removed_moved_or_strangely_signed_is_named() {
    let signed = Signed::start().await;
    let directory = signed.app.deployment.checkpoints();
    let file = |seq: u64| directory.join(format!("{seq:012}.json"));
    let kept: Vec<Vec<u8>> = (1..=3).map(|seq| std::fs::read(file(seq)).unwrap()).collect();
    let restore = || (1..).zip(&kept).for_each(|(seq, bytes)| std::fs::write(file(seq), bytes).unwrap());
    let found = async |expected: &str| {
        let [plain, faults] = signed.found().await;
        assert_eq!(plain, [""; 0]);
        assert!(!faults.is_empty() && faults[0].contains(expected), "{expected}: {faults:?}");
        restore();
    };
    std::fs::write(file(2), String::from_utf8(kept[1].clone()).unwrap().replace("\"v\":1", "\"v\":2")).unwrap();
    found("the signature of checkpoint 2").await;
    std::fs::remove_file(file(2)).unwrap();
    found("checkpoint 3 stands where 2 belongs").await;
    std::fs::remove_file(file(3)).unwrap();
    found("checkpoint 3 was exported and is not in the directory").await;
    std::fs::write(file(1), &kept[1]).unwrap();
    std::fs::write(file(2), &kept[0]).unwrap();
    found("000000000001.json holds checkpoint 2").await;
    for seq in 1..=3 {
        std::fs::remove_file(file(seq)).unwrap();
    }
    found("there is no checkpoint").await;
    // Somebody who can write the table and the directory, and has no key, signs everything anew.
    let mut secrets: Value = serde_json::from_slice(&std::fs::read(&signed.app.secrets_file).unwrap()).unwrap();
    let ours = secrets.clone();
    let key = local::secrets::session_key(&World::system()).unwrap();
    secrets["checkpoints"] = json!({ "active": key["kid"], "keys": [key] });
    let trusted = signed.key();
    std::fs::write(&signed.app.secrets_file, secrets.to_string()).unwrap();
    let mut config = signed.app.deployment.sweep();
    config.checkpoint_every = Duration::ZERO;
    let forger = sweep::Sweep::new(config, world(&signed.app)).unwrap();
    forger.run(signed.app.clock.now().plus(Duration::from_secs(30))).await.unwrap();
    std::fs::write(&signed.app.secrets_file, ours.to_string()).unwrap();
    assert_eq!(signed.key(), trusted);
    let [_, faults] = signed.found().await;
    assert!(faults.len() == 1 && faults[0].contains("neither among the keys"), "{faults:?}");
    std::fs::remove_file(file(4)).unwrap();
    // The table's own copy.
    let item = signed.items("CHECKPOINTS", "000000000004").await.pop().unwrap();
    signed.delete(&item).await;
    let item = signed.items("CHECKPOINTS", "000000000003").await.pop().unwrap();
    signed.delete(&item).await;
    found("is not in the table any more").await;
    signed.app.stop().await;
}

#[tokio::test]
async fn appends_that_cross_or_repeat_are_each_one_record_and_a_reader_never_sees_a_broken_chain() {
    let app = App::start().await;
    let world = &world(&app);
    let config = app.deployment.sweep().table;
    let faulty = &shared::table::Table::new(config.aws.dynamodb(), config.table, config.retention);
    for fault in [Fault::LostAfter, Fault::Twice, Fault::Late, Fault::LostBefore].repeat(3) {
        // One move of the head goes wrong; while the SDK repeats it, others go ahead.
        let hit = AtomicBool::new(false);
        app.faults.plan(move |operation, _| {
            (operation == "UpdateItem" && !hit.swap(true, Ordering::SeqCst)).then_some(fault)
        });
        let before = app.table.chain_head(ChainName::Operators).await.unwrap().length;
        let append =
            async |n: u64| faulty.append_operator(world, operator(), closed(&n.to_string()), "p").await.unwrap();
        let reader = async {
            for _ in 0..5 {
                let asked = Verification {
                    scope: Scope::Operators,
                    checkpoints: None,
                    retention: Duration::ZERO,
                    now: app.clock.now(),
                };
                let report = walk::run(&Source::Table(app.table.clone()), &asked, &|_| {}).await.unwrap();
                assert_eq!(report.faults, [""; 0]);
            }
        };
        let (a, b, c, d, ()) = tokio::join!(append(1), append(2), append(3), append(4), reader);
        let mut places = [a, b, c, d].map(|head| head.length);
        places.sort_unstable();
        assert_eq!(places, [1, 2, 3, 4].map(|n| before + n), "{fault:?}");
        let page = app.table.operator_chain(before, 100).await.unwrap();
        let mut reasons: Vec<&str> = page.records.iter().map(|record| record["reason"].as_str().unwrap()).collect();
        reasons.sort_unstable();
        assert_eq!((reasons, page.head.length), (vec!["1", "2", "3", "4"], before + 4), "{fault:?}");
        app.faults.none();
    }
    // Page by page, and from any place on.
    let (mut after, mut read) = (0, 0);
    loop {
        let page = app.table.operator_chain(after, 3).await.unwrap();
        read += page.records.len() as u64;
        assert!(page.records.iter().all(|record| record["seq"].as_u64().unwrap() > after));
        match page.next {
            Some(next) => after = next,
            None => break assert_eq!(read, page.head.length),
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn refusals_end_with_the_retention_and_what_is_left_still_verifies() {
    let signed = Signed::start().await;
    let first = signed.items(&signed.partition(), "R#").await.remove(0);
    // As DynamoDB does when its time has come.
    signed.delete(&first).await;
    let report = signed.walk(&signed.table(), Scope::User(signed.user), true).await;
    assert_eq!(report.faults, [""; 0]);
    assert!(report.notes.iter().any(|note| note.contains("begins at record 2")), "{report:?}");
    let newest = signed.app.table.refusals_of(signed.user).await.unwrap();
    assert_eq!((newest.records.len(), newest.head.length), (2, 3));
    signed.app.stop().await;
}

/// The verifier in Python, over files.
fn python(directory: &std::path::Path, answer: &Value, more: &[(&str, &Value)]) -> Result<String, String> {
    let script = checkout().join("docs/verify_audit.py");
    let write = |name: String, value: &Value| {
        let file: PathBuf = directory.join(name);
        std::fs::write(&file, value.to_string()).unwrap();
        file
    };
    let mut command = Command::new("python3");
    command.arg(script).arg(write("answer.json".into(), answer));
    for (place, (option, value)) in more.iter().enumerate() {
        command.arg(option);
        match value {
            Value::String(text) => command.arg(text),
            value => command.arg(write(format!("{place}.json"), value)),
        };
    }
    let output = command.output().unwrap();
    let said = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    if output.status.success() { Ok(said(output.stdout)) } else { Err(said(output.stderr)) }
}

#[tokio::test]
async fn a_verifier_in_another_language_agrees_over_whole_and_tampered_chains() {
    let mut signed = Signed::start().await;
    let script = std::fs::read_to_string(checkout().join("docs/verify_audit.py")).unwrap();
    assert!(script.lines().count() <= 60);
    let directory = signed.app.secrets_file.with_file_name("python");
    std::fs::create_dir(&directory).unwrap();
    let mut answers = Vec::new();
    let alice = signed.app.login("alice").await;
    // One that succeeded, one that was refused halfway, one that was asked about and cancelled.
    let asked = signed.app.new_id();
    let arguments = json!({"amount": 12.0, "note": "tea \u{202e}é\n\"ü\" 茶"});
    assert_eq!(alice.submit(&asked, "ledger_pay", arguments.clone()).await.status, 202);
    alice.cancel(&asked).await;
    let failed = signed.app.run(&alice, "ledger_fail", json!({"kind":"throw"})).await;
    for id in [&signed.job, &asked, &failed["request_id"].as_str().unwrap().to_owned()] {
        answers.push(alice.get(&format!("/v1/jobs/{id}/audit")).await.body);
    }
    let mut compared = 0;
    for answer in &answers {
        let records = answer["records"].as_array().unwrap();
        let tampered: Vec<Tampering<'_>> = vec![
            Box::new(|_| {}),
            Box::new(|a| a["records"][0]["tool"] = json!("other")),
            Box::new(|a| a["records"].as_array_mut().unwrap().last_mut().unwrap()["extra"] = json!(1.5)),
            Box::new(|a| drop(a["records"].as_array_mut().unwrap().remove(0))),
            Box::new(|a| drop(a["records"].as_array_mut().unwrap().pop())),
            Box::new(|a| a["records"].as_array_mut().unwrap().swap(0, 1)),
            Box::new(|a| a["head"]["length"] = json!(records.len() + 1)),
            Box::new(|a| a["head"]["digest"] = json!(Digest::ZERO.to_string())),
            Box::new(|a| a["records"][1]["prev"] = json!(Digest::ZERO.to_string())),
            Box::new(|a| a["records"][1]["request_id"] = json!("019a8f3c-7e10-7abc-9def-0123456789ab")),
        ];
        for change in tampered {
            let mut answer = answer.clone();
            change(&mut answer);
            let digest: Digest = answer["head"]["digest"].as_str().unwrap().to_owned().try_into().unwrap();
            let head = AuditHead { length: answer["head"]["length"].as_u64().unwrap(), digest };
            let ours = verify(answer["records"].as_array().unwrap(), head).map_err(|fault| fault.to_string());
            let theirs = python(&directory, &answer, &[]);
            assert_eq!(ours.is_ok(), theirs.is_ok(), "{ours:?} {theirs:?}: {answer}");
            compared += 1;
        }
    }
    assert_eq!(compared, 30);
    // What it was given, and what it returned.
    let job = signed.alice.job(&signed.job).await;
    let given = [("--arguments", &json!({"note":"n"})), ("--result", &job["result"])];
    assert!(python(&directory, &answers[0], &given).is_ok());
    assert!(python(&directory, &answers[0], &[("--arguments", &json!({"note":"m"}))]).is_err());
    assert!(python(&directory, &answers[0], &[("--result", &json!({}))]).is_err());
    // What was asked about.
    let owner = json!(signed.user.to_string());
    assert!(python(&directory, &answers[1], &[("--arguments", &arguments), ("--user", &owner)]).is_ok());
    let another = json!({"amount": 13, "note": arguments["note"]});
    assert!(python(&directory, &answers[1], &[("--arguments", &another), ("--user", &owner)]).is_err());
    // The checkpoints, and one chain that was written anew.
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(signed.app.deployment.checkpoints()).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let checkpoints: Vec<Value> =
        files.iter().map(|file| serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()).collect();
    let all: Vec<(&str, &Value)> = checkpoints.iter().map(|one| ("--checkpoint", one)).collect();
    assert!(python(&directory, &answers[0], &all).unwrap().ends_with("1 anchors"));
    assert!(python(&directory, &answers[0], &[all[0], all[2]]).is_err());
    let mut anew = answers[0].clone();
    let mut prev = Digest::ZERO.to_string();
    for record in anew["records"].as_array_mut().unwrap() {
        record["tool"] = json!("ledger_read");
        record["prev"] = json!(prev);
        prev = Digest::sha256(&canonical::canonical(record)).to_string();
    }
    anew["head"]["digest"] = json!(prev);
    assert!(python(&directory, &anew, &[]).is_ok());
    assert!(python(&directory, &anew, &all).unwrap_err().contains("has signed another record 3"));
    signed.app.stop().await;
}
